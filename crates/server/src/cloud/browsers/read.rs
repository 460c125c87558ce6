//! `GET /v1/browsers`: one session, or those that are not over.

use super::{Browser, BrowserList, is_embed, listed, seen, view};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{has_arrived, settled};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::{Kind, SessionId};

/// Longest `waitMs`.
const WAIT_MS_MAX: u64 = 30_000;
/// `limit` where the client names none.
const LIMIT_DEFAULT: u64 = 25;
/// Largest `limit`.
const LIMIT_MAX: u64 = 100;
/// Rows that are read for a list: embed sessions stand between the others and are not listed.
const READ_MAX: u32 = 1_000;

/// Get session status or list active sessions.
///
/// With `id` one session, without it those that are not over, newest first.
#[utoipa::path(
    get, path = "/v1/browsers", operation_id = "readBrowsers", tag = "Browser sessions",
    params(
        ("id" = Option<String>, Query, description = "The session"),
        ("waitMs" = Option<u64>, Query, minimum = 0, maximum = 30_000, 
            description = "With `id`: answer only once it has left `queued` and `assigning`, or after this time"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 100, 
            description = "Without `id`: how many; 25 when left out"),
    ),
    responses(
        (status = 200, description = "`Browser` with `id`, else `BrowserList`", body = OneOrMany),
    )
)]
pub async fn read(State(app): State<App>, caller: Caller, query: Query, headers: HeaderMap) -> Answer<Json<OneOrMany>> {
    if query.text("id").is_some() {
        let wait_ms = query.integer("waitMs", 0..=WAIT_MS_MAX)?.unwrap_or(0);
        let id: SessionId = query.id("session")?;
        let session = settled(&app, &caller, (Kind::Browser, &id), Duration::from_millis(wait_ms), has_arrived).await?;
        return Ok(Json(OneOrMany::One(Box::new(view(&app, &caller, seen(session)?, &headers).await?))));
    }
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let sessions = app.store.active_sessions(caller.organization_id(), Kind::Browser, READ_MAX).await?;
    let own = sessions.iter().filter(|session| !is_embed(session)).take(usize::try_from(limit).unwrap_or(usize::MAX));
    let data = own.map(|session| listed(&app, &caller, session, &headers)).collect::<Result<_, _>>()?;
    Ok(Json(OneOrMany::Many(BrowserList { data })))
}

/// One session with `id`, else a list.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(Box<Browser>),
    Many(BrowserList),
}
