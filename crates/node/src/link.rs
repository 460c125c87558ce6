//! The node's side of `/internal/node/*`: typed calls over a transport that is in memory in one process and HTTP in a cluster.
//!
//! Promises: a call either brings the server's answer or a [`LinkError`]; the token of the machine's epoch goes with each call
//! after registration and is never logged.

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;
use std::sync::{Arc, RwLock};
use tokio_util::io::ReaderStream;
use vitrine_model::wire::{
    Assignments, AssignmentsRequest, Beat, BeatAnswer, OBJECT_HEADER, ObjectAnswer, ObjectRequest, Register,
    Registered, Step, StepAnswer,
};

/// The bytes of a request or an answer, as they come: an object of a session may be larger than memory.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Carries one request to the server.
pub trait Transport: Send + Sync + 'static {
    /// Sends it and brings the answer, whose body may still be on its way.
    fn call(&self, request: http::Request<Body>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>>;
}

/// A body that is there already.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The server could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// A call that brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("reach the server: {0}")]
    Transport(#[from] TransportError),
    #[error("have {path} taken by the server: it answered {status}: {body}")]
    Refused { path: &'static str, status: http::StatusCode, body: String },
    #[error("read the file of an object: {cause}")]
    File { cause: std::io::Error },
    #[error("read the server's answer to {path}: {cause}")]
    Answer { path: &'static str, cause: serde_json::Error },
}

/// Largest answer that is read as a whole: the assignments of a full machine.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Where objects are brought and fetched.
const OBJECTS: &str = "/internal/node/objects";
/// What is read of a file at once.
const PIECE_BYTES: usize = 128 * 1024;
/// Longest part of a refusal's body that is kept for the log.
const REFUSAL_CHARS_MAX: usize = 400;

/// The server, as a node sees it.
#[derive(Clone)]
pub struct Link {
    transport: Arc<dyn Transport>,
    token: Arc<RwLock<Option<String>>>,
}

impl Link {
    /// A link that is not registered yet.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, token: Arc::default() }
    }

    /// Introduces the machine; the token in the answer is kept for the other calls.
    pub async fn register(&self, register: &Register) -> Result<Registered, LinkError> {
        let registered: Registered = self.post("/internal/node/register", register).await?;
        *self.token.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(registered.token.clone());
        Ok(registered)
    }

    /// A sign of life.
    pub async fn beat(&self, beat: &Beat) -> Result<BeatAnswer, LinkError> {
        self.post("/internal/node/beat", beat).await
    }

    /// What is to be done; waits on the server's side.
    pub async fn assignments(&self, request: &AssignmentsRequest) -> Result<Assignments, LinkError> {
        self.post("/internal/node/assignments", request).await
    }

    /// Reports what was done.
    pub async fn step(&self, step: &Step) -> Result<StepAnswer, LinkError> {
        self.post("/internal/node/steps", step).await
    }

    /// Brings an object's bytes from a file, as they are read.
    pub async fn put_object(&self, request: &ObjectRequest, file: &Path) -> Result<ObjectAnswer, LinkError> {
        let file = tokio::fs::File::open(file).await.map_err(|cause| LinkError::File { cause })?;
        let bytes = ReaderStream::with_capacity(file, PIECE_BYTES).map(|piece| piece.map(Frame::data));
        let head = self.object(http::Method::PUT, request)?;
        let body = StreamBody::new(bytes).boxed_unsync();
        let request = head.body(body).map_err(|error| TransportError(error.to_string()))?;
        read(OBJECTS, self.transport.call(request).await?).await
    }

    /// The bytes of an object, as they come; `None` when there is none.
    pub async fn get_object(&self, request: &ObjectRequest) -> Result<Option<Body>, LinkError> {
        let head = self.object(http::Method::GET, request)?;
        let request = head.body(whole(Bytes::new())).map_err(|error| TransportError(error.to_string()))?;
        let answer = self.transport.call(request).await?;
        match answer.status() {
            http::StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(answer.into_body())),
            status => Err(refused(OBJECTS, status, answer.into_body()).await),
        }
    }

    fn object(&self, method: http::Method, request: &ObjectRequest) -> Result<http::request::Builder, LinkError> {
        let request = serde_json::to_string(request).map_err(|cause| LinkError::Answer { path: OBJECTS, cause })?;
        Ok(self.request(method, OBJECTS).header(OBJECT_HEADER, escaped(&request)))
    }

    fn request(&self, method: http::Method, path: &'static str) -> http::request::Builder {
        let request = http::Request::builder().method(method).uri(path);
        match &*self.token.read().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            Some(token) => request.header(http::header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    async fn post<A: DeserializeOwned>(&self, path: &'static str, body: &impl Serialize) -> Result<A, LinkError> {
        let body = serde_json::to_vec(body).map_err(|cause| LinkError::Answer { path, cause })?;
        let request = self.request(http::Method::POST, path).header(http::header::CONTENT_TYPE, "application/json");
        let request = request.body(whole(body)).map_err(|error| TransportError(error.to_string()))?;
        read(path, self.transport.call(request).await?).await
    }
}

async fn read<A: DeserializeOwned>(path: &'static str, answer: http::Response<Body>) -> Result<A, LinkError> {
    if !answer.status().is_success() {
        return Err(refused(path, answer.status(), answer.into_body()).await);
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| TransportError(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|cause| LinkError::Answer { path, cause })
}

async fn refused(path: &'static str, status: http::StatusCode, body: Body) -> LinkError {
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).chars().take(REFUSAL_CHARS_MAX).collect();
    LinkError::Refused { path, status, body }
}

/// JSON with nothing but ASCII in it, as a header needs it: a file may be called anything.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            escaped.push(letter);
        } else {
            letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_stands_in_a_header() {
        let json = serde_json::to_string("日本\u{7f}語 🎉.pdf").unwrap();
        let header = escaped(&json);
        assert!(http::HeaderValue::from_str(&header).is_ok(), "{header}");
        assert_eq!(serde_json::from_str::<String>(&header).unwrap(), "日本\u{7f}語 🎉.pdf");
    }
}
