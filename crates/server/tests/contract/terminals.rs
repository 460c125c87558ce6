//! Terminals: tickets that open once, the page's token, close codes.

use crate::support::{Harness, Reply};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vitrine_model::wire::Purpose;

/// All that a WebSocket brings until it is closed; `Err` is the answer when it was not opened.
async fn connect(harness: &Harness, url: &str) -> Result<Vec<u8>, Reply> {
    let path = url.split_once(&harness.address.to_string()).map_or(url, |(_, path)| path);
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        harness.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        stream.read_to_end(&mut head).await.unwrap();
        return Err(Reply::parse(&head));
    }
    let mut all = Vec::new();
    loop {
        let (kind, size) = (stream.read_u8().await.unwrap() & 15, stream.read_u8().await.unwrap());
        let mut payload = vec![0; usize::from(size & 127)];
        stream.read_exact(&mut payload).await.unwrap();
        all.extend(payload);
        if kind == 8 {
            return Ok(all);
        }
    }
}

#[tokio::test]
async fn a_ticket_opens_a_terminal_once() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let get = async |query: &str| harness.as_us("GET", &format!("/v1/sandboxes/terminal?id={id}{query}"), None).await;
    let opened = get("&cols=120&rows=40").await;
    assert_eq!((opened.status, &opened.body["terminalId"]), (200, &json!(7)), "{opened:?}");
    assert_eq!(harness.machine.asked.lock().unwrap().pop().unwrap(), json!({"cols": 120, "rows": 40}));
    let (url, token) = (opened.body["terminalUrl"].as_str().unwrap(), opened.body["token"].as_str().unwrap());
    assert_eq!(url, format!("ws://{}/t/{id}/ws?token={token}", harness.address));
    assert!(token.starts_with("ey") && token.split('.').count() == 3);
    assert_eq!(connect(&harness, url).await.unwrap(), b"hi\x03\xe8", "output, and 1000 after the exit");
    let last = harness.machine.dials.lock().unwrap().pop().unwrap();
    assert_eq!(last.purpose, Purpose::Terminal { terminal: 7, offset: None });
    for wrong in
        [url.to_owned(), format!("/t/{id}/ws"), format!("/t/{id}/ws?token=a.b.c"), url.replace(&id, &"0".repeat(32))]
    {
        let closed = connect(&harness, &wrong).await.unwrap();
        assert_eq!(&closed[..2], 4401_u16.to_be_bytes(), "{wrong}");
    }
    let again = get("&terminalId=7&offset=42").await;
    connect(&harness, again.body["terminalUrl"].as_str().unwrap()).await.unwrap();
    let last = harness.machine.dials.lock().unwrap().pop().unwrap();
    assert_eq!(last.purpose, Purpose::Terminal { terminal: 7, offset: Some(42) });
    get("&terminalId=8").await.expect(404, "NOT_FOUND");
    for wrong in ["&terminalId=x", "&offset=-1", "&cols=0", "&rows=1001"] {
        get(wrong).await.expect(400, "INVALID_REQUEST");
    }
    let own = harness.as_us("GET", &format!("/v1/sandboxes?id={id}"), None).await;
    connect(&harness, own.body["terminalUrl"].as_str().unwrap()).await.unwrap();
    assert_eq!(harness.machine.asked.lock().unwrap().pop().unwrap(), json!({"cols": 80, "rows": 24}), "a new one");
    harness.finish().await;
}

#[tokio::test]
async fn a_page_changes_its_token_for_tickets() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let opened = harness.as_us("GET", &format!("/v1/sandboxes/terminal?id={id}"), None).await;
    let page = opened.body["terminalPageUrl"].as_str().unwrap();
    let (address, fragment) = page.split_once('#').unwrap();
    assert_eq!(address, format!("http://{}/t/{id}", harness.address));
    let token = fragment.strip_prefix("token=").unwrap().strip_suffix("&terminal=7").unwrap().to_owned();
    let shown = harness.ask("GET", &format!("/t/{id}"), None, None).await;
    assert_eq!((shown.status, shown.header("referrer-policy")), (200, Some("no-referrer")));
    assert!(shown.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let ask =
        async |token: &str, body: Value| harness.ask("POST", &format!("/t/{id}/ticket"), Some(token), Some(body)).await;
    let ticket = ask(&token, json!({"terminalId": 7, "cols": 80})).await;
    assert_eq!((ticket.status, &ticket.body["terminalId"]), (200, &json!(7)), "{ticket:?}");
    assert!(connect(&harness, ticket.body["terminalUrl"].as_str().unwrap()).await.is_ok());
    let url = format!("/t/{id}/ws?token={}&offset=3", ask(&token, json!({})).await.body["token"].as_str().unwrap());
    assert!(connect(&harness, &url).await.is_ok());
    let last = harness.machine.dials.lock().unwrap().pop().unwrap();
    assert_eq!(last.purpose, Purpose::Terminal { terminal: 7, offset: Some(3) });
    ask(&token, json!({"terminalId": 8})).await.expect(404, "NOT_FOUND");
    ask(&token, json!({"terminalId": "7"})).await.expect(400, "INVALID_REQUEST");
    ask(&token, json!({"rows": 0})).await.expect(400, "INVALID_REQUEST");
    let (jwt, key) = (opened.body["token"].as_str().unwrap(), harness.key.clone());
    for wrong in ["", "x", jwt, &key, &token.replace("terminal.", "control.")] {
        ask(wrong, json!({})).await.expect(401, "UNAUTHENTICATED");
    }
    harness.as_us("POST", "/v1/sandboxes/pause", Some(json!({"id": id}))).await;
    harness.as_us("DELETE", &format!("/v1/sandboxes?id={id}"), None).await;
    harness.finish().await;
}
