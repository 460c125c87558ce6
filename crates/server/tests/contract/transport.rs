//! Clients that misbehave on the wire: slow, huge, garbled, pipelined; and pages from elsewhere.

use crate::support::{Harness, PATIENCE, Reply, raised};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vitrine_server::ServerConfig;

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let harness = Harness::start(ServerConfig { head_timeout_ms: 500, ..raised() }).await;
    let begun = Instant::now();
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..50 {
        slow.push(TcpStream::connect(harness.address).await.unwrap());
    }
    for byte in "GET /v1/browsers HTTP/1.1\r\nHost: a\r\nX-Slow: ".bytes().take(20) {
        for stream in &mut slow {
            let _ = stream.write_all(&[byte]).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(harness.as_us("GET", "/v1/browsers", None).await.status, 200, "others are served meanwhile");
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("to be cut off");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    harness.finish().await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up() {
    let harness = Harness::start(ServerConfig { body_timeout_ms: 300, ..raised() }).await;
    let request = harness.post_head(&["Content-Length: 100"]) + "{";
    harness.send(&request).await.expect(400, "INVALID_REQUEST");
    harness.finish().await;
}

#[tokio::test]
async fn ten_megabytes_are_answered_and_not_reset() {
    let harness = Harness::raised().await;
    for size in [1024 * 1024 + 1, 10 * 1024 * 1024] {
        let head = harness.post_head(&[&format!("Content-Length: {size}")]);
        harness.send(&(head + &" ".repeat(size))).await.expect(413, "PAYLOAD_TOO_LARGE");
    }
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536));
    let head = harness.post_head(&["Transfer-Encoding: chunked"]);
    harness.send(&(head + &chunk.repeat(40) + "0\r\n\r\n")).await.expect(413, "PAYLOAD_TOO_LARGE");
    for size in ["2000000", "100000000000"] {
        let head = harness.post_head(&["Expect: 100-continue", &format!("Content-Length: {size}")]);
        harness.send(&head).await.expect(413, "PAYLOAD_TOO_LARGE");
    }
    let body = " ".repeat(10 * 1024 * 1024);
    let send = async |path: &str| {
        harness
            .send(&format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await
    };
    send("/v1/browsers").await.expect(401, "UNAUTHENTICATED");
    send("/nowhere").await.expect(404, "NOT_FOUND");
    harness.finish().await;
}

#[tokio::test]
async fn garbage_is_refused_and_what_was_good_before_it_is_answered() {
    let harness = Harness::raised().await;
    for garbage in
        ["\r\n\r\n\r\n", "GET\r\n\r\n", "\0\0\0\0", "GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(harness.address).await.unwrap();
        stream.write_all(garbage.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
        assert!(answer.is_empty() || Reply::parse(&answer).status == 400, "{garbage:?}");
    }
    let good = format!("GET /v1/usage HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", harness.key);
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    stream.write_all(format!("{good}{good}{good}garbage\r\n\r\n").as_bytes()).await.unwrap();
    let mut answers = String::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answers)).await.expect("an end");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400 ").count(), 1, "{answers}");
    let head = format!("GET /v1/usage HTTP/1.1\r\nHost: a\r\nX-Big: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    assert!(answer.is_empty() || Reply::parse(&answer).status == 431);
    harness.finish().await;
}

#[tokio::test]
async fn only_one_good_authorization_header_counts() {
    let harness = Harness::raised().await;
    let key = &harness.key;
    for (header, status) in [
        (format!("Authorization: Bearer {key}"), 200),
        (format!("authorization: bearer {key}"), 200),
        (format!("Authorization: Basic {key}"), 401),
        (format!("Authorization: {key}"), 401),
        (format!("Authorization: Bearer {key}x"), 401),
        (format!("Authorization: Bearer {key}\r\nAuthorization: Bearer {key}"), 401),
        (format!("X-Api-Key: {key}"), 401),
        ("Authorization: Bearer é".to_owned(), 401),
    ] {
        let request = format!("GET /v1/usage HTTP/1.1\r\nHost: a\r\n{header}\r\nConnection: close\r\n\r\n");
        assert_eq!(harness.send(&request).await.status, status, "{header}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn browsers_are_told_to_be_careful_and_only_named_origins_may_ask() {
    let mut config = raised();
    config.cors_origins = vec!["https://app.example.org".into()];
    let harness = Harness::start(config).await;
    let plain = harness.as_us("GET", "/v1/usage", None).await;
    assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(plain.header("cache-control"), Some("no-store"));
    assert_eq!(plain.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(plain.header("access-control-allow-origin"), None);
    for (origin, allowed) in [("https://app.example.org", true), ("https://evil.example.org", false)] {
        let preflight = "OPTIONS /v1/browsers HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: POST\r\n";
        let request = format!("{preflight}Origin: {origin}\r\nConnection: close\r\n\r\n");
        let answer = harness.send(&request).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
        assert_eq!(answer.status == 204, allowed, "{answer:?}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let harness = Harness::start(ServerConfig { head_timeout_ms: 300, ..raised() }).await;
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let good = format!("GET /v1/usage HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", harness.key);
    stream.write_all(good.as_bytes()).await.unwrap();
    let mut answers = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answers)).await.expect("an end").unwrap();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    harness.finish().await;
}
