//! `GET /v1/sandboxes/fs/watch`: what changes in a folder, as it changes.

use super::files::{at, folder_of};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::Query;
use crate::run;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Method;
use vitrine_model::Error;

/// Watch a folder.
///
/// Events `change` with `{"path", "kind": "created"|"modified"|"deleted"|"moved", "to"?}`, and `overflow` when there were too many at
/// once: list the folder again. A comment every 15 s.
#[utoipa::path(
    get, path = "/v1/sandboxes/fs/watch", operation_id = "watchSandboxFiles", tag = "Sandbox files",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("path" = Option<String>, Query, description = "`/workspace` when left out"),
        ("recursive" = Option<bool>, Query, description = "The folders below it too"),
    ),
    responses((status = 200, description = "Events, until the client leaves", body = String, content_type = "text/event-stream"))
)]
pub async fn watch(State(app): State<App>, caller: Caller, query: Query) -> Answer<Response> {
    let mut path = at("/fs/watch", folder_of(&query)?);
    match query.text("recursive") {
        None | Some("false") => {}
        Some("true") => path += "&recursive=true",
        Some(_) => return Err(Error::invalid("recursive", "expected true or false").into()),
    }
    let session = super::asked(&app, &caller, &query).await?;
    let request = run::request(Method::GET, &path, Body::empty())?;
    Ok(run::pass_events(app.ask_run(&session, "watching files", request, run::ANSWER_TIME_MAX).await?))
}
