//! `GET /api/v1/sessions/ID`.

use super::{SessionView, owned, view};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::gate::Caller;
use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::Status;
use vitrine_store::Session;

/// A session as it is read again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReadEmbedSession)]
pub struct ReadSession {
    #[serde(flatten)]
    pub session: SessionView,
    /// When it was over, whatever ended it; null until then.
    pub deleted_at: Option<i64>,
    #[schema(schema_with = lives)]
    pub status: Life,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    Active,
    Ended,
    Failed,
}

fn lives() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words(
        "Where it is in its life; `failed` is our fault, and what was not used is returned",
        ["active", "ended", "failed"],
    )
}

impl Life {
    fn of(session: &Session) -> Self {
        match session.status {
            Status::Failed => Life::Failed,
            Status::Ending | Status::Ended => Life::Ended,
            _ => Life::Active,
        }
    }
}

/// Session metadata.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", operation_id = "readEmbedSession", tag = "Embed sessions",
    params(("id" = String, Path, description = "The session")),
    responses((status = 200, description = "The session", body = ReadSession))
)]
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Json<ReadSession>> {
    let (session, embed) = owned(&app, &caller, &id).await?;
    let status = Life::of(&session);
    // The row moves once more when nothing of it is left on its machine.
    let over_at = session.ended_at.unwrap_or(session.updated_at);
    Ok(Json(ReadSession {
        session: view(&app, &caller, &session, &embed, &headers).await?,
        deleted_at: (status != Life::Active).then_some(over_at),
        status,
    }))
}
