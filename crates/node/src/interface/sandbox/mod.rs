//! What the interface of a sandbox's run answers: the bodies and answers are the public API's own.

mod checkpoint;
mod code;
mod documents;
mod exec;
mod files;
mod network;
mod program;
mod raw;
mod terminals;
mod watch;

use super::Unfulfilled;
use crate::node::Shared;
use crate::presence::Door;
use crate::sandbox::{ExecError, Sandbox};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use http::StatusCode;
use std::sync::Arc;

/// Largest body of a request that is read as a whole: a command with its input.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the handlers work on.
#[derive(Clone)]
pub(crate) struct Interface {
    shared: Arc<Shared>,
    door: Door,
    sandbox: Arc<Sandbox>,
}

/// The routes of one run.
pub(crate) fn router(shared: Arc<Shared>, door: Door, sandbox: Arc<Sandbox>) -> Router {
    Router::new()
        .route("/exec", post(exec::run))
        .route("/code", post(code::run))
        .route("/fs/stat", get(files::stat))
        .route("/fs/list", get(files::list))
        .route("/fs/delete", post(files::delete))
        .route("/fs/move", post(files::rename))
        .route("/fs/mkdir", post(files::make))
        .route("/fs/watch", get(watch::watch))
        .route("/terminals", get(terminals::list).post(terminals::open).delete(terminals::end))
        .route("/ports", get(network::ports))
        .route("/network", put(network::change))
        .route("/runtime", get(network::runtime))
        .route("/documents/convert", post(documents::convert))
        .route("/checkpoint", post(checkpoint::make))
        .route("/checkpoint/restore", post(checkpoint::restore))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        // The disk bounds what is put.
        .route("/fs/raw", get(raw::read).put(raw::write))
        .with_state(Interface { shared, door, sandbox })
}

impl From<ExecError> for Unfulfilled {
    fn from(error: ExecError) -> Self {
        let status = match error {
            ExecError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            ExecError::NotStarted(_) => StatusCode::BAD_REQUEST,
            ExecError::Paused | ExecError::Ending | ExecError::Left | ExecError::TooMany | ExecError::Lost => {
                StatusCode::CONFLICT
            }
        };
        Unfulfilled::new(status, error.to_string())
    }
}
