//! What happens to files, told as it happens.

use super::files::in_files;
use super::program::{inside, sse, with_comments};
use super::{Interface, Unfulfilled};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;
use vitrine_capsule::{Change, Watch};

/// How long changes are gathered: what a program does to one file in this time is told once.
const GATHERED: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
pub(super) struct Which {
    path: String,
    #[serde(default)]
    recursive: bool,
}

pub(super) async fn watch(
    State(interface): State<Interface>,
    Query(Which { path, recursive }): Query<Which>,
) -> Result<Response, Unfulfilled> {
    let path = inside(&path)?;
    let too_many =
        || Unfulfilled::new(StatusCode::CONFLICT, "the sandbox has as many watches as it may: end one first");
    let place = interface.sandbox.enter_watches().ok_or_else(too_many)?;
    let watch = in_files(&interface.sandbox, move |files| files.watch(path, recursive)).await?;
    let frames = stream::unfold(Some((interface, watch, place)), |state| async move {
        let (interface, watch, place) = state?;
        next(&interface, watch).await.map(|(frames, watch)| (frames, watch.map(|watch| (interface, watch, place))))
    });
    let body = Body::from_stream(with_comments(frames.boxed()));
    Ok(([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

/// The next changes as frames, and the watch if it goes on.
async fn next(interface: &Interface, mut watch: Watch) -> Option<(String, Option<Watch>)> {
    tokio::select! {
        happened = watch.happened() => happened.ok()?,
        () = interface.sandbox.ends() => return None,
    }
    sleep(GATHERED).await;
    let read = in_files(&interface.sandbox, move |files| watch.changes(&files).map(|changes| (changes, watch)));
    let (changes, watch) = read.await.ok()?;
    let ended = changes.contains(&Change::Ended);
    let frames = changes.iter().map(frame).collect();
    Some((frames, (!ended).then_some(watch)))
}

fn frame(change: &Change) -> String {
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let told = |kind: &str, path: &Path| sse("change", &json!({ "path": shown(path), "kind": kind }));
    match change {
        Change::Created(path) => told("created", path),
        Change::Modified(path) => told("modified", path),
        Change::Deleted(path) => told("deleted", path),
        Change::Moved { from, to } => sse("change", &json!({ "path": shown(from), "kind": "moved", "to": shown(to) })),
        Change::Overflow => sse("overflow", &json!({})),
        // The stream ends.
        Change::Ended => String::new(),
    }
}
