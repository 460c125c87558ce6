//! `/api/v1`: sessions that minutes pay for, as the reference shows them.

use crate::support::{Harness, Reply, raised};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use vitrine_model::Plan;

const PATH: &str = "/api/v1/sessions";

fn wish(minutes: u32) -> Value {
    json!({"minutes": minutes, "region": "na-east", "allowedEmbeddingOrigins": ["https://app.example.com"]})
}

async fn claim(harness: &Harness, minutes: u32) -> Reply {
    let made = harness.as_us("POST", PATH, Some(wish(minutes))).await;
    assert_eq!(made.status, 201, "{made:?}");
    made
}

fn of(session: &Reply) -> String {
    format!("{PATH}/{}", session.body["id"].as_str().unwrap())
}

async fn balance(harness: &Harness) -> (i64, i64) {
    let balance = harness.as_us("GET", "/api/v1/balance", None).await;
    assert_eq!(balance.status, 200, "{balance:?}");
    (balance.body["balance_minutes"].as_i64().unwrap(), balance.body["reserved_minutes"].as_i64().unwrap())
}

#[tokio::test]
async fn a_session_is_claimed_read_and_ended() {
    let mut harness = Harness::documented().await;
    let node = harness.node(4).await;
    harness.grant(60).await;
    let made = claim(&harness, 15).await;
    let fields: BTreeSet<_> = made.body.as_object().unwrap().keys().map(String::as_str).collect();
    let shown = ["id", "provider", "region", "machine_id", "login_url", "duration_minutes", "created_at", "expires_at"];
    assert_eq!(fields, shown.into(), "{made:?}");
    assert_eq!((&made.body["provider"], &made.body["region"]), (&json!("test"), &json!("na-east")));
    assert_eq!(made.body["machine_id"], node.machine.as_str());
    let login = made.body["login_url"].as_str().unwrap();
    assert!(login.starts_with(&format!("http://{}/login", harness.address)), "{login}");
    let (created, expires) = (made.body["created_at"].as_i64().unwrap(), made.body["expires_at"].as_i64().unwrap());
    assert_eq!((expires - created, &made.body["duration_minutes"]), (15 * 60_000, &json!(15)));
    assert_eq!(balance(&harness).await, (45, 15));

    let read = harness.as_us("GET", &of(&made), None).await;
    assert_eq!(read.status, 200, "{read:?}");
    for field in shown {
        assert_eq!(read.body[field], made.body[field], "{field}");
    }
    assert_eq!((&read.body["deleted_at"], &read.body["status"]), (&json!(null), &json!("active")));
    for _ in 0..2 {
        let ended = harness.as_us("DELETE", &of(&made), None).await;
        let expected = json!({"id": made.body["id"], "status": "ended", "refunded_minutes": 14});
        assert_eq!((ended.status, &ended.body), (200, &expected));
    }
    assert_eq!(balance(&harness).await, (59, 0));
    let read = harness.as_us("GET", &of(&made), None).await;
    assert_eq!(read.body["status"], "ended");
    assert!(read.body["deleted_at"].as_i64().unwrap() >= created);
    assert_eq!(read.body["login_url"], made.body["login_url"], "it opens nothing any more, and stays what it was");
    let usage = harness.as_us("GET", "/v1/usage", None).await;
    assert_eq!((&usage.body["totalSessions"], &usage.body["totalBrowserHours"]), (&json!(0), &json!(0.0)));
    harness.finish().await;
}

