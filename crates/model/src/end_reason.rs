//! Why a session ended: one word, the same in the row, the event, the close frame and the log.

use crate::Status;
use serde::{Deserialize, Serialize};

/// Why a session ended or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// DELETE.
    Deleted,
    /// The client sent `Browser.close`.
    ClosedByClient,
    /// `maxDurationMs` is over, or the minutes are used up.
    MaxDuration,
    /// No client for `idleTimeoutMs` after the last one left.
    Idle,
    /// The machine is drained or the server told to end its sessions.
    ServerShutdown,
    /// The browser process died.
    BrowserCrashed,
    /// The capsule hit its memory limit and the browser died of it.
    OutOfMemory,
    /// The machine stopped answering for longer than its lease.
    MachineLost,
    /// The machine booted anew.
    MachineRestarted,
    /// The machine is there but the session's process is not.
    ProcessLost,
    /// It never started; `error.reason` says why.
    SchedulingFailed,
}

/// Close code for a token that was revoked while its client was connected.
pub const CLOSE_TOKEN_REVOKED: u16 = 4401;

impl EndReason {
    /// All reasons.
    pub const ALL: [EndReason; 11] = [
        EndReason::Deleted,
        EndReason::ClosedByClient,
        EndReason::MaxDuration,
        EndReason::Idle,
        EndReason::ServerShutdown,
        EndReason::BrowserCrashed,
        EndReason::OutOfMemory,
        EndReason::MachineLost,
        EndReason::MachineRestarted,
        EndReason::ProcessLost,
        EndReason::SchedulingFailed,
    ];

    /// The word in the row, the event, the close frame and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Deleted => "deleted",
            EndReason::ClosedByClient => "closed_by_client",
            EndReason::MaxDuration => "max_duration",
            EndReason::Idle => "idle",
            EndReason::ServerShutdown => "server_shutdown",
            EndReason::BrowserCrashed => "browser_crashed",
            EndReason::OutOfMemory => "out_of_memory",
            EndReason::MachineLost => "machine_lost",
            EndReason::MachineRestarted => "machine_restarted",
            EndReason::ProcessLost => "process_lost",
            EndReason::SchedulingFailed => "scheduling_failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<EndReason> {
        EndReason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// The terminal state it leads to: an end that somebody meant, or a failure.
    pub fn outcome(self) -> Status {
        match self {
            EndReason::Deleted
            | EndReason::ClosedByClient
            | EndReason::MaxDuration
            | EndReason::Idle
            | EndReason::ServerShutdown => Status::Ended,
            _ => Status::Failed,
        }
    }

    /// The WebSocket close code that connected clients get.
    pub fn close_code(self) -> u16 {
        match self {
            EndReason::Deleted | EndReason::ClosedByClient => 1000,
            EndReason::ServerShutdown => 1001,
            EndReason::MaxDuration => 4001,
            EndReason::Idle => 4002,
            EndReason::BrowserCrashed => 4010,
            EndReason::OutOfMemory => 4011,
            EndReason::MachineLost
            | EndReason::MachineRestarted
            | EndReason::ProcessLost
            | EndReason::SchedulingFailed => 4012,
        }
    }
}

/// Why no machine could take or start a session: the `reason` of `SCHEDULING_FAILED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulingReason {
    /// No machine could ever fit it.
    NoCapacity,
    /// No room before the queue deadline.
    QueueTimeout,
    /// No such region is configured.
    RegionUnavailable,
    /// The egress profile's upstream is not configured or does not answer.
    EgressUnavailable,
    /// The machine has no image to start it from.
    ImageMissing,
    /// It did not start on any try.
    StartFailed,
}

impl SchedulingReason {
    /// All reasons.
    pub const ALL: [SchedulingReason; 6] = [
        SchedulingReason::NoCapacity,
        SchedulingReason::QueueTimeout,
        SchedulingReason::RegionUnavailable,
        SchedulingReason::EgressUnavailable,
        SchedulingReason::ImageMissing,
        SchedulingReason::StartFailed,
    ];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            SchedulingReason::NoCapacity => "no_capacity",
            SchedulingReason::QueueTimeout => "queue_timeout",
            SchedulingReason::RegionUnavailable => "region_unavailable",
            SchedulingReason::EgressUnavailable => "egress_unavailable",
            SchedulingReason::ImageMissing => "image_missing",
            SchedulingReason::StartFailed => "start_failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<SchedulingReason> {
        SchedulingReason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_fit_a_close_frame() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::parse(reason.as_str()), Some(reason));
            assert_eq!(serde_json::to_string(&reason).ok(), Some(format!("\"{}\"", reason.as_str())));
            assert!(reason.as_str().len() <= 123, "a close frame carries at most 123 bytes of reason");
            assert!(reason.outcome().is_terminal());
        }
        for reason in SchedulingReason::ALL {
            assert_eq!(SchedulingReason::parse(reason.as_str()), Some(reason));
        }
    }
}
