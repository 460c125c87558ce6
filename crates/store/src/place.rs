//! Placement: which queued session next, and on which machine.

use crate::backend::{Sql, Transaction, locking, retry, values};
use crate::moves::Assignee;
use crate::session::session_columns;
use crate::{Result, Session, Store, StoreError};
use vitrine_model::{EpochMs, Isolation, MachineId, RunId};

/// Figures of placement.
#[derive(Debug, Clone, Copy)]
pub struct PlaceOptions {
    /// A machine that has not beaten for longer takes nothing new.
    pub fresh_beat_ms: i64,
    /// How long a machine may take to have a session ready.
    pub start_ms: i64,
    /// How long a session for which there is no room waits before it is looked at again.
    pub retry_ms: i64,
}

impl Default for PlaceOptions {
    fn default() -> Self {
        Self { fresh_beat_ms: 15_000, start_ms: 20_000, retry_ms: 250 }
    }
}

/// What one placement did.
#[derive(Debug, Clone)]
pub enum Placed {
    /// This session has a machine now.
    Assigned(Box<Session>),
    /// Sessions are queued, none can be placed now; look again at `due_at`, or when something is freed.
    Waiting { due_at: EpochMs },
    /// Nothing is queued.
    Nothing,
}

/// Whether a session could be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// There is room.
    Now,
    /// There is no room now, or no machine has come yet.
    Later,
    /// No machine of that region is known.
    NeverRegion,
    /// It is larger than every machine.
    NeverCapacity,
}

/// Queued, due and still waited for.
macro_rules! due {
    () => {
        "status = 'queued' AND not_before <= $1 AND queue_deadline > $1"
    };
}

/// The next session that is due: of the organization that holds the fewest, its oldest.
const NEXT: Sql = locking!(
    concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions s WHERE ",
        due!(),
        " AND s.organization = (
             SELECT w.organization FROM (
                 SELECT organization, min(created_at) AS oldest FROM sessions WHERE ",
        due!(),
        "        GROUP BY organization
             ) w ORDER BY (
                 SELECT count(*) FROM sessions h
                 WHERE h.organization = w.organization AND h.status NOT IN ('ended', 'failed', 'queued') AND h.stored = 0
             ), w.oldest LIMIT 1
         ) ORDER BY s.created_at, s.id LIMIT 1"
    ),
    "FOR NO KEY UPDATE SKIP LOCKED"
);
/// Any other that is due: other servers have all of that organization in hand.
const ANY: Sql = locking!(
    concat!("SELECT ", session_columns!(), " FROM sessions s WHERE ", due!(), " ORDER BY s.created_at, s.id LIMIT 1"),
    "FOR NO KEY UPDATE SKIP LOCKED"
);

/// The machines that can hold a session, best first: its region, not where it just failed, one that is already its
/// organization's own, the fullest.
macro_rules! fitting {
    () => {
        "SELECT m.id, m.epoch FROM machines m JOIN machine_leases l ON l.machine_id = m.id AND l.epoch = m.epoch
         WHERE m.state = 'ready' AND m.draining = 0 AND l.beat_at > $1
           AND m.reserve_total_mb - m.reserve_used_mb >= $2 AND m.slots_used < m.slots_total
           AND (m.exclusive_organization IS NULL OR m.exclusive_organization = $3)
           AND ($4 = 0 OR NOT EXISTS (
               SELECT 1 FROM sessions o WHERE o.machine_id = m.id AND o.status NOT IN ('ended', 'failed')
               AND o.stored = 0 AND o.organization <> $3))
         ORDER BY CASE WHEN m.region_code = $5 OR m.region_global = $5 THEN 0 ELSE 1 END,
             CASE WHEN m.id = $6 THEN 1 ELSE 0 END,
             CASE WHEN $4 = 1 AND m.exclusive_organization = $3 THEN 0 ELSE 1 END,
             m.slots_used DESC, m.id LIMIT 1"
    };
}
const FREE: Sql = locking!(fitting!(), "FOR NO KEY UPDATE OF m SKIP LOCKED");
/// The same, waiting for whoever places on it at the moment.
const BUSY: Sql = locking!(fitting!(), "FOR NO KEY UPDATE OF m");

/// What one transaction of placement did.
enum Attempt {
    Assigned(Box<Session>),
    NoRoom,
    NothingDue,
}

impl Store {
    /// Places the next queued session: of the organization that holds the fewest, its oldest; on the fullest machine that
    /// fits. `run` becomes the start's id.
    pub async fn place_next(&self, now: EpochMs, options: PlaceOptions, run: RunId) -> Result<Placed> {
        loop {
            match retry(|| self.place_once(now, options, &run)).await? {
                Attempt::Assigned(session) => return Ok(Placed::Assigned(session)),
                // That one waits; another organization's, or a smaller one, may fit.
                Attempt::NoRoom => continue,
                Attempt::NothingDue => break,
            }
        }
        const SQL: &str = "SELECT min(not_before) AS due_at FROM sessions WHERE status = 'queued'";
        let due_at = self.first(SQL, &[]).await?.map(|row| row.get::<Option<i64>>("due_at")).transpose()?.flatten();
        Ok(match due_at {
            Some(due_at) if due_at > now => Placed::Waiting { due_at },
            // Due, but another server has it in hand, or its deadline has passed.
            Some(_) => Placed::Waiting { due_at: now + options.retry_ms },
            None => Placed::Nothing,
        })
    }

