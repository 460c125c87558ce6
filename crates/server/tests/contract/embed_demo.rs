//! Demo sessions: a visitor's cookie, one session at a time, goodbyes, limits of an address, and pages of other origins.

use crate::support::{Harness, Reply, raised};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;
use vitrine_model::wire::StepKind;
use vitrine_model::{EndReason, Status};
use vitrine_server::{Clock, ServerConfig, SystemClock};

const TRUSTED: &str = "https://www.example.com";

async fn ask(harness: &Harness, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    let (address, length) = (harness.address, body.len());
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}");
    harness.send(&format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
}

async fn visit(harness: &Harness, headers: &[&str]) -> Reply {
    ask(harness, "POST", "/api/session", headers, "{}").await
}

async fn status(harness: &Harness, cookie: &str) -> Value {
    let reply = ask(harness, "GET", "/api/session/status", &[cookie], "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body
}

async fn leave(harness: &Harness, cookie: &str, body: &str) -> Reply {
    ask(harness, "POST", "/api/session/disconnect", &[cookie, "Content-Type: text/plain;charset=UTF-8"], body).await
}

/// The cookie as a browser sends it back.
fn cookie(reply: &Reply) -> String {
    let cookie = reply.header("set-cookie").expect("a cookie");
    format!("Cookie: other=1; {}", cookie.split_once(';').unwrap().0)
}

fn trusting() -> ServerConfig {
    let mut config = raised();
    config.embed.trusted_origins = vec![TRUSTED.into()];
    config
}

#[tokio::test]
async fn a_visitor_has_one_session_and_is_known_by_a_cookie() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let made = visit(&harness, &[]).await;
    assert_eq!(made.status, 201, "{made:?}");
    let set = made.header("set-cookie").unwrap();
    assert!(set.starts_with("bbx_sid=") && set.contains("; Path=/; "), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=None; Secure; Partitioned"), "{set}");
    let names: Vec<&String> = made.body.as_object().unwrap().keys().collect();
    let expected =
        ["created_at", "duration_minutes", "expires_at", "id", "login_url", "machine_id", "provider", "region"];
    assert_eq!(names, expected);
    assert_eq!((&made.body["region"], &made.body["duration_minutes"]), (&json!("iad"), &json!(15)));
    assert_eq!(made.body["machine_id"], node.machine.to_string());
    let lasts = made.body["expires_at"].as_i64().unwrap() - made.body["created_at"].as_i64().unwrap();
    assert_eq!(lasts, 15 * 60_000);

    let known = cookie(&made);
    let again = visit(&harness, &[&known]).await;
    assert_eq!((again.status, &again.body), (200, &made.body), "{again:?}");
    let mut active = status(&harness, &known).await;
    assert_eq!(active.as_object_mut().unwrap().remove("active"), Some(json!(true)));
    assert_eq!(active, made.body);
    for stranger in ["X-No: cookie", "Cookie: bbx_sid=abc", &format!("Cookie: bbx_sid={}", "0".repeat(64))] {
        assert_eq!(status(&harness, stranger).await, json!({"active": false}));
    }
    let path = made.body["login_url"].as_str().unwrap().split_once(&harness.address.to_string()).unwrap().1;
    assert_eq!(ask(&harness, "GET", path, &[], "").await.status, 302);
    // It is nobody's who has a key.
    let id = made.body["id"].as_str().unwrap();
    harness.as_us("GET", &format!("/v1/browsers?id={id}"), None).await.expect(404, "NOT_FOUND");
    harness.as_us("GET", &format!("/api/v1/sessions/{id}"), None).await.expect(404, "not_found");
    harness.finish().await;
}

#[tokio::test]
async fn a_goodbye_ends_at_once_or_unless_the_visitor_comes_back() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let made = visit(&harness, &[]).await;
    let (known, id) = (cookie(&made), made.body["id"].as_str().unwrap().to_owned());
    for (body, marked) in [
        (String::new(), 1),
        ("{}".into(), 1),
        (json!({"mode": "defer", "sessionId": id}).to_string(), 1),
        (json!({"sessionId": "0".repeat(32)}).to_string(), 0),
        (json!({"sessionId": "nothing"}).to_string(), 0),
    ] {
        let left = leave(&harness, &known, &body).await;
        assert_eq!(left.body, json!({"ok": true, "mode": "defer", "ended": 0, "marked": marked}), "{body}");
    }
    assert_eq!(leave(&harness, "X-No: cookie", "").await.body["marked"], 0);
    assert_eq!(status(&harness, &known).await["active"], true, "whoever asks is back");
    for (body, code) in [("{", "invalid_json"), ("[]", "invalid_json"), ("{\"mode\":\"soft\"}", "invalid_field")] {
        leave(&harness, &known, body).await.expect(400, code);
    }
    let other = leave(&harness, &known, &json!({"mode": "hard", "sessionId": "0".repeat(32)}).to_string()).await;
    assert_eq!(other.body, json!({"ok": true, "mode": "hard", "ended": 0, "marked": 0}));
    let left = leave(&harness, &known, "{\"mode\":\"hard\"}").await;
    assert_eq!(left.body, json!({"ok": true, "mode": "hard", "ended": 1, "marked": 0}));
    assert_eq!(status(&harness, &known).await, json!({"active": false}));
    assert_eq!(leave(&harness, &known, "{\"mode\":\"hard\"}").await.body["ended"], 0);
    let next = visit(&harness, &[&known]).await;
    assert_eq!(next.status, 201, "{next:?}");
    assert_ne!(next.body["id"], made.body["id"]);
    assert_eq!(cookie(&next), known, "the same visitor");
    harness.finish().await;
}

