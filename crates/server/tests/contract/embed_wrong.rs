//! Every field of the embed API wrong in every way, in its own dialect.

use crate::support::{Harness, Reply, raised};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/sessions";

async fn post(harness: &Harness, change: (&str, Value)) -> Reply {
    let mut body = json!({"minutes": 5, "region": "na-east"});
    body[change.0] = change.1;
    harness.as_us("POST", PATH, Some(body)).await
}

fn foreign() -> Vec<Value> {
    vec![json!(null), json!({}), json!([[]]), json!(true)]
}

#[tokio::test]
async fn every_wrong_field_is_named_and_costs_nothing() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    harness.grant(100).await;
    let numbers = [json!(0), json!(-1), json!(121), json!(1.5), json!("15"), json!(1e300)];
    for value in foreign().into_iter().chain(numbers) {
        let refused = post(&harness, ("minutes", value.clone())).await;
        assert_eq!(refused.expect(400, "invalid_field").body["field"], "minutes", "{value}");
    }
    for value in
        foreign().into_iter().chain([json!(""), json!(1), json!("NA"), json!("nowhere"), json!("a".repeat(65))])
    {
        let refused = post(&harness, ("region", value.clone())).await;
        assert_eq!(refused.expect(400, "invalid_field").body["field"], "region", "{value}");
    }
    let addresses =
        ["", "localhost", "10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "1.2.3", "8.8.8.8:80"];
    for field in ["clientIP", "client_ip"] {
        for value in foreign().into_iter().chain(addresses.map(|address| json!(address))) {
            let refused = post(&harness, (field, value.clone())).await;
            assert_eq!(refused.expect(400, "invalid_field").body["field"], field, "{value}");
        }
    }
    for (field, values) in [("lat", [json!(90.1), json!("1")]), ("lon", [json!(-180.1), json!("1")])] {
        for value in foreign().into_iter().chain(values) {
            let refused = post(&harness, (field, value.clone())).await;
            assert_eq!(refused.expect(400, "invalid_field").body["field"], field, "{value}");
        }
    }
    for (field, other) in [("lat", "lon"), ("lon", "lat")] {
        let refused = post(&harness, (field, json!(1))).await;
        assert_eq!(refused.expect(400, "invalid_field").body["field"], other);
    }
    for value in foreign().into_iter().filter(|value| *value != json!(true)).chain([json!("yes"), json!(1)]) {
        let refused = post(&harness, ("cdp", value.clone())).await;
        assert_eq!(refused.expect(400, "invalid_field").body["field"], "cdp", "{value}");
    }
    for value in [json!(null), json!("https://a.example"), json!({}), json!(vec!["https://a.example"; 33])] {
        let refused = post(&harness, ("allowedEmbeddingOrigins", value.clone())).await;
        assert_eq!(refused.expect(400, "invalid_field").body["field"], "allowedEmbeddingOrigins", "{value}");
    }
    let origins = [
        json!(1),
        json!(""),
        json!("*"),
        json!("https://a.example/"),
        json!("https://a.example/x"),
        json!("https://u@a.example"),
        json!("https://a.example?q"),
        json!("https://a.example#f"),
        json!("ftp://a.example"),
        json!("https://a.*.example"),
        json!("https://a.example; script-src *"),
        json!("https://a.example:99999"),
        json!("http://*.a.example"),
    ];
    for value in origins {
        let refused = post(&harness, ("allowedEmbeddingOrigins", json!(["https://right.example", value]))).await;
        let refused = refused.expect(400, "invalid_origin");
        assert_eq!(refused.body["field"], "allowedEmbeddingOrigins[1]", "{value}");
    }
    for (value, field) in [
        (json!(null), "policy"),
        (json!("open"), "policy"),
        (json!({"capture": {"stream": true}}), "policy.capture.stream"),
        (json!({"apiCapabilities": {"act": {"click": "no"}}}), "policy.apiCapabilities.act.click"),
        (json!({"urls": {"deny": "a"}}), "policy.urls.deny"),
    ] {
        let refused = post(&harness, ("policy", value.clone())).await;
        assert_eq!(refused.expect(400, "invalid_field").body["field"], field, "{value}");
    }
    let minutes = harness.as_us("GET", "/api/v1/balance", None).await;
    assert_eq!(minutes.body["balance_minutes"], 100);
    assert_eq!(post(&harness, ("anything", json!({"else": 1}))).await.status, 201, "unknown fields are ignored");
    harness.finish().await;
}

