//! Every way in which a browser can fail.

use crate::host::{Exit, HostError};
use std::time::Duration;
use thiserror::Error;
use vitrine_cdp::CdpError;

/// Each reads after "could not …:".
#[derive(Clone, Debug, Error)]
pub enum BrowserError {
    #[error("the browser did not start: {0}")]
    Spawn(#[from] HostError),
    #[error("the browser ended with {exit} before it was ready: {output}")]
    Died { exit: Exit, output: String },
    #[error("the browser was not ready within {limit:?} ({last}): {output}")]
    NotReady { limit: Duration, last: String, output: String },
    #[error("the browser's DevTools port did not answer: {0}")]
    Unreachable(String),
    #[error("the browser did not answer: {0}")]
    Protocol(#[from] CdpError),
}
