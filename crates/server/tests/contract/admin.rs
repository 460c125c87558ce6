//! `/admin/v1`, with the operator's key.

use crate::support::Harness;
use serde_json::json;

#[tokio::test]
async fn an_operator_makes_organizations_keys_and_plans() {
    let mut harness = Harness::documented().await;
    let node = harness.node(4).await;
    let body = json!({"name": "Example Ltd", "plan": "free"});
    let made = harness.as_operator("POST", "/admin/v1/organizations", Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].clone();
    let list = harness.as_operator("GET", "/admin/v1/organizations", None).await;
    assert_eq!(list.body["data"].as_array().unwrap().len(), 2);
    let key =
        harness.as_operator("POST", "/admin/v1/api-keys", Some(json!({"organization": id, "name": "first"}))).await;
    assert_eq!(key.status, 201, "{key:?}");
    let theirs = key.body["key"].as_str().unwrap();
    let heavy = || Some(json!({"weight": "heavy"}));
    harness.ask("POST", "/v1/browsers", Some(theirs), heavy()).await.expect(403, "PLAN_FEATURE_UNAVAILABLE");
    let raised =
        harness.as_operator("POST", "/admin/v1/organizations/plan", Some(json!({"id": id, "plan": "pro"}))).await;
    assert_eq!(raised.body["plan"], "pro");
    assert_eq!(harness.ask("POST", "/v1/browsers", Some(theirs), heavy()).await.status, 201);
    let path = format!("/admin/v1/api-keys?organization={}", id.as_str().unwrap());
    let keys = harness.as_operator("GET", &path, None).await;
    let path = format!("{path}&id={}", keys.body["data"][0]["id"].as_str().unwrap());
    assert_eq!(harness.as_operator("DELETE", &path, None).await.status, 200);
    harness.ask("GET", "/v1/browsers", Some(theirs), None).await.expect(401, "UNAUTHENTICATED");
    let sessions = harness.as_operator("GET", "/admin/v1/sessions", None).await;
    assert_eq!(sessions.body["data"][0]["organization"], id);

    let drained = harness.as_operator("POST", "/admin/v1/machines/drain", Some(json!({"id": node.machine}))).await;
    assert_eq!(drained.status, 200, "{drained:?}");
    let machines = harness.as_operator("GET", "/admin/v1/machines", None).await;
    assert_eq!(
        (&machines.body["data"][0]["draining"], &machines.body["data"][0]["state"]),
        (&json!(true), &json!("ready"))
    );
    let invariants = harness.as_operator("GET", "/admin/v1/invariants", None).await;
    assert_eq!(invariants.body, json!({"broken": []}));
    harness.finish().await;
}

#[tokio::test]
async fn an_operators_mistakes_are_named_and_its_key_is_no_clients() {
    let harness = Harness::documented().await;
    let none = "0".repeat(32);
    for (path, body, status, code) in [
        ("/admin/v1/organizations", json!({"plan": "free"}), 400, "INVALID_REQUEST"),
        ("/admin/v1/organizations", json!({"name": "a", "plan": "gold"}), 400, "INVALID_REQUEST"),
        ("/admin/v1/organizations/plan", json!({"id": none, "plan": "free"}), 404, "NOT_FOUND"),
        ("/admin/v1/api-keys", json!({"organization": "x"}), 404, "NOT_FOUND"),
        ("/admin/v1/api-keys", json!({}), 400, "INVALID_REQUEST"),
        ("/admin/v1/machines/drain", json!({"id": "68365e2c721798"}), 404, "NOT_FOUND"),
        ("/admin/v1/machines/drain", json!({"id": 5}), 400, "INVALID_REQUEST"),
    ] {
        harness.as_operator("POST", path, Some(body)).await.expect(status, code);
    }
    harness.as_operator("GET", "/v1/browsers", None).await.expect(401, "UNAUTHENTICATED");
    harness.as_us("GET", "/admin/v1/organizations", None).await.expect(401, "UNAUTHENTICATED");
    harness.finish().await;
}
