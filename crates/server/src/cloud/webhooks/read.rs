//! `GET /v1/webhooks`: one, or all.

use super::{WebhookView, find};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// An organization's webhooks, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookList {
    pub data: Vec<WebhookView>,
}

/// One webhook with `id`, else all.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum WebhookOrWebhooks {
    One(Box<WebhookView>),
    Many(WebhookList),
}

/// Show a webhook, or list the organization's.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "readWebhooks", tag = "Webhooks",
    params(("id" = Option<String>, Query, description = "Only this one")),
    responses((status = 200, description = "`Webhook` with `id`, else `WebhookList`", body = WebhookOrWebhooks))
)]
pub async fn read(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<WebhookOrWebhooks>> {
    if query.text("id").is_some() {
        let webhook = find(&app, &caller, &query.id("webhook")?).await?;
        return Ok(Json(WebhookOrWebhooks::One(Box::new(webhook.into()))));
    }
    let webhooks = app.store.webhooks(caller.organization_id()).await?;
    let data = webhooks.into_iter().map(WebhookView::from).collect();
    Ok(Json(WebhookOrWebhooks::Many(WebhookList { data })))
}
