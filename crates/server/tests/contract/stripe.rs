//! Orders that Stripe takes the money for, with a Stripe of ours that speaks the real one's protocol: form-encoded requests
//! with a bearer key and an idempotency key, JSON answers, signed events.

use crate::support::{Harness, Reply, raised};
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use hmac::{Hmac, Mac};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use vitrine_model::Secret;
use vitrine_model::api_key::hexadecimal;
use vitrine_server::config::{Billing, Provider, ServerConfig};
use vitrine_server::{Clock, SystemClock};

const KEY: &str = "sk_test_geheim";
const SIGNS: &str = "whsec_geheim";

/// Checkout sessions by the idempotency key that made them.
#[derive(Clone, Default)]
struct FakeStripe {
    sessions: Arc<Mutex<HashMap<String, Value>>>,
    url: String,
}

impl FakeStripe {
    async fn start() -> Self {
        // The server's client needs one, also where it speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stripe = Self { url, ..Self::default() };
        let router = Router::new().route("/v1/checkout/sessions", post(create)).with_state(stripe.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stripe
    }

    fn config(&self) -> ServerConfig {
        let mut config = raised();
        config.embed.billing = Billing {
            provider: Provider::Stripe,
            stripe_secret_key: Some(Secret::new(KEY)),
            stripe_webhook_secret: Some(Secret::new(SIGNS)),
            stripe_url: self.url.clone(),
        };
        config
    }

    fn session(&self, order: &str) -> Value {
        self.sessions.lock().unwrap()[order].clone()
    }
}

fn failed(status: StatusCode, kind: &str) -> Response {
    (status, Json(json!({"error": {"type": kind, "message": "no"}}))).into_response()
}

async fn create(State(stripe): State<FakeStripe>, headers: HeaderMap, body: String) -> Response {
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    // A form is a query in another place.
    let Query(form) = Query::<HashMap<String, String>>::try_from_uri(&format!("/?{body}").parse().unwrap()).unwrap();
    if headers["authorization"] != format!("Bearer {KEY}") {
        return failed(StatusCode::UNAUTHORIZED, "invalid_request_error");
    }
    let recurring = form.contains_key("line_items[0][price_data][recurring][interval]");
    let known = form.get("mode").is_some_and(|mode| mode == if recurring { "subscription" } else { "payment" });
    let needed = ["success_url", "line_items[0][quantity]", "line_items[0][price_data][product_data][name]"];
    if !known || needed.iter().any(|name| !form.contains_key(*name)) {
        return failed(StatusCode::BAD_REQUEST, "invalid_request_error");
    }
    let once = headers["idempotency-key"].to_str().unwrap().to_owned();
    let mut sessions = stripe.sessions.lock().unwrap();
    let id = format!("cs_test_{}", sessions.len() + 1);
    let session = sessions.entry(once).or_insert_with(|| {
        json!({
            "id": id, "object": "checkout.session", "mode": form["mode"], "status": "open", "payment_status": "unpaid",
            "client_reference_id": form["client_reference_id"], "customer_email": form.get("customer_email"),
            "currency": form["line_items[0][price_data][currency]"], "success_url": form["success_url"],
            "amount_total": form["line_items[0][price_data][unit_amount]"].parse::<u64>().unwrap(),
            "metadata": {"order": form.get("subscription_data[metadata][order]")},
            "url": format!("https://checkout.stripe.example/c/pay/{id}"),
        })
    });
    Json(session.clone()).into_response()
}

fn signed(body: &[u8], secret: &str, at_s: i64) -> String {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at_s}.").as_bytes());
    mac.update(body);
    format!("t={at_s},v1={}", hexadecimal(&mac.finalize().into_bytes()))
}

async fn tell(harness: &Harness, kind: &str, object: Value) -> Reply {
    let event = json!({"id": "evt_1", "object": "event", "type": kind, "data": {"object": object}}).to_string();
    let signature = signed(event.as_bytes(), SIGNS, SystemClock.now() / 1_000);
    say(harness, &event, &signature).await
}

async fn say(harness: &Harness, event: &str, signature: &str) -> Reply {
    let head = format!("POST /api/stripe/webhook HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", harness.address);
    let length = Bytes::from(event.to_owned()).len();
    harness.send(&format!("{head}Stripe-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{event}")).await
}

async fn order(harness: &Harness, product: &str) -> String {
    let body = json!({"product": product, "email": "you+tag@example.com"});
    let made = harness.ask("POST", "/api/v1/checkout", None, Some(body)).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert!(made.body["checkout_url"].as_str().unwrap().starts_with("https://checkout.stripe.example/c/pay/cs_test_"));
    made.body["checkout_id"].as_str().unwrap().to_owned()
}

async fn key_of(harness: &Harness, order: &str) -> String {
    let shown = harness.ask("POST", &format!("/checkout/{order}/key"), None, None).await;
    let key = shown.text.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next());
    key.unwrap_or_else(|| panic!("{shown:?}")).to_owned()
}

