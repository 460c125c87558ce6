//! `/artifacts/SESSION/KEY`: what a session left behind, for whoever has the signed URL, until the URL expires.
//!
//! The signature covers the session, the key and the time, so that a URL opens one file and nothing else. Where objects are
//! in a bucket, the bucket's own URLs take this one's place.

use crate::answer::Answer;
use crate::app::App;
use crate::deliver::{Content, deliver, disposition, harmless};
use crate::percent;
use crate::request::Query;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use futures_util::TryFutureExt as _;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::{ArtifactKind, Code, EpochMs, Error, SessionId};
use vitrine_store::{Artifact, Presented};

/// The route.
pub fn router() -> Router<App> {
    Router::new().route("/artifacts/{session}/{*key}", get(fetch))
}

/// What a browser may show of a file of this kind. What a page gave is saved only.
fn is_shown(kind: ArtifactKind) -> bool {
    match kind {
        ArtifactKind::Screenshot | ArtifactKind::Recording => true,
        ArtifactKind::Har | ArtifactKind::Download | ArtifactKind::File => false,
    }
}

impl App {
    /// A URL under which anybody fetches the artifact for so long.
    pub async fn artifact_url(
        &self,
        artifact: &Artifact,
        lasts: Duration,
        headers: &HeaderMap,
    ) -> Result<String, Error> {
        let name = artifact.name.rsplit('/').next().unwrap_or(&artifact.name);
        let content_disposition = disposition(name, is_shown(artifact.kind));
        let presented =
            Presented { content_type: harmless(&artifact.content_type), content_disposition: &content_disposition };
        let bucket_url = self.objects.presigned(&artifact.object, lasts, presented).await;
        if let Some(url) = bucket_url.map_err(|error| Error::internal(format!("could not {error}")))? {
            return Ok(url);
        }
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let expires_at = self.clock.now().saturating_add_unsigned(lasts_ms);
        let signature = self.artifact_signature(&artifact.session, &artifact.key, expires_at);
        let base = self.base(headers)?;
        let key = percent::encoded(&artifact.key, b"/");
        Ok(base.http(&format!("/artifacts/{}/{key}?expires={expires_at}&signature={signature}", artifact.session)))
    }

    fn artifact_signature(&self, session: &SessionId, key: &str, expires_at: EpochMs) -> String {
        // HMAC takes a key of any length; the error type exists for other MACs.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.artifact_key).unwrap_or_else(|_| unreachable!());
        mac.update(format!("{session}\n{expires_at}\n{key}").as_bytes());
        hexadecimal(&mac.finalize().into_bytes())
    }

    /// An artifact's bytes.
    pub async fn deliver_artifact(&self, artifact: &Artifact, headers: &HeaderMap) -> Result<Response, Error> {
        let etag = hexadecimal(&artifact.sha256);
        let content = Content {
            name: &artifact.name,
            content_type: &artifact.content_type,
            size: artifact.size,
            etag: Some(&etag),
            inline: is_shown(artifact.kind),
        };
        let open = |range| self.objects.get(&artifact.object, range);
        let failed = |error| Error::internal(format!("could not {error}"));
        deliver(headers, content, |range| open(range).map_err(failed)).await
    }
}

async fn fetch(
    State(app): State<App>,
    Path((session, key)): Path<(String, String)>,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    let refused = || Error::new(Code::Unauthenticated, "the URL is wrong or has expired");
    let session: SessionId = session.parse().map_err(|_| refused())?;
    let expires_at: EpochMs = query.text("expires").and_then(|text| text.parse().ok()).ok_or_else(refused)?;
    let signature = app.artifact_signature(&session, &key, expires_at);
    let given = query.text("signature").unwrap_or_default();
    if !bool::from(signature.as_bytes().ct_eq(given.as_bytes())) || expires_at <= app.clock.now() {
        return Err(refused().into());
    }
    let artifact = app.store.artifact(&session, &key).await?.ok_or_else(|| Error::not_found("artifact"))?;
    Ok(app.deliver_artifact(&artifact, &headers).await?)
}
