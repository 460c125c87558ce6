//! A session's files, asked of its machine: the list, one file's bytes, a new file.

use crate::deliver::{Content, bytes_of, cut, deliver};
use crate::gateway::Connected;
use crate::percent;
use crate::run::{self, ANSWER_TIME_MAX};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request};
use hyper::body::Body as _;
use serde::{Deserialize, Serialize};
use std::future::ready;
use std::io;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::artifact::is_name;
use vitrine_model::{Code, Error};

/// Where a client's own files go.
const UPLOADS: &str = "uploads/";
/// Longest path of a file.
const PATH_BYTES_MAX: usize = 1024;
/// However slow a client sends, so long after it began a file is given up.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(3_600);

/// A file of a session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionFile {
    #[schema(example = "downloads/report.pdf")]
    pub path: String,
    #[schema(example = "report.pdf")]
    pub name: String,
    /// Bytes; of a download under way, what came so far.
    pub size: u64,
    /// Epoch milliseconds.
    pub modified_at: i64,
    pub source: FileSource,
    pub state: FileState,
    /// The artifact that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Who brought a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileSource {
    Download,
    Upload,
}

/// Whether a file is all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FileState {
    Completed,
    InProgress,
}

/// A session's files.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionFiles {
    pub files: Vec<SessionFile>,
}

/// A file that was put into a session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WrittenFile {
    #[schema(example = "uploads/photo.jpg")]
    pub path: String,
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
    /// Where the browser finds it, for `DOM.setFileInputFiles`.
    #[schema(example = "/session/uploads/photo.jpg")]
    pub capsule_path: String,
}

/// How much of a file is taken, and how long its sender may pause.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    pub bytes_max: u64,
    pub pause_max: Duration,
}

/// The path of a file in a session's file area.
pub fn path(text: Option<&str>) -> Result<&str, Error> {
    let path = text.filter(|path| !path.is_empty()).ok_or_else(|| Error::invalid("path", "is missing"))?;
    match path.len() <= PATH_BYTES_MAX && path.split('/').all(is_name) {
        true => Ok(path),
        false => {
            Err(Error::invalid("path", "expected a path from the list of files, for example downloads/report.pdf"))
        }
    }
}

/// The path of a file that a client may write.
pub fn upload_path(text: Option<&str>) -> Result<&str, Error> {
    let path = path(text)?;
    match path.strip_prefix(UPLOADS).is_some_and(is_name) {
        true => Ok(path),
        false => Err(Error::invalid("path", "expected uploads/NAME")),
    }
}

/// Asks for the list.
pub async fn list(connected: Connected) -> Result<SessionFiles, Error> {
    let request = run::request(Method::GET, "/files", Body::empty())?;
    run::json(run::ask(connected, request, ANSWER_TIME_MAX).await?).await
}

/// Asks for a file and passes it on, or the part that the client's headers ask for.
pub async fn read(
    connected: Connected,
    path: &str,
    headers: &HeaderMap,
    pause_max: Duration,
) -> Result<Response, Error> {
    let request = run::request(Method::GET, &raw(path), Body::empty())?;
    let (head, body) = run::ask(connected, request, ANSWER_TIME_MAX).await?.into_parts();
    let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let size = text(CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let size = size.ok_or_else(|| Error::internal("the machine did not say how large the file is"))?;
    let content_type = text(CONTENT_TYPE).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or(path);
    let content = Content { name, content_type, size, etag: None, inline: false };
    let bytes = bytes_of(body, pause_max);
    let part = |range| match range {
        Some(range) => cut(bytes, range),
        None => bytes,
    };
    deliver(headers, content, |range| ready(Ok(part(range)))).await
}

/// Puts a file, streamed; one that grows past the limit is broken off, and the machine keeps nothing of it.
pub async fn write(connected: Connected, path: &str, body: Body, limits: UploadLimits) -> Result<WrittenFile, Error> {
    run::json(put(connected, run::request(Method::PUT, &raw(path), Body::empty())?, body, limits).await?).await
}

/// Sends a request with a client's body, streamed; one that grows past the limit is broken off, and so is told the client.
pub async fn put(
    connected: Connected,
    request: Request<Body>,
    body: Body,
    limits: UploadLimits,
) -> Result<Response, Error> {
    let too_large = || {
        let message = format!("the file is larger than {} bytes", limits.bytes_max);
        Error::new(Code::PayloadTooLarge, message).with("limit", limits.bytes_max)
    };
    // A client that announces too much and waits for leave to send it is told before it sends anything.
    let announced = body.size_hint();
    if announced.lower() > limits.bytes_max {
        return Err(too_large());
    }
    let (told, passed) = tokio::sync::oneshot::channel();
    let bytes = within(bytes_of(body, limits.pause_max), limits.bytes_max, told);
    let mut request = request.map(|_| Body::from_stream(bytes));
    if let Some(size) = announced.exact() {
        request.headers_mut().insert(CONTENT_LENGTH, size.into());
    }
    // The machine only sees that the body broke off; we know why.
    run::ask(connected, request, UPLOAD_TIME_MAX).await.map_err(|error| match { passed }.try_recv() {
        Ok(BrokeOff::TooLarge) => too_large(),
        Ok(BrokeOff::Client) => Error::invalid("body", "broke off, or paused for too long"),
        Err(_) => error,
    })
}

/// Why a file that is put ends before its end.
#[derive(Debug, Clone, Copy)]
enum BrokeOff {
    TooLarge,
    Client,
}

/// The bytes up to a limit; past it they break off. `told` is told why there is no more of them.
fn within(
    bytes: BoxStream<'static, io::Result<Bytes>>,
    bytes_max: u64,
    told: tokio::sync::oneshot::Sender<BrokeOff>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let (mut left, mut told) = (bytes_max, Some(told));
    bytes
        .map(move |piece| {
            let checked = piece.map_err(|error| (BrokeOff::Client, error)).and_then(|piece| {
                let fits = left.checked_sub(piece.len() as u64);
                left = fits.ok_or_else(|| (BrokeOff::TooLarge, io::Error::other("larger than allowed")))?;
                Ok(piece)
            });
            checked.map_err(|(why, error)| {
                // Who does not listen any more does not care.
                told.take().map(|told| told.send(why));
                error
            })
        })
        .boxed()
}

fn raw(path: &str) -> String {
    format!("/files/raw?path={}", percent::encoded(path, b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_files() {
        for wrong in
            ["", "/etc/passwd", "../a", "downloads/../a", "downloads//a", "a/", "a\0", "a\\b", "./a", &"a/".repeat(600)]
        {
            assert!(path(Some(wrong)).is_err(), "{wrong:?}");
        }
        assert!(path(None).is_err());
        assert_eq!(path(Some("downloads/日本 1.pdf")).unwrap(), "downloads/日本 1.pdf");
        for wrong in ["downloads/a", "uploads/a/b", "uploads", "uploads/"] {
            assert!(upload_path(Some(wrong)).is_err(), "{wrong:?}");
        }
        assert_eq!(upload_path(Some("uploads/a")).unwrap(), "uploads/a");
    }
}