#[tokio::test]
async fn who_stays_away_loses_the_session_and_who_is_connected_does_not() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let visits = [visit(&harness, &[]).await, visit(&harness, &[]).await];
    let [away, back] = visits.each_ref().map(|made| made.body["id"].as_str().unwrap().to_owned());
    let connected = node.assigned.lock().unwrap().iter().find(|one| one.session.as_str() == back).unwrap().clone();
    node.step(&connected, StepKind::Activate).await;
    // As their pages left it more than a minute ago.
    let key = harness.store.secret("visitors", [0; 32]).await.unwrap();
    for made in &visits {
        let sid = cookie(made).split_once("bbx_sid=").unwrap().1.to_owned();
        let hash = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update("cookie\0").chain_update(sid);
        let hash: [u8; 32] = hash.finalize().into_bytes().into();
        let long_ago = SystemClock.now() - 61_000;
        assert_eq!(harness.store.mark_demo_disconnected(&hash, None, long_ago).await.unwrap(), 1);
    }
    let status = async |id: &str| harness.store.session(&id.parse().unwrap()).await.unwrap().unwrap();
    while !status(&away).await.status.is_terminal() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status(&away).await.end_reason, Some(EndReason::Idle));
    assert_eq!(status(&back).await.status, Status::Active);
    harness.finish().await;
}

#[tokio::test]
async fn an_address_has_its_share_and_a_server_its_room() {
    let mut config = raised();
    (config.embed.demo.address_sessions_max, config.embed.demo.sessions_max) = (3, 2);
    let mut harness = Harness::start(config).await;
    harness.node(8).await;
    let first = visit(&harness, &[]).await;
    assert_eq!((first.status, visit(&harness, &[]).await.status), (201, 201));
    let full = visit(&harness, &[]).await;
    full.expect(503, "pool_empty");
    assert!(full.header("retry-after").is_some() && full.header("set-cookie").is_none(), "{full:?}");
    leave(&harness, &cookie(&first), "{\"mode\":\"hard\"}").await;
    assert_eq!(visit(&harness, &[]).await.status, 201);
    let refused = visit(&harness, &[]).await;
    refused.expect(429, "rate_limited");
    assert_eq!((&refused.body["reason"], &refused.body["waitMinutes"]), (&json!("address_limit"), &json!(60)));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    harness.finish().await;
}

