//! What a client is told instead of being let in: always HTTP in the API's error shape, always before the upgrade.

use crate::answer::{Failure, dialect};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, StatusCode};
use vitrine_model::wire::DialError;
use vitrine_model::{Code, Error};

/// Why a request to the gateway failed.
#[derive(Debug)]
pub(super) struct Refusal {
    error: Error,
    /// Where the gateway's answer differs from the one that the API gives to this code.
    status: Option<StatusCode>,
}

impl Refusal {
    /// The machine or its browser did not answer.
    pub(super) fn bad_gateway(message: &str, cause: impl std::fmt::Display) -> Self {
        let error = Error::new(Code::Unavailable, message)
            .with(
                "hint",
                "the machine may be overloaded or gone; ask the API for the session's status and connect again",
            )
            .because(cause);
        Self { error, status: Some(StatusCode::BAD_GATEWAY) }
    }

    /// What its answer says.
    pub(super) fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| dialect(self.error.code).0)
    }

    pub(super) fn message(&self) -> &str {
        &self.error.message
    }

    /// A plain request where only a WebSocket makes sense.
    pub(super) fn upgrade_required(expected: &str) -> Self {
        let error = Error::new(Code::InvalidRequest, format!("this address is a WebSocket: expected {expected}"));
        Self { error, status: Some(StatusCode::UPGRADE_REQUIRED) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, status: None }
    }
}

impl From<DialError> for Refusal {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Gone => {
                Error::new(Code::Unavailable, "the session is not on its machine (any more); it may be ending").into()
            }
            DialError::Unreachable(cause) => {
                Self::bad_gateway("the machine that runs the session did not answer", cause)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Failure(self.error).into_response();
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        let status = response.status();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
