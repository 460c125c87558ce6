//! Errors in the embed dialect: `{error, code, …}` with words in small letters, for every path under `/api/`.
//!
//! Handlers, gates and fallbacks fail as everywhere; the outermost layer says it again in this dialect, so that no path can
//! be missed.

use crate::answer::shaped;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use serde_json::Value;
use vitrine_model::{Code, Error};

/// When a client should ask again for a browser that was not there.
pub const RETRY_AFTER_SECONDS: u64 = 5;
/// The field by which an error speaks of the body itself.
const BODY: &str = "body";
/// Facts that the parts shared with the cloud API tell, and how they are called here.
const RENAMED: [(&str, &str); 3] =
    [("requiredPermission", "required_permission"), ("currentPlan", "plan"), ("endReason", "end_reason")];

/// Whether a path's errors are in this dialect.
pub fn is_spoken_at(path: &str) -> bool {
    path.starts_with("/api/")
}

/// The status and the word of an error.
pub fn dialect(error: &Error) -> (StatusCode, &'static str) {
    match error.code {
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthorized"),
        Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "permission_denied"),
        Code::InvalidRequest if is_of_body(error) => (StatusCode::BAD_REQUEST, "invalid_json"),
        Code::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_field"),
        Code::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        Code::PlanFeatureUnavailable => (StatusCode::FORBIDDEN, "plan_feature_unavailable"),
        Code::PlanLimitExceeded => (StatusCode::TOO_MANY_REQUESTS, "concurrent_limit"),
        Code::InvalidState => (StatusCode::CONFLICT, "invalid_state"),
        Code::InsufficientMinutes => (StatusCode::PAYMENT_REQUIRED, "insufficient_minutes"),
        Code::IdempotencyConflict => (StatusCode::CONFLICT, "idempotency_conflict"),
        Code::MissingRegion => (StatusCode::BAD_REQUEST, "missing_region"),
        Code::InvalidOrigin => (StatusCode::BAD_REQUEST, "invalid_origin"),
        Code::ProfileInUse => (StatusCode::CONFLICT, "profile_in_use"),
        Code::CapabilityDisabled => (StatusCode::FORBIDDEN, "capability_disabled"),
        Code::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        Code::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "not_implemented"),
        Code::SchedulingFailed => (StatusCode::SERVICE_UNAVAILABLE, "pool_empty"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn is_of_body(error: &Error) -> bool {
    error.context.get("field").is_some_and(|field| field == BODY)
}

/// A failure's answer in this dialect; any other answer as it is. The headers that were set already stay.
pub fn translated(response: Response) -> Response {
    let Some(mut error) = response.extensions().get::<Error>().cloned() else { return response };
    let (status, word) = dialect(&error);
    for (cloud, embed) in RENAMED {
        if let Some(value) = error.context.remove(cloud) {
            error.context.insert(embed.to_owned(), value);
        }
    }
    if let Some(wait_ms) = error.context.remove("retryAfterMs").as_ref().and_then(Value::as_u64) {
        error.context.insert("retry_after".to_owned(), wait_ms.div_ceil(1_000).max(1).into());
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        error.context.insert("retry_after".to_owned(), RETRY_AFTER_SECONDS.into());
    }
    let (mut parts, _) = response.into_parts();
    parts.status = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        parts.headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    Response::from_parts(parts, shaped(&error, status, word).into_body())
}
