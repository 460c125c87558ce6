//! Every field of `POST /v1/browsers`, wrong in every way.

use crate::support::Harness;
use serde_json::{Value, json};

/// Wrong for every field but those that take a value of that type.
fn foreign() -> Vec<Value> {
    vec![json!(null), json!([]), json!([1]), json!({"a": 1}), json!(-1), json!(1.5), json!("x".repeat(10_000))]
}

async fn expect_wrong(harness: &Harness, body: Value, field: &str) {
    let answer = harness.as_us("POST", "/v1/browsers", Some(body.clone())).await;
    assert_eq!(answer.status, 400, "{body} {answer:?}");
    answer.expect(400, "INVALID_REQUEST");
    assert_eq!(answer.body["field"], field, "{body} {answer:?}");
    assert!(answer.body["error"].as_str().unwrap().starts_with(field));
}

#[tokio::test]
async fn every_field_with_a_wrong_value_is_named() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    for field in ["weight", "isolation", "egressProfile"] {
        for value in foreign().into_iter().chain([json!(true), json!(0), json!(""), json!("LIGHT"), json!("light ")]) {
            expect_wrong(&harness, json!({ field: value }), field).await;
        }
    }
    for value in foreign().into_iter().filter(|value| !value.is_object()).chain([json!(0), json!("true"), json!("")]) {
        expect_wrong(&harness, json!({ "har": value }), "har").await;
    }
    for value in foreign().into_iter().chain([json!("REDACT"), json!(""), json!(true)]) {
        expect_wrong(&harness, json!({"har": {"secrets": value}}), "har.secrets").await;
    }
    for value in foreign().into_iter().chain([json!("1"), json!(true), json!(64 * 1024 * 1024 + 1)]) {
        expect_wrong(&harness, json!({"har": {"bodyBytesMax": value}}), "har.bodyBytesMax").await;
    }
    for field in ["stealth", "recording", "captcha"] {
        for value in foreign().into_iter().chain([json!(0), json!(1), json!("true"), json!("")]) {
            expect_wrong(&harness, json!({ field: value }), field).await;
        }
    }
    for value in foreign().into_iter().chain([json!(0), json!(999), json!("1000"), json!(true)]) {
        expect_wrong(&harness, json!({ "maxDurationMs": value }), "maxDurationMs").await;
    }
    for value in foreign().into_iter().chain([json!("1000"), json!(true), json!(86_400_001), json!(1e300)]) {
        expect_wrong(&harness, json!({ "idleTimeoutMs": value }), "idleTimeoutMs").await;
    }
    for value in foreign().into_iter().chain([json!(1), json!(""), json!("a\u{0}b"), json!("x".repeat(129))]) {
        expect_wrong(&harness, json!({ "profileKey": value }), "profileKey").await;
    }
    for value in
        foreign().into_iter().chain([json!(1), json!(""), json!("IAD"), json!("ia"), json!("iada"), json!("ia1")])
    {
        expect_wrong(&harness, json!({ "region": value }), "region").await;
    }
    for value in [json!(null), json!([]), json!("http://a:1"), json!(1), json!(true)] {
        expect_wrong(&harness, json!({ "proxy": value }), "proxy").await;
    }
    harness.finish().await;
}

