//! What sessions of either kind leave behind, as clients see it.

use crate::app::App;
use crate::cloud::words;
use crate::request::Query;
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

impl ArtifactList {
    /// Of a session.
    pub async fn of(app: &App, id: &SessionId) -> Result<Self, Error> {
        let artifacts = app.store.artifacts(id).await.map_err(Error::internal)?;
        Ok(Self { id: id.to_string(), items: artifacts.into_iter().map(ArtifactItem::from).collect() })
    }
}

/// Which artifact a client wants, and for how long.
pub struct DownloadWish {
    key: String,
    seconds: u64,
}

impl DownloadWish {
    /// Reads a query.
    pub fn read(query: &Query) -> Result<Self, Error> {
        let key = query.text("key").filter(|key| !key.is_empty()).ok_or_else(|| Error::invalid("key", "is missing"))?;
        let seconds = query.integer("expiresIn", 1..=EXPIRES_SECONDS_MAX)?.unwrap_or(EXPIRES_SECONDS_DEFAULT);
        Ok(Self { key: key.to_owned(), seconds })
    }

    /// Where it is fetched.
    pub async fn answer(self, app: &App, id: &SessionId, headers: &HeaderMap) -> Result<ArtifactDownload, Error> {
        let artifact = app.store.artifact(id, &self.key).await.map_err(Error::internal)?;
        let artifact = artifact.ok_or_else(|| Error::not_found("artifact"))?;
        let url = app.artifact_url(&artifact, Duration::from_secs(self.seconds), headers).await?;
        Ok(ArtifactDownload { id: id.to_string(), key: artifact.key, url, expires_in_seconds: self.seconds })
    }
}
