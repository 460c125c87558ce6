//! The run's own HTTP interface: files, screenshots, the upstream. Spoken over a stream in memory, with the server alone, which
//! has checked who asks for what.
//!
//! Promises that what comes from inside the capsule (names, sizes, types) is bounded and never trusted.

mod files;
mod picture;
mod upstream;

use crate::browser_capsule::BrowserCapsule;
use crate::carried::Carried;
use crate::node::Shared;
use axum::Json;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::io::DuplexStream;

/// What the handlers work on.
#[derive(Clone)]
pub(crate) struct Interface {
    pub(crate) shared: Arc<Shared>,
    pub(crate) browser: Arc<BrowserCapsule>,
    pub(crate) carried: Arc<Carried>,
}

impl Interface {
    /// Answers the requests of one stream until it ends.
    pub(crate) async fn serve(self, stream: DuplexStream) {
        let router = Router::new()
            .route("/files", get(files::list))
            .route("/files/raw", get(files::read).put(files::write))
            .route("/screenshot", post(picture::take))
            .route("/upstream", put(upstream::change))
            // What is put is bounded while it is written.
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self);
        let service = TowerToHyperService::new(router);
        let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        if let Err(error) = served {
            tracing::debug!(%error, "a stream to a run's interface ended early");
        }
    }
}

/// A request that was not fulfilled.
#[derive(Debug)]
pub(crate) struct Unfulfilled {
    status: StatusCode,
    message: String,
}

impl Unfulfilled {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl IntoResponse for Unfulfilled {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.message }))).into_response()
    }
}
