//! `POST /api/stripe/webhook`: what Stripe says of payments. Only signed words count, and each counts once.

use super::signature;
use crate::answer::Answer;
use crate::app::App;
use crate::request::body;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vitrine_model::api_key::hexadecimal;
use vitrine_model::id::ID_CHARS;
use vitrine_model::{Code, Error, OrderId};
use vitrine_store::Order;

/// The header with the signature.
const SIGNATURE: &str = "stripe-signature";

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// Believes a signed event and acts on it; one that means nothing to us is received too, or it would come for days.
pub async fn receive(State(app): State<App>, headers: HeaderMap, body: Body) -> Answer<Json<Value>> {
    let body = body::bytes(body, app.body_limits()).await?;
    let header = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let secret = app.config.embed.billing.stripe_webhook_secret.as_ref();
    let secret = secret.ok_or_else(|| Error::not_found("endpoint"))?;
    if !signature::is_good(header, &body, secret.reveal(), app.clock.now()) {
        return Err(Error::new(Code::Unauthenticated, "the signature is missing, wrong or old").into());
    }
    let event: Event = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid("body", "expected an event of Stripe").because(error))?;
    let object = event.data.object;
    match event.kind.as_str() {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => paid(&app, &object).await?,
        "checkout.session.expired" | "checkout.session.async_payment_failed" => {
            if let Some(order) = order_of_session(&app, &object).await? {
                app.store.cancel_order(&order.id).await?;
            }
        }
        "invoice.paid" => renewed(&app, &object).await?,
        _ => {}
    }
    Ok(Json(json!({"received": true})))
}

async fn paid(app: &App, session: &Value) -> Result<(), Error> {
    // A session may be complete before its money is there.
    if !matches!(session["payment_status"].as_str(), Some("paid" | "no_payment_required")) {
        return Ok(());
    }
    let Some(order) = order_of_session(app, session).await? else {
        tracing::warn!(session = session["id"].as_str(), "a payment for no order of ours");
        return Ok(());
    };
    if app.pay(&order.id).await?.is_none() {
        tracing::warn!(order = %order.id, "a payment for an order that was cancelled");
    }
    Ok(())
}

/// The order for which a checkout session was made.
async fn order_of_session(app: &App, session: &Value) -> Result<Option<Order>, Error> {
    let order = order(app, &session["client_reference_id"]).await?;
    Ok(order.filter(|order| order.provider_ref.as_deref() == session["id"].as_str()))
}

/// A further month. The first one's invoice belongs to the checkout session, which is the order itself.
async fn renewed(app: &App, invoice: &Value) -> Result<(), Error> {
    let subscription = [&invoice["parent"]["subscription_details"], &invoice["subscription_details"]];
    let named = subscription.into_iter().map(|details| &details["metadata"]["order"]).find(|order| order.is_string());
    let (Some("subscription_cycle"), Some(named), Some(id)) =
        (invoice["billing_reason"].as_str(), named, invoice["id"].as_str())
    else {
        return Ok(());
    };
    let Some(first) = order(app, named).await?.filter(|order| order.organization.is_some()) else {
        tracing::warn!(invoice = id, "a payment for no subscription of ours");
        return Ok(());
    };
    app.renew(&first, &renewal(id)?, id).await
}

/// An invoice's order has an id that follows from the invoice, so that it is made once.
fn renewal(invoice: &str) -> Result<OrderId, Error> {
    let hash = hexadecimal(&Sha256::digest(invoice.as_bytes()));
    OrderId::parse(&hash[..ID_CHARS]).map_err(Error::internal)
}

async fn order(app: &App, id: &Value) -> Result<Option<Order>, Error> {
    let Some(id) = id.as_str().and_then(|id| OrderId::parse(id).ok()) else { return Ok(None) };
    app.store.order(&id).await.map_err(Error::internal)
}
