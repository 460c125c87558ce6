//! Every way in which a call, a subscription or the connection can fail.

use std::time::Duration;
use thiserror::Error;

/// Why a call has no answer. Each reads after "could not …:".
#[derive(Clone, Debug, Error)]
pub enum CdpError {
    #[error("the WebSocket handshake failed: {0}")]
    Handshake(String),
    #[error("{0}")]
    Closed(Closed),
    #[error("the session was detached from its target")]
    Detached,
    #[error("{method} took longer than {limit:?}")]
    TimedOut { method: &'static str, limit: Duration },
    #[error("the browser refused {method}: {message} ({code})")]
    Refused { method: &'static str, code: i64, message: String },
    #[error("the parameters of {method} do not encode: {why}")]
    Encode { method: &'static str, why: String },
    #[error("the answer to {method} is larger than {bytes_max} bytes")]
    TooLarge { method: &'static str, bytes_max: usize },
    #[error("the answer to {method} is not what the protocol says: {why}")]
    Malformed { method: &'static str, why: String },
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Closed {
    /// `close` was called or every handle dropped.
    #[error("the connection was closed on this side")]
    Here,
    #[error("the browser closed the connection ({code} {reason:?})")]
    There { code: u16, reason: String },
    /// No close frame: the process died or the network did.
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the browser sent what is not the protocol: {0}")]
    Garbage(String),
}
