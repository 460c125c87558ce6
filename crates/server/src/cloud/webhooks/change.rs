//! `PATCH /v1/webhooks`: another address, other events, off, on, another secret.

use super::{ShownWebhook, read_description, read_events, read_id, read_url};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::Error;
use vitrine_model::webhook::{EventFilter, WebhookSecret};
use vitrine_store::WebhookChange;

/// What is to be different; what is left out stays.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeWebhook {
    pub id: String,
    #[schema(required = false, max_length = 2048)]
    pub url: String,
    #[schema(required = false, schema_with = super::events)]
    pub events: EventFilter,
    #[schema(required = false, max_length = 200)]
    pub description: String,
    /// `false` abandons what waits; `true` forgives what failed.
    #[schema(required = false)]
    pub enabled: bool,
    /// Makes a new secret; the old one signs for 24 hours more, beside it.
    #[schema(required = false)]
    pub rotate_secret: bool,
}

/// Change a webhook.
#[utoipa::path(
    patch, path = "/v1/webhooks", operation_id = "changeWebhook", tag = "Webhooks", request_body = ChangeWebhook,
    responses((status = 200, description = "As it is now; with its secret when that is new", body = ShownWebhook))
)]
pub async fn change(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<ShownWebhook>> {
    let object = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&object);
    let id = read_id(&fields)?;
    let rotate = fields.flag("rotateSecret")?.unwrap_or(false);
    let change = WebhookChange {
        url: read_url(&app, &fields)?,
        events: read_events(&fields)?,
        description: read_description(&fields)?,
        enabled: fields.flag("enabled")?,
        secret: rotate.then(|| WebhookSecret::new(app.entropy.as_ref())),
    };
    let changed = app.store.change_webhook(caller.organization_id(), &id, &change, app.clock.now()).await?;
    let changed = changed.ok_or_else(|| Error::not_found("webhook"))?;
    let old_until = changed.old_secret.as_ref().filter(|_| rotate).map(|(_, until)| *until);
    Ok(Json(ShownWebhook::with(changed, change.secret.as_ref(), old_until)))
}
