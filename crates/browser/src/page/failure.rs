//! Why a call has no value. The code is what our element goes by; other clients go by words in the message, so a failure that
//! must not be tried again avoids the words that mean so (`docs/api/live-view.md`).

use crate::tabs::bounded;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vitrine_cdp::CdpError;

/// Of a message that pages may have a part in.
const MESSAGE_BYTES_MAX: usize = 4096;
/// What clients take for a reason to try again, and what a page's own words become.
const RETRY_WORDS: [(&str, &str); 4] =
    [("timed out", "timed-out"), ("not ready", "not-ready"), ("disconnected", "dis-connected"), ("iframe", "i-frame")];

/// What Chromium says when a document that was asked something is gone.
const DOCUMENT_GONE: [&str; 4] =
    ["Cannot find context", "context was destroyed", "navigated or closed", "No frame for given id"];

/// Part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Code {
    #[serde(rename = "ERR_NOT_READY")]
    NotReady,
    #[serde(rename = "ERR_POLICY_DENIED")]
    PolicyDenied,
    #[serde(rename = "ERR_TIMEOUT")]
    Timeout,
    #[serde(rename = "ERR_UNSUPPORTED")]
    Unsupported,
    #[serde(rename = "ERR_INVALID_ARGUMENT")]
    InvalidArgument,
    #[serde(rename = "ERR_NOT_FOUND")]
    NotFound,
    #[serde(rename = "ERR_CONFLICT")]
    Conflict,
    #[serde(rename = "ERR_INTERNAL")]
    Internal,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub message: String,
    pub code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub retriable: bool,
}

impl Failure {
    fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { message: bounded(&message.into(), MESSAGE_BYTES_MAX), code, status: None, retriable: false }
    }

    /// "click requires a non-empty selector": clients know invalid arguments by these words.
    pub fn requires(method: &str, what: &str) -> Failure {
        Failure::new(Code::InvalidArgument, format!("{method} requires {what}"))
    }

    /// "the tab does not exist".
    pub fn missing(what: &str) -> Failure {
        Failure::new(Code::NotFound, format!("{what} does not exist"))
    }

    pub fn no_active_tab() -> Failure {
        Failure::new(Code::NotFound, "there is no active tab")
    }

    pub fn unknown(method: &str) -> Failure {
        Failure::new(Code::Unsupported, format!("unknown api method {method}"))
    }

    /// "the element does not support typing".
    pub fn unsupported(what: &str) -> Failure {
        Failure::new(Code::Unsupported, what)
    }

    pub fn denied(what: &str) -> Failure {
        Failure { status: Some(403), ..Failure::new(Code::PolicyDenied, format!("the policy does not allow {what}")) }
    }

    pub fn conflict(message: impl Into<String>) -> Failure {
        Failure::new(Code::Conflict, message)
    }

    /// Too much at once: later it may do.
    pub fn busy() -> Failure {
        Failure { retriable: true, ..Failure::new(Code::NotReady, "not ready: too many calls are under way") }
    }

    /// The time that the caller gave is over; it is not to be given again by itself.
    pub fn late(method: &str, limit: Duration) -> Failure {
        Failure::new(Code::Timeout, format!("{method} took longer than {} ms", limit.as_millis()))
    }

    /// What was given can never do.
    pub fn is_invalid(&self) -> bool {
        self.code == Code::InvalidArgument
    }

    /// The time was over.
    pub fn is_late(&self) -> bool {
        self.code == Code::Timeout
    }

    /// The document that was asked went away meanwhile.
    pub fn is_of_a_document(&self) -> bool {
        DOCUMENT_GONE.iter().any(|words| self.message.contains(words))
    }

    /// Anything else, in our words.
    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new(Code::Internal, message)
    }

    /// Anything else, in words of a page or of Chromium.
    pub fn told(message: &str) -> Failure {
        let mut message = bounded(message, MESSAGE_BYTES_MAX);
        for (word, instead) in RETRY_WORDS {
            while let Some(at) = message.to_ascii_lowercase().find(word) {
                message.replace_range(at..at + word.len(), instead);
            }
        }
        Failure::internal(message)
    }
}

impl From<CdpError> for Failure {
    fn from(error: CdpError) -> Failure {
        match error {
            CdpError::TimedOut { limit, .. } => Failure::late("the page", limit),
            CdpError::Closed(_) | CdpError::Detached => Failure::missing("the tab"),
            CdpError::Refused { message, .. } => Failure::told(&message),
            other => Failure::told(&other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_failure_avoids_the_words_that_mean_again() {
        let failure = Failure::told("Error: IFRAME Timed Out, iframe not ready, Disconnected");
        assert_eq!(failure.message, "Error: i-frame timed-out, i-frame not-ready, dis-connected");
        assert!(!Failure::late("click", Duration::from_secs(1)).message.contains("timed out"));
    }

    #[test]
    fn codes_are_those_of_the_contract() {
        let failure = serde_json::to_value(Failure::denied("act.click")).expect("JSON");
        let wanted = serde_json::json!({"message": "the policy does not allow act.click", "code": "ERR_POLICY_DENIED",
            "status": 403, "retriable": false});
        assert_eq!(failure, wanted);
    }
}
