//! Port previews: a program's pages and WebSockets for whoever has the URL, and nothing of ours under their hosts.

use crate::support::{Harness, PATIENCE, Reply, raised};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use vitrine_server::ServerConfig;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: echo\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// A program that listens on a port of its own, as one in a sandbox does.
async fn program() -> u16 {
    let router = Router::new()
        .route("/", any(seen))
        .route("/login", get(login))
        .route("/count", any(count))
        .route("/ws", any(echo))
        .fallback(seen);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

/// What came, as the program sees it.
async fn seen(request: Request) -> Json<Value> {
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())));
    let headers: serde_json::Map<_, _> = headers.collect();
    Json(json!({"method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers}))
}

async fn login(headers: HeaderMap) -> Response {
    let host = headers["host"].to_str().unwrap();
    let headers = [
        ("location", format!("http://{host}/home")),
        ("set-cookie", "sid=1; Domain=localhost; Path=/".to_owned()),
        ("clear-site-data", "\"cookies\"".to_owned()),
    ];
    (StatusCode::FOUND, headers).into_response()
}

async fn count(body: Body) -> String {
    body.collect().await.unwrap().to_bytes().len().to_string()
}

/// A WebSocket that gives back what comes, frame by frame as it is, and says which it was.
async fn echo(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
        let mut frame = vec![0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut frame).await {
            // Short frames only: what a client masks, a server sends plain.
            let unmasked: Vec<u8> =
                frame[6..bytes].iter().zip(frame[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            let answer = [&[frame[0], frame[1] & 0x7f], &unmasked[..]].concat();
            if stream.write_all(&answer).await.is_err() || frame[0] & 15 == 8 {
                return;
            }
        }
    });
    let mut response = crate::machine::upgraded(&request);
    assert!(!request.headers().contains_key("sec-websocket-extensions"), "frames pass as they are");
    assert_eq!(request.headers()["host"].to_str().unwrap().split(':').next(), Some("localhost"));
    response.headers_mut().insert("sec-websocket-protocol", request.headers()["sec-websocket-protocol"].clone());
    response
}

/// A preview's URL, taken apart.
struct Link {
    host: String,
    /// Path and query.
    path: String,
}

impl Link {
    fn of(url: &str) -> Self {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self { host: host.to_owned(), path: format!("/{path}") }
    }
}

async fn ask(harness: &Harness, method: &str, host: &str, path: &str, headers: &str, body: &str) -> Reply {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}");
    harness.send(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

async fn fetch(harness: &Harness, host: &str, path: &str, headers: &str) -> Reply {
    ask(harness, "GET", host, path, headers, "").await
}

/// A sandbox with a program, and the link to it.
async fn previewed(config: ServerConfig) -> (Harness, String, u16, Link) {
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    let (id, port) = (harness.ready_sandbox(json!({})).await, program().await);
    let made = harness.as_us("POST", "/v1/sandboxes/ports", Some(json!({"id": id, "port": port}))).await;
    assert_eq!((made.status, &made.body["port"]), (201, &json!(port)), "{made:?}");
    let link = Link::of(made.body["url"].as_str().unwrap());
    (harness, id, port, link)
}

const PAGE: &str = "Accept: text/html,*/*\r\nSec-Fetch-Mode: navigate\r\n";

#[tokio::test]
async fn ports_are_listed_with_their_addresses() {
    let (harness, id, port, link) = previewed(raised()).await;
    assert_eq!(link.host, format!("{port}-{id}.localhost:{}", harness.address.port()));
    harness.machine.ports.lock().unwrap().extend([port, 22]);
    let listed = harness.as_us("GET", &format!("/v1/sandboxes/ports?id={id}"), None).await;
    let ports: Vec<_> = listed.body["ports"].as_array().unwrap().iter().map(|one| one["port"].clone()).collect();
    assert_eq!((listed.status, ports), (200, vec![json!(22), json!(port)]), "one for each port: {listed:?}");
    let reader = harness.key_with(&["sandbox_sessions:read"]).await;
    let refused = harness.ask("GET", &format!("/v1/sandboxes/ports?id={id}"), Some(&reader), None).await;
    refused.expect(403, "PERMISSION_DENIED");
    for (field, value) in [
        ("port", json!(0)),
        ("port", json!(65_536)),
        ("port", json!("80")),
        ("port", json!(null)),
        ("expiresIn", json!(0)),
        ("expiresIn", json!(86_401)),
    ] {
        let mut wish = json!({"id": id, "port": 80});
        wish[field] = value;
        let refused = harness.as_us("POST", "/v1/sandboxes/ports", Some(wish)).await;
        refused.expect(400, "INVALID_REQUEST");
        assert_eq!(refused.body["field"], field);
    }
    let theirs = harness.other_organization(vitrine_model::Plan::Scale).await;
    let foreign = harness.ask("POST", "/v1/sandboxes/ports", Some(&theirs), Some(json!({"id": id, "port": 80}))).await;
    foreign.expect(404, "NOT_FOUND");
    harness.as_us("POST", "/v1/sandboxes/pause", Some(json!({"id": id}))).await;
    harness
        .as_us("POST", "/v1/sandboxes/ports", Some(json!({"id": id, "port": 80})))
        .await
        .expect(409, "INVALID_STATE");
    // A machine does not connect to what is frozen.
    *harness.machine.frozen.lock().unwrap() = true;
    let paused = fetch(&harness, &link.host, &link.path, "").await;
    assert_eq!((paused.status, paused.text.contains("paused")), (409, true), "{paused:?}");
    harness.finish().await;
}

#[tokio::test]
async fn a_page_changes_its_token_for_a_cookie_of_its_own_host() {
    let (harness, _, port, link) = previewed(raised()).await;
    let with_more = link.path.replacen("/?", "/a//b%20c?x=1&", 1) + "&y=2";
    let moved = fetch(&harness, &link.host, &with_more, PAGE).await;
    assert_eq!(moved.status, 302, "{moved:?}");
    assert_eq!(moved.header("location").unwrap(), format!("http://{}/a//b%20c?x=1&y=2", link.host));
    assert_eq!(
        (moved.header("referrer-policy"), moved.header("cache-control")),
        (Some("no-referrer"), Some("no-store"))
    );
    let cookie = moved.header("set-cookie").unwrap().to_owned();
    assert!(
        cookie.starts_with("vitrine-preview=") && cookie.contains("; HttpOnly") && !cookie.contains("Domain"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap();
    let headers = format!(
        "{PAGE}Cookie: own=1; {pair}\r\nAuthorization: Bearer {}\r\nOrigin: http://{}\r\nX-Forwarded-For: 203.0.113.9\r\n",
        harness.key, link.host
    );
    let page = fetch(&harness, &link.host, "/a//b%20c?x=1&y=2", &headers).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.body["uri"], "/a//b%20c?x=1&y=2");
    let seen = &page.body["headers"];
    assert_eq!((&seen["host"], &seen["cookie"]), (&json!(format!("localhost:{port}")), &json!("own=1")));
    assert_eq!(seen["origin"], json!(format!("http://localhost:{port}")));
    assert!(seen.get("authorization").is_none() && seen.get("x-forwarded-for").is_none());
    assert!(page.header("content-security-policy").is_none() && page.header("x-frame-options").is_none(), "its own");
    let login = fetch(&harness, &link.host, "/login", &format!("Cookie: {pair}\r\n")).await;
    assert_eq!(login.header("location").unwrap(), format!("http://{}/home", link.host));
    assert_eq!(login.header("set-cookie"), Some("sid=1; Path=/"));
    // Who keeps no cookies uses the address as it is.
    let plain = fetch(&harness, &link.host, &link.path, "Accept: */*\r\n").await;
    assert_eq!((plain.status, &plain.body["uri"]), (200, &json!("/")));
    let posted = link.path.replacen("/?", "/count?", 1);
    let posted = ask(&harness, "POST", &link.host, &posted, PAGE, &"x".repeat(300_000)).await;
    assert_eq!((posted.status, posted.text.as_str()), (200, "300000"));
    harness.finish().await;
}

#[tokio::test]
async fn nothing_of_ours_answers_under_a_previews_host_and_nobody_gets_in_without_its_token() {
    let (harness, id, port, link) = previewed(raised()).await;
    let authorized = format!("Authorization: Bearer {}\r\n", harness.key);
    for path in ["/", "/health", "/v1/sandboxes", "/docs", "/internal/node/beat", "/p/x/1/y/"] {
        let refused = fetch(&harness, &link.host, path, &authorized).await;
        assert_eq!(refused.status, 401, "{path} {refused:?}");
        assert!(refused.text.contains("expired"), "{refused:?}");
    }
    let page = fetch(&harness, &link.host, "/", PAGE).await;
    assert!(page.text.starts_with("<!doctype html>") && page.header("content-security-policy").is_some());
    let token = link.path.rsplit_once('=').unwrap().1;
    let other_port = link.host.replacen(&port.to_string(), "80", 1);
    let other_session = link.host.replacen(&id, &"0".repeat(32), 1);
    for host in [&other_port, &other_session] {
        assert_eq!(fetch(&harness, host, &link.path, "").await.status, 401, "{host}");
        assert_eq!(fetch(&harness, host, "/", &format!("Cookie: vitrine-preview={token}\r\n")).await.status, 401);
    }
    for wrong in [&token[1..], &token[..token.len() - 1], "", "a.b.c.d", &"x".repeat(5_000)] {
        let refused = fetch(&harness, &link.host, &format!("/?vitrine-preview-token={wrong}"), "").await;
        assert_eq!(refused.status, 401, "{wrong}");
    }
    for label in ["0", "65536", "08080"] {
        let host = link.host.replacen(&port.to_string(), label, 1);
        assert_eq!(fetch(&harness, &host, "/health", "").await.status, 404, "{host}");
    }
    let one_second = json!({"id": id, "port": port, "expiresIn": 1});
    let short = harness.as_us("POST", "/v1/sandboxes/ports", Some(one_second)).await;
    let short = Link::of(short.body["url"].as_str().unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(fetch(&harness, &short.host, &short.path, "").await.status, 401, "its time is over");
    harness.as_us("DELETE", &format!("/v1/sandboxes?id={id}"), None).await;
    harness.until_at("/v1/sandboxes", &id, "ended").await;
    harness.finish().await;
}

#[tokio::test]
async fn a_port_without_a_server_says_so_in_words() {
    let (harness, id, _, _) = previewed(raised()).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let made = harness.as_us("POST", "/v1/sandboxes/ports", Some(json!({"id": id, "port": silent}))).await;
    let link = Link::of(made.body["url"].as_str().unwrap());
    let refused = fetch(&harness, &link.host, &link.path, "Accept: */*\r\n").await;
    assert_eq!(refused.status, 502);
    assert_eq!(refused.text, "nothing answers on this port of the sandbox (yet)\n");
    let pair = format!("Cookie: vitrine-preview={}\r\n", link.path.rsplit_once('=').unwrap().1);
    let page = fetch(&harness, &link.host, "/", &format!("{PAGE}{pair}")).await;
    assert_eq!((page.status, page.header("refresh")), (502, Some("3")), "{page:?}");
    assert!(page.text.contains("Nothing answers on this port"));
    // Something listens that is no web server.
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
        }
    });
    let made = harness.as_us("POST", "/v1/sandboxes/ports", Some(json!({"id": id, "port": port}))).await;
    let link = Link::of(made.body["url"].as_str().unwrap());
    let refused = fetch(&harness, &link.host, &link.path, "").await;
    assert_eq!((refused.status, refused.text.contains("does not speak HTTP")), (502, true), "{refused:?}");
    harness.finish().await;
}

#[tokio::test]
async fn a_websocket_of_the_program_is_carried_both_ways() {
    let (harness, id, _, link) = previewed(raised()).await;
    let path = link.path.replacen("/?", "/ws?", 1);
    let open = async || {
        let mut stream = TcpStream::connect(harness.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nOrigin: http://{}\r\n{UPGRADE}\r\n", link.host, link.host);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
        (stream, String::from_utf8(head).unwrap())
    };
    let (mut stream, head) = open().await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-protocol: echo"), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") && !head.contains("deflate"), "{head}");
    for text in ["hi", "there"] {
        let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat();
        stream.write_all(&frame).await.unwrap();
        let mut answer = vec![0; 2 + text.len()];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer[2..], text.as_bytes());
    }
    let (mut kept, _) = open().await;
    stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, [0x88, 0x02, 0x03, 0xe8], "closed as it was asked");
    let refused = fetch(&harness, &link.host, "/ws", UPGRADE.replace("Connection: Upgrade\r\n", "").as_str()).await;
    assert_eq!(refused.status, 401);
    // Its time ends, and it is told why.
    let short = harness.as_us("POST", "/v1/sandboxes/ports", Some(json!({"id": id, "port": 1, "expiresIn": 1}))).await;
    assert_eq!(short.status, 201);
    let mut told = [0; 2];
    tokio::spawn(async move { harness.finish().await });
    timeout(PATIENCE, kept.read_exact(&mut told)).await.unwrap().unwrap();
    assert_eq!(told[0], 0x88, "a close frame when the server goes");
}

