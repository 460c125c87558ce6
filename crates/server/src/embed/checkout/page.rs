//! `/checkout/ORDER`: what a buyer sees of an order. Pages without scripts, which nobody frames and which lead nowhere.

use crate::app::App;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, REFRESH};
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use vitrine_model::{Error, OrderId};
use vitrine_store::{Order, OrderStatus};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;\
    color-scheme:light dark}code{display:block;padding:.75rem;border:1px solid;border-radius:.4rem;\
    overflow-wrap:anywhere;user-select:all}button{font:inherit;padding:.5rem 1rem}";
/// How often a page that waits for the payment looks again, in seconds.
const LOOK_AGAIN: HeaderValue = HeaderValue::from_static("10");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// `GET /checkout/ORDER`.
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Response {
    match found(&app, &id).await {
        Ok(Some(order)) => shown(&order),
        Ok(None) => unknown(),
        Err(error) => failed(error),
    }
}

/// `POST /checkout/ORDER/key`: shows the key, once.
pub async fn reveal(State(app): State<App>, Path(id): Path<String>) -> Response {
    let order = match found(&app, &id).await {
        Ok(Some(order)) => order,
        Ok(None) => return unknown(),
        Err(error) => return failed(error),
    };
    match app.reveal_key(&order.id).await {
        Ok(Some(key)) => {
            let text = format!(
                "<p>This is your API key. It is shown this once; keep it where only your servers can read it.\
                 <p><code>{}</code>",
                key.reveal()
            );
            page(StatusCode::OK, "Your API key", &text)
        }
        Ok(None) => {
            let text =
                "<p>This order has no key to show, or it was shown before. With a lost key, turn to the operator.";
            page(StatusCode::GONE, "No key", text)
        }
        Err(error) => failed(error),
    }
}

async fn found(app: &App, id: &str) -> Result<Option<Order>, Error> {
    let Ok(id) = OrderId::parse(id) else { return Ok(None) };
    app.store.order(&id).await.map_err(Error::internal)
}

fn shown(order: &Order) -> Response {
    let (minutes, amount) = (order.minutes, price(order));
    match order.status {
        OrderStatus::Pending => {
            let text = match order.provider.as_str() {
                "manual" => "The operator confirms it when the payment is there.",
                _ => "The payment is not confirmed yet.",
            };
            let text = format!(
                "<p>{minutes} minutes for {amount}.<p>{text} This page looks again by itself.\
                 <p>Order <code>{}</code>",
                order.id
            );
            let mut page = page(StatusCode::OK, "Waiting for the payment", &text);
            page.headers_mut().insert(REFRESH, LOOK_AGAIN);
            page
        }
        OrderStatus::Paid if order.makes_organization && order.key_shown_at.is_none() => {
            let text = format!(
                "<p>{minutes} minutes are yours. Your API key is shown once, when you ask for it.\
                 <form method=\"post\" action=\"{}/key\"><button>Show the key</button></form>",
                order.id
            );
            page(StatusCode::OK, "Thank you", &text)
        }
        OrderStatus::Paid => {
            page(StatusCode::OK, "Thank you", &format!("<p>{minutes} minutes were added to your balance."))
        }
        OrderStatus::Cancelled => page(StatusCode::OK, "Cancelled", "<p>This order was cancelled; nothing was paid."),
    }
}

/// For example `20.00 USD`.
fn price(order: &Order) -> String {
    let (whole, cents) = (order.price_cents / 100, order.price_cents % 100);
    format!("{whole}.{cents:02} {}", order.currency.to_ascii_uppercase())
}

fn unknown() -> Response {
    page(StatusCode::NOT_FOUND, "No such order", "<p>Check the address, or order again.")
}

fn failed(error: Error) -> Response {
    let mut page =
        page(StatusCode::INTERNAL_SERVER_ERROR, "Not now", "<p>Something went wrong on our side; try again.");
    page.extensions_mut().insert(error);
    page
}

/// `text` is ours: nothing in it was sent by anybody.
fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{text}"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
    ];
    (status, headers, html).into_response()
}
