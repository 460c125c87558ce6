//! Orders of minutes whose payment the operator confirms, and the pages of a buyer.

use crate::support::{Harness, Reply};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/checkout";

async fn order(harness: &Harness, key: Option<&str>, body: Value) -> Reply {
    let made = harness.ask("POST", PATH, key, Some(body)).await;
    assert_eq!(made.status, 200, "{made:?}");
    made
}

/// The page of an order, as its buyer reaches it.
fn page_of(harness: &Harness, made: &Reply) -> String {
    let url = made.body["checkout_url"].as_str().unwrap();
    let id = made.body["checkout_id"].as_str().unwrap();
    assert_eq!(url, format!("http://{}/checkout/{id}", harness.address));
    format!("/checkout/{id}")
}

async fn confirm(harness: &Harness, made: &Reply) -> Reply {
    let body = json!({"id": made.body["checkout_id"]});
    harness.as_operator("POST", "/admin/v1/orders/confirm", Some(body)).await
}

#[tokio::test]
async fn a_stranger_orders_the_operator_confirms_and_the_key_is_shown_once() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let made = order(&harness, None, json!({"product": "minutes_300", "email": "you@example.com"})).await;
    let page = page_of(&harness, &made);
    let waiting = harness.ask("GET", &page, None, None).await;
    assert!(
        waiting.text.contains("300 minutes for 20.00 USD") && waiting.header("refresh") == Some("10"),
        "{waiting:?}"
    );
    let policy = waiting.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(harness.ask("POST", &format!("{page}/key"), None, None).await.status, 410, "nothing is paid yet");

    let list = harness.as_operator("GET", "/admin/v1/orders?status=pending", None).await;
    assert_eq!(list.body["data"][0]["id"], made.body["checkout_id"], "{list:?}");
    for _ in 0..2 {
        let confirmed = confirm(&harness, &made).await;
        assert_eq!((confirmed.status, &confirmed.body["status"]), (200, &json!("paid")), "{confirmed:?}");
    }
    for _ in 0..2 {
        let paid = harness.ask("GET", &page, None, None).await;
        assert!(paid.text.contains("Show the key") && !paid.text.contains("bbx_"), "looking shows nothing: {paid:?}");
    }
    let key_page = format!("{page}/key");
    let asked = (0..20).map(|_| harness.ask("POST", &key_page, None, None));
    let shown = futures_util::future::join_all(asked).await;
    let shown: Vec<_> = shown.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (shown[0].header("cache-control"), shown[0].header("referrer-policy")),
        (Some("no-store"), Some("no-referrer"))
    );
    let key = shown[0].text.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next()).unwrap();
    assert!(key.starts_with("bbx_"), "{key}");
    assert!(harness.ask("GET", &page, None, None).await.text.contains("were added"));

    let balance = harness.ask("GET", "/api/v1/balance", Some(key), None).await;
    assert_eq!((&balance.body["balance_minutes"], &balance.body["email"]), (&json!(300), &json!("you@example.com")));
    let session = harness.ask("POST", "/api/v1/sessions", Some(key), Some(json!({"region": "na-east"}))).await;
    assert_eq!(session.status, 201, "{session:?}");

    let more = order(&harness, Some(key), json!({"product": "minutes_60"})).await;
    assert_eq!(confirm(&harness, &more).await.status, 200);
    let page = page_of(&harness, &more);
    assert!(harness.ask("GET", &page, None, None).await.text.contains("60 minutes were added"));
    assert_eq!(harness.ask("POST", &format!("{page}/key"), None, None).await.status, 410);
    let balance = harness.ask("GET", "/api/v1/balance", Some(key), None).await;
    assert_eq!(balance.body["lifetime_minutes"], 360);
    harness.finish().await;
}

#[tokio::test]
async fn wrong_orders_are_told() {
    let harness = Harness::raised().await;
    for (body, field) in [
        (json!({}), "product"),
        (json!({"product": "minutes_1"}), "product"),
        (json!({"product": 60}), "product"),
        (json!({"product": "x".repeat(65)}), "product"),
        (json!({"product": "minutes_60", "email": "nobody"}), "email"),
        (json!({"product": "minutes_60", "email": "a@b"}), "email"),
        (json!({"product": "minutes_60", "email": "<script>@example.com"}), "email"),
        (json!({"product": "minutes_60", "email": format!("{}@example.com", "x".repeat(300))}), "email"),
        (json!({"product": "minutes_60", "email": null}), "email"),
    ] {
        let refused = harness.ask("POST", PATH, None, Some(body.clone())).await;
        assert_eq!(refused.expect(400, "invalid_field").body["field"], field, "{body}");
    }
    harness.ask("POST", PATH, Some("bbx_0"), Some(json!({"product": "minutes_60"}))).await.expect(401, "unauthorized");
    for id in ["x".to_owned(), "0".repeat(32), "%3Cscript%3E".to_owned()] {
        assert_eq!(harness.ask("GET", &format!("/checkout/{id}"), None, None).await.status, 404);
        assert_eq!(harness.ask("POST", &format!("/checkout/{id}/key"), None, None).await.status, 404);
    }
    let none = json!({"id": "0".repeat(32)});
    harness.as_operator("POST", "/admin/v1/orders/confirm", Some(none)).await.expect(404, "NOT_FOUND");
    harness.as_operator("GET", "/admin/v1/orders?status=gone", None).await.expect(400, "INVALID_REQUEST");
    harness.ask("POST", "/api/stripe/webhook", None, Some(json!({}))).await.expect(404, "not_found");
    harness.finish().await;
}

#[tokio::test]
async fn an_operator_grants_minutes_and_its_mistakes_are_named() {
    let harness = Harness::raised().await;
    harness.grant(10).await;
    for (body, field) in [
        (json!({}), "minutes"),
        (json!({"minutes": 0}), "minutes"),
        (json!({"minutes": -5}), "minutes"),
        (json!({"minutes": 1e9}), "minutes"),
        (json!({"minutes": 1, "note": "x".repeat(201)}), "note"),
        (json!({"minutes": 1, "organization": 5}), "organization"),
    ] {
        let refused = harness.as_operator("POST", "/admin/v1/minutes", Some(body)).await;
        assert_eq!(refused.expect(400, "INVALID_REQUEST").body["field"], field);
    }
    let none = "0".repeat(32);
    let nobody = Some(json!({"minutes": 1, "organization": none}));
    harness.as_operator("POST", "/admin/v1/minutes", nobody).await.expect(404, "NOT_FOUND");
    harness.as_operator("GET", &format!("/admin/v1/minutes?organization={none}"), None).await.expect(404, "NOT_FOUND");
    harness.as_us("POST", "/admin/v1/minutes", Some(json!({"minutes": 1}))).await.expect(401, "UNAUTHENTICATED");
    let shown = harness.as_operator("GET", "/admin/v1/minutes", None).await;
    assert_eq!((&shown.body["lifetimeMinutes"], &shown.body["name"]), (&json!(10), &json!("ours")));
    harness.finish().await;
}
