//! The node's side of `/internal/node/*`: typed calls over a transport that is in memory in one process and HTTP in a cluster.
//!
//! Promises: a call either brings the server's answer or a [`LinkError`]; the token of the machine's epoch goes with each call
//! after registration and is never logged.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{Arc, RwLock};
use vitrine_model::wire::{Assignments, AssignmentsRequest, Beat, BeatAnswer, Register, Registered, Step, StepAnswer};

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
    #[error("read the server's answer to {path}: {cause}")]
    Answer { path: &'static str, cause: serde_json::Error },
}

/// Largest answer that is read as a whole: the assignments of a full machine.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
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

    async fn post<A: DeserializeOwned>(&self, path: &'static str, body: &impl Serialize) -> Result<A, LinkError> {
        let body = serde_json::to_vec(body).map_err(|cause| LinkError::Answer { path, cause })?;
        let mut request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
        if let Some(token) = &*self.token.read().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(whole(body)).map_err(|error| TransportError(error.to_string()))?;
        let (head, body) = self.transport.call(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| TransportError(error.to_string()))?.to_bytes();
        let answer = http::Response::from_parts(head, body);
        if !answer.status().is_success() {
            let body: String = String::from_utf8_lossy(answer.body()).chars().take(REFUSAL_CHARS_MAX).collect();
            return Err(LinkError::Refused { path, status: answer.status(), body });
        }
        serde_json::from_slice(answer.body()).map_err(|cause| LinkError::Answer { path, cause })
    }
}