#[tokio::test]
async fn the_balance_says_who_has_what() {
    let mut harness = Harness::documented().await;
    harness.node(2).await;
    harness.grant(300).await;
    claim(&harness, 15).await;
    let balance = harness.as_us("GET", "/api/v1/balance", None).await;
    let expected = json!({
        "balance_minutes": 285, "reserved_minutes": 15, "lifetime_minutes": 300, "active_sessions": 1,
        "concurrent_limit": 100, "plan": "scale", "email": null,
    });
    assert_eq!(balance.body, expected);
    let pricing = harness.ask("GET", "/api/v1/pricing", None, None).await;
    assert_eq!(pricing.status, 200);
    assert_eq!(pricing.body["defaults"], json!({"minutes": 15, "max_minutes": 120}));
    assert_eq!(pricing.body["packs"][1], json!({"product": "minutes_300", "minutes": 300, "price_cents": 2_000}));
    assert_eq!(pricing.body["subscription"]["product"], "subscription");
    assert_eq!(pricing.header("x-ratelimit-limit"), Some("600"));
    let minutes = harness.as_operator("GET", "/admin/v1/minutes", None).await;
    assert_eq!(minutes.body["balanceMinutes"], 285, "{minutes:?}");
    harness.finish().await;
}

#[tokio::test]
async fn exactly_the_minutes_needed_are_enough() {
    let mut harness = Harness::raised().await;
    harness.node(60).await;
    harness.grant(45).await;
    let asked = (0..20).map(|_| harness.as_us("POST", PATH, Some(wish(15))));
    let answers = futures_util::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 3, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let refused = refused.expect(402, "insufficient_minutes");
        assert_eq!((&refused.body["balance_minutes"], &refused.body["required_minutes"]), (&json!(0), &json!(15)));
    }
    assert_eq!(balance(&harness).await, (0, 45));
    harness
        .as_us("POST", PATH, Some(json!({"minutes": 1, "region": "na-east"})))
        .await
        .expect(402, "insufficient_minutes");
    harness.finish().await;
}

#[tokio::test]
async fn a_thousand_requests_with_one_key_make_one_session() {
    let mut harness = Harness::raised().await;
    harness.node(60).await;
    harness.grant(1_000).await;
    let first = wish(15);
    let asked = (0..1_000).map(|_| harness.as_us_once("sess-create-001", PATH, &first));
    let answers = futures_util::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<BTreeSet<_>>());
    for answer in &answers {
        assert_eq!(answer.body, made[0].body);
        assert!([200, 201].contains(&answer.status));
    }
    assert_eq!(balance(&harness).await, (985, 15));
    let reordered = json!({
        "allowedEmbeddingOrigins": ["https://APP.example.com:443"], "region": "na-east", "minutes": 15, "cdp": false,
    });
    let again = harness.as_us_once("sess-create-001", PATH, &reordered).await;
    assert_eq!((again.status, &again.body), (200, &made[0].body), "the same in other words");
    let mut other = wish(15);
    other["allowedEmbeddingOrigins"] = json!(["https://other.example.com"]);
    for other in [other, wish(16), json!({"region": "na-east"})] {
        harness.as_us_once("sess-create-001", PATH, &other).await.expect(409, "idempotency_conflict");
    }
    harness.as_us("DELETE", &of(&again), None).await;
    let late = harness.as_us_once("sess-create-001", PATH, &wish(15)).await;
    assert_eq!((late.status, &late.body), (200, &made[0].body), "also when it is over");
    assert_eq!(balance(&harness).await, (999, 0));
    let theirs = harness.other_organization(Plan::Scale).await;
    harness.ask("GET", &of(&again), Some(&theirs), None).await.expect(404, "not_found");
    harness.finish().await;
}

#[tokio::test]
async fn what_came_to_nothing_can_be_tried_again_with_its_key() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    harness.as_us_once("k", PATH, &wish(15)).await.expect(402, "insufficient_minutes");
    harness.grant(15).await;
    assert_eq!(harness.as_us_once("k", PATH, &wish(15)).await.status, 201);
    assert_eq!(harness.as_us_once("k", PATH, &wish(15)).await.status, 200);
    harness.as_us_once(&"k".repeat(256), PATH, &wish(15)).await.expect(400, "invalid_field");
    harness.finish().await;
}

