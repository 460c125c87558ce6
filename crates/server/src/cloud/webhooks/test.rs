//! `POST /v1/webhooks/test`: one message now, to see whether it arrives.

use super::{find, read_id};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, body};
use crate::webhooks::Message;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::EventId;
use vitrine_model::webhook::TEST_EVENT;

/// Which webhook is tried.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TestWebhook {
    pub id: String,
}

/// What became of the message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// Whether the receiver answered 2xx.
    pub ok: bool,
    /// The receiver's; null when it did not answer.
    #[schema(example = 204)]
    pub status: Option<u16>,
    #[schema(example = 38)]
    pub duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Send a `webhook.test` event once, also to a disabled webhook, and say how it went.
#[utoipa::path(
    post, path = "/v1/webhooks/test", operation_id = "testWebhook", tag = "Webhooks", request_body = TestWebhook,
    responses((status = 200, description = "Sent or not; the attempt is among the deliveries", body = Tried))
)]
pub async fn test(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<Tried>> {
    let object = body::object(body, app.body_limits()).await?;
    let webhook = find(&app, &caller, &read_id(&Fields::of(&object))?).await?;
    let now = app.clock.now();
    let event = EventId::new(now, app.entropy.as_ref());
    let outcome = app.sender.send(&webhook, &Message::test(&event, &webhook, now), now).await;
    let attempt = outcome.attempt(1);
    app.store.keep_test(&webhook.id, &event, TEST_EVENT, &attempt).await?;
    let (status, duration_ms, error) = (attempt.status, attempt.duration_ms, attempt.error);
    Ok(Json(Tried { ok: error.is_none(), status, duration_ms, error }))
}
