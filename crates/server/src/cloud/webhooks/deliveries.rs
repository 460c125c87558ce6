//! `GET /v1/webhooks/deliveries`: what was sent, what waits, and each attempt.

use super::find;
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use vitrine_model::WebhookId;
use vitrine_model::webhook::DeliveryState;
use vitrine_store::{Attempt, Delivery};

const LIMIT_MAX: u64 = 100;
const LIMIT_DEFAULT: u64 = 25;

/// One event on its way to one webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The event's, also in the header `webhook-id`.
    pub id: String,
    #[serde(rename = "type")]
    #[schema(example = "session.ready")]
    pub name: String,
    /// Null for a test.
    pub session_id: Option<String>,
    #[schema(schema_with = states)]
    pub state: DeliveryState,
    pub created_at: i64,
    /// Null also while an earlier event of its session waits.
    pub next_attempt_at: Option<i64>,
    /// Oldest first.
    pub attempts: Vec<AttemptView>,
}

/// One try.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
pub struct AttemptView {
    pub number: u32,
    pub at: i64,
    pub duration_ms: u64,
    /// The receiver's; null when it did not answer.
    pub status: Option<u16>,
    pub error: Option<String>,
    /// The first 1,024 bytes of the answer.
    pub response: Option<String>,
}

/// Deliveries, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryList {
    pub data: Vec<DeliveryView>,
}

fn states() -> RefOr<Schema> {
    words(
        "`failed`: tried for a day in vain; `abandoned`: the webhook was disabled first",
        DeliveryState::ALL.map(DeliveryState::as_str),
    )
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.event.to_string(),
            name: delivery.name,
            session_id: delivery.session.map(|session| session.to_string()),
            state: delivery.state,
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_at,
            attempts: delivery.attempts.into_iter().map(AttemptView::from).collect(),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let Attempt { number, at, duration_ms, status, error, response } = attempt;
        Self { number, at, duration_ms, status, error, response }
    }
}

/// List what was sent to a webhook in the last 30 days, with every attempt.
#[utoipa::path(
    get, path = "/v1/webhooks/deliveries", operation_id = "listWebhookDeliveries", tag = "Webhooks",
    params(
        ("id" = String, Query, description = "The webhook"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 100, description = "How many; 25 when left out"),
    ),
    responses((status = 200, description = "Newest first", body = DeliveryList))
)]
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<DeliveryList>> {
    let id: WebhookId = query.id("webhook")?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as u32;
    let webhook = find(&app, &caller, &id).await?;
    let deliveries = app.store.deliveries(&webhook.id, limit).await?;
    Ok(Json(DeliveryList { data: deliveries.into_iter().map(DeliveryView::from).collect() }))
}
