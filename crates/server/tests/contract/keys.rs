//! `/v1/api-keys`: made, narrowed, rotated, revoked, expired; and how often a key may ask.

use crate::support::Harness;
use serde_json::{Value, json};
use std::time::Duration;
use vitrine_model::Plan;

#[tokio::test]
async fn a_key_is_made_shown_once_rotated_and_revoked() {
    let harness = Harness::documented().await;
    let body = json!({"name": "ci", "permissions": ["browser_sessions:read", "browser_sessions:read"]});
    let made = harness.as_us("POST", "/v1/api-keys", Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (id, first) = (made.body["id"].as_str().unwrap(), made.body["key"].as_str().unwrap());
    assert_eq!(made.body["permissions"], json!(["browser_sessions:read"]));
    assert!(first.starts_with(made.body["hint"].as_str().unwrap()) && first.len() == 40);
    let works = async |key: &str| harness.ask("GET", "/v1/browsers", Some(key), None).await.status;
    assert_eq!(works(first).await, 200);
    let list = harness.as_us("GET", "/v1/api-keys", None).await;
    assert_eq!(list.body["data"].as_array().unwrap().len(), 2);
    assert!(!list.text.contains(first));

    let body = json!({"id": id, "graceMs": 60_000});
    let rotated = harness.as_us("POST", "/v1/api-keys/rotate", Some(body)).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let second = rotated.body["key"].as_str().unwrap().to_owned();
    assert_eq!((works(first).await, works(&second).await), (200, 200), "the old one has its grace");
    let rotated = harness.as_us("POST", "/v1/api-keys/rotate", Some(json!({"id": id}))).await;
    let third = rotated.body["key"].as_str().unwrap();
    assert_eq!((works(&second).await, works(third).await), (401, 200), "without grace the old one is gone");

    assert_eq!(harness.as_us("DELETE", &format!("/v1/api-keys?id={id}"), None).await.body, json!({"ok": true}));
    assert_eq!((works(first).await, works(third).await), (401, 401));
    harness.as_us("POST", "/v1/api-keys/rotate", Some(json!({"id": id}))).await.expect(409, "INVALID_STATE");
    harness.finish().await;
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let harness = Harness::documented().await;
    let manager = harness.key_with(&["api_keys:manage", "browser_sessions:read"]).await;
    let make = async |permissions: Value| {
        let body = json!({ "permissions": permissions });
        harness.ask("POST", "/v1/api-keys", Some(&manager), Some(body)).await
    };
    assert_eq!(make(json!(["browser_sessions:read"])).await.status, 201);
    make(json!(["browser_sessions:create"])).await.expect(403, "PERMISSION_DENIED");
    make(json!([])).await.expect(403, "PERMISSION_DENIED");
    let list = harness.as_us("GET", "/v1/api-keys", None).await;
    let all_powerful = json!({"id": list.body["data"][0]["id"]});
    harness
        .ask("POST", "/v1/api-keys/rotate", Some(&manager), Some(all_powerful.clone()))
        .await
        .expect(403, "PERMISSION_DENIED");
    let end = vitrine_server::Clock::now(&vitrine_server::SystemClock) + 3_600_000;
    let made = harness.as_us("POST", "/v1/api-keys", Some(json!({"expiresAt": end}))).await;
    let passing = made.body["key"].as_str().unwrap();
    for (path, body) in [
        ("/v1/api-keys", json!({})),
        ("/v1/api-keys", json!({"expiresAt": end + 1})),
        ("/v1/api-keys/rotate", all_powerful),
    ] {
        let answer = harness.ask("POST", path, Some(passing), Some(body)).await;
        assert_eq!(answer.expect(403, "PERMISSION_DENIED").body["field"], "expiresAt");
    }
    let as_long = json!({"expiresAt": end});
    assert_eq!(harness.ask("POST", "/v1/api-keys", Some(passing), Some(as_long)).await.status, 201);
    harness.finish().await;
}

#[tokio::test]
async fn wrong_wishes_and_other_organizations_keys_are_told() {
    let harness = Harness::documented().await;
    for (body, field) in [
        (json!({"name": 1}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"permissions": "all"}), "permissions"),
        (json!({"permissions": ["everything"]}), "permissions"),
        (json!({"permissions": [1]}), "permissions"),
        (json!({"expiresAt": "tomorrow"}), "expiresAt"),
        (json!({"expiresAt": 1}), "expiresAt"),
        (json!({"expiresAt": -1}), "expiresAt"),
    ] {
        let answer = harness.as_us("POST", "/v1/api-keys", Some(body)).await;
        assert_eq!(answer.expect(400, "INVALID_REQUEST").body["field"], field);
    }
    for body in [json!({}), json!({"id": 1}), json!({"id": ""})] {
        harness.as_us("POST", "/v1/api-keys/rotate", Some(body)).await.expect(400, "INVALID_REQUEST");
    }
    let theirs = harness.other_organization(Plan::Free).await;
    let list = harness.ask("GET", "/v1/api-keys", Some(&theirs), None).await;
    let id = list.body["data"][0]["id"].as_str().unwrap();
    harness.as_us("DELETE", &format!("/v1/api-keys?id={id}"), None).await.expect(404, "NOT_FOUND");
    harness.as_us("POST", "/v1/api-keys/rotate", Some(json!({"id": id}))).await.expect(404, "NOT_FOUND");
    harness.as_us("DELETE", "/v1/api-keys", None).await.expect(400, "INVALID_REQUEST");
    harness.finish().await;
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let harness = Harness::documented().await;
    let soon = vitrine_server::Clock::now(&vitrine_server::SystemClock) + 300;
    let made = harness.as_us("POST", "/v1/api-keys", Some(json!({"expiresAt": soon}))).await;
    let key = made.body["key"].as_str().unwrap();
    assert_eq!(harness.ask("GET", "/v1/usage", Some(key), None).await.status, 200);
    tokio::time::sleep(Duration::from_millis(350)).await;
    harness.ask("GET", "/v1/usage", Some(key), None).await.expect(401, "UNAUTHENTICATED");
    let rotated = harness.as_us("POST", "/v1/api-keys/rotate", Some(json!({"id": made.body["id"]}))).await;
    assert_eq!(rotated.expect(409, "INVALID_STATE").body["status"], "expired");
    harness.finish().await;
}

