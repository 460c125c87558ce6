//! HAR files of a real browser that visits a real site.

use crate::host::LocalHost;
use crate::{first_page, pages, start};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use vitrine_browser::har::{Har, REDACTED, assemble};
use vitrine_browser::{Browser, Build, DEVTOOLS_PORT, Host};
use vitrine_cdp::protocol::page::{CreateIsolatedWorld, Navigate};
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::{CreateTarget, TargetId};
use vitrine_cdp::{Connection, Session};
use vitrine_model::HarSpec;

const SPEC: HarSpec = HarSpec { secrets_kept: false, body_bytes_max: 256 * 1024 };
/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const BIG_BYTES: usize = 600_000;
const SCRIPTS: usize = 35;

/// A site that answers on its own port until it is dropped.
struct Site {
    port: u16,
    requests: Arc<std::sync::Mutex<BTreeMap<String, usize>>>,
    _serving: JoinSet<()>,
}

impl Site {
    async fn new() -> Site {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("address").port();
        let requests = Arc::<std::sync::Mutex<BTreeMap<_, _>>>::default();
        let counted = requests.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut visitors = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                visitors.spawn(serve(stream, counted.clone()));
            }
        });
        Site { port, requests, _serving: serving }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

async fn serve(mut stream: TcpStream, counted: Arc<std::sync::Mutex<BTreeMap<String, usize>>>) {
    let mut peeked = [0; 8];
    while stream.peek(&mut peeked).await.is_ok_and(|read| read == 8) {
        if peeked.starts_with(b"GET /ws") {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                let echo = futures_util::SinkExt::send(&mut socket, Message::text(format!("echo {message}")));
                if message.is_close() || echo.await.is_err() {
                    return;
                }
            }
            return;
        }
        let mut reader = BufReader::new(&mut stream);
        let mut line = String::new();
        let mut length = 0;
        if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).await.unwrap_or(0) <= 2 {
                break;
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.expect("a body");
        let path = line.split(' ').nth(1).expect("a path").to_owned();
        *counted.lock().expect("lock").entry(path.clone()).or_default() += 1;
        let answer = answer(&path);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn answer(path: &str) -> Vec<u8> {
    let document = || {
        let scripts: String = (0..SCRIPTS).map(|number| format!("<script src=/script/{number}.js></script>")).collect();
        format!(
            "<title>Fifty</title><link rel=icon href=data:,><link rel=stylesheet href=/style.css>{scripts}
            <img src=/pixel.png><img src=/moved/image><iframe src=/frame.html></iframe>
            <script>
                const done = Promise.all([
                    fetch('/missing'), fetch('/zipped'), fetch('/big'), fetch('/chunks'), fetch('/empty'),
                    fetch('/form', {{ method: 'POST', body: new URLSearchParams({{ a: '1 2', 日: 'x' }}) }}),
                    fetch('/json', {{ method: 'PUT', body: '{{}}', headers: {{ authorization: 'Bearer ' + ['secret', 1].join('-') }} }}),
                    fetch('http://127.0.0.1:1/refused').catch(() => 0),
                    new Promise(done => {{ new Worker('/worker.js').onmessage = done; }}),
                    new Promise(done => {{
                        const socket = new WebSocket(`ws://${{location.host}}/ws`);
                        socket.onopen = () => socket.send('hello');
                        socket.onmessage = () => {{ socket.close(); done(); }};
                    }}),
                ].map(async result => {{ const answer = await result; if (answer?.text) await answer.text(); }}));
            </script>"
        )
        .into_bytes()
    };
    let whole = |status: &str, kind: &str, body: Vec<u8>, more: &str| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{more}\r\n", body.len());
        [head.into_bytes(), body].concat()
    };
    match path {
        "/" => whole("200 OK", "text/html; charset=utf-8", document(), "Set-Cookie: id=secret-2; Path=/; HttpOnly\r\n"),
        "/style.css" => whole("200 OK", "text/css", b"body{color:red}".to_vec(), ""),
        "/pixel.png" => whole("200 OK", "image/png", STANDARD.decode(PIXEL).expect("base64"), ""),
        "/moved/image" => whole("302 Found", "text/plain", b"there".to_vec(), "Location: /moved/again\r\n"),
        "/moved/again" => whole("301 Moved", "text/plain", Vec::new(), "Location: /pixel.png?last\r\n"),
        "/pixel.png?last" => whole("200 OK", "image/png", STANDARD.decode(PIXEL).expect("base64"), ""),
        "/frame.html" => whole("200 OK", "text/html", b"<title>frame</title>".to_vec(), ""),
        "/missing" => whole("404 Not Found", "text/plain", b"nothing here".to_vec(), ""),
        "/zipped" => whole("200 OK", "text/plain", gzip(&[b'z'; 20_000]), "Content-Encoding: gzip\r\n"),
        "/big" => whole("200 OK", "text/plain", vec![b'b'; BIG_BYTES], ""),
        "/chunks" => {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_vec()
        }
        "/empty" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/form" | "/json" => whole("200 OK", "application/json", b"{\"ok\":true}".to_vec(), ""),
        "/worker.js" => {
            whole("200 OK", "text/javascript", b"fetch('/of-worker').then(it => it.text()).then(() => postMessage(1))".to_vec(), "")
        }
        "/of-worker" => whole("200 OK", "text/plain", b"worked".to_vec(), ""),
        "/away" => whole("200 OK", "text/html", b"<title>Away</title>gone".to_vec(), ""),
        path if path.starts_with("/script/") => {
            whole("200 OK", "text/javascript", format!("window.last = '{path}'").into_bytes(), "")
        }
        path => whole("404 Not Found", "text/plain", path.as_bytes().to_vec(), ""),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip").arg("-cn").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    child.stdin.take().expect("piped").write_all(bytes).expect("written");
    child.wait_with_output().expect("gzip").stdout
}

async fn own_connection(host: &LocalHost, browser: &Browser) -> Connection {
    let stream = host.dial(DEVTOOLS_PORT).await.expect("a stream");
    Connection::new(stream, browser.websocket_path()).await.expect("a connection")
}

async fn evaluate(page: &Session, expression: &str) -> Value {
    let command = Evaluate {
        expression: expression.into(),
        return_by_value: Some(true),
        await_promise: Some(true),
        ..Evaluate::default()
    };
    page.call(command).await.expect("a value").result.value.unwrap_or_default()
}

async fn visit(page: &Session, url: String) {
    page.call(Navigate { url: url.clone(), ..Navigate::default() }).await.expect("a page");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        let expression = format!("location.href === {url:?} && document.readyState === 'complete'");
        let command = Evaluate { expression, return_by_value: Some(true), ..Evaluate::default() };
        // A document that is about to be replaced does not answer.
        if page.call(command).await.is_ok_and(|answer| answer.result.value == Some(json!(true))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{url} does not load");
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

fn entries<'a>(har: &'a Value, url: &str) -> Vec<&'a Value> {
    har["log"]["entries"].as_array().expect("entries").iter().filter(|entry| entry["request"]["url"] == url).collect()
}

fn one<'a>(har: &'a Value, url: &str) -> &'a Value {
    let found = entries(har, url);
    assert_eq!(found.len(), 1, "{url} is there once: {found:#?}");
    found[0]
}