    async fn place_once(&self, now: EpochMs, options: PlaceOptions, run: &RunId) -> Result<Attempt> {
        let mut tx = self.begin().await?;
        let Some(mut session) = tx.next_due(now).await? else {
            tx.rollback().await?;
            return Ok(Attempt::NothingDue);
        };
        let Some((machine, epoch)) = tx.machine_for(&session, now - options.fresh_beat_ms).await? else {
            tx.put_off(&session, now, now + options.retry_ms).await?;
            tx.commit().await?;
            return Ok(Attempt::NoRoom);
        };
        let assignee = Assignee { machine, epoch, run: run.clone(), step_deadline: now + options.start_ms };
        tx.apply(&mut session, |session| session.assign(&assignee, now)).await?;
        tx.commit().await?;
        Ok(Attempt::Assigned(Box::new(session)))
    }

    /// Asked once before queueing: could any machine hold it?
    pub async fn fit(&self, region: Option<&str>, reserve_mb: u32, now: EpochMs, options: PlaceOptions) -> Result<Fit> {
        const SQL: &str = "SELECT count(*) AS known,
                count(*) FILTER (WHERE m.region_code = $1 OR m.region_global = $1) AS in_region,
                count(*) FILTER (WHERE m.reserve_total_mb >= $2 AND m.slots_total > 0) AS large,
                count(*) FILTER (WHERE m.state = 'ready' AND m.draining = 0 AND l.beat_at > $3
                    AND m.reserve_total_mb - m.reserve_used_mb >= $2 AND m.slots_used < m.slots_total) AS free
            FROM machines m JOIN machine_leases l ON l.machine_id = m.id";
        let row = self.first(SQL, values![region, reserve_mb, now - options.fresh_beat_ms]).await?;
        let row = row.ok_or(StoreError::Missing("count"))?;
        let count = |column| row.get::<i64>(column);
        Ok(match () {
            _ if count("known")? == 0 => Fit::Later,
            _ if region.is_some() && count("in_region")? == 0 => Fit::NeverRegion,
            _ if count("large")? == 0 => Fit::NeverCapacity,
            _ if count("free")? == 0 => Fit::Later,
            _ => Fit::Now,
        })
    }
}

impl Transaction {
    async fn next_due(&mut self, now: EpochMs) -> Result<Option<Session>> {
        let mut next = self.first(NEXT, values![now]).await?;
        if next.is_none() && self.is_concurrent() {
            next = self.first(ANY, values![now]).await?;
        }
        next.as_ref().map(Session::from_row).transpose()
    }

    /// The machine for a session, its row locked.
    async fn machine_for(&mut self, session: &Session, beaten_since: EpochMs) -> Result<Option<(MachineId, i64)>> {
        let dedicated = session.isolation() == Isolation::Dedicated;
        let values = values![
            beaten_since,
            session.reserve_mb,
            session.organization.as_str(),
            dedicated,
            session.workload.region(),
            session.avoid_machine.as_ref().map(MachineId::as_str),
        ];
        let mut found = self.first(FREE, values).await?;
        if found.is_none() && self.is_concurrent() {
            found = self.first(BUSY, values).await?;
        }
        let Some(row) = found else { return Ok(None) };
        let machine = row.word("id", |text| MachineId::parse(text).ok())?;
        // The lock was waited for: PostgreSQL has looked at the machine's row again since, but not at its sessions.
        if dedicated && self.is_concurrent() && self.has_strangers(session, &machine).await? {
            return Ok(None);
        }
        Ok(Some((machine, row.get("epoch")?)))
    }

    async fn has_strangers(&mut self, session: &Session, machine: &MachineId) -> Result<bool> {
        const SQL: &str = "SELECT id FROM sessions WHERE machine_id = $1 AND status NOT IN ('ended', 'failed')
            AND stored = 0 AND organization <> $2 LIMIT 1";
        Ok(self.first(SQL, values![machine.as_str(), session.organization.as_str()]).await?.is_some())
    }

    /// No room: this one and those of its organization that need no less are not looked at again before then.
    async fn put_off(&mut self, session: &Session, now: EpochMs, until: EpochMs) -> Result<()> {
        const SQL: Sql = Sql {
            sqlite: "UPDATE sessions SET not_before = $5 WHERE status = 'queued' AND not_before <= $4
                AND organization = $1 AND isolation = $2 AND reserve_mb >= $3",
            postgres: "UPDATE sessions SET not_before = $5 WHERE id IN (
                SELECT id FROM sessions WHERE status = 'queued' AND not_before <= $4
                AND organization = $1 AND isolation = $2 AND reserve_mb >= $3 FOR NO KEY UPDATE SKIP LOCKED)",
        };
        let (organization, isolation) = (session.organization.as_str(), session.isolation().as_str());
        self.run(SQL, values![organization, isolation, session.reserve_mb, now, until]).await?;
        Ok(())
    }
}