#[tokio::test]
async fn a_visitor_who_asks_many_times_at_once_gets_one() {
    let mut harness = Harness::raised().await;
    harness.node(8).await;
    let known = format!("Cookie: bbx_sid={}", "5a".repeat(32));
    let headers = [known.as_str()];
    let replies = futures_util::future::join_all((0..50).map(|_| visit(&harness, &headers))).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!((made, replies.iter().filter(|reply| reply.status == 200).count()), (1, 49));
    assert!(replies.iter().all(|reply| reply.body["id"] == replies[0].body["id"]));
    harness.finish().await;
}

#[tokio::test]
async fn without_room_in_time_nothing_is_left() {
    let harness = Harness::raised().await;
    // No machine could ever take it: said at once, or after the wait.
    let none = tokio::time::timeout(Duration::from_secs(19), visit(&harness, &[])).await.expect("an answer in time");
    none.expect(503, "pool_empty");
    harness.finish().await;
}

#[tokio::test]
async fn pages_of_other_origins_ask_only_when_they_are_trusted() {
    let mut harness = Harness::start(trusting()).await;
    harness.node(8).await;
    let made = visit(&harness, &[&format!("Origin: {TRUSTED}"), "Sec-Fetch-Site: cross-site"]).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.header("access-control-allow-origin"), Some(TRUSTED));
    assert_eq!(made.header("access-control-allow-credentials"), Some("true"));
    assert!(made.header("vary").unwrap().contains("origin"));
    let own = format!("Origin: http://{}", harness.address);
    let ours = visit(&harness, &[&own, "Sec-Fetch-Site: same-origin"]).await;
    assert_eq!((ours.status, ours.header("access-control-allow-origin")), (201, None));
    let known = cookie(&made);
    for strange in ["https://evil.example", "null", "https://www.example.com.evil.example", "http://www.example.com"] {
        let origin = format!("Origin: {strange}");
        let headers = [known.as_str(), &origin];
        for reply in [
            visit(&harness, &headers).await,
            ask(&harness, "GET", "/api/session/status", &headers, "").await,
            ask(&harness, "POST", "/api/session/disconnect", &headers, "{\"mode\":\"hard\"}").await,
        ] {
            reply.expect(403, "permission_denied");
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(status(&harness, &known).await["active"], true);
    let preflight = async |origin: &str| {
        let origin = format!("Origin: {origin}");
        let headers = [origin.as_str(), "Access-Control-Request-Method: POST"];
        ask(&harness, "OPTIONS", "/api/session", &headers, "").await
    };
    let allowed = preflight(TRUSTED).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-headers")), (204, Some("content-type")));
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), None);
    // Keys are secrets of servers: no page reaches what needs one.
    let keyed = ask(&harness, "OPTIONS", "/api/v1/sessions", &[&format!("Origin: {TRUSTED}")], "").await;
    assert_eq!(keyed.header("access-control-allow-origin"), None);
    harness.finish().await;
}

#[tokio::test]
async fn what_is_for_paid_sessions_or_switched_off_is_refused() {
    let mut config = raised();
    config.embed.demo.enabled = false;
    let harness = Harness::start(config).await;
    let framed = ask(&harness, "POST", "/api/session", &[], "{\"allowedEmbeddingOrigins\":[]}").await;
    framed.expect(400, "invalid_field");
    assert_eq!(framed.body["field"], "allowedEmbeddingOrigins");
    ask(&harness, "POST", "/api/session", &[], "{").await.expect(400, "invalid_json");
    visit(&harness, &[]).await.expect(403, "capability_disabled");
    assert_eq!(status(&harness, "X-No: cookie").await, json!({"active": false}));
    ask(&harness, "GET", "/api/session", &[], "").await.expect(405, "method_not_allowed");
    harness.finish().await;
}