#[tokio::test]
async fn the_reference_s_error_is_verbatim() {
    let harness = Harness::raised().await;
    let refused = harness.as_us("POST", PATH, Some(json!({"minutes": 15}))).await;
    let expected = json!({
        "error": "Provide clientIP, or region (global code), or lat+lon for geo-routing", "code": "missing_region",
    });
    assert_eq!((refused.status, &refused.body), (400, &expected));
    harness.finish().await;
}

#[tokio::test]
async fn every_path_speaks_the_dialect() {
    let mut config = raised();
    config.body_bytes_max = 1_000;
    let harness = Harness::start(config).await;
    let none = "0".repeat(32);
    for (method, path, status, code) in [
        ("GET", "/api/v1/nothing".to_owned(), 404, "not_found"),
        ("GET", "/api/".to_owned(), 404, "not_found"),
        ("PUT", PATH.to_owned(), 405, "method_not_allowed"),
        ("GET", PATH.to_owned(), 405, "method_not_allowed"),
        ("GET", format!("{PATH}/{none}"), 404, "not_found"),
        ("DELETE", format!("{PATH}/{none}"), 404, "not_found"),
        ("GET", format!("{PATH}/../../etc"), 404, "not_found"),
        ("DELETE", format!("{PATH}/%00"), 404, "not_found"),
    ] {
        harness.as_us(method, &path, Some(json!({}))).await.expect(status, code);
    }
    harness.as_us("PATCH", &format!("{PATH}/{none}"), Some(json!({"policy": {}}))).await.expect(404, "not_found");
    for path in [PATH, "/api/v1/balance"] {
        let method = if path == PATH { "POST" } else { "GET" };
        let refused = harness.ask(method, path, None, Some(json!({}))).await;
        assert_eq!(refused.expect(401, "unauthorized").header("www-authenticate"), Some("Bearer"));
        harness.ask(method, path, Some("bbx_0"), Some(json!({}))).await.expect(401, "unauthorized");
        harness.ask(method, path, Some(&harness.operator_key), Some(json!({}))).await.expect(401, "unauthorized");
    }
    let raw = async |body: &str| {
        let (address, key, length) = (harness.address, &harness.key, body.len());
        let head = format!("POST {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        harness.send(&format!("{head}Authorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n{body}")).await
    };
    for body in ["", "{", "[]", "null", "1", "{}{}", "{'minutes':1}", "\u{feff}{}"] {
        raw(body).await.expect(400, "invalid_json");
    }
    raw(&" ".repeat(1_001)).await.expect(413, "payload_too_large");
    let reader = harness.key_with(&["browser_sessions:read"]).await;
    let refused = harness.ask("POST", PATH, Some(&reader), Some(json!({}))).await;
    assert_eq!(refused.expect(403, "permission_denied").body["required_permission"], "browser_sessions:create");
    harness.finish().await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let harness = Harness::documented().await;
    let asked = (0..40).map(|_| harness.as_us("POST", PATH, Some(json!({}))));
    let answers = futures_util::future::join_all(asked).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!((1..=20).contains(&refused.len()), "{}", refused.len());
    for answer in refused {
        let answer = answer.expect(429, "rate_limited");
        assert_eq!(answer.body["retry_after"].to_string(), answer.header("retry-after").unwrap());
    }
    harness.finish().await;
}
