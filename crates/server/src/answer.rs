//! Errors as HTTP: the cloud dialect's one table from [`Code`] to a status and a word, and the body's shape.
//!
//! The private cause never reaches the body. The error travels beside the response to the outermost layer, which logs it
//! once, and says it in the other dialect where the path speaks that ([`crate::embed::answer`]).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};
use vitrine_model::{Code, Error};

/// When a client should come back to a deployment that has no room or does not answer.
const RETRY_AFTER_SECONDS: u64 = 5;

/// What a handler answers when it fails.
#[derive(Debug)]
pub struct Failure(pub Error);

/// What a handler answers.
pub type Answer<T> = Result<T, Failure>;

/// The status and the word of each code.
pub fn dialect(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Code::InvalidRequest => (StatusCode::BAD_REQUEST, "INVALID_REQUEST"),
        Code::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
        Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
        Code::PlanFeatureUnavailable => (StatusCode::FORBIDDEN, "PLAN_FEATURE_UNAVAILABLE"),
        Code::PlanLimitExceeded => (StatusCode::FORBIDDEN, "PLAN_LIMIT_EXCEEDED"),
        Code::InvalidState => (StatusCode::CONFLICT, "INVALID_STATE"),
        Code::InsufficientMinutes => (StatusCode::PAYMENT_REQUIRED, "INSUFFICIENT_MINUTES"),
        Code::IdempotencyConflict => (StatusCode::CONFLICT, "IDEMPOTENCY_CONFLICT"),
        Code::MissingRegion => (StatusCode::BAD_REQUEST, "MISSING_REGION"),
        Code::InvalidOrigin => (StatusCode::BAD_REQUEST, "INVALID_ORIGIN"),
        Code::ProfileInUse => (StatusCode::CONFLICT, "PROFILE_IN_USE"),
        Code::CapabilityDisabled => (StatusCode::FORBIDDEN, "CAPABILITY_DISABLED"),
        Code::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "DISK_FULL"),
        Code::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED"),
        Code::SchedulingFailed => (StatusCode::SERVICE_UNAVAILABLE, "SCHEDULING_FAILED"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<vitrine_store::StoreError> for Failure {
    fn from(error: vitrine_store::StoreError) -> Self {
        Self(Error::internal(format!("could not {error}")))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, word) = dialect(self.0.code);
        let mut response = shaped(&self.0, status, word);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response.extensions_mut().insert(self.0);
        response
    }
}

/// An error's body: text and word, and its public facts.
pub fn shaped(error: &Error, status: StatusCode, word: &str) -> Response {
    let mut body = Map::new();
    body.insert("error".into(), Value::String(error.message.clone()));
    body.insert("code".into(), Value::String(word.into()));
    body.extend(error.context.iter().map(|(name, value)| (name.clone(), value.clone())));
    (status, Json(body)).into_response()
}
