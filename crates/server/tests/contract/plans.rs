//! What each plan has, and what it lacks.

use crate::support::{Harness, Reply, raised};
use serde_json::{Value, json};
use vitrine_model::Plan;

/// A wish and the cheapest plan that has it; then what a plan that has it is answered.
fn features() -> Vec<(Value, Plan, u16)> {
    vec![
        (json!({"stealth": true}), Plan::Builder, 201),
        (json!({"weight": "heavy"}), Plan::Pro, 201),
        (json!({"recording": true}), Plan::Pro, 201),
        (json!({"isolation": "dedicated"}), Plan::Pro, 201),
        (json!({"egressProfile": "dedicated-dc"}), Plan::Pro, 503),
        (json!({"egressProfile": "rotating-residential"}), Plan::Scale, 503),
        (json!({"egressProfile": "static-residential"}), Plan::Scale, 503),
        (json!({"captcha": true}), Plan::Free, 201),
        (json!({"har": true}), Plan::Free, 201),
        (json!({"profileKey": "shop"}), Plan::Free, 201),
        (json!({"proxy": {"protocol": "http", "host": "a.example", "port": 1}}), Plan::Free, 201),
    ]
}

fn check_refusal(answer: &Reply, status: u16, wish: &Value) {
    match status {
        201 => assert_eq!(answer.status, 201, "{wish} {answer:?}"),
        _ => {
            answer.expect(503, "SCHEDULING_FAILED");
            assert_eq!(answer.body["reason"], "egress_unavailable");
        }
    }
}

#[tokio::test]
async fn each_plan_has_its_features_and_names_the_one_that_has_more() {
    let mut harness = Harness::raised().await;
    // One machine each, because a dedicated session takes a machine for itself.
    harness.node(100).await;
    for plan in Plan::ALL {
        for (wish, required, status) in features() {
            let key = harness.other_organization(plan).await;
            let answer = harness.ask("POST", "/v1/browsers", Some(&key), Some(wish.clone())).await;
            if plan >= required {
                check_refusal(&answer, status, &wish);
                continue;
            }
            answer.expect(403, "PLAN_FEATURE_UNAVAILABLE");
            assert_eq!(answer.body["requiredPlan"], required.as_str(), "{wish}");
            assert_eq!(answer.body["currentPlan"], plan.as_str());
        }
    }
    harness.finish().await;
}

#[tokio::test]
async fn each_plan_has_its_figures() {
    let mut harness = Harness::raised().await;
    harness.node(200).await;
    for (plan, minutes, concurrent) in
        [(Plan::Free, 5, 1), (Plan::Builder, 15, 5), (Plan::Pro, 30, 25), (Plan::Scale, 60, 100)]
    {
        let key = harness.other_organization(plan).await;
        let longest = minutes * 60_000_u64;
        for too_long in [longest + 1, u64::MAX] {
            let body = json!({"maxDurationMs": too_long});
            let answer = harness.ask("POST", "/v1/browsers", Some(&key), Some(body)).await;
            answer.expect(403, "PLAN_LIMIT_EXCEEDED");
            assert_eq!((&answer.body["limit"], &answer.body["currentPlan"]), (&json!(longest), &json!(plan.as_str())));
        }
        for made in 0..concurrent {
            let body = json!({"maxDurationMs": longest});
            let answer = harness.ask("POST", "/v1/browsers", Some(&key), Some(body)).await;
            assert_eq!(answer.status, 201, "{plan:?} {made} {answer:?}");
        }
        let answer = harness.ask("POST", "/v1/browsers", Some(&key), Some(json!({}))).await;
        answer.expect(403, "PLAN_LIMIT_EXCEEDED");
        assert_eq!(answer.body["limit"], concurrent);
        let first = harness.ask("GET", "/v1/browsers", Some(&key), None).await.body["data"][0]["id"].clone();
        let path = format!("/v1/browsers?id={}", first.as_str().unwrap());
        assert_eq!(harness.ask("DELETE", &path, Some(&key), None).await.status, 200);
        let answer = harness.ask("POST", "/v1/browsers", Some(&key), Some(json!({}))).await;
        assert_eq!(answer.status, 201, "a place was given back: {answer:?}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn hours_that_are_used_up_are_told() {
    let mut config = raised();
    config.plans.free.browser_hours_per_month = 0;
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    let key = harness.other_organization(Plan::Free).await;
    let answer = harness.ask("POST", "/v1/browsers", Some(&key), Some(json!({}))).await;
    answer.expect(403, "PLAN_LIMIT_EXCEEDED");
    assert!(answer.body["error"].as_str().unwrap().contains("hours"));
    harness.finish().await;
}

#[tokio::test]
async fn the_checks_come_in_the_documented_order() {
    let mut harness = Harness::documented().await;
    harness.node(4).await;
    let narrow = harness.key_with(&["browser_sessions:delete"]).await;
    let free = harness.other_organization(Plan::Free).await;
    let wrong = || Some(json!({"weight": 1, "recording": true}));
    harness.ask("POST", "/v1/browsers", None, wrong()).await.expect(401, "UNAUTHENTICATED");
    harness.ask("POST", "/v1/browsers", Some(&narrow), wrong()).await.expect(403, "PERMISSION_DENIED");
    harness.ask("POST", "/v1/browsers", Some(&free), wrong()).await.expect(400, "INVALID_REQUEST");
    let lacking = Some(json!({"recording": true}));
    harness.ask("POST", "/v1/browsers", Some(&free), lacking).await.expect(403, "PLAN_FEATURE_UNAVAILABLE");
    for _ in 0..40 {
        harness.ask("POST", "/v1/browsers", Some(&narrow), wrong()).await;
    }
    harness.ask("POST", "/v1/browsers", Some(&narrow), wrong()).await.expect(429, "RATE_LIMITED");
    harness.finish().await;
}
