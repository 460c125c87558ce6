//! What is written to the outbox: one event for each thing that happened to a session, in the transaction that made it so.

use crate::{Kind, Status};
use serde::{Deserialize, Serialize};

/// What can happen to a session besides its moves. Reported by its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Happening {
    /// A file was kept: `{key, kind, size, sha256}`.
    #[serde(rename = "artifacts.updated")]
    ArtifactsUpdated,
    /// A file came through the browser: `{name, size, sha256, key}`.
    #[serde(rename = "download.completed")]
    DownloadCompleted,
    /// A CAPTCHA stands in a page: `{kind, url, siteKey, solver}`, where `solver` is `configured` or `none`.
    #[serde(rename = "captcha.detected")]
    CaptchaDetected,
    /// The operator's solver answered and the page took it.
    #[serde(rename = "captcha.solved")]
    CaptchaSolved,
    /// It did not: `{kind, url, message}`.
    #[serde(rename = "captcha.failed")]
    CaptchaFailed,
    /// A workspace was kept: `{checkpointId, key, size}`.
    #[serde(rename = "checkpoint.created")]
    CheckpointCreated,
    /// A connection was refused by the sandbox's network policy: `{name, address, port, rule}`.
    #[serde(rename = "network.refused")]
    NetworkRefused,
    /// The network policy was changed: `{network}`.
    #[serde(rename = "network.changed")]
    NetworkChanged,
    /// The session leaves by another upstream now.
    #[serde(rename = "egress.changed")]
    EgressChanged,
}

impl Happening {
    /// The last part of the event's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Happening::ArtifactsUpdated => "artifacts.updated",
            Happening::DownloadCompleted => "download.completed",
            Happening::CaptchaDetected => "captcha.detected",
            Happening::CaptchaSolved => "captcha.solved",
            Happening::CaptchaFailed => "captcha.failed",
            Happening::CheckpointCreated => "checkpoint.created",
            Happening::NetworkRefused => "network.refused",
            Happening::NetworkChanged => "network.changed",
            Happening::EgressChanged => "egress.changed",
        }
    }
}

/// Prefix of an event's name: `session.` for browsers, `sandbox.` for sandboxes.
pub fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Browser => "session",
        Kind::Sandbox => "sandbox",
    }
}

/// The name of the event that says that a session came into `status`.
pub fn name(kind: Kind, status: Status) -> String {
    let word = match status {
        Status::Queued => "created",
        Status::Assigning => "assigned",
        other => other.as_str(),
    };
    format!("{}.{word}", prefix(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_webhook_names() {
        assert_eq!(name(Kind::Browser, Status::Queued), "session.created");
        assert_eq!(name(Kind::Browser, Status::Assigning), "session.assigned");
        assert_eq!(name(Kind::Sandbox, Status::Paused), "sandbox.paused");
    }
}
