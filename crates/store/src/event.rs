//! The outbox: one event for each thing that happened to a session, written by the move's own transaction.

use crate::{Result, Store};
use vitrine_model::{EpochMs, EventId, OrganizationId, SessionId};

/// An event. Readers keep the last `seq` they have dealt with.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Grows in the order in which events became visible; there may be gaps, and nothing ever appears before what was read.
    pub seq: i64,
    pub id: EventId,
    pub organization: OrganizationId,
    pub session: SessionId,
    /// For example `session.ready`.
    pub name: String,
    pub at: EpochMs,
    /// `{status, machineId, generation, endReason, error, durationMs}`, without what is null; never a secret.
    pub data: serde_json::Value,
}

impl Store {
    /// Events after `seq`, in order.
    pub async fn events_after(&self, seq: i64, limit: u32) -> Result<Vec<Event>> {
        todo!()
    }

    /// The newest event's `seq`; 0 when there is none. Where a reader starts that does not care for the past.
    pub async fn last_event(&self) -> Result<i64> {
        todo!()
    }
}
