//! What is written to the outbox: one event for each thing that happened to a session, in the transaction that made it so.

use crate::{Kind, Status};

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
