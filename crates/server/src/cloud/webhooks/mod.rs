//! `/v1/webhooks`: where an organization's events go, and how it went.

pub mod change;
pub mod create;
pub mod delete;
pub mod deliveries;
pub mod read;
pub mod test;

use crate::app::App;
use crate::gate::Caller;
use crate::request::Fields;
use crate::webhooks::{URL_BYTES_MAX, check_target};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{RefOr, Schema};
use vitrine_model::webhook::{Disabled, EventFilter, WebhookSecret};
use vitrine_model::{EpochMs, Error, WebhookId};
use vitrine_store::Webhook;

/// Longest description.
const DESCRIPTION_BYTES_MAX: usize = 200;
/// Entries of a list of events; there are not so many events.
const EVENTS_MAX: usize = 64;

/// A webhook, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookView {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    #[schema(example = "https://hooks.example.org/vitrine")]
    pub url: String,
    #[schema(schema_with = events)]
    pub events: EventFilter,
    pub description: String,
    pub enabled: bool,
    /// Why it is not: `requested`, `failing` (nothing but failures for a day) or `gone` (its receiver answered 410).
    #[schema(value_type = Option<String>)]
    pub disabled_reason: Option<Disabled>,
    /// Attempts that failed since the last one that did not.
    pub failures: u32,
    pub failing_since: Option<i64>,
    pub last_delivered_at: Option<i64>,
    #[schema(example = 1_772_078_705_353_i64)]
    pub created_at: i64,
}

/// A webhook with a secret that is not shown again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownWebhook {
    #[serde(flatten)]
    pub view: WebhookView,
    /// Signs its messages; only in the answers that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    pub secret: Option<String>,
    /// After a rotation: until when the old secret signs, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<i64>,
}

fn events() -> RefOr<Schema> {
    let items = super::words("Names of events, beginnings of names such as `session.*`, or `*`", std::iter::empty());
    ArrayBuilder::new().items(items).build().into()
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id.to_string(),
            url: webhook.url,
            events: webhook.events,
            description: webhook.description,
            enabled: webhook.disabled.is_none(),
            disabled_reason: webhook.disabled,
            failures: webhook.failures,
            failing_since: webhook.failing_since,
            last_delivered_at: webhook.last_delivered_at,
            created_at: webhook.created_at,
        }
    }
}

impl ShownWebhook {
    fn with(webhook: Webhook, secret: Option<&WebhookSecret>, old_secret_until: Option<EpochMs>) -> Self {
        Self { view: webhook.into(), secret: secret.map(WebhookSecret::reveal), old_secret_until }
    }
}

/// The caller's webhook.
async fn find(app: &App, caller: &Caller, id: &WebhookId) -> Result<Webhook, Error> {
    let webhook = app.store.webhook(caller.organization_id(), id).await.map_err(Error::internal)?;
    webhook.ok_or_else(|| Error::not_found("webhook"))
}

fn read_id(fields: &Fields) -> Result<WebhookId, Error> {
    let id = fields.required("id", fields.text("id", 1..=64)?)?;
    id.parse().map_err(|_| Error::not_found("webhook"))
}

fn read_url(app: &App, fields: &Fields) -> Result<Option<String>, Error> {
    let Some(url) = fields.text("url", 1..=URL_BYTES_MAX)? else { return Ok(None) };
    check_target(url, app.config.webhooks.allow_private).map_err(|error| fields.wrong("url", error))?;
    Ok(Some(url.to_owned()))
}

fn read_events(fields: &Fields) -> Result<Option<EventFilter>, Error> {
    let Some(value) = fields.value("events") else { return Ok(None) };
    let list = value.as_array().filter(|list| (1..=EVENTS_MAX).contains(&list.len()));
    let list = list.and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let expected = || format!("expected a list of 1 to {EVENTS_MAX} names of events");
    let list = list.ok_or_else(|| fields.wrong("events", expected()))?;
    let filter = EventFilter::new(list);
    filter.map(Some).map_err(|entry| {
        let entry: String = entry.chars().take(64).collect();
        fields.wrong("events", format!("{entry:?} matches no event; expected names, session.*, sandbox.* or *"))
    })
}

fn read_description(fields: &Fields) -> Result<Option<String>, Error> {
    Ok(fields.text("description", 0..=DESCRIPTION_BYTES_MAX)?.map(str::to_owned))
}
