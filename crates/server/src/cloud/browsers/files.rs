//! `/v1/browsers/files`: what a session downloaded and what was put into it. While it runs its machine has them; afterwards
//! the downloads are artifacts.

use crate::answer::Answer;
use crate::app::App;
use crate::files::{self, FileSource, FileState, SessionFile, SessionFiles, WrittenFile};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use vitrine_model::{ArtifactKind, Error, SessionId};
use vitrine_store::Artifact;

/// List a session's files.
///
/// Downloads and uploads while it runs; the downloads after its end, for as long as artifacts are kept.
#[utoipa::path(
    get, path = "/v1/browsers/files", operation_id = "listFiles", tag = "Files and artifacts",
    params(("id" = String, Query, description = "The session")),
    responses((status = 200, description = "The files", body = SessionFiles))
)]
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<SessionFiles>> {
    let id: SessionId = query.id("session")?;
    let session = super::owned(&app, &caller, &id).await?;
    if session.status.is_running() {
        return Ok(Json(files::list(app.dial_run(&session, "listing its files").await?).await?));
    }
    let artifacts = app.store.artifacts(&id).await?.into_iter();
    let downloads = artifacts.filter(|artifact| artifact.kind == ArtifactKind::Download);
    Ok(Json(SessionFiles { files: downloads.map(file).collect() }))
}

fn file(artifact: Artifact) -> SessionFile {
    SessionFile {
        path: artifact.key.clone(),
        name: artifact.name,
        size: artifact.size,
        modified_at: artifact.created_at,
        source: FileSource::Download,
        state: FileState::Completed,
        key: Some(artifact.key),
    }
}

/// Fetch one of a session's files.
///
/// The bytes as they are, streamed; `Range` is understood. Always to be saved, never to be shown: a page made them.
#[utoipa::path(
    get, path = "/v1/browsers/files/raw", operation_id = "readFile", tag = "Files and artifacts",
    params(
        ("id" = String, Query, description = "The session"),
        ("path" = String, Query, description = "As the list has it, for example `downloads/report.pdf`"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The range", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 416, description = "The file has no such range"),
    )
)]
pub async fn read(State(app): State<App>, caller: Caller, query: Query, headers: HeaderMap) -> Answer<Response> {
    let id: SessionId = query.id("session")?;
    let path = files::path(query.text("path"))?;
    let session = super::owned(&app, &caller, &id).await?;
    if session.status.is_running() {
        let connected = app.dial_run(&session, "reading its files").await?;
        return Ok(files::read(connected, path, &headers, app.config.gateway.file_pause_time()).await?);
    }
    let found = app.store.artifact(&id, path).await?.filter(|artifact| artifact.kind == ArtifactKind::Download);
    let found = found.ok_or_else(|| Error::not_found("file"))?;
    Ok(app.deliver_artifact(&found, &headers).await?)
}

/// Put a file into a session.
///
/// It replaces one of the same name. `capsulePath` is what `DOM.setFileInputFiles` and its like want.
#[utoipa::path(
    put, path = "/v1/browsers/files/raw", operation_id = "writeFile", tag = "Files and artifacts",
    params(
        ("id" = String, Query, description = "The session"),
        ("path" = String, Query, description = "`uploads/NAME`"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file, streamed"),
    responses((status = 201, description = "It is there", body = WrittenFile))
)]
pub async fn write(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    body: Body,
) -> Answer<(StatusCode, Json<WrittenFile>)> {
    let id: SessionId = query.id("session")?;
    let path = files::upload_path(query.text("path"))?;
    let session = super::owned(&app, &caller, &id).await?;
    let connected = app.dial_run(&session, "writing a file").await?;
    let written = files::write(connected, path, body, app.config.gateway.upload_limits()).await?;
    Ok((StatusCode::CREATED, Json(written)))
}
