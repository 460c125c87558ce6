//! `/v1/browsers` as the reference shows it.

use crate::support::{Harness, raised};
use serde_json::json;
use std::time::Instant;
use vitrine_model::{EndReason, Plan};

#[tokio::test]
async fn a_session_is_queued_ready_and_over() {
    let mut harness = Harness::documented().await;
    harness.node(4).await;
    let created = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    assert_eq!(created.status, 201);
    let id = created.body["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    for (field, value) in [
        ("status", json!("queued")),
        ("cdpUrl", json!(null)),
        ("weight", json!("light")),
        ("isolation", json!("shared")),
        ("egressProfile", json!("shared-dc")),
        ("maxDurationMs", json!(3_600_000)),
        ("idleTimeoutMs", json!(60_000)),
    ] {
        assert_eq!(created.body[field], value, "{field}");
    }
    let session = harness.as_us("GET", &format!("/v1/browsers?id={id}&waitMs=20000"), None).await;
    assert_eq!((session.status, &session.body["status"]), (200, &json!("ready")), "{session:?}");
    let url = session.body["cdpUrl"].as_str().unwrap();
    assert!(url.starts_with(&format!("ws://{}/cdp/{id}?token=", harness.address)), "{url}");
    assert_eq!(session.body["artifacts"], json!({"screenshots": [], "har": null, "recording": null, "downloads": []}));
    assert_eq!(session.body["duration"], json!(null));
    assert_eq!(session.body["region"], "iad");
    let started_at = session.body["startedAt"].as_i64().unwrap();
    assert_eq!(session.body["expiresAt"], started_at + 3_600_000);

    let list = harness.as_us("GET", "/v1/browsers", None).await;
    let listed = &list.body["data"][0];
    assert_eq!(listed["id"], json!(id));
    for field in ["status", "cdpUrl", "weight", "egressProfile", "createdAt", "startedAt"] {
        assert!(!listed[field].is_null(), "{field}: {listed}");
    }

    for _ in 0..2 {
        let ended = harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
        assert_eq!((ended.status, ended.body), (200, json!({"ok": true})));
    }
    let over = harness.until(&id, "ended").await;
    assert_eq!(over.body["endReason"], "deleted");
    assert_eq!(over.body["cdpUrl"], json!(null));
    assert_eq!(over.body["egress"], json!({"bytesIn": 11, "bytesOut": 7}));
    let duration = over.body["duration"].as_i64().unwrap();
    assert_eq!(over.body["endedAt"].as_i64().unwrap() - started_at, duration);
    assert_eq!(harness.as_us("GET", "/v1/browsers", None).await.body, json!({"data": []}));
    assert_eq!(harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await.status, 200);
    let usage = harness.as_us("GET", "/v1/usage", None).await;
    assert_eq!(usage.body["totalSessions"], 1, "{usage:?}");
    assert_eq!(usage.body["weightBreakdown"], json!({"light": 1, "medium": 0, "heavy": 0}));
    assert!((usage.body["totalBrowserHours"].as_f64().unwrap() - duration as f64 / 3_600_000.0).abs() < 1e-9);
    harness.finish().await;
}

#[tokio::test]
async fn a_session_of_another_organization_is_not_there() {
    let mut harness = Harness::documented().await;
    harness.node(4).await;
    let session = harness.ready_session().await;
    let id = session.body["id"].as_str().unwrap();
    let theirs = harness.other_organization(Plan::Scale).await;
    harness.ask("GET", &format!("/v1/browsers?id={id}"), Some(&theirs), None).await.expect(404, "NOT_FOUND");
    harness.ask("DELETE", &format!("/v1/browsers?id={id}"), Some(&theirs), None).await.expect(404, "NOT_FOUND");
    assert_eq!(harness.ask("GET", "/v1/browsers", Some(&theirs), None).await.body, json!({"data": []}));
    assert_eq!(harness.until(id, "ready").await.status, 200);
    harness.finish().await;
}

#[tokio::test]
async fn ids_and_limits_of_a_wrong_shape_are_told() {
    let harness = Harness::documented().await;
    for (path, status, code) in [
        ("/v1/browsers?id=nope", 404, "NOT_FOUND"),
        ("/v1/browsers?id=", 400, "INVALID_REQUEST"),
        ("/v1/browsers?id=..%2F..%2Fetc%2Fpasswd", 404, "NOT_FOUND"),
        ("/v1/browsers?id=00000000000000000000000000000000", 404, "NOT_FOUND"),
        ("/v1/browsers?id=x&waitMs=-1", 400, "INVALID_REQUEST"),
        ("/v1/browsers?id=x&waitMs=30001", 400, "INVALID_REQUEST"),
        ("/v1/browsers?limit=0", 400, "INVALID_REQUEST"),
        ("/v1/browsers?limit=101", 400, "INVALID_REQUEST"),
        ("/v1/browsers?limit=ten", 400, "INVALID_REQUEST"),
        ("/v1/browsers?limit=", 400, "INVALID_REQUEST"),
    ] {
        harness.as_us("GET", path, None).await.expect(status, code);
    }
    assert_eq!(harness.as_us("GET", "/v1/browsers?limit=100", None).await.status, 200);
    harness.as_us("DELETE", "/v1/browsers", None).await.expect(400, "INVALID_REQUEST");
    harness.as_us("DELETE", &format!("/v1/browsers?id={}", "a".repeat(70)), None).await.expect(400, "INVALID_REQUEST");
    harness.as_us("PUT", "/v1/browsers", None).await.expect(405, "METHOD_NOT_ALLOWED");
    harness.as_us("GET", "/v1/nothing", None).await.expect(404, "NOT_FOUND");
    harness.as_us("GET", "/", None).await.expect(404, "NOT_FOUND");
    harness.finish().await;
}

