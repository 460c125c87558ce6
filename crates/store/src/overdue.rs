//! What a clock must make true: starts that took too long, waits that were too long, time that is up. Each is idempotent
//! and may run on every server at once.

use crate::backend::{Sql, Value, locking, retry, values};
use crate::moves::Move;
use crate::session::session_columns;
use crate::{Result, Session, Store};
use vitrine_model::{EndReason, EpochMs, SchedulingReason};

/// Sessions that are moved in one transaction.
const BATCH: usize = 100;

impl Store {
    /// Starts past their deadline: queued again, or failed after [`crate::ATTEMPTS_MAX`] tries; those from a disk are paused
    /// again.
    pub async fn requeue_overdue(&self, now: EpochMs) -> Result<Vec<Session>> {
        // The machine's row is locked too, because the move changes its counters.
        const SQL: Sql = locking!(
            concat!(
                "SELECT ",
                session_columns!(),
                " FROM sessions s JOIN machines m ON m.id = s.machine_id
                  WHERE s.status = 'assigning' AND s.step_deadline <= $1 ORDER BY s.step_deadline LIMIT $2"
            ),
            "FOR NO KEY UPDATE OF s, m SKIP LOCKED"
        );
        let message = "the machine did not start it in time";
        let change = |session: &mut Session| session.retry_or_fail(SchedulingReason::StartFailed, message, now);
        self.move_all(SQL, values![now, BATCH as i64], change).await
    }

    /// Queued sessions past their deadline: failed with `queue_timeout`, or with what keeps every machine from starting any.
    pub async fn fail_overdue_queued(&self, now: EpochMs) -> Result<Vec<Session>> {
        const SQL: Sql = locking!(
            concat!(
                "SELECT ",
                session_columns!(),
                " FROM sessions s WHERE s.status = 'queued' AND s.queue_deadline <= $1
                  ORDER BY s.queue_deadline LIMIT $2"
            ),
            "FOR NO KEY UPDATE SKIP LOCKED"
        );
        let values = values![now, BATCH as i64];
        if self
            .first("SELECT id FROM sessions WHERE status = 'queued' AND queue_deadline <= $1 LIMIT 1", &values[..1])
            .await?
            .is_none()
        {
            return Ok(Vec::new());
        }
        let (reason, message) = self.why_nothing_starts().await?;
        let change = |session: &mut Session| session.fail(EndReason::SchedulingFailed, reason.as_str(), &message, now);
        self.move_all(SQL, values, change).await
    }

    /// Running sessions whose time is up: asked to end with `max_duration`.
    pub async fn end_expired(&self, now: EpochMs) -> Result<Vec<Session>> {
        const SQL: Sql = locking!(
            concat!(
                "SELECT ",
                session_columns!(),
                " FROM sessions s WHERE s.status IN ('ready', 'active') AND s.expires_at <= $1
                  ORDER BY s.expires_at LIMIT $2"
            ),
            "FOR NO KEY UPDATE SKIP LOCKED"
        );
        let change = |session: &mut Session| session.end(EndReason::MaxDuration, now);
        self.move_all(SQL, values![now, BATCH as i64], change).await
    }

    /// Sandboxes that were paused before then and that nobody resumed: asked to end with `idle`.
    pub async fn end_long_paused(&self, paused_before: EpochMs, now: EpochMs) -> Result<Vec<Session>> {
        let mut ended = Vec::new();
        loop {
            let batch = retry(|| self.end_long_paused_once(paused_before, now)).await?;
            let is_last = batch.len() < BATCH;
            ended.extend(batch);
            if is_last {
                return Ok(ended);
            }
        }
    }

    async fn end_long_paused_once(&self, paused_before: EpochMs, now: EpochMs) -> Result<Vec<Session>> {
        const SQL: Sql = locking!(
            concat!(
                "SELECT ",
                session_columns!(),
                " FROM sessions s WHERE s.status = 'paused' AND s.paused_at < $1 ORDER BY s.paused_at LIMIT $2"
            ),
            "FOR NO KEY UPDATE SKIP LOCKED"
        );
        let mut tx = self.begin().await?;
        let mut sessions = Session::from_rows(&tx.all(SQL, values![paused_before, BATCH as i64]).await?)?;
        for session in &mut sessions {
            tx.end(session, EndReason::Idle, now).await?;
        }
        tx.commit().await?;
        Ok(sessions)
    }

    /// What a machine says that cannot start sessions, when none can.
    async fn why_nothing_starts(&self) -> Result<(SchedulingReason, String)> {
        const SQL: &str = "SELECT not_ready_reason, not_ready_message FROM machines
            WHERE state = 'starting' AND not_ready_reason IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM machines WHERE state = 'ready') ORDER BY id LIMIT 1";
        match self.first(SQL, &[]).await? {
            Some(row) => Ok((row.word("not_ready_reason", SchedulingReason::parse)?, row.get("not_ready_message")?)),
            None => Ok((SchedulingReason::QueueTimeout, "no machine had room in time".to_owned())),
        }
    }

    async fn move_all(
        &self,
        sql: Sql,
        values: &[Value],
        change: impl Fn(&mut Session) -> Move,
    ) -> Result<Vec<Session>> {
        let mut moved = Vec::new();
        loop {
            let batch = retry(|| self.move_batch(sql, values, &change)).await?;
            let is_last = batch.len() < BATCH;
            moved.extend(batch);
            if is_last {
                return Ok(moved);
            }
        }
    }

    async fn move_batch(
        &self,
        sql: Sql,
        values: &[Value],
        change: &impl Fn(&mut Session) -> Move,
    ) -> Result<Vec<Session>> {
        let mut tx = self.begin().await?;
        let mut sessions = Session::from_rows(&tx.all(sql, values).await?)?;
        for session in &mut sessions {
            tx.apply(session, change).await?;
        }
        tx.commit().await?;
        Ok(sessions)
    }
}
