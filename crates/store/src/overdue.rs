//! What a clock must make true: starts that took too long, waits that were too long, time that is up. Idempotent; each call
//! takes a bounded number of rows, call again while it answers as many as [`BATCH`].

use crate::{Result, Session, Store};
use vitrine_model::EpochMs;

/// Rows that one call moves at most.
pub const BATCH: i64 = 100;

impl Store {
    /// Starts past their deadline: queued again, or failed after [`crate::ATTEMPTS_MAX`] tries.
    pub async fn requeue_overdue(&self, now: EpochMs) -> Result<Vec<Session>> {
        todo!()
    }

    /// Queued sessions past their deadline: failed with `queue_timeout`.
    pub async fn fail_overdue_queued(&self, now: EpochMs) -> Result<Vec<Session>> {
        todo!()
    }

    /// Running sessions whose time is up: asked to end with `max_duration`.
    pub async fn end_expired(&self, now: EpochMs) -> Result<Vec<Session>> {
        todo!()
    }
}
