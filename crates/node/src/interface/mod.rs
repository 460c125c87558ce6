//! The run's own HTTP interface. Spoken over a stream in memory, with the server alone, which has checked who asks for what.
//!
//! Promises that what comes from inside the capsule (names, sizes, types) is bounded and never trusted.

pub(crate) mod browser;
pub(crate) mod sandbox;

use axum::extract::{FromRequest, Request as Asked, rejection::BytesRejection};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use tokio::io::DuplexStream;

/// Answers the requests of one stream until it ends. Whoever leaves while it waits for an answer gives up what it asked for.
pub(crate) async fn serve(router: Router, stream: DuplexStream) {
    let service = TowerToHyperService::new(router);
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a stream to a run's interface ended early");
    }
}

/// A request that was not fulfilled.
#[derive(Debug)]
pub(crate) struct Unfulfilled {
    status: StatusCode,
    message: String,
}

impl Unfulfilled {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// A field of the request, and what is wrong with it.
    pub(crate) fn field(name: &str, wrong: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("{name}: {wrong}"))
    }
}

impl IntoResponse for Unfulfilled {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.message }))).into_response()
    }
}

/// A JSON body; one that cannot be read is answered with what is wrong with it.
pub(crate) struct Request<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Request<T> {
    type Rejection = Unfulfilled;

    async fn from_request(request: Asked, state: &S) -> Result<Self, Unfulfilled> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error: BytesRejection| Unfulfilled::new(error.status(), error.body_text()))?;
        serde_json::from_slice(&body).map(Request).map_err(|error| Unfulfilled::field("body", error))
    }
}