#[tokio::test]
async fn the_documented_burst_is_let_in_and_the_next_is_told_when_to_come_back() {
    let harness = Harness::documented().await;
    for (method, path, per_minute, burst) in [
        ("POST", "/v1/browsers", "60", 20),
        ("GET", "/v1/browsers", "600", 100),
        ("DELETE", "/v1/browsers", "120", 30),
        ("GET", "/v1/usage", "30", 10),
    ] {
        let key = harness.other_organization(Plan::Free).await;
        let asked = (0..burst + 20).map(|_| harness.ask(method, path, Some(&key), Some(json!({"weight": 1}))));
        let answers = futures_util::future::join_all(asked).await;
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
        assert!((1..=20).contains(&refused.len()), "{path}: {} refused", refused.len());
        for answer in &refused {
            answer.expect(429, "RATE_LIMITED");
            assert_eq!(answer.header("x-ratelimit-limit"), Some(per_minute));
            assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=2).contains(&wait), "{wait}");
        }
    }
    harness.finish().await;
}

#[tokio::test]
async fn guessing_is_limited_by_address_and_locks_nobody_out() {
    let harness = Harness::documented().await;
    let guess = "br_live_00000000000000000000000000000000";
    let asked = (0..140).map(|_| harness.ask("GET", "/v1/browsers", Some(guess), None));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().any(|answer| answer.status == 429));
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
    assert_eq!(harness.as_us("GET", "/v1/browsers", None).await.status, 200, "a good key comes through");
    harness.finish().await;
}
