//! The moves of a session, as pure functions over its row: what else changes when the status does. Every one of them asks
//! [`Status::on`] first; [`Transaction::apply`] then writes the row, guarded by what it was.

use crate::backend::{Transaction, values};
use crate::{ATTEMPTS_MAX, Result, Session, StoreError};
use vitrine_model::session::NotNow;
use vitrine_model::{Desired, EndReason, EpochMs, MachineId, RunId, SchedulingReason, Status, Transition, browser};

/// A move's outcome.
pub(crate) type Move = std::result::Result<(), NotNow>;

/// How much longer each further retry of a start waits.
const RETRY_PAUSE_MS: i64 = 500;

/// A machine that placement chose, and the start it is to make.
pub(crate) struct Assignee {
    pub(crate) machine: MachineId,
    pub(crate) epoch: i64,
    pub(crate) run: RunId,
    pub(crate) step_deadline: EpochMs,
}

impl Session {
    fn on(&mut self, transition: Transition, now: EpochMs) -> Move {
        self.status = self.status.on(transition)?;
        self.updated_at = now;
        Ok(())
    }

    pub(crate) fn assign(&mut self, assignee: &Assignee, now: EpochMs) -> Move {
        self.on(Transition::Assign, now)?;
        self.machine = Some(assignee.machine.clone());
        self.machine_epoch = assignee.epoch;
        self.run = Some(assignee.run.clone());
        self.step_deadline = Some(assignee.step_deadline);
        self.generation += 1;
        self.attempts += 1;
        Ok(())
    }

    /// Back into the queue; the machine is avoided from now on.
    pub(crate) fn requeue(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Requeue, now)?;
        self.avoid_machine = self.machine.take();
        self.run = None;
        self.step_deadline = None;
        // The first retry is immediate; what fails again may need a moment.
        self.not_before = now + (self.attempts - 1).max(0) * RETRY_PAUSE_MS;
        Ok(())
    }

    pub(crate) fn ready(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Ready, now)?;
        self.step_deadline = None;
        self.started_at = Some(now);
        self.expires_at = Some(browser::expires_at(now, self.workload.max_duration_ms()));
        Ok(())
    }

    pub(crate) fn activate(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Activate, now)
    }

    pub(crate) fn deactivate(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Deactivate, now)
    }

    /// The machine is to end it; one that waits in the queue is over at once.
    pub(crate) fn end(&mut self, reason: EndReason, now: EpochMs) -> Move {
        self.on(Transition::End, now)?;
        self.desired = Desired::End;
        self.end_reason = Some(reason);
        self.step_deadline = None;
        if self.status.is_terminal() {
            self.close(now);
        }
        Ok(())
    }

    /// Nothing of it is left; the reason is the one with which it began to end.
    pub(crate) fn finish(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Finish, now)?;
        self.close(now);
        Ok(())
    }

    pub(crate) fn fail(&mut self, reason: EndReason, detail: &str, message: &str, now: EpochMs) -> Move {
        self.on(Transition::Fail, now)?;
        self.desired = Desired::End;
        self.end_reason = Some(reason);
        self.error = Some(crate::session::error(reason, detail, message));
        self.step_deadline = None;
        self.close(now);
        Ok(())
    }

    /// The start came to nothing: once more elsewhere while tries are left.
    pub(crate) fn retry_or_fail(&mut self, reason: SchedulingReason, message: &str, now: EpochMs) -> Move {
        if self.attempts < ATTEMPTS_MAX {
            self.requeue(now)
        } else {
            self.fail(EndReason::SchedulingFailed, reason.as_str(), message, now)
        }
    }

    /// Its process is gone without the node's word: what was never ready is placed anew, what was ending has ended, the
    /// rest failed.
    pub(crate) fn lose(&mut self, reason: EndReason, message: &str, now: EpochMs) -> Move {
        match self.status {
            Status::Assigning => self.retry_or_fail(SchedulingReason::StartFailed, message, now),
            Status::Ending => self.finish(now),
            _ => self.fail(reason, reason.as_str(), message, now),
        }
    }

    /// It lives on under the machine's new epoch; its clients were connected through the node and are gone.
    pub(crate) fn adopt(&mut self, epoch: i64, now: EpochMs) -> Move {
        self.machine_epoch = epoch;
        if self.status == Status::Active { self.deactivate(now) } else { Ok(()) }
    }

    fn close(&mut self, now: EpochMs) {
        // A clock that was set back must not make a negative duration.
        self.ended_at = Some(now.max(self.started_at.unwrap_or(now)));
        self.workload.forget_secrets();
    }
}

const SAVE: &str = "UPDATE sessions SET status = $5, desired = $6, machine_id = $7, machine_epoch = $8, generation = $9, \
    run_id = $10, attempts = $11, avoid_machine = $12, updated_at = $13, not_before = $14, queue_deadline = $15, \
    step_deadline = $16, started_at = $17, expires_at = $18, ended_at = $19, end_reason = $20, error_reason = $21, \
    error_message = $22, bytes_in = $23, bytes_out = $24, workload = COALESCE($25, workload) \
    WHERE id = $1 AND status = $2 AND generation = $3 AND machine_epoch = $4";

impl Transaction {
    /// Moves a session and writes its row, unless the row is no longer what `session` says: then it is a conflict.
    pub(crate) async fn apply(
        &mut self,
        session: &mut Session,
        change: impl FnOnce(&mut Session) -> Move,
    ) -> Result<()> {
        let (status, generation, epoch) = (session.status, session.generation, session.machine_epoch);
        change(session)?;
        let error = session.error.as_ref();
        let workload = session.status.is_terminal().then(|| serde_json::to_string(&session.workload)).transpose();
        let workload = workload.map_err(|error| StoreError::Encode("workload", error))?;
        let rows = self
            .run(
                SAVE,
                values![
                    session.id.as_str(),
                    status.as_str(),
                    generation,
                    epoch,
                    session.status.as_str(),
                    session.desired.as_str(),
                    session.machine.as_ref().map(MachineId::as_str),
                    session.machine_epoch,
                    session.generation,
                    session.run.as_ref().map(RunId::as_str),
                    session.attempts,
                    session.avoid_machine.as_ref().map(MachineId::as_str),
                    session.updated_at,
                    session.not_before,
                    session.queue_deadline,
                    session.step_deadline,
                    session.started_at,
                    session.expires_at,
                    session.ended_at,
                    session.end_reason.map(EndReason::as_str),
                    error.map(|error| error.reason.as_str()),
                    error.map(|error| error.message.as_str()),
                    session.egress.bytes_in,
                    session.egress.bytes_out,
                    workload.as_deref(),
                ],
            )
            .await?;
        if rows == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