#[tokio::test]
async fn every_request_of_a_page_is_there_once_with_its_sizes() {
    let (host, site) = (LocalHost::new(), Site::new().await);
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, file) = (folder.path().join("spool"), folder.path().join("session.har"));
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let har = Har::start(own_connection(&host, &browser).await, &spool, SPEC).await.expect("started");
    let page = first_page(&browser.connection().await.expect("connection")).await;
    visit(&page, site.url("/")).await;
    evaluate(&page, "done").await;
    visit(&page, site.url("/away")).await;
    // The page tells its title when it is loaded.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let assembled = har.finish(&file).await.expect("finished");
    let har = read(&file);
    assert_eq!(assembled.bytes, std::fs::metadata(&file).expect("a file").len());
    assert_eq!(har["log"]["entries"].as_array().expect("entries").len(), assembled.entries);

    let requests = site.requests.lock().expect("lock").clone();
    assert!(requests.len() >= 50, "{requests:?}");
    for (path, times) in &requests {
        assert_eq!(entries(&har, &site.url(path)).len(), *times, "{path}");
    }
    for number in 0..SCRIPTS {
        let entry = one(&har, &site.url(&format!("/script/{number}.js")));
        let body = format!("window.last = '/script/{number}.js'");
        assert_eq!(entry["response"]["bodySize"], json!(body.len()));
        assert_eq!(entry["response"]["content"]["size"], json!(body.len()));
        assert_eq!(entry["response"]["content"]["text"], json!(body));
        assert_eq!(entry["pageref"], json!("page_1"));
    }
    sizes(&har, &site);
    secrets_and_bodies(&har, &site);
    let visits = har["log"]["pages"].as_array().expect("pages");
    assert_eq!((&visits[0]["title"], &visits[1]["title"]), (&json!("Fifty"), &json!("Away")), "{visits:#?}");
    assert!(visits[0]["pageTimings"]["onLoad"].as_f64().expect("a number") > 0.0, "{visits:#?}");
    browser.close(Duration::from_secs(5)).await;
}

