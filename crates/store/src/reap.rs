//! Machines that fell silent. When everybody is silent the fault is ours: then it waits for one lease first.

use crate::backend::{Sql, Transaction, locking, retry, values};
use crate::{Result, Session, Store, StoreError};
use vitrine_model::{EndReason, EpochMs, MachineId};

/// Ticks without any server that make the silence ours.
const MISSED_TICKS_MAX: i64 = 6;
/// Fewer machines say nothing about where the fault is.
const CROWD_MIN: usize = 3;

/// Figures of the reaper.
#[derive(Debug, Clone, Copy)]
pub struct ReapOptions {
    /// How often some server calls [`Store::reap`].
    pub tick_ms: i64,
    /// How long a machine may be silent.
    pub lease_ms: i64,
}

impl Default for ReapOptions {
    fn default() -> Self {
        Self { tick_ms: 1_000, lease_ms: 45_000 }
    }
}

/// What one tick did.
#[derive(Debug, Clone, Default)]
pub struct Reaped {
    /// Machines that are lost now.
    pub machines: Vec<MachineId>,
    /// Their sessions that moved: failed, ended, queued again, or paused again because the machine has their disk.
    pub sessions: Vec<Session>,
    /// Nothing is reaped before then.
    pub held_until: Option<EpochMs>,
}

/// A machine that is not lost yet.
struct Watched {
    id: MachineId,
    expired: bool,
}

impl Store {
    /// One tick of the reaper; any server may call it.
    pub async fn reap(&self, options: ReapOptions, now: EpochMs) -> Result<Reaped> {
        let (silent, held_until) = retry(|| self.tick(options, now)).await?;
        let mut reaped = Reaped { held_until, ..Reaped::default() };
        for machine in silent {
            if let Some(sessions) = retry(|| self.lose_machine(&machine, now)).await? {
                reaped.machines.push(machine);
                reaped.sessions.extend(sessions);
            }
        }
        Ok(reaped)
    }

    /// Decides which machines are to be given up; none while it holds.
    async fn tick(&self, options: ReapOptions, now: EpochMs) -> Result<(Vec<MachineId>, Option<EpochMs>)> {
        const LAST: Sql = locking!("SELECT ticked_at, hold_until FROM reaper WHERE id = 1", "FOR NO KEY UPDATE");
        let mut tx = self.begin().await?;
        let row = tx.first(LAST, &[]).await?.ok_or(StoreError::Missing("reaper"))?;
        let (ticked_at, hold_until): (Option<i64>, Option<i64>) = (row.get("ticked_at")?, row.get("hold_until")?);
        let watched = tx.watched(now).await?;
        let silent: Vec<_> =
            watched.iter().filter(|machine| machine.expired).map(|machine| machine.id.clone()).collect();
        let nobody_ticked = ticked_at.is_some_and(|ticked_at| now - ticked_at > MISSED_TICKS_MAX * options.tick_ms);
        let most_are_silent = watched.len() >= CROWD_MIN && silent.len() * 2 > watched.len();
        let hold_until = match hold_until {
            _ if nobody_ticked => Some(now + options.lease_ms),
            Some(until) if now < until => Some(until),
            // Held long enough: who is silent still, is lost. The mark stays until the crowd is heard again, or gone.
            Some(until) if most_are_silent => Some(until),
            None if most_are_silent => Some(now + options.lease_ms),
            _ => None,
        };
        tx.run("UPDATE reaper SET ticked_at = $1, hold_until = $2 WHERE id = 1", values![now, hold_until]).await?;
        tx.commit().await?;
        let held_until = hold_until.filter(|until| now < *until);
        Ok((if held_until.is_some() { Vec::new() } else { silent }, held_until))
    }

    /// Gives a machine up, unless it has beaten in between.
    async fn lose_machine(&self, machine: &MachineId, now: EpochMs) -> Result<Option<Vec<Session>>> {
        const STILL_SILENT: Sql = locking!(
            "SELECT m.id FROM machines m JOIN machine_leases l ON l.machine_id = m.id
             WHERE m.id = $1 AND m.state <> 'lost' AND l.lease_until < $2",
            "FOR NO KEY UPDATE OF m, l"
        );
        let mut tx = self.begin().await?;
        if tx.first(STILL_SILENT, values![machine.as_str(), now]).await?.is_none() {
            tx.rollback().await?;
            return Ok(None);
        }
        let mut moved = Vec::new();
        for mut session in tx.sessions_on(machine).await? {
            let message = "the machine did not answer for longer than its lease";
            let (was, epoch) = (session.status, session.machine_epoch + 1);
            tx.apply(&mut session, |session| session.lose(EndReason::MachineLost, message, epoch, now)).await?;
            moved.extend((session.status != was).then_some(session));
        }
        const LOST: &str = "UPDATE machines SET state = 'lost', epoch = epoch + 1, not_ready_reason = NULL,
            not_ready_message = NULL WHERE id = $1";
        tx.run(LOST, values![machine.as_str()]).await?;
        tx.run("UPDATE machine_leases SET epoch = epoch + 1 WHERE machine_id = $1", values![machine.as_str()]).await?;
        tx.commit().await?;
        Ok(Some(moved))
    }
}

impl Transaction {
    async fn watched(&mut self, now: EpochMs) -> Result<Vec<Watched>> {
        const SQL: &str = "SELECT m.id, l.lease_until FROM machines m JOIN machine_leases l ON l.machine_id = m.id WHERE m.state <> 'lost' ORDER BY m.id";
        let rows = self.all(SQL, &[]).await?;
        rows.iter()
            .map(|row| {
                let id = row.word("id", |text| MachineId::parse(text).ok())?;
                Ok(Watched { id, expired: row.get::<i64>("lease_until")? < now })
            })
            .collect()
    }
}
