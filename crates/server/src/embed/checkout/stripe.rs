//! Stripe: a checkout session for each order, made over its HTTP API.

use crate::config::Billing;
use crate::embed::pricing::SUBSCRIPTION;
use crate::percent;
use http::header::CONTENT_TYPE;
use reqwest::{Client, redirect};
use serde::Deserialize;
use std::sync::OnceLock;
use std::time::Duration;
use vitrine_model::{Code, Error, Secret};
use vitrine_store::NewOrder;

/// Stripe answers within this time, or the client hears that it did not.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest answer that is read: a checkout session is a few kilobytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The client of Stripe's API.
#[derive(Default)]
pub struct Stripe {
    /// Made when it is first needed: it loads the system's certificates.
    client: OnceLock<Client>,
}

/// A checkout session.
#[derive(Deserialize)]
pub struct CheckoutSession {
    pub id: String,
    /// Where it is paid.
    pub url: String,
}

impl Stripe {
    /// Makes a checkout session that leads back to `own_page`.
    pub async fn checkout(
        &self,
        billing: &Billing,
        order: &NewOrder,
        own_page: &str,
    ) -> Result<CheckoutSession, Error> {
        let unavailable = |cause: &dyn std::fmt::Display| {
            Error::new(Code::Unavailable, "the billing provider did not answer; try again").because(cause)
        };
        let key = billing.stripe_secret_key.as_ref().map_or("", Secret::reveal);
        let url = format!("{}/v1/checkout/sessions", billing.stripe_url.trim_end_matches('/'));
        let request = self.client().map_err(|error| unavailable(&error))?.post(url);
        let request = request
            .bearer_auth(key)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            // The same order is never paid twice.
            .header("idempotency-key", order.id.as_str())
            .body(form(order, own_page));
        // The error's own text names the URL, which holds no secret: the key is a header.
        let mut answer = request.send().await.map_err(|error| unavailable(&error))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unavailable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(unavailable(&"an answer without end"));
            }
        }
        if !status.is_success() {
            return Err(unavailable(&format_args!("{status}: {}", String::from_utf8_lossy(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| unavailable(&error))
    }

    fn client(&self) -> Result<&Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .user_agent(concat!("vitrine/", env!("CARGO_PKG_VERSION")))
            .timeout(ANSWER_TIME_MAX)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// The order as Stripe's form.
fn form(order: &NewOrder, own_page: &str) -> String {
    let is_subscription = order.product == SUBSCRIPTION;
    let (id, minutes, price) = (order.id.to_string(), order.minutes.to_string(), order.price_cents.to_string());
    let name = format!("{minutes} browser minutes");
    let mut fields = vec![
        ("mode", if is_subscription { "subscription" } else { "payment" }),
        ("success_url", own_page),
        ("cancel_url", own_page),
        ("client_reference_id", &id),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", &order.currency),
        ("line_items[0][price_data][unit_amount]", &price),
        ("line_items[0][price_data][product_data][name]", &name),
    ];
    if is_subscription {
        fields.push(("line_items[0][price_data][recurring][interval]", "month"));
        // Each month's invoice carries it.
        fields.push(("subscription_data[metadata][order]", &id));
    }
    if let Some(email) = &order.email {
        fields.push(("customer_email", email));
    }
    let pair =
        |(name, value): &(&str, &str)| format!("{}={}", percent::encoded(name, b""), percent::encoded(value, b""));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}
