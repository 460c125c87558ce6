//! `DELETE /v1/browsers`: end a session.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use vitrine_model::{EndReason, Error, SessionId};

/// End a session and trigger cleanup.
///
/// Ending one that is over is no mistake.
#[utoipa::path(
    delete, path = "/v1/browsers", operation_id = "endBrowser", tag = "Browser sessions",
    params(("id" = String, Query, description = "The session")),
    responses((status = 200, description = "It is ending, or over", body = Done))
)]
pub async fn end(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Done>> {
    let id: SessionId = query.id("session")?;
    super::owned(&app, &caller, &id).await?;
    let session = app.end(&id, Some(caller.organization_id()), EndReason::Deleted).await?;
    session.ok_or_else(|| Error::not_found("session"))?;
    Ok(Json(DONE))
}
