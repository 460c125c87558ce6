//! The closed vocabulary of errors: a code, a public text and a private context that only the log sees.
//!
//! Errors do not know HTTP; each API dialect maps every [`Code`] to its own status and word in one exhaustive table.

use crate::{EndReason, Feature, Plan, SchedulingReason, Status};
use serde_json::Value;
use std::fmt;

/// Everything that a request can fail with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    Unauthenticated,
    RateLimited,
    PermissionDenied,
    InvalidRequest,
    PayloadTooLarge,
    NotFound,
    MethodNotAllowed,
    PlanFeatureUnavailable,
    PlanLimitExceeded,
    InvalidState,
    ProfileInUse,
    /// The balance of minutes is too small.
    InsufficientMinutes,
    /// An idempotency key came with another request.
    IdempotencyConflict,
    /// Nothing says where an embed session is to run.
    MissingRegion,
    /// Not an origin, or not a pattern of a documented form.
    InvalidOrigin,
    CapabilityDisabled,
    DiskFull,
    NotImplemented,
    SchedulingFailed,
    Unavailable,
    Internal,
}

/// Public facts beside the text, for example `requiredPlan`.
pub type Context = serde_json::Map<String, Value>;

/// A request's failure.
#[derive(Clone)]
pub struct Error {
    /// Which of the closed vocabulary.
    pub code: Code,
    /// What the caller reads: names the field and says what would be right.
    pub message: String,
    /// Public facts beside the text.
    pub context: Box<Context>,
    /// What only the log sees: the cause.
    pub private: Option<String>,
}

impl Error {
    /// An error with a public text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), context: Box::default(), private: None }
    }

    /// Adds a public fact.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }

    /// Adds the cause that only the log sees.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.private = Some(cause.to_string());
        self
    }

    /// A field with a wrong value: `field` names it, `expected` says what would be right.
    pub fn invalid(field: &str, expected: impl fmt::Display) -> Self {
        Self::new(Code::InvalidRequest, format!("{field}: {expected}")).with("field", field)
    }

    /// No such thing, or another organization's.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// A feature that the plan lacks.
    pub fn plan_feature(feature: Feature, required: Plan, current: Plan) -> Self {
        let text = format!("{} needs plan {} or higher", feature.as_str(), required.as_str());
        Self::new(Code::PlanFeatureUnavailable, text)
            .with("requiredPlan", required.as_str())
            .with("currentPlan", current.as_str())
    }

    /// A figure above what the plan allows.
    pub fn plan_limit(what: &str, limit: impl Into<Value>, current: Plan) -> Self {
        let limit = limit.into();
        Self::new(Code::PlanLimitExceeded, format!("{what}: plan {} allows {limit}", current.as_str()))
            .with("currentPlan", current.as_str())
            .with("limit", limit)
    }

    /// Not possible in the session's state.
    pub fn state(status: Status, what: &str) -> Self {
        Self::new(Code::InvalidState, format!("{what} is not possible while the session is {}", status.as_str()))
            .with("status", status.as_str())
    }

    /// No machine can take the session.
    pub fn scheduling(reason: SchedulingReason, message: impl Into<String>) -> Self {
        Self::new(Code::SchedulingFailed, message).with("reason", reason.as_str())
    }

    /// A token of a session that is over.
    pub fn ended(reason: Option<EndReason>) -> Self {
        let error = Self::new(Code::Unauthenticated, "the session is over and its token was revoked");
        match reason {
            Some(reason) => error.with("endReason", reason.as_str()),
            None => error,
        }
    }

    /// Something that should not have happened; the caller only learns that it did.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "something went wrong on our side; the log says what").because(cause)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)?;
        match &self.private {
            Some(private) => write!(f, " ({private})"),
            None => Ok(()),
        }
    }
}
