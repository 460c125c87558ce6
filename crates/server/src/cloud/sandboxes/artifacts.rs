//! `/v1/sandboxes/artifacts`: what a sandbox leaves behind.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::artifacts::{ArtifactDownload, ArtifactList, DownloadWish};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;

/// List what a sandbox left behind.
///
/// Files of `/workspace/artifacts` as they were at each checkpoint and at the end, until they expire.
#[utoipa::path(
    get, path = "/v1/sandboxes/artifacts", operation_id = "listSandboxArtifacts", tag = "Sandbox checkpoints",
    params(("id" = String, Query, description = "The sandbox")),
    responses((status = 200, description = "Oldest first", body = ArtifactList))
)]
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<ArtifactList>> {
    let session = super::asked(&app, &caller, &query).await?;
    Ok(Json(ArtifactList::of(&app, &session.id).await?))
}

/// Get a signed URL for an artifact.
#[utoipa::path(
    get, path = "/v1/sandboxes/artifacts/download", operation_id = "downloadSandboxArtifact", tag = "Sandbox checkpoints",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("key" = String, Query, description = "As the list has it"),
        ("expiresIn" = Option<u64>, Query, minimum = 1, maximum = 86_400,
            description = "Seconds for which the URL is good; 3,600 when left out"),
    ),
    responses((status = 200, description = "Where it is fetched", body = ArtifactDownload))
)]
pub async fn download(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
) -> Answer<Json<ArtifactDownload>> {
    let wish = DownloadWish::read(&query)?;
    let session = super::asked(&app, &caller, &query).await?;
    Ok(Json(wish.answer(&app, &session.id, &headers).await?))
}
