//! `DELETE /api/v1/sessions/ID`: end a session.

use super::owned;
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::Error;

/// What came back.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EndedEmbedSession)]
pub struct EndedSession {
    pub id: String,
    #[schema(value_type = String, example = "ended")]
    pub status: &'static str,
    /// Whole minutes that were not used; the same when it is asked again.
    #[schema(example = 12)]
    pub refunded_minutes: u32,
}

/// End a session and return unused minutes.
///
/// The time used rounds up to a whole minute, at least one. One that has run out returns nothing.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", operation_id = "endEmbedSession", tag = "Embed sessions",
    params(("id" = String, Path, description = "The session")),
    responses((status = 200, description = "It is ending, or over", body = EndedSession))
)]
pub async fn end(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer<Json<EndedSession>> {
    let (session, _) = owned(&app, &caller, &id).await?;
    let refunded_minutes = app.end_embed(caller.organization_id(), &session.id).await?;
    let refunded_minutes = refunded_minutes.ok_or_else(|| Error::not_found("session"))?;
    Ok(Json(EndedSession { id, status: "ended", refunded_minutes }))
}
