//! `POST /v1/webhooks`: events go to one more address.

use super::{ShownWebhook, read_description, read_events, read_url};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::webhook::{EventFilter, WEBHOOKS_MAX, WebhookSecret};
use vitrine_model::{Code, Error, WebhookId};
use vitrine_store::Webhook;

/// What a new webhook should be.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({"url": "https://hooks.example.org/vitrine", "events": ["session.*"]}))]
pub struct CreateWebhook {
    /// `https://…`, on the public network.
    #[schema(max_length = 2048)]
    pub url: String,
    /// Left out: all of them.
    #[schema(required = false, schema_with = super::events)]
    pub events: EventFilter,
    #[schema(required = false, max_length = 200)]
    pub description: String,
}

/// Send events to an address; the secret that signs them is in this answer only.
#[utoipa::path(
    post, path = "/v1/webhooks", operation_id = "createWebhook", tag = "Webhooks", request_body = CreateWebhook,
    responses(
        (status = 201, description = "The webhook with its secret", body = ShownWebhook),
        (status = 409, description = "`INVALID_STATE`: the organization has as many as it may", body = crate::cloud::ErrorBody),
    )
)]
pub async fn create(State(app): State<App>, caller: Caller, body: Body) -> Answer<(StatusCode, Json<ShownWebhook>)> {
    let object = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&object);
    let now = app.clock.now();
    let webhook = Webhook {
        id: WebhookId::new(now, app.entropy.as_ref()),
        organization: caller.organization_id().clone(),
        url: fields.required("url", read_url(&app, &fields)?)?,
        events: read_events(&fields)?.unwrap_or_default(),
        description: read_description(&fields)?.unwrap_or_default(),
        secret: WebhookSecret::new(app.entropy.as_ref()),
        old_secret: None,
        disabled: None,
        failures: 0,
        failing_since: None,
        last_delivered_at: None,
        created_at: now,
    };
    if !app.store.create_webhook(&webhook).await? {
        let message = format!("an organization has at most {WEBHOOKS_MAX} webhooks");
        return Err(Error::new(Code::InvalidState, message).with("limit", WEBHOOKS_MAX).into());
    }
    let secret = webhook.secret.clone();
    Ok((StatusCode::CREATED, Json(ShownWebhook::with(webhook, Some(&secret), None))))
}
