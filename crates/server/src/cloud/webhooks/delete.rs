//! `DELETE /v1/webhooks`: nothing is sent there any more.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use vitrine_model::Error;

/// Delete a webhook with its deliveries.
#[utoipa::path(
    delete, path = "/v1/webhooks", operation_id = "deleteWebhook", tag = "Webhooks",
    params(("id" = String, Query, description = "The webhook")),
    responses((status = 200, description = "What waited is not sent", body = Done))
)]
pub async fn delete(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Done>> {
    let deleted = app.store.delete_webhook(caller.organization_id(), &query.id("webhook")?).await?;
    if deleted { Ok(Json(DONE)) } else { Err(Error::not_found("webhook").into()) }
}
