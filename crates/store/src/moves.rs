//! The moves of a session, as pure functions over its row: what else changes when the status does. Every one of them asks
//! [`Status::on`] first; [`Transaction::apply`] then writes the row, guarded by what it was.

use crate::backend::{Transaction, values};
use crate::{ATTEMPTS_MAX, Result, Session, StoreError};
use vitrine_model::session::NotNow;
use vitrine_model::wire::EgressBytes;
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
        self.start_clock(now);
        Ok(())
    }

    /// Its time runs, for as much as is left of it.
    fn start_clock(&mut self, now: EpochMs) {
        self.settle_pause(now);
        let started_at = *self.started_at.get_or_insert(now);
        let expires_at = browser::expires_at(started_at, self.workload.max_duration_ms());
        self.expires_at = Some(expires_at.saturating_add(self.paused_ms));
    }

    fn settle_pause(&mut self, now: EpochMs) {
        if let Some(paused_at) = self.paused_at.take() {
            self.paused_ms += (now - paused_at).max(0);
        }
    }

    /// A clock that was set back must not make a negative time.
    fn never_before_its_time(&self, now: EpochMs) -> EpochMs {
        self.started_at.map_or(now, |started_at| now.max(started_at + self.paused_ms))
    }

    pub(crate) fn activate(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Activate, now)
    }

    pub(crate) fn deactivate(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Deactivate, now)
    }

    /// The machine is to freeze it.
    pub(crate) fn pause(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Pause, now)?;
        self.desired = Desired::Pause;
        Ok(())
    }

    /// It is frozen, and its clock stands.
    pub(crate) fn paused(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Paused, now)?;
        self.paused_at = Some(self.never_before_its_time(now));
        self.expires_at = None;
        Ok(())
    }

    /// The machine is to thaw it.
    pub(crate) fn resume(&mut self, now: EpochMs) -> Move {
        self.status.on(Transition::Resume)?;
        self.desired = Desired::Resume;
        self.updated_at = now;
        Ok(())
    }

    pub(crate) fn resumed(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Resume, now)?;
        self.desired = Desired::Resume;
        self.start_clock(now);
        Ok(())
    }

    /// Its processes are ended and its capsule is gone: the machine has nothing of it but the disk.
    pub(crate) fn store(&mut self, egress: EgressBytes, now: EpochMs) -> Move {
        self.stored = true;
        // Who asks for it from now on asks for another start.
        self.desired = Desired::Pause;
        self.count(egress);
        self.egress_before = self.egress;
        self.updated_at = now;
        Ok(())
    }

    /// The machine that has its disk is to start it again.
    pub(crate) fn restore(&mut self, assignee: &Assignee, now: EpochMs) -> Move {
        self.on(Transition::Restore, now)?;
        self.stored = false;
        self.desired = Desired::Run;
        self.machine_epoch = assignee.epoch;
        self.run = Some(assignee.run.clone());
        self.step_deadline = Some(assignee.step_deadline);
        self.generation += 1;
        Ok(())
    }

    /// The start from its disk came to nothing: it is paused as before.
    fn shelve(&mut self, now: EpochMs) -> Move {
        self.on(Transition::Shelve, now)?;
        self.stored = true;
        self.desired = Desired::Pause;
        self.step_deadline = None;
        Ok(())
    }

    /// What this run moved so far.
    pub(crate) fn count(&mut self, egress: EgressBytes) {
        self.egress = EgressBytes {
            bytes_in: self.egress_before.bytes_in.saturating_add(egress.bytes_in),
            bytes_out: self.egress_before.bytes_out.saturating_add(egress.bytes_out),
        };
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

    /// The start came to nothing: once more elsewhere while tries are left and another try can help. What was started from
    /// its disk keeps it.
    pub(crate) fn retry_or_fail(&mut self, reason: SchedulingReason, message: &str, now: EpochMs) -> Move {
        if self.started_at.is_some() {
            self.shelve(now)
        } else if self.attempts < ATTEMPTS_MAX && another_try_can_help(reason) {
            self.requeue(now)
        } else {
            self.fail(EndReason::SchedulingFailed, reason.as_str(), message, now)
        }
    }

    /// Its process is gone without the node's word: what was never ready is placed anew, what was ending has ended, what is
    /// on its disk is kept under the machine's new epoch, the rest failed.
    pub(crate) fn lose(&mut self, reason: EndReason, message: &str, epoch: i64, now: EpochMs) -> Move {
        match self.status {
            Status::Assigning => self.retry_or_fail(SchedulingReason::StartFailed, message, now)?,
            Status::Ending => self.finish(now)?,
            Status::Paused if self.stored => {}
            _ => self.fail(reason, reason.as_str(), message, now)?,
        }
        if self.stored {
            self.machine_epoch = epoch;
        }
        Ok(())
    }

    /// It lives on under the machine's new epoch; its clients were connected through the node and are gone.
    pub(crate) fn adopt(&mut self, epoch: i64, now: EpochMs) -> Move {
        self.machine_epoch = epoch;
        if self.status == Status::Active { self.deactivate(now) } else { Ok(()) }
    }

    fn close(&mut self, now: EpochMs) {
        self.settle_pause(now);
        self.ended_at = Some(self.never_before_its_time(now));
        self.stored = false;
        self.workload.forget_secrets();
    }
}

fn another_try_can_help(reason: SchedulingReason) -> bool {
    match reason {
        SchedulingReason::NoCapacity
        | SchedulingReason::QueueTimeout
        | SchedulingReason::ImageMissing
        | SchedulingReason::StartFailed => true,
        // The same everywhere.
        SchedulingReason::RegionUnavailable | SchedulingReason::EgressUnavailable => false,
    }
}

const SAVE: &str = "UPDATE sessions SET status = $5, desired = $6, machine_id = $7, machine_epoch = $8, generation = $9, \
    run_id = $10, attempts = $11, avoid_machine = $12, updated_at = $13, not_before = $14, queue_deadline = $15, \
    step_deadline = $16, started_at = $17, expires_at = $18, ended_at = $19, end_reason = $20, error_reason = $21, \
    error_message = $22, bytes_in = $23, bytes_out = $24, workload = COALESCE($25, workload), paused_at = $26, \
    paused_ms = $27, stored = $28, bytes_in_before = $29, bytes_out_before = $30 \
    WHERE id = $1 AND status = $2 AND generation = $3 AND machine_epoch = $4";

impl Transaction {
    /// Moves a session and writes its row, unless the row is no longer what `session` says: then it is a conflict.
    pub(crate) async fn apply(
        &mut self,
        session: &mut Session,
        change: impl FnOnce(&mut Session) -> Move,
    ) -> Result<()> {
        let (status, generation, epoch) = (session.status, session.generation, session.machine_epoch);
        let was_ending = session.is_ending();
        change(session)?;
        if session.is_ending() && !was_ending {
            self.settle_minutes(session).await?;
        }
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
                    session.paused_at,
                    session.paused_ms,
                    session.stored,
                    session.egress_before.bytes_in,
                    session.egress_before.bytes_out,
                ],
            )
            .await?;
        if rows == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
