//! `/v1/browsers/artifacts`: what a session leaves behind.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::artifacts::{ArtifactDownload, ArtifactList, DownloadWish};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use vitrine_model::SessionId;

/// List what a session left behind.
///
/// Screenshots, HAR, recording and downloads, while it runs and afterwards, until they expire.
#[utoipa::path(
    get, path = "/v1/browsers/artifacts", operation_id = "listArtifacts", tag = "Files and artifacts",
    params(("id" = String, Query, description = "The session")),
    responses((status = 200, description = "Oldest first", body = ArtifactList))
)]
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<ArtifactList>> {
    let id: SessionId = query.id("session")?;
    super::owned(&app, &caller, &id).await?;
    Ok(Json(ArtifactList::of(&app, &id).await?))
}

/// Get a signed URL for an artifact.
#[utoipa::path(
    get, path = "/v1/browsers/artifacts/download", operation_id = "downloadArtifact", tag = "Files and artifacts",
    params(
        ("id" = String, Query, description = "The session"),
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
    let id: SessionId = query.id("session")?;
    let wish = DownloadWish::read(&query)?;
    super::owned(&app, &caller, &id).await?;
    Ok(Json(wish.answer(&app, &id, &headers).await?))
}
