//! The outbox: one event for each thing that happened to a session, written by the move's own transaction.

use crate::backend::{Row, values};
use crate::{Result, Store, StoreError};
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

/// The advisory lock of PostgreSQL under which events are numbered, in the range that nothing else of ours uses.
const NUMBERING_LOCK: i64 = 0x7669_7472_696e_0001;

impl Event {
    fn from_row(row: &Row) -> Result<Event> {
        let data: String = row.get("data")?;
        Ok(Event {
            seq: row.get("seq")?,
            id: row.word("id", |text| EventId::parse(text).ok())?,
            organization: row.word("organization", |text| OrganizationId::parse(text).ok())?,
            session: row.word("session", |text| SessionId::parse(text).ok())?,
            name: row.get("name")?,
            at: row.get("at")?,
            data: serde_json::from_str(&data).map_err(|_| StoreError::Corrupt { column: "data", value: data })?,
        })
    }
}

impl Store {
    /// Events after `seq`, in order.
    pub async fn events_after(&self, seq: i64, limit: u32) -> Result<Vec<Event>> {
        const SQL: &str = "SELECT seq, id, organization, session, name, at, data FROM events
            WHERE seq > $1 ORDER BY seq LIMIT $2";
        self.number_events().await?;
        self.all(SQL, values![seq, limit]).await?.iter().map(Event::from_row).collect()
    }

    /// The newest event's `seq`; 0 when there is none. Where a reader starts that does not care for the past.
    pub async fn last_event(&self) -> Result<i64> {
        self.number_events().await?;
        let row = self.first("SELECT coalesce(max(seq), 0) AS seq FROM events", &[]).await?;
        row.map_or(Ok(0), |row| row.get("seq"))
    }

    /// Gives every event that is committed by now its number, one server at a time, so that a number that a reader has seen
    /// is never followed by a smaller one. SQLite's one writer numbers as it inserts.
    async fn number_events(&self) -> Result<()> {
        if !self.is_concurrent()
            || self.first("SELECT position FROM events WHERE seq IS NULL LIMIT 1", &[]).await?.is_none()
        {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        tx.all("SELECT 1 AS held FROM (SELECT pg_advisory_xact_lock($1)) locked", values![NUMBERING_LOCK]).await?;
        tx.run(
            "UPDATE events SET seq = numbered.seq FROM (
                 SELECT position, nextval('event_seq') AS seq
                 FROM (SELECT position FROM events WHERE seq IS NULL ORDER BY position) waiting
             ) numbered WHERE events.position = numbered.position",
            &[],
        )
        .await?;
        tx.commit().await
    }
}
