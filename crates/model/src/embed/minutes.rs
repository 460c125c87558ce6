//! Ledger arithmetic: how many minutes a session used, and how many of those it held go back. A minute that is begun counts
//! whole. Clocks that were set back make no negative time and give no more back than was held.

use crate::{EndReason, EpochMs};

/// Milliseconds of a minute.
pub const MINUTE_MS: EpochMs = 60_000;

/// Why minutes move between the accounts of an organization's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MinutesKind {
    /// The operator gives them: issued → available.
    Grant,
    /// An order is paid: issued → available.
    Purchase,
    /// A session is made: available → held.
    Hold,
    /// It used them: held → spent.
    Spend,
    /// It did not: held → available.
    Refund,
}

impl MinutesKind {
    /// All kinds.
    pub const ALL: [MinutesKind; 5] =
        [MinutesKind::Grant, MinutesKind::Purchase, MinutesKind::Hold, MinutesKind::Spend, MinutesKind::Refund];

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            MinutesKind::Grant => "grant",
            MinutesKind::Purchase => "purchase",
            MinutesKind::Hold => "hold",
            MinutesKind::Spend => "spend",
            MinutesKind::Refund => "refund",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<MinutesKind> {
        MinutesKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Minutes between two moments, at least one.
pub fn used_minutes(started_at: EpochMs, ended_at: EpochMs) -> u32 {
    let ms = ended_at.saturating_sub(started_at).max(1).unsigned_abs();
    u32::try_from(ms.div_ceil(MINUTE_MS.unsigned_abs())).unwrap_or(u32::MAX)
}

/// What goes back of `held` minutes when a session ends: all when it was never ready, nothing when its time ran out, what it
/// did not use when somebody ended it or we failed it.
pub fn refund(held: u32, reason: EndReason, started_at: Option<EpochMs>, ended_at: EpochMs) -> u32 {
    let Some(started_at) = started_at else { return held };
    match reason {
        EndReason::MaxDuration | EndReason::Idle => 0,
        EndReason::Deleted
        | EndReason::ClosedByClient
        | EndReason::ServerShutdown
        | EndReason::BrowserCrashed
        | EndReason::OutOfMemory
        | EndReason::MachineLost
        | EndReason::MachineRestarted
        | EndReason::ProcessLost
        | EndReason::SchedulingFailed => held.saturating_sub(used_minutes(started_at, ended_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_that_is_begun_counts_whole() {
        for (ms, minutes) in [(0, 1), (1, 1), (60_000, 1), (60_001, 2), (120_000, 2), (900_000, 15), (-5, 1)] {
            assert_eq!(used_minutes(1_000, 1_000 + ms), minutes, "{ms}");
        }
        assert_eq!(used_minutes(EpochMs::MIN, EpochMs::MAX), u32::MAX);
        assert_eq!(used_minutes(EpochMs::MAX, EpochMs::MIN), 1);
    }

    #[test]
    fn what_was_not_used_goes_back_unless_the_time_ran_out() {
        assert_eq!(refund(15, EndReason::Deleted, Some(0), 150_000), 12);
        assert_eq!(refund(15, EndReason::Deleted, Some(0), 0), 14, "a session that was ready used one");
        assert_eq!(refund(15, EndReason::MachineLost, Some(0), 60_000), 14);
        assert_eq!(refund(15, EndReason::Deleted, Some(0), 900_001), 0);
        // A clock that was set back gives nothing away.
        assert_eq!(refund(15, EndReason::MaxDuration, Some(600_000), 0), 0);
    }

    #[test]
    fn never_more_goes_back_than_was_held_and_all_of_what_never_started() {
        for reason in EndReason::ALL {
            assert_eq!(refund(15, reason, None, 1), 15);
            for ended_at in [EpochMs::MIN, 0, 1, 59_999, 10_000_000, EpochMs::MAX] {
                assert!(refund(15, reason, Some(1), ended_at) < 15, "what was ready costs at least a minute");
            }
        }
    }

    #[test]
    fn words_round_trip() {
        for kind in MinutesKind::ALL {
            assert_eq!(MinutesKind::parse(kind.as_str()), Some(kind));
        }
    }
}
