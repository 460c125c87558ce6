//! `/v1/browsers/artifacts`: what a session leaves behind.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::{ArtifactKind, Error, SessionId};
use vitrine_store::Artifact;

/// `expiresIn` where the client names none.
const EXPIRES_SECONDS_DEFAULT: u64 = 3_600;
/// Longest `expiresIn`.
const EXPIRES_SECONDS_MAX: u64 = 86_400;

fn kinds() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("What it is", ArtifactKind::ALL.map(ArtifactKind::as_str))
}

/// A kept file.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactItem {
    #[schema(example = "recordings/session.mp4")]
    pub key: String,
    #[schema(schema_with = kinds)]
    pub kind: ArtifactKind,
    pub size: u64,
    #[schema(example = "video/mp4")]
    pub content_type: String,
    /// Hexadecimal.
    pub sha256: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// When it is deleted; null = never.
    pub expires_at: Option<i64>,
}

/// A session's kept files, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ArtifactList {
    pub id: String,
    pub items: Vec<ArtifactItem>,
}

/// Where a kept file is fetched.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactDownload {
    pub id: String,
    pub key: String,
    /// Needs no key; `Range` is understood.
    pub url: String,
    #[schema(example = 3_600)]
    pub expires_in_seconds: u64,
}

impl From<Artifact> for ArtifactItem {
    fn from(artifact: Artifact) -> Self {
        Self {
            key: artifact.key,
            kind: artifact.kind,
            size: artifact.size,
            content_type: artifact.content_type,
            sha256: hexadecimal(&artifact.sha256),
            created_at: artifact.created_at,
            expires_at: artifact.expires_at,
        }
    }
}

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
    let items = app.store.artifacts(&id).await?.into_iter().map(ArtifactItem::from).collect();
    Ok(Json(ArtifactList { id: id.to_string(), items }))
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
    let key = query.text("key").filter(|key| !key.is_empty()).ok_or_else(|| Error::invalid("key", "is missing"))?;
    let seconds = query.integer("expiresIn", 1..=EXPIRES_SECONDS_MAX)?.unwrap_or(EXPIRES_SECONDS_DEFAULT);
    super::owned(&app, &caller, &id).await?;
    let artifact = app.store.artifact(&id, key).await?.ok_or_else(|| Error::not_found("artifact"))?;
    let url = app.artifact_url(&artifact, Duration::from_secs(seconds), &headers).await?;
    Ok(Json(ArtifactDownload { id: id.to_string(), key: artifact.key, url, expires_in_seconds: seconds }))
}
