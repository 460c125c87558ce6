//! Metering: one record for each session that ran, written with its end, and the sums over them.

use crate::{Result, Store};
use vitrine_model::{EpochMs, Kind, OrganizationId, SessionId, Weight};

/// A session's running time. A session counts in the period in which it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    pub session: SessionId,
    pub organization: OrganizationId,
    pub kind: Kind,
    pub weight: Option<Weight>,
    pub started_at: EpochMs,
    pub ended_at: EpochMs,
    pub duration_ms: u64,
}

/// Sums of a period, running sessions up to now included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sessions that ran or run.
    pub total_sessions: u64,
    pub browser_ms: u64,
    pub sandbox_ms: u64,
    pub weights: WeightCounts,
}

/// Browser sessions by weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeightCounts {
    pub light: u64,
    pub medium: u64,
    pub heavy: u64,
}

impl Store {
    /// What an organization used since `period_start` (its UTC day, whole).
    pub async fn usage(&self, organization: &OrganizationId, period_start: EpochMs, now: EpochMs) -> Result<Usage> {
        todo!()
    }

    /// A session's record; `None` while it runs, or when it never did.
    pub async fn usage_record(&self, session: &SessionId) -> Result<Option<UsageRecord>> {
        todo!()
    }
}
