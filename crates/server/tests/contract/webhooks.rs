//! `/v1/webhooks`: made, shown, changed, tried, deleted, and what is refused. That messages arrive is tested in
//! `deliveries.rs`.

use crate::support::{Harness, Reply, raised};
use serde_json::{Value, json};
use vitrine_model::Plan;

const PATH: &str = "/v1/webhooks";

async fn create(harness: &Harness, body: Value) -> Reply {
    harness.as_us("POST", PATH, Some(body)).await
}

#[tokio::test]
async fn a_webhook_is_made_shown_changed_and_deleted() {
    let harness = Harness::documented().await;
    let made = create(&harness, json!({"url": "https://hooks.example.org/a?b=c", "description": "ours"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (id, secret) = (made.body["id"].as_str().unwrap(), made.body["secret"].as_str().unwrap());
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "32 bytes in base64");
    assert_eq!((&made.body["events"], &made.body["enabled"]), (&json!(["*"]), &json!(true)));
    let path = format!("{PATH}?id={id}");
    let shown = harness.as_us("GET", &path, None).await;
    assert_eq!((&shown.body["url"], &shown.body["failures"]), (&made.body["url"], &json!(0)));
    let list = harness.as_us("GET", PATH, None).await;
    assert_eq!(list.body["data"], json!([shown.body]));
    for answer in [&shown, &list] {
        assert!(!answer.text.contains("whsec_"), "a secret is shown once");
    }

    let change = json!({"id": id, "events": ["session.ended", "sandbox.*"], "enabled": false, "description": ""});
    let changed = harness.as_us("PATCH", PATH, Some(change)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["events"], json!(["session.ended", "sandbox.*"]));
    assert_eq!((&changed.body["enabled"], &changed.body["disabledReason"]), (&json!(false), &json!("requested")));
    assert!(!changed.text.contains("whsec_"));
    let rotated = harness.as_us("PATCH", PATH, Some(json!({"id": id, "rotateSecret": true, "enabled": true}))).await;
    assert_eq!((&rotated.body["enabled"], &rotated.body["url"]), (&json!(true), &made.body["url"]));
    assert!(rotated.body["secret"].as_str().unwrap() != secret && rotated.body["oldSecretUntil"].is_i64());
    let deliveries = harness.as_us("GET", &format!("{PATH}/deliveries?id={id}"), None).await;
    assert_eq!(deliveries.body, json!({"data": []}));

    assert_eq!(harness.as_us("DELETE", &path, None).await.body, json!({"ok": true}));
    harness.as_us("DELETE", &path, None).await.expect(404, "NOT_FOUND");
    harness.as_us("GET", &path, None).await.expect(404, "NOT_FOUND");
    harness.finish().await;
}

#[tokio::test]
async fn whatever_is_wrong_is_named() {
    let harness = Harness::start(raised()).await;
    let good = "https://hooks.example.org";
    let wrong_urls = [
        json!(null),
        json!(1),
        json!(""),
        json!("hooks"),
        json!("ftp://a.test"),
        json!("http://a.test"),
        json!("https://u:p@a.test"),
        json!("https://a.test/#b"),
        json!("https://127.0.0.1"),
        json!("https://2130706433"),
        json!("https://[::1]"),
        json!("https://[::ffff:10.0.0.1]"),
        json!("https://169.254.169.254/latest"),
        json!("https://localhost"),
        json!("https://100.64.0.1"),
        json!("https://168.63.129.16"),
        json!(format!("https://a.test/{}", "x".repeat(2_048))),
    ];
    let cases = wrong_urls.into_iter().map(|url| (json!({ "url": url }), "url"));
    let cases = cases.chain([
        (json!({}), "url"),
        (json!({"url": good, "events": []}), "events"),
        (json!({"url": good, "events": "*"}), "events"),
        (json!({"url": good, "events": [1]}), "events"),
        (json!({"url": good, "events": ["session.readied"]}), "events"),
        (json!({"url": good, "events": vec!["*"; 65]}), "events"),
        (json!({"url": good, "description": 1}), "description"),
        (json!({"url": good, "description": "x".repeat(201)}), "description"),
    ]);
    for (body, field) in cases {
        let answer = create(&harness, body.clone()).await;
        assert_eq!(answer.expect(400, "INVALID_REQUEST").body["field"], field, "{body}");
    }
    let made = create(&harness, json!({ "url": good })).await;
    let id = &made.body["id"];
    for (body, field) in [
        (json!({}), "id"),
        (json!({"id": 1}), "id"),
        (json!({"id": id, "url": "https://10.0.0.1"}), "url"),
        (json!({"id": id, "events": ["x"]}), "events"),
        (json!({"id": id, "enabled": "no"}), "enabled"),
        (json!({"id": id, "rotateSecret": 1}), "rotateSecret"),
    ] {
        let answer = harness.as_us("PATCH", PATH, Some(body.clone())).await;
        assert_eq!(answer.expect(400, "INVALID_REQUEST").body["field"], field, "{body}");
    }
    for (method, path, field) in [
        ("DELETE", PATH.to_owned(), "id"),
        ("GET", format!("{PATH}/deliveries"), "id"),
        ("GET", format!("{PATH}/deliveries?id={}&limit=0", id.as_str().unwrap()), "limit"),
        ("GET", format!("{PATH}/deliveries?id={}&limit=101", id.as_str().unwrap()), "limit"),
    ] {
        let answer = harness.as_us(method, &path, None).await;
        assert_eq!(answer.expect(400, "INVALID_REQUEST").body["field"], field, "{method} {path}");
    }
    harness.as_us("POST", "/v1/webhooks/test", Some(json!({}))).await.expect(400, "INVALID_REQUEST");
    harness.finish().await;
}

#[tokio::test]
async fn another_organizations_webhook_is_not_there_and_there_are_not_too_many() {
    let harness = Harness::start(raised()).await;
    let made = create(&harness, json!({"url": "https://hooks.example.org"})).await;
    let id = made.body["id"].as_str().unwrap();
    let theirs = harness.other_organization(Plan::Free).await;
    for (method, path, body) in [
        ("GET", format!("{PATH}?id={id}"), None),
        ("GET", format!("{PATH}/deliveries?id={id}"), None),
        ("DELETE", format!("{PATH}?id={id}"), None),
        ("PATCH", PATH.to_owned(), Some(json!({"id": id, "enabled": false}))),
        ("POST", format!("{PATH}/test"), Some(json!({ "id": id }))),
    ] {
        harness.ask(method, &path, Some(&theirs), body).await.expect(404, "NOT_FOUND");
    }
    assert_eq!(harness.ask("GET", PATH, Some(&theirs), None).await.body, json!({"data": []}));
    for _ in 1..20 {
        assert_eq!(create(&harness, json!({"url": "https://hooks.example.org"})).await.status, 201);
    }
    let refused = create(&harness, json!({"url": "https://hooks.example.org"})).await;
    assert_eq!(refused.expect(409, "INVALID_STATE").body["limit"], 20);
    harness.finish().await;
}