fn sizes(har: &Value, site: &Site) {
    let zipped = gzip(&[b'z'; 20_000]).len();
    for (path, status, on_wire, size) in [
        ("/missing", 404, 12, 12),
        ("/zipped", 200, zipped, 20_000),
        ("/big", 200, BIG_BYTES, BIG_BYTES),
        ("/empty", 204, 0, 0),
        ("/moved/image", 302, 0, 0),
    ] {
        let entry = one(har, &site.url(path));
        assert_eq!(entry["response"]["status"], json!(status), "{path}");
        assert_eq!(entry["response"]["content"]["size"], json!(size), "{path}");
        assert_eq!(entry["response"]["bodySize"], json!(on_wire), "{path}: {entry:#}");
        let head = answer(path).windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        assert_eq!(entry["response"]["headersSize"], json!(head), "{path}");
        let phases = ["blocked", "dns", "connect", "send", "wait", "receive"];
        let sum: f64 = phases.iter().filter_map(|phase| entry["timings"][phase].as_f64()).filter(|ms| *ms > 0.0).sum();
        assert!((sum - entry["time"].as_f64().expect("a time")).abs() < 0.01, "{entry:#}");
        assert!(entry["timings"]["wait"].as_f64().expect("a time") >= 0.0);
    }
    let zipped_entry = one(har, &site.url("/zipped"));
    assert_eq!(zipped_entry["response"]["content"]["compression"], json!(20_000 - zipped));
    let moved = one(har, &site.url("/moved/image"));
    assert_eq!(moved["response"]["redirectURL"], json!("/moved/again"));
    assert_eq!(one(har, &site.url("/chunks"))["response"]["content"]["text"], json!("hello world"));
    let refused = one(har, "http://127.0.0.1:1/refused");
    assert_eq!(refused["response"]["status"], json!(0));
    assert!(refused["response"]["_error"].as_str().expect("an error").starts_with("net::"), "{refused:#}");
}

fn secrets_and_bodies(har: &Value, site: &Site) {
    let text = har.to_string();
    assert!(!text.contains("secret-"), "a secret is in the file");
    let put = one(har, &site.url("/json"));
    let headers = put["request"]["headers"].as_array().expect("headers");
    let header =
        |name: &str| headers.iter().find(|header| header["name"].as_str().expect("a name").eq_ignore_ascii_case(name));
    assert_eq!(header("authorization").expect("it was sent")["value"], json!(REDACTED));
    assert_eq!(put["request"]["postData"]["text"], json!("{}"));
    assert_eq!(put["request"]["cookies"][0]["name"], json!("id"));
    assert_eq!(put["request"]["cookies"][0]["value"], json!(REDACTED));
    let form = one(har, &site.url("/form"));
    assert_eq!(form["request"]["postData"]["params"][0], json!({"name": "a", "value": "1 2"}));
    assert_eq!(form["request"]["postData"]["params"][1], json!({"name": "日", "value": "x"}));
    assert_eq!(form["request"]["bodySize"], json!("a=1+2&%E6%97%A5=x".len()));
    assert_eq!(one(har, &site.url("/worker.js"))["response"]["bodySize"], json!(answer("/worker.js").len() - 70));
    let pixel = one(har, &site.url("/pixel.png"));
    assert_eq!(
        (&pixel["response"]["content"]["text"], &pixel["response"]["content"]["encoding"]),
        (&json!(PIXEL), &json!("base64"))
    );
    let big = &one(har, &site.url("/big"))["response"]["content"];
    assert!(big["text"].is_null() && big["comment"].is_string(), "longer than was asked for");
    let worker = one(har, &site.url("/of-worker"));
    assert_eq!((&worker["response"]["content"]["text"], &worker["pageref"]), (&json!("worked"), &json!("page_1")));
    let socket = one(har, &site.url("/ws").replace("http", "ws"));
    assert_eq!(socket["response"]["status"], json!(101));
    let messages = socket["_webSocketMessages"].as_array().expect("messages");
    assert_eq!((&messages[0]["type"], &messages[0]["data"]), (&json!("send"), &json!("hello")));
    assert_eq!((&messages[1]["type"], &messages[1]["data"]), (&json!("receive"), &json!("echo hello")));
}

