//! What a node did with a session, guarded by `(machine, epoch, generation, run)`.

use crate::backend::{Sql, Transaction, retry, values};
use crate::{Result, Session, Store};
use vitrine_model::wire::{Step, StepAnswer, StepKind};
use vitrine_model::{Desired, EndReason, EpochMs, Happening, Status, event};

impl Store {
    /// Takes a node's step. A repeated step, or one that came too late to matter (the session is already ending), changes
    /// nothing and is `Taken`; a session that the node does not own (any more), or that is over, is `NotYours`. With
    /// `Taken` comes the session after the step.
    pub async fn step(&self, step: &Step, now: EpochMs) -> Result<(StepAnswer, Option<Session>)> {
        retry(|| self.step_once(step, now)).await
    }

    async fn step_once(&self, step: &Step, now: EpochMs) -> Result<(StepAnswer, Option<Session>)> {
        let mut tx = self.begin().await?;
        if leaves_the_machine(&step.what) {
            tx.lock_machine(&step.machine).await?;
        }
        match tx.session(&step.session).await? {
            Some(mut session) if is_owned(&session, step) => {
                tx.take_step(&mut session, &step.what, now).await?;
                tx.commit().await?;
                Ok((StepAnswer::Taken { expires_at: session.expires_at }, Some(session)))
            }
            _ => {
                tx.rollback().await?;
                Ok((StepAnswer::NotYours, None))
            }
        }
    }
}

fn leaves_the_machine(what: &StepKind) -> bool {
    matches!(
        what,
        StepKind::Finish { .. } | StepKind::Fail { .. } | StepKind::NotStarted { .. } | StepKind::Stored { .. }
    )
}

fn is_owned(session: &Session, step: &Step) -> bool {
    session.status.holds_machine()
        && session.machine.as_ref() == Some(&step.machine)
        && session.machine_epoch == step.epoch
        && session.generation == step.generation
        && session.run.as_ref() == Some(&step.run)
}

/// An event that no move of the session writes. Ids as the moves' own events have them.
const ANNOUNCE: Sql = Sql {
    sqlite: "INSERT INTO events (id, organization, session, name, at, data)
        VALUES (printf('%012x', $4) || lower(hex(randomblob(10))), $1, $2, $3, $4, $5)",
    postgres: "INSERT INTO events (id, organization, session, name, at, data)
        VALUES (lpad(to_hex($4::bigint), 12, '0') || substr(replace(gen_random_uuid()::text, '-', ''), 1, 20), $1, $2, $3, $4, $5)",
};

impl Transaction {
    /// Writes down that something happened to a session.
    pub(crate) async fn announce(
        &mut self,
        session: &Session,
        what: Happening,
        data: &serde_json::Value,
        now: EpochMs,
    ) -> Result<()> {
        let name = format!("{}.{}", event::prefix(session.kind()), what.as_str());
        let (organization, id) = (session.organization.as_str(), session.id.as_str());
        self.run(ANNOUNCE, values![organization, id, name.as_str(), now, data.to_string().as_str()]).await?;
        Ok(())
    }

    async fn take_step(&mut self, session: &mut Session, what: &StepKind, now: EpochMs) -> Result<()> {
        match (what, session.status) {
            (StepKind::Ready, Status::Assigning) => self.apply(session, |session| session.ready(now)).await,
            (StepKind::Activate, Status::Ready) => self.apply(session, |session| session.activate(now)).await,
            (StepKind::Deactivate, Status::Active) => self.apply(session, |session| session.deactivate(now)).await,
            (StepKind::Happened { what, data }, _) => self.announce(session, *what, data, now).await,
            (StepKind::Paused, Status::Pausing) => self.apply(session, |session| session.paused(now)).await,
            (StepKind::Resumed, Status::Pausing) => self.apply(session, |session| session.resumed(now)).await,
            (StepKind::Resumed, Status::Paused) if session.desired == Desired::Resume => {
                self.apply(session, |session| session.resumed(now)).await
            }
            (StepKind::Stored { egress }, Status::Paused) if !session.stored => {
                self.apply(session, |session| session.store(*egress, now)).await
            }
            // Repeated, or overtaken by an end or a pause that somebody asked for in between.
            (StepKind::Ready | StepKind::Activate | StepKind::Deactivate, _) => Ok(()),
            (StepKind::Paused | StepKind::Stored { .. } | StepKind::Resumed, _) => Ok(()),
            (StepKind::End { .. }, Status::Ending) => Ok(()),
            (StepKind::End { reason }, _) => self.apply(session, |session| session.end(*reason, now)).await,
            (StepKind::Finish { reason, egress }, status) => {
                if status != Status::Ending {
                    self.apply(session, |session| session.end(*reason, now)).await?;
                }
                session.count(*egress);
                self.apply(session, |session| session.finish(now)).await
            }
            (StepKind::Fail { reason, message, egress }, status) => {
                session.count(*egress);
                // It died while it was being ended: that is what was asked for.
                let meant = status == Status::Ending
                    && session.end_reason.is_some_and(|asked| asked.outcome() == Status::Ended);
                let reason = *reason;
                self.apply(session, |session| match meant {
                    true => session.finish(now),
                    false => session.fail(reason, reason.as_str(), message, now),
                })
                .await
            }
            (StepKind::NotStarted { .. }, Status::Ending) => self.apply(session, |session| session.finish(now)).await,
            (StepKind::NotStarted { reason, message }, Status::Assigning) => {
                self.apply(session, |session| session.retry_or_fail(*reason, message, now)).await
            }
            // It was ready before, so it did run: the node lost it.
            (StepKind::NotStarted { message, .. }, _) => {
                let epoch = session.machine_epoch;
                self.apply(session, |session| session.lose(EndReason::ProcessLost, message, epoch, now)).await
            }
        }
    }
}
