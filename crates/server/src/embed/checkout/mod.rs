//! `POST /api/v1/checkout`: an order of minutes, and what becomes of it.
//!
//! An order's id is 21 random characters long, and whoever knows it may see the order: its page is for the buyer. A payment
//! grants the minutes once; where the order named no organization it makes one, whose first key the page shows once.

mod order;
mod page;
mod signature;
pub mod stripe;
mod webhook;

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::ErrorBody;
use crate::config::{Class, Provider};
use crate::gate::{Gate, admit, authenticate};
use crate::request::{Fields, body};
use axum::body::Body;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vitrine_model::{Error, OrderId};
use vitrine_store::NewOrder;

/// Longest address, after RFC 5321.
const EMAIL_BYTES_MAX: usize = 254;
/// Longest text that is read as a product.
const PRODUCT_BYTES_MAX: usize = 64;

/// What is bought.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreateCheckout, example = json!({"product": "minutes_300", "email": "you@example.com"}))]
pub struct CheckoutBody {
    /// As `GET /api/v1/pricing` lists it.
    #[schema(max_length = 64)]
    pub product: String,
    /// Of the buyer.
    #[schema(nullable = false, max_length = 254)]
    pub email: Option<String>,
}

/// Where it is paid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Checkout {
    /// A page for the buyer.
    #[schema(example = "https://browsers.example.org/checkout/mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub checkout_url: String,
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub checkout_id: String,
}

/// The pages, and what the billing provider calls.
pub fn router(app: &App) -> Router<App> {
    let gate = Gate::Open { class: Class::EmbedPublic };
    Router::new()
        .route("/checkout/{order}", get(page::show))
        .route("/checkout/{order}/key", post(page::reveal))
        .route("/api/stripe/webhook", post(webhook::receive))
        .route_layer(from_fn_with_state((app.clone(), gate), admit))
}

/// Order minutes.
///
/// Without a key the payment makes an organization, and its key is shown once on the page where it is paid. With a key (of this
/// API or the cloud API) the minutes are the key's organization's.
#[utoipa::path(
    post, path = "/api/v1/checkout", operation_id = "createCheckout", tag = "Minutes", request_body = CheckoutBody,
    responses(
        (status = 200, description = "Where it is paid", body = Checkout),
        (status = 401, description = "A key was sent, and it is not good", body = ErrorBody),
        (status = 503, description = "`unavailable`: the billing provider did not answer", body = ErrorBody),
    )
)]
pub async fn create(State(app): State<App>, headers: HeaderMap, body: Body) -> Answer<(StatusCode, Json<Checkout>)> {
    let wish = body::object(body, app.body_limits()).await?;
    let mut order = read(&app, &wish)?;
    if headers.contains_key(AUTHORIZATION) {
        order.organization = Some(authenticate(&app, &headers).await?.organization.id);
    }
    let own_page = app.base(&headers)?.http(&format!("/checkout/{}", order.id));
    let checkout_url = match app.config.embed.billing.provider {
        Provider::Manual => own_page,
        Provider::Stripe => {
            let session = app.stripe.checkout(&app.config.embed.billing, &order, &own_page).await?;
            order.provider_ref = Some(session.id);
            session.url
        }
    };
    app.store.create_order(&order, app.clock.now()).await?;
    Ok((StatusCode::OK, Json(Checkout { checkout_url, checkout_id: order.id.to_string() })))
}

fn read(app: &App, body: &Map<String, Value>) -> Result<NewOrder, Error> {
    let fields = Fields::of(body);
    let config = &app.config.embed;
    let product = fields.required("product", fields.text("product", 1..=PRODUCT_BYTES_MAX)?)?;
    let pack = config.packs.iter().find(|pack| pack.product == product).ok_or_else(|| {
        let known = config.packs.iter().map(|pack| pack.product.as_str()).collect::<Vec<_>>().join(", ");
        fields.wrong("product", format!("expected one of {known}"))
    })?;
    let email = fields.text("email", 1..=EMAIL_BYTES_MAX)?;
    if email.is_some_and(|email| !is_email(email)) {
        return Err(fields.wrong("email", "expected an address such as you@example.com"));
    }
    Ok(NewOrder {
        id: OrderId::new(app.clock.now(), app.entropy.as_ref()),
        product: pack.product.clone(),
        minutes: pack.minutes,
        price_cents: pack.price_cents,
        currency: config.currency.clone(),
        email: email.map(str::to_owned),
        provider: config.billing.provider.as_str().to_owned(),
        provider_ref: None,
        organization: None,
    })
}

/// Whether a message could go there; whether it arrives, only sending tells.
fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else { return false };
    let plain = |text: &str| !text.contains(|char: char| char.is_whitespace() || "<>()[],;:\\\"@".contains(char));
    let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    !user.is_empty() && plain(user) && plain(host) && host.contains('.') && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_email;

    #[test]
    fn an_address_has_a_user_and_a_host_with_a_dot() {
        for right in ["you@example.com", "first.last+tag@sub.example.co", "o'neil@example.com", "ü@müller.example"] {
            assert!(is_email(right), "{right}");
        }
        for wrong in
            ["", "you", "@example.com", "you@", "you@host", "a b@example.com", "a@b@c.d", "you@.com", "you@a..b"]
        {
            assert!(!is_email(wrong), "{wrong}");
        }
    }
}