#[tokio::test]
async fn first_requests_of_new_tabs_and_popups_are_not_missed() {
    let (host, site) = (LocalHost::new(), Site::new().await);
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, file) = (folder.path().join("spool"), folder.path().join("session.har"));
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let har = Har::start(own_connection(&host, &browser).await, &spool, SPEC).await.expect("started");
    let client = browser.connection().await.expect("connection");
    let page = first_page(&client).await;
    for number in 0..10 {
        let url = site.url(&format!("/tab/{number}"));
        client.call(CreateTarget { url, ..CreateTarget::default() }).await.expect("a tab");
    }
    visit(&page, site.url("/away")).await;
    evaluate(
        &page,
        "open('/popup'); fetch('/just-before').then(it => it.text()).then(() => { location = '/after' }); 0",
    )
    .await;
    while !["/popup", "/after"].iter().all(|path| site.requests.lock().expect("lock").contains_key(*path)) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The answers have to arrive, too.
    tokio::time::sleep(Duration::from_secs(2)).await;
    har.finish(&file).await.expect("finished");
    let har = read(&file);
    for path in (0..10).map(|number| format!("/tab/{number}")).chain(["/popup", "/after"].map(str::to_owned)) {
        let entry = one(&har, &site.url(&path));
        assert_eq!(entry["response"]["content"]["text"], json!(path), "{entry:#}");
    }
    // Its body may have gone with its page.
    one(&har, &site.url("/just-before"));
    assert!(pages(&client).await.len() >= 12, "tabs stay");
    browser.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_listener_that_dies_leaves_no_page_waiting_and_a_spool_to_go_on_with() {
    let (host, site) = (LocalHost::new(), Site::new().await);
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, file) = (folder.path().join("spool"), folder.path().join("session.har"));
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let client = browser.connection().await.expect("connection");
    let page = first_page(&client).await;
    let har = Har::start(own_connection(&host, &browser).await, &spool, SPEC).await.expect("started");
    visit(&page, site.url("/first")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(har);
    let begun = Instant::now();
    let TargetId(_) = client
        .call(CreateTarget { url: site.url("/between"), ..CreateTarget::default() })
        .await
        .expect("a tab")
        .target_id;
    visit(&page, site.url("/meanwhile")).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "nothing waits for the dead");
    // As a death in the middle of a line leaves it.
    std::fs::OpenOptions::new()
        .append(true)
        .open(&spool)
        .expect("a file")
        .write_all(b"{\"entry\":{\"sta")
        .expect("written");
    assert_eq!(
        assemble(&spool, &file).expect("assembled").entries,
        read(&file)["log"]["entries"].as_array().expect("entries").len()
    );
    one(&read(&file), &site.url("/first"));
    let har = Har::start(own_connection(&host, &browser).await, &spool, SPEC).await.expect("started");
    visit(&page, site.url("/second")).await;
    har.finish(&file).await.expect("finished");
    let har = read(&file);
    one(&har, &site.url("/first"));
    let second = one(&har, &site.url("/second"));
    let ids: Vec<_> = har["log"]["pages"].as_array().expect("pages").iter().map(|page| &page["id"]).collect();
    assert!(ids.contains(&&second["pageref"]) && second["pageref"] != json!("page_1"), "{ids:?}");
    browser.close(Duration::from_secs(5)).await;
    assert!(page.call(CreateIsolatedWorld::default()).await.is_err());
}
