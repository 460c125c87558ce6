//! A session's life: its states and the moves between them.
//!
//! One pure function, [`Status::on`], holds every legal move; a row is updated by compare-and-set on what it answers.
//!
//! ```text
//! queued ─assign→ assigning ─ready→ ready ⇄ active ─end→ ending ─finish→ ended
//!    ↑──────requeue──┘              ready|active ─pause→ pausing ─paused→ paused ─resume→ ready
//!                                                paused on disk ─restore→ assigning ─shelve→ paused
//! failed: from every state that is not terminal. A queued session that is ended has nothing to tear down: ended at once.
//! ```
//!
//! A session that was ever ready is never placed on another machine: where it is frozen it is thawed, and one that moved to
//! disk starts again on the machine that has the disk.

use serde::{Deserialize, Serialize};

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Assigning,
    Ready,
    Active,
    Pausing,
    Paused,
    Ending,
    Ended,
    Failed,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transition {
    /// Placement chose a machine.
    Assign,
    /// The machine did not start it in time, or was lost before it did.
    Requeue,
    /// The machine has it running.
    Ready,
    /// The first client came.
    Activate,
    /// The last client left.
    Deactivate,
    /// The machine begins to freeze it.
    Pause,
    /// It is frozen.
    Paused,
    /// It is thawed again, or could not be frozen.
    Resume,
    /// Its machine is to start it from its disk again.
    Restore,
    /// The start from its disk came to nothing.
    Shelve,
    /// Somebody or something asked it to end.
    End,
    /// Nothing of it is left on the machine.
    Finish,
    /// It went wrong.
    Fail,
}

/// A move that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session that is {} cannot {transition:?}", status.as_str())]
pub struct NotNow {
    /// The state it was in.
    pub status: Status,
    /// What was tried.
    pub transition: Transition,
}

impl Status {
    /// All states.
    pub const ALL: [Status; 9] = [
        Status::Queued,
        Status::Assigning,
        Status::Ready,
        Status::Active,
        Status::Pausing,
        Status::Paused,
        Status::Ending,
        Status::Ended,
        Status::Failed,
    ];

    /// The state after `transition`, or why it cannot happen now.
    pub fn on(self, transition: Transition) -> Result<Status, NotNow> {
        use Status::*;
        match (self, transition) {
            (Queued, Transition::Assign) => Ok(Assigning),
            (Queued, Transition::End) => Ok(Ended),
            (Assigning, Transition::Requeue) => Ok(Queued),
            (Assigning, Transition::Ready) => Ok(Ready),
            (Ready, Transition::Activate) => Ok(Active),
            (Active, Transition::Deactivate) => Ok(Ready),
            (Ready | Active, Transition::Pause) => Ok(Pausing),
            (Pausing, Transition::Paused) => Ok(Paused),
            (Pausing | Paused, Transition::Resume) => Ok(Ready),
            (Paused, Transition::Restore) => Ok(Assigning),
            (Assigning, Transition::Shelve) => Ok(Paused),
            (Assigning | Ready | Active | Pausing | Paused, Transition::End) => Ok(Ending),
            (Ending, Transition::Finish) => Ok(Ended),
            (Queued | Assigning | Ready | Active | Pausing | Paused | Ending, Transition::Fail) => Ok(Failed),
            (status, transition) => Err(NotNow { status, transition }),
        }
    }

    /// The states from which `transition` is legal: the predecessors in a guarded update.
    pub fn before(transition: Transition) -> Vec<Status> {
        Status::ALL.into_iter().filter(|status| status.on(transition).is_ok()).collect()
    }

    /// Over for good.
    pub fn is_terminal(self) -> bool {
        matches!(self, Status::Ended | Status::Failed)
    }

    /// A client can be let in.
    pub fn is_running(self) -> bool {
        matches!(self, Status::Ready | Status::Active)
    }

    /// Whether it has a machine, whose reservation and slot are counted unless all that it has there is a disk.
    pub fn holds_machine(self) -> bool {
        matches!(
            self,
            Status::Assigning | Status::Ready | Status::Active | Status::Pausing | Status::Paused | Status::Ending
        )
    }

    /// The word in the API, the table and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Assigning => "assigning",
            Status::Ready => "ready",
            Status::Active => "active",
            Status::Pausing => "pausing",
            Status::Paused => "paused",
            Status::Ending => "ending",
            Status::Ended => "ended",
            Status::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What the server wants of a session; the machine makes it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    Run,
    End,
    Pause,
    Resume,
}

impl Desired {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Desired::Run => "run",
            Desired::End => "end",
            Desired::Pause => "pause",
            Desired::Resume => "resume",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Desired> {
        [Desired::Run, Desired::End, Desired::Pause, Desired::Resume]
            .into_iter()
            .find(|desired| desired.as_str() == word)
    }
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Browser,
    Sandbox,
}

impl Kind {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Browser => "browser",
            Kind::Sandbox => "sandbox",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Kind> {
        [Kind::Browser, Kind::Sandbox].into_iter().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSITIONS: [Transition; 13] = [
        Transition::Assign,
        Transition::Requeue,
        Transition::Ready,
        Transition::Activate,
        Transition::Deactivate,
        Transition::Pause,
        Transition::Paused,
        Transition::Resume,
        Transition::Restore,
        Transition::Shelve,
        Transition::End,
        Transition::Finish,
        Transition::Fail,
    ];

    #[test]
    fn nothing_leaves_a_terminal_state() {
        for status in [Status::Ended, Status::Failed] {
            assert!(TRANSITIONS.iter().all(|transition| status.on(*transition).is_err()));
        }
    }

    #[test]
    fn everything_that_is_not_terminal_can_fail_and_end() {
        for status in Status::ALL.into_iter().filter(|status| !status.is_terminal()) {
            assert_eq!(status.on(Transition::Fail), Ok(Status::Failed));
            if status != Status::Ending {
                assert!(status.on(Transition::End).is_ok());
            }
        }
    }

    #[test]
    fn only_what_is_on_its_disk_starts_again() {
        for status in [Status::Ready, Status::Active, Status::Pausing, Status::Paused, Status::Ending] {
            for transition in TRANSITIONS {
                let restored = (status, transition) == (Status::Paused, Transition::Restore);
                match status.on(transition) {
                    Ok(Status::Queued) => panic!("{status:?} {transition:?}"),
                    Ok(Status::Assigning) => assert!(restored, "{status:?} {transition:?}"),
                    _ => assert!(!restored),
                }
            }
        }
    }

    #[test]
    fn words_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_string(&status).ok(), Some(format!("\"{}\"", status.as_str())));
        }
        assert_eq!(Status::before(Transition::Finish), vec![Status::Ending]);
    }
}