async fn minutes(harness: &Harness, key: &str) -> Value {
    harness.ask("GET", "/api/v1/balance", Some(key), None).await.body["balance_minutes"].clone()
}

#[tokio::test]
async fn a_payment_counts_once_and_only_when_it_is_signed() {
    let stripe = FakeStripe::start().await;
    let harness = Harness::start(stripe.config()).await;
    let id = order(&harness, "minutes_300").await;
    let mut session = stripe.session(&id);
    assert_eq!((&session["amount_total"], &session["currency"]), (&json!(2_000), &json!("usd")));
    assert_eq!(session["customer_email"], "you+tag@example.com");
    assert_eq!(session["success_url"], format!("http://{}/checkout/{id}", harness.address));
    let done = "checkout.session.completed";
    assert_eq!(tell(&harness, done, session.clone()).await.body, json!({"received": true}));
    let waiting = harness.ask("GET", &format!("/checkout/{id}"), None, None).await;
    assert!(waiting.text.contains("Waiting for the payment"), "complete, but not paid: {waiting:?}");

    session["payment_status"] = json!("paid");
    let event = json!({"type": done, "data": {"object": session}}).to_string();
    let now = SystemClock.now() / 1_000;
    let good = signed(event.as_bytes(), SIGNS, now);
    for forged in [
        String::new(),
        signed(event.as_bytes(), "whsec_other", now),
        signed(event.as_bytes(), SIGNS, now - 301),
        signed(b"{}", SIGNS, now),
        good.replace("v1=", "v0="),
    ] {
        say(&harness, &event, &forged).await.expect(401, "unauthorized");
    }
    let mut strangers = session.clone();
    strangers["id"] = json!("cs_test_other");
    assert_eq!(tell(&harness, done, strangers).await.status, 200, "of no order of ours: received, and nothing done");
    assert!(harness.ask("GET", &format!("/checkout/{id}"), None, None).await.text.contains("Waiting"));
    let told = (0..20).map(|_| say(&harness, &event, &good));
    assert!(futures_util::future::join_all(told).await.iter().all(|answer| answer.status == 200));
    let key = key_of(&harness, &id).await;
    assert_eq!(minutes(&harness, &key).await, 300);
    harness.finish().await;
}

#[tokio::test]
async fn a_subscription_is_granted_anew_each_month() {
    let stripe = FakeStripe::start().await;
    let harness = Harness::start(stripe.config()).await;
    let id = order(&harness, "subscription").await;
    let mut session = stripe.session(&id);
    assert_eq!((&session["mode"], &session["metadata"]["order"]), (&json!("subscription"), &json!(id)));
    session["payment_status"] = json!("paid");
    tell(&harness, "checkout.session.completed", session).await;
    let key = key_of(&harness, &id).await;
    let details = json!({"subscription_details": {"metadata": {"order": id}}});
    let first = json!({"id": "in_1", "billing_reason": "subscription_create", "parent": details});
    tell(&harness, "invoice.paid", first).await;
    assert_eq!(minutes(&harness, &key).await, 1_000, "the first month is the order's own");
    let second = json!({"id": "in_2", "billing_reason": "subscription_cycle", "parent": details});
    for _ in 0..3 {
        assert_eq!(tell(&harness, "invoice.paid", second.clone()).await.status, 200);
    }
    assert_eq!(minutes(&harness, &key).await, 2_000);
    let mut older = json!({"id": "in_3", "billing_reason": "subscription_cycle"});
    older["subscription_details"] = details["subscription_details"].clone();
    tell(&harness, "invoice.paid", older).await;
    assert_eq!(minutes(&harness, &key).await, 3_000);
    harness.finish().await;
}

#[tokio::test]
async fn what_is_not_paid_is_cancelled_and_a_provider_that_refuses_is_told() {
    let stripe = FakeStripe::start().await;
    let harness = Harness::start(stripe.config()).await;
    let id = order(&harness, "minutes_60").await;
    tell(&harness, "checkout.session.expired", stripe.session(&id)).await;
    assert!(harness.ask("GET", &format!("/checkout/{id}"), None, None).await.text.contains("Cancelled"));
    let refused = harness.as_operator("POST", "/admin/v1/orders/confirm", Some(json!({"id": id}))).await;
    refused.expect(409, "INVALID_STATE");
    harness.finish().await;
    let mut config = stripe.config();
    config.embed.billing.stripe_secret_key = Some(Secret::new("sk_test_wrong"));
    let harness = Harness::start(config).await;
    let body = json!({"product": "minutes_60"});
    let refused = harness.ask("POST", "/api/v1/checkout", None, Some(body)).await;
    assert!(!refused.expect(503, "unavailable").text.contains("sk_test"));
    assert!(!harness.as_operator("GET", "/admin/v1/configuration", None).await.text.contains("geheim"));
    harness.finish().await;
}
