//! A CAPTCHA in a page of a session, and the operator's endpoint that answers it.

mod support;

use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::lab::Lab;
use support::spec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vitrine_model::wire::StepKind;
use vitrine_model::{BrowserSpec, Happening, Secret};
use vitrine_node::Solver;

const PAGE: &str =
    "<form><div class='h-captcha' data-sitekey='key-1'></div><textarea name='h-captcha-response'></textarea></form>";

/// Answers whatever it is asked with one body, and remembers the questions.
async fn answers(kind: &'static str, body: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let questions = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let mut length = 0;
            // A question is short, and comes within a moment.
            while let Ok(Ok(more @ 1..)) =
                tokio::time::timeout(Duration::from_millis(200), stream.read(&mut request[length..])).await
            {
                length += more;
            }
            questions.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close");
            let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_solver_is_asked_and_the_page_is_given_its_answer() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (site, _) = answers("text/html", PAGE).await;
    let (solver, asked) = answers("application/json", r#"{"token":"solved-it"}"#).await;
    let lab = Lab::with(BrowserSpec { captcha: true, ..spec() }, |config| {
        let url = format!("http://127.0.0.1:{solver}/v1");
        config.carried.solver = Some(Solver { url, secret: Some(Secret::new("hush")) });
    })
    .await;
    let mut client = lab.client().await;
    let url = format!("http://site.test:{site}/");
    let tab = client.open(&url).await;
    let happened = |wanted| move |step: &StepKind| matches!(step, StepKind::Happened { what, .. } if *what == wanted);
    let detected = lab.server.wait_for("it is noticed", happened(Happening::CaptchaDetected)).await;
    let StepKind::Happened { data, .. } = detected else { unreachable!() };
    assert_eq!(data, json!({ "kind": "hcaptcha", "url": url, "siteKey": "key-1", "solver": "configured" }));
    lab.server.wait_for("it is solved", happened(Happening::CaptchaSolved)).await;
    let filled = client.evaluate(&tab, "document.querySelector('textarea').value").await;
    assert_eq!(filled, Value::from("solved-it"));
    let question = asked.lock().unwrap().join("");
    assert!(question.contains("authorization: Bearer hush") && question.contains("key-1"), "{question}");
    drop(client);
    lab.finish().await;
}
