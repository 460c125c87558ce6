//! A real Chromium in a browser capsule, with its own sandbox on.

mod support;

use std::time::Duration;

use support::Machine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitrine_capsule::{Capsule, Exec, Process, Profile};

const DEVTOOLS_PORT: u16 = 9222;
const START_DEADLINE: Duration = Duration::from_secs(30);

async fn start(capsule: &Capsule) -> Process {
    let mut exec = Exec::new([
        "chromium-headless-shell",
        &format!("--remote-debugging-port={DEVTOOLS_PORT}"),
        "--user-data-dir=/session/profile",
        "about:blank",
    ]);
    exec.env.push(("HOME".into(), "/home/user".into()));
    exec.env.push(("TMPDIR".into(), "/session/tmp".into()));
    capsule.exec(exec).await.expect("starts")
}

/// What DevTools says about itself.
async fn ask_version(capsule: &Capsule) -> std::io::Result<String> {
    let stream = capsule.network().connect(DEVTOOLS_PORT).await.map_err(std::io::Error::other)?;
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    stream.write_all(b"GET /json/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
}

#[tokio::test]
async fn it_starts_and_answers_on_its_devtools_port() {
    let machine = Machine::with_image("standard").await;
    let capsule = machine.capsule("browser", Profile::Browser).await;
    let started = std::time::Instant::now();
    let process = start(&capsule).await;
    let answer = loop {
        match ask_version(&capsule).await {
            Ok(answer) if !answer.is_empty() => break answer,
            _ if started.elapsed() > START_DEADLINE => {
                let tail = process.tail().await.expect("output");
                panic!("no answer: {}", String::from_utf8_lossy(&tail));
            }
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    println!("answered after {:?}", started.elapsed());
    assert!(answer.contains("webSocketDebuggerUrl"), "{answer}");
    let tree = support::shell(&capsule, vitrine_capsule::User::Root, "ps axo uid,args").await.text;
    println!("{tree}");
    assert!(tree.contains("--type=renderer"), "{tree}");
    assert!(!tree.contains("--no-sandbox"), "{tree}");
    println!("{}", String::from_utf8_lossy(&process.tail().await.expect("output")));
    machine.finish().await;
}