#[tokio::test]
async fn every_field_of_a_proxy_with_a_wrong_value_is_named() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let with = |field: &str, value: Option<Value>| {
        let mut proxy =
            json!({"protocol": "http", "host": "proxy.example.org", "port": 80, "username": "a", "password": "b"});
        match value {
            Some(value) => proxy[field] = value,
            None => drop(proxy.as_object_mut().unwrap().remove(field)),
        }
        json!({ "proxy": proxy })
    };
    for field in ["protocol", "host", "port"] {
        expect_wrong(&harness, with(field, None), &format!("proxy.{field}")).await;
    }
    for value in foreign().into_iter().chain([json!("HTTP"), json!("ftp"), json!(""), json!("socks4")]) {
        expect_wrong(&harness, with("protocol", Some(value)), "proxy.protocol").await;
    }
    let inside =
        ["127.0.0.1", "10.0.0.1", "192.168.0.1", "172.31.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"];
    let inside =
        inside.into_iter().chain(["localhost", "LocalHost.", "x.localhost", "0.0.0.0", "100.64.0.1", "198.18.0.1"]);
    let broken =
        ["", "a b", "a/b", "a:80", "[::1]", "user@host", "http://a", "0x7f000001", "2130706433", "127.1", "-a", "a..b"];
    for value in
        foreign().into_iter().chain(inside.chain(broken).map(|host| json!(host))).chain([json!("a".repeat(254))])
    {
        expect_wrong(&harness, with("host", Some(value)), "proxy.host").await;
    }
    for value in foreign().into_iter().chain([json!(0), json!(65_536), json!("80"), json!(true)]) {
        expect_wrong(&harness, with("port", Some(value)), "proxy.port").await;
    }
    for field in ["username", "password"] {
        for value in foreign().into_iter().chain([json!(1), json!("x".repeat(256)), json!("a\r\nb")]) {
            expect_wrong(&harness, with(field, Some(value)), &format!("proxy.{field}")).await;
        }
    }
    expect_wrong(&harness, with("username", None), "proxy.username").await;
    let proxy = with("host", Some(json!("proxy.example.org")))["proxy"].clone();
    for profile in ["shared-dc", "dedicated-dc", "rotating-residential", "static-residential"] {
        expect_wrong(&harness, json!({"proxy": proxy, "egressProfile": profile}), "egressProfile").await;
    }
    expect_wrong(&harness, json!({"egressProfile": "byo-proxy"}), "proxy").await;
    harness.finish().await;
}

#[tokio::test]
async fn a_body_that_is_no_object_is_told() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let bodies = ["", "{", "[]", "null", "1", "\"x\"", "{\"weight\":}", "{'weight':'light'}", "{}{}", "\u{feff}{}"];
    let deep = "[".repeat(100_000);
    for body in bodies.into_iter().chain([deep.as_str()]) {
        let head = harness.post_head(&[&format!("Content-Length: {}", body.len())]);
        harness.send(&(head + body)).await.expect(400, "INVALID_REQUEST");
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "x"] {
        let head = harness.post_head(&[&format!("Content-Type: {content_type}"), "Content-Length: 2"]);
        assert_eq!(harness.send(&(head + "{}")).await.status, 201, "{content_type}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn what_is_right_is_taken_whole() {
    let mut harness = Harness::raised().await;
    let node = harness.node(10).await;
    let body = json!({
        "weight": "heavy", "isolation": "shared", "stealth": false, "recording": false, "captcha": false, "har": false,
        "maxDurationMs": 1e4, "idleTimeoutMs": 0, "region": "iad", "unknown": {"anything": [1, null]},
        "proxy": {
            "protocol": "socks5", "host": "proxy.example.org", "port": 1080, "username": "user", "password": "geheim",
        },
    });
    let created = harness.as_us("POST", "/v1/browsers", Some(body)).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!((&created.body["weight"], &created.body["egressProfile"]), (&json!("heavy"), &json!("byo-proxy")));
    assert_eq!((&created.body["maxDurationMs"], &created.body["idleTimeoutMs"]), (&json!(10_000), &json!(0)));
    let id = created.body["id"].as_str().unwrap();
    let session = harness.as_us("GET", &format!("/v1/browsers?id={id}&waitMs=20000"), None).await;
    assert_eq!(session.body["status"], "ready", "{session:?}");
    assert!(!session.text.contains("geheim") && !created.text.contains("geheim"));
    let assigned = node.assigned.lock().unwrap().clone();
    assert_eq!(assigned[0].limit_mb, 512 + 1024);
    let vitrine_model::wire::Upstream::Fixed(proxy) = &assigned[0].upstream else {
        panic!("{:?}", assigned[0].upstream)
    };
    assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example.org", 1080));
    assert_eq!(proxy.password.as_ref().map(|password| password.reveal()), Some("geheim"));
    assert!(!format!("{assigned:?}").contains("geheim"));
    harness.finish().await;
}
