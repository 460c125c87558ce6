//! `DELETE /v1/sandboxes`: end a sandbox.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use vitrine_model::{EndReason, Error};

/// End a sandbox session.
///
/// Ending one that is over is no mistake. One whose workspace is kept is checkpointed first.
#[utoipa::path(
    delete, path = "/v1/sandboxes", operation_id = "endSandbox", tag = "Sandboxes",
    params(("id" = String, Query, description = "The sandbox")),
    responses((status = 200, description = "It is ending, or over", body = Done))
)]
pub async fn end(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Done>> {
    let session = super::asked(&app, &caller, &query).await?;
    let ended = app.end(&session.id, Some(caller.organization_id()), EndReason::Deleted).await?;
    ended.ok_or_else(|| Error::not_found("sandbox"))?;
    Ok(Json(DONE))
}