#[tokio::test]
async fn a_key_that_may_only_read_gets_no_address() {
    let mut harness = Harness::documented().await;
    harness.node(4).await;
    let session = harness.ready_session().await;
    let id = session.body["id"].as_str().unwrap();
    let reader = harness.key_with(&["browser_sessions:read"]).await;
    let seen = harness.ask("GET", &format!("/v1/browsers?id={id}"), Some(&reader), None).await;
    assert_eq!((seen.status, &seen.body["cdpUrl"]), (200, &json!(null)));
    let list = harness.ask("GET", "/v1/browsers", Some(&reader), None).await;
    assert_eq!(list.body["data"][0]["cdpUrl"], json!(null));
    harness.finish().await;
}

#[tokio::test]
async fn two_hundred_at_once_are_all_made_and_told_apart() {
    let mut config = raised();
    config.plans.scale.concurrent_browsers = 150;
    let mut harness = Harness::start(config).await;
    harness.node(60).await;
    harness.node(90).await;
    let begun = Instant::now();
    let asked = (0..200).map(|_| harness.as_us("POST", "/v1/browsers", Some(json!({}))));
    let answers = futures_util::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    let refused = answers.iter().filter(|answer| answer.body["code"] == "PLAN_LIMIT_EXCEEDED").count();
    assert_eq!((made.len(), refused), (150, 50));
    eprintln!("200 creates at once: {:?}", begun.elapsed());
    for session in &made {
        let id = session.body["id"].as_str().unwrap();
        let session = harness.as_us("GET", &format!("/v1/browsers?id={id}&waitMs=20000"), None).await;
        assert_eq!(session.body["status"], "ready", "{session:?}");
    }
    eprintln!("150 ready: {:?}", begun.elapsed());
    let asked = harness.server.end_all(None, EndReason::ServerShutdown).await.unwrap();
    assert_eq!(asked, 150);
    for session in made {
        let over = harness.until(session.body["id"].as_str().unwrap(), "ended").await;
        assert_eq!(over.body["endReason"], "server_shutdown");
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_public_address_is_used_as_it_is_configured() {
    let mut config = raised();
    config.public_url = Some("https://browsers.example.org/eu".into());
    let mut harness = Harness::start(config).await;
    harness.node(1).await;
    let session = harness.ready_session().await;
    assert!(session.body["cdpUrl"].as_str().unwrap().starts_with("wss://browsers.example.org/eu/cdp/"));
    harness.finish().await;
}

#[tokio::test]
async fn from_the_request_to_ready_takes_milliseconds() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        let session = harness.ready_session().await;
        times.push(begun.elapsed());
        let id = session.body["id"].as_str().unwrap();
        harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
        harness.until(id, "ended").await;
    }
    times.sort();
    eprintln!("POST to ready with a node that is ready at once: p50 {:?}, p95 {:?}", times[25], times[47]);
    harness.finish().await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_makes_one_session() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let send = async |idempotency_key: &str, body: &str| {
        let headers = [format!("Idempotency-Key: {idempotency_key}"), format!("Content-Length: {}", body.len())];
        harness.send(&(harness.post_head(&headers.each_ref().map(String::as_str)) + body)).await
    };
    let first = send("one", r#"{"weight":"light","stealth":false}"#).await;
    assert_eq!(first.status, 201, "{first:?}");
    let again = send("one", r#"{ "stealth": false, "weight": "light" }"#).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    send("one", "{}").await.expect(400, "INVALID_REQUEST");
    send(&"x".repeat(256), "{}").await.expect(400, "INVALID_REQUEST");
    let refused = r#"{"egressProfile":"dedicated-dc"}"#;
    send("two", refused).await.expect(503, "SCHEDULING_FAILED");
    send("two", refused).await.expect(503, "SCHEDULING_FAILED");
    assert_eq!(send("three", "{}").await.status, 201);
    let list = harness.as_us("GET", "/v1/browsers", None).await;
    assert_eq!(list.body["data"].as_array().unwrap().len(), 2);
    let together = futures_util::future::join_all((0..8).map(|_| send("four", "{}"))).await;
    assert!(together.iter().all(|answer| [201, 409].contains(&answer.status)), "{together:?}");
    let list = harness.as_us("GET", "/v1/browsers", None).await;
    assert_eq!(list.body["data"].as_array().unwrap().len(), 3);
    harness.finish().await;
}
