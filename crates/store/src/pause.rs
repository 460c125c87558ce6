//! Asking a sandbox to pause and to resume.
//!
//! The machine does it: these write down what is wanted of it. A frozen sandbox is `paused` until its machine has thawed it;
//! one that moved to disk is `assigning` to the machine that has the disk, and back in `paused` when the start comes to
//! nothing.

use crate::backend::{Transaction, retry, values};
use crate::moves::Assignee;
use crate::{CreateLimits, PlaceOptions, Refused, Result, Session, Store, StoreError};
use vitrine_model::{Desired, EpochMs, Kind, MachineId, NotNow, OrganizationId, RunId, SessionId, Status, Transition};

/// Why a sandbox stays paused, or is not paused at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotResumed {
    /// The plan's limits, as for creations.
    Limit(Refused),
    /// It is on the disk of a machine that has no room, or that is away.
    NoRoom,
    /// Its state does not allow it.
    State(NotNow),
}

impl Store {
    /// Asks a sandbox to pause: it is `pausing` and its machine is told. Pausing or paused: unchanged. `None`: no such
    /// sandbox (of that organization).
    pub async fn request_pause(
        &self,
        id: &SessionId,
        organization: Option<&OrganizationId>,
        now: EpochMs,
    ) -> Result<Option<std::result::Result<Session, NotNow>>> {
        retry(|| self.request_pause_once(id, organization, now)).await
    }

    async fn request_pause_once(
        &self,
        id: &SessionId,
        organization: Option<&OrganizationId>,
        now: EpochMs,
    ) -> Result<Option<std::result::Result<Session, NotNow>>> {
        let mut tx = self.begin().await?;
        let Some(mut session) = tx.session(id).await?.filter(|session| is_sandbox_of(session, organization)) else {
            tx.rollback().await?;
            return Ok(None);
        };
        let is_asked = session.desired == Desired::Pause;
        let answer = match session.status.on(Transition::Pause) {
            Ok(_) => {
                tx.apply(&mut session, |session| session.pause(now)).await?;
                Ok(session)
            }
            Err(_) if is_asked && matches!(session.status, Status::Pausing | Status::Paused) => Ok(session),
            Err(not_now) => Err(not_now),
        };
        tx.commit().await?;
        Ok(Some(answer))
    }

    /// Asks a sandbox to resume, within the limits of `limits`. `run` becomes the id of its start, where it needs one.
    /// Asked already: unchanged. `None`: no such sandbox (of that organization).
    pub async fn request_resume(
        &self,
        id: &SessionId,
        organization: Option<&OrganizationId>,
        limits: CreateLimits,
        options: PlaceOptions,
        run: RunId,
        now: EpochMs,
    ) -> Result<Option<std::result::Result<Session, NotResumed>>> {
        retry(|| self.request_resume_once(id, organization, limits, options, &run, now)).await
    }

    async fn request_resume_once(
        &self,
        id: &SessionId,
        organization: Option<&OrganizationId>,
        limits: CreateLimits,
        options: PlaceOptions,
        run: &RunId,
        now: EpochMs,
    ) -> Result<Option<std::result::Result<Session, NotResumed>>> {
        let Some(found) = self.session(id).await?.filter(|session| is_sandbox_of(session, organization)) else {
            return Ok(None);
        };
        let mut tx = self.begin().await?;
        // What is counted next is still true when the row is written; then the machine, as everybody takes it.
        tx.lock_organization(&found.organization).await?;
        if let Some(machine) = &found.machine {
            tx.lock_machine(machine).await?;
        }
        let mut session = tx.session(id).await?.ok_or(StoreError::Missing("session"))?;
        if session.machine != found.machine {
            tx.rollback().await?;
            return Err(StoreError::Conflict);
        }
        let answer = tx.take_resume(&mut session, limits, options, run, now).await?;
        tx.commit().await?;
        Ok(Some(answer.map(|()| session)))
    }
}

fn is_sandbox_of(session: &Session, organization: Option<&OrganizationId>) -> bool {
    session.kind() == Kind::Sandbox && organization.is_none_or(|owner| *owner == session.organization)
}

impl Transaction {
    async fn take_resume(
        &mut self,
        session: &mut Session,
        limits: CreateLimits,
        options: PlaceOptions,
        run: &RunId,
        now: EpochMs,
    ) -> Result<std::result::Result<(), NotResumed>> {
        match session.status {
            Status::Paused if session.desired == Desired::Resume => return Ok(Ok(())),
            Status::Assigning if session.started_at.is_some() => return Ok(Ok(())),
            Status::Paused => {}
            status => return Ok(Err(NotResumed::State(NotNow { status, transition: Transition::Resume }))),
        }
        if let Some(refused) = self.refused(session, limits, now).await? {
            return Ok(Err(NotResumed::Limit(refused)));
        }
        if !session.stored {
            self.apply(session, |session| session.resume(now)).await?;
            return Ok(Ok(()));
        }
        let Some((machine, epoch)) = self.room_for_stored(session, now - options.fresh_beat_ms).await? else {
            return Ok(Err(NotResumed::NoRoom));
        };
        let assignee = Assignee { machine, epoch, run: run.clone(), step_deadline: now + options.start_ms };
        self.apply(session, |session| session.restore(&assignee, now)).await?;
        Ok(Ok(()))
    }

    /// The machine that has the disk of a session, and its epoch, if it can hold the session now.
    async fn room_for_stored(&mut self, session: &Session, beaten_since: EpochMs) -> Result<Option<(MachineId, i64)>> {
        const SQL: &str = "SELECT m.id, m.epoch FROM machines m
            JOIN machine_leases l ON l.machine_id = m.id AND l.epoch = m.epoch
            WHERE m.id = $1 AND m.state = 'ready' AND m.draining = 0 AND l.beat_at > $2
              AND m.reserve_total_mb - m.reserve_used_mb >= $3 AND m.slots_used < m.slots_total
              AND (m.exclusive_organization IS NULL OR m.exclusive_organization = $4)";
        let machine = session.machine.as_ref().map(MachineId::as_str);
        let values = values![machine, beaten_since, session.reserve_mb, session.organization.as_str()];
        let Some(row) = self.first(SQL, values).await? else { return Ok(None) };
        Ok(Some((row.word("id", |text| MachineId::parse(text).ok())?, row.get("epoch")?)))
    }
}