#[tokio::test]
async fn without_a_domain_of_their_own_previews_are_in_a_sandbox_below_a_path() {
    let config = ServerConfig { public_url: Some("https://vitrine.example/eu".to_owned()), ..raised() };
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    let (id, port) = (harness.ready_sandbox(json!({})).await, program().await);
    let made = harness.as_us("POST", "/v1/sandboxes/ports", Some(json!({"id": id, "port": port}))).await;
    let url = made.body["url"].as_str().unwrap();
    let root = url.strip_suffix('/').unwrap();
    assert!(root.starts_with(&format!("https://vitrine.example/eu/p/{id}/{port}/")), "{url}");
    let path = root.strip_prefix("https://vitrine.example/eu").unwrap();
    let slash = fetch(&harness, "vitrine.example", path, PAGE).await;
    assert_eq!((slash.status, slash.header("location")), (302, Some(url)));
    let page = fetch(&harness, "vitrine.example", &format!("{path}/a?b"), &format!("{PAGE}Cookie: ours=1\r\n")).await;
    assert_eq!((page.status, &page.body["uri"]), (200, &json!("/a?b")), "{page:?}");
    assert!(page.body["headers"].get("cookie").is_none());
    assert_eq!(page.header("content-security-policy"), Some("sandbox allow-scripts allow-forms allow-popups"));
    assert_eq!(
        (page.header("referrer-policy"), page.header("access-control-allow-origin")),
        (Some("no-referrer"), Some("*"))
    );
    let login = fetch(&harness, "vitrine.example", &format!("{path}/login"), "").await;
    assert_eq!(login.header("location").unwrap(), format!("{root}/home"));
    assert!(login.header("set-cookie").is_none() && login.header("clear-site-data").is_none());
    let asks = "Origin: null\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-own\r\n";
    let allowed = ask(&harness, "OPTIONS", "vitrine.example", &format!("{path}/a"), asks, "").await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-headers")), (204, Some("x-own")));
    let wrong = fetch(&harness, "vitrine.example", &format!("{}x/a", path), "").await;
    assert_eq!(wrong.status, 401);
    harness.finish().await;
}

#[tokio::test]
async fn a_configured_domain_is_used_and_checked() {
    let mut config = ServerConfig { public_url: Some("http://vitrine.example:8080".to_owned()), ..raised() };
    config.gateway.preview_domain = Some("preview.example".to_owned());
    let (harness, id, port, link) = previewed(config).await;
    assert_eq!(link.host, format!("{port}-{id}.preview.example:8080"));
    let page = fetch(&harness, &link.host.to_uppercase(), &link.path, "").await;
    assert_eq!(page.status, 200, "{page:?}");
    harness.finish().await;
    let mut config = ServerConfig::default();
    config.gateway.preview_domain = Some("https://preview.example".to_owned());
    assert_eq!(config.problems().len(), 1);
}