#[tokio::test]
async fn a_client_that_left_before_the_answer_finds_its_session_by_its_key() {
    let mut harness = Harness::raised().await;
    harness.grant(100).await;
    let left = tokio::time::timeout(Duration::from_millis(500), harness.as_us_once("k", PATH, &wish(15))).await;
    assert!(left.is_err(), "nothing runs it yet: {left:?}");
    assert_eq!(balance(&harness).await, (85, 15));
    harness.node(4).await;
    let found = harness.as_us_once("k", PATH, &wish(15)).await;
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(balance(&harness).await, (85, 15));
    harness.finish().await;
}

#[tokio::test]
async fn without_a_browser_the_minutes_come_back() {
    let harness = Harness::raised().await;
    harness.grant(15).await;
    let begun = std::time::Instant::now();
    let refused = harness.as_us_once("k", PATH, &wish(15)).await;
    let refused = refused.expect(503, "pool_empty");
    assert_eq!((&refused.body["retry_after"], refused.header("retry-after")), (&json!(5), Some("5")));
    assert!(begun.elapsed() < Duration::from_secs(18));
    assert_eq!(balance(&harness).await, (15, 0));
    harness.finish().await;
}

#[tokio::test]
async fn only_so_many_at_once() {
    let mut config = raised();
    config.plans.scale.concurrent_browsers = 2;
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    harness.grant(100).await;
    claim(&harness, 1).await;
    harness.ready_session().await;
    let refused = harness.as_us("POST", PATH, Some(wish(1))).await;
    assert_eq!(refused.expect(429, "concurrent_limit").body["limit"], 2);
    assert_eq!(balance(&harness).await, (99, 1));
    harness.finish().await;
}

