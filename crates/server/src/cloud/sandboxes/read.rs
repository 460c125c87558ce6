//! `GET /v1/sandboxes`: one sandbox, or all of the organization.

use super::{Sandbox, spec_of, view};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{end_reasons, has_arrived, settled, statuses};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::{EndReason, Error, Kind, Runtime, SessionId, Size, Status};
use vitrine_store::Session;

/// Longest `waitMs`.
const WAIT_MS_MAX: u64 = 30_000;
/// Most that a list shows, and what it shows where the client says nothing.
const LIMIT_MAX: u64 = 1_000;

/// A sandbox in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedSandbox {
    pub id: String,
    #[schema(schema_with = statuses)]
    pub status: Status,
    #[schema(schema_with = super::runtimes)]
    pub runtime: Runtime,
    #[schema(schema_with = super::sizes)]
    pub size: Size,
    pub ephemeral: bool,
    pub from: Option<String>,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub expires_at: Option<i64>,
    #[schema(schema_with = end_reasons)]
    pub end_reason: Option<EndReason>,
}

/// The organization's sandboxes, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SandboxList {
    pub items: Vec<ListedSandbox>,
}

/// One sandbox with `id`, else a list.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SandboxOrList)]
pub enum OneOrMany {
    One(Box<Sandbox>),
    Many(SandboxList),
}

/// Get sandbox status or list all sandboxes.
///
/// With `id` one sandbox, without it those of the organization, newest first, also those that are over.
#[utoipa::path(
    get, path = "/v1/sandboxes", operation_id = "readSandboxes", tag = "Sandboxes",
    params(
        ("id" = Option<String>, Query, description = "The sandbox"),
        ("waitMs" = Option<u64>, Query, minimum = 0, maximum = 30_000,
            description = "With `id`: answer only once it has left `queued` and `assigning`, or after this time"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1_000,
            description = "Without `id`: how many; 1,000 when left out"),
    ),
    responses((status = 200, description = "`Sandbox` with `id`, else `SandboxList`", body = OneOrMany))
)]
pub async fn read(State(app): State<App>, caller: Caller, query: Query, headers: HeaderMap) -> Answer<Json<OneOrMany>> {
    if query.text("id").is_some() {
        let wait = Duration::from_millis(query.integer("waitMs", 0..=WAIT_MS_MAX)?.unwrap_or(0));
        let id: SessionId = query.id("sandbox")?;
        let session = settled(&app, &caller, (Kind::Sandbox, &id), wait, has_arrived).await?;
        return Ok(Json(OneOrMany::One(Box::new(view(&app, &caller, session, &headers).await?))));
    }
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_MAX) as u32;
    let sessions = app.store.sessions_of(caller.organization_id(), Kind::Sandbox, limit).await?;
    let items = sessions.iter().map(listed).collect::<Result<_, _>>()?;
    Ok(Json(OneOrMany::Many(SandboxList { items })))
}

fn listed(session: &Session) -> Result<ListedSandbox, Error> {
    let spec = spec_of(session)?;
    Ok(ListedSandbox {
        id: session.id.to_string(),
        status: session.status,
        runtime: spec.runtime,
        size: spec.size,
        ephemeral: spec.ephemeral,
        from: spec.from.as_ref().map(ToString::to_string),
        created_at: session.created_at,
        started_at: session.started_at,
        ended_at: session.ended_at,
        expires_at: session.expires_at,
        end_reason: session.end_reason,
    })
}