#[tokio::test]
async fn each_api_sees_its_own_sessions_and_both_take_either_key() {
    let mut harness = Harness::raised().await;
    harness.node(8).await;
    harness.grant(100).await;
    let key = harness.as_us("POST", "/v1/api-keys", Some(json!({"kind": "embed"}))).await;
    let key = key.body["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("bbx_") && key.len() == 4 + 48, "{key}");
    let embedded = harness.ask("POST", PATH, Some(&key), Some(wish(1))).await;
    assert_eq!(embedded.status, 201, "{embedded:?}");
    let browser = harness.ask("POST", "/v1/browsers", Some(&key), Some(json!({}))).await;
    let id = browser.body["id"].as_str().unwrap();
    harness.ask("GET", &format!("{PATH}/{id}"), Some(&key), None).await.expect(404, "not_found");
    harness.ask("DELETE", &format!("{PATH}/{id}"), Some(&key), None).await.expect(404, "not_found");
    let list = harness.as_us("GET", "/v1/browsers?limit=1", None).await;
    assert_eq!(list.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["data"][0]["id"], id);
    let id = embedded.body["id"].as_str().unwrap();
    for (method, path) in [("GET", "/v1/browsers"), ("DELETE", "/v1/browsers"), ("GET", "/v1/browsers/files")] {
        harness.as_us(method, &format!("{path}?id={id}"), None).await.expect(404, "NOT_FOUND");
    }
    let body = || Some(json!({"id": id}));
    harness.as_us("POST", "/v1/browsers/live-view", body()).await.expect(404, "NOT_FOUND");
    assert_eq!(harness.as_us("GET", &of(&embedded), None).await.body["status"], "active");
    let ids = harness.as_us("GET", "/v1/api-keys", None).await;
    let id = ids.body["data"].as_array().unwrap().iter().find(|key| key["hint"].as_str().unwrap().starts_with("bbx_"));
    let rotated = harness.as_us("POST", "/v1/api-keys/rotate", Some(json!({"id": id.unwrap()["id"]}))).await;
    assert!(rotated.body["key"].as_str().unwrap().starts_with("bbx_"), "{rotated:?}");
    harness.finish().await;
}

#[tokio::test]
async fn a_session_is_driven_over_devtools_when_it_was_asked_for() {
    let mut harness = Harness::raised().await;
    harness.node(8).await;
    harness.grant(100).await;
    let made = harness.as_us("POST", PATH, Some(json!({"region": "na-east", "cdp": true, "minutes": 2}))).await;
    let url = made.body["cdp_url"].as_str().unwrap();
    let id = made.body["id"].as_str().unwrap();
    assert!(url.starts_with(&format!("ws://{}/cdp/{id}?token=", harness.address)), "{url}");
    let reader = harness.key_with(&["browser_sessions:read"]).await;
    let read = harness.ask("GET", &of(&made), Some(&reader), None).await;
    assert_eq!((read.status, read.body.get("cdp_url")), (200, None));
    let plain = claim(&harness, 1).await;
    assert_eq!(plain.body.get("cdp_url"), None);
    let question = |session: &Reply| format!("/cdp/{}/json/version", session.body["id"].as_str().unwrap());
    harness.as_us("GET", &question(&plain), None).await.expect(404, "NOT_FOUND");
    assert_ne!(harness.as_us("GET", &question(&made), None).await.status, 404, "it may be driven");
    harness.as_us("DELETE", &of(&made), None).await;
    harness.until_over(&of(&made)).await;
    assert_eq!(harness.as_us("GET", &of(&made), None).await.body.get("cdp_url"), None);
    let usage = harness.as_us("GET", "/v1/usage", None).await;
    assert_eq!(usage.body["weightBreakdown"], json!({"light": 0, "medium": 0, "heavy": 0, "embed": 1}));
    assert_eq!(usage.body["totalBrowserHours"], 0.0);
    harness.finish().await;
}

#[tokio::test]
async fn a_policy_is_stored_and_told_and_what_is_not_named_stays() {
    let mut harness = Harness::raised().await;
    let node = harness.node(8).await;
    harness.grant(100).await;
    let mut body = wish(5);
    body["policy"] = json!({"act": {"evaluate": false}, "urls": {"deny": ["*.example.net"]}, "downloads": false});
    let made = harness.as_us("POST", PATH, Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let assigned = serde_json::to_value(&node.assigned.lock().unwrap()[0]).unwrap();
    let text = assigned.to_string();
    assert!(text.contains("\"denied\":[\"act.evaluate\"]") && text.contains("*.example.net"), "{text}");
    let path = of(&made);
    let change = |policy: Value| harness.as_us("PATCH", &path, Some(json!({"policy": policy})));
    let changed = change(json!({"apiCapabilities": {"act": {"click": false}}, "uploads": false})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let policy = &changed.body["policy"];
    assert_eq!((&policy["policyVersion"], &policy["apiCapabilities"]["act"]["evaluate"]), (&json!(2), &json!(false)));
    let hands = json!({"downloads": false, "uploads": false, "clipboard": true});
    assert_eq!((&policy["apiCapabilities"]["act"]["click"], &policy["featureControls"]), (&json!(false), &hands));
    let told = harness.machine.asked.lock().unwrap().pop().unwrap();
    assert_eq!((&told["version"], &told["denied"]), (&json!(2), &json!(["act.click", "act.evaluate"])));
    assert_eq!(told["deny_urls"], json!(["*.example.net"]));
    let at_once = futures_util::future::join_all((0..4).map(|_| change(json!({"uploads": true})))).await;
    let versions: BTreeSet<_> = at_once.iter().map(|answer| answer.body["policy"]["policyVersion"].as_i64()).collect();
    assert_eq!(versions.len(), 4, "{at_once:?}");
    assert_eq!(
        change(json!({"act": {"fly": true}})).await.expect(400, "invalid_field").body["field"],
        "policy.act.fly"
    );
    harness.as_us("PATCH", &of(&made), Some(json!({}))).await.expect(400, "invalid_field");
    *harness.machine.refuses.lock().unwrap() = true;
    change(json!({"clipboard": false})).await.expect(503, "unavailable");
    harness.as_us("DELETE", &of(&made), None).await;
    change(json!({"clipboard": false})).await.expect(409, "invalid_state");
    harness.finish().await;
}
