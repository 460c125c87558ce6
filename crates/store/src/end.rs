//! Asking a session to end.

use crate::backend::{Transaction, retry, values};
use crate::{Result, Session, Store};
use vitrine_model::{EndReason, EpochMs, MachineId, OrganizationId, SessionId, Transition};

impl Store {
    /// Asks a session to end. Queued, or on the disk of a lost machine: it is ended at once. On a machine: it is `ending` and
    /// the machine is told. Ending or over: unchanged. `None`: no such session (of that organization).
    pub async fn request_end(
        &self,
        id: &SessionId,
        organization: Option<&OrganizationId>,
        reason: EndReason,
        now: EpochMs,
    ) -> Result<Option<Session>> {
        retry(|| self.request_end_once(id, organization, reason, now)).await
    }

    async fn request_end_once(
        &self,
        id: &SessionId,
        organization: Option<&OrganizationId>,
        reason: EndReason,
        now: EpochMs,
    ) -> Result<Option<Session>> {
        let mut tx = self.begin().await?;
        let found = tx.session(id).await?;
        let mut found = found.filter(|session| organization.is_none_or(|owner| *owner == session.organization));
        match &mut found {
            Some(session) if session.status.on(Transition::End).is_ok() => {
                tx.end(session, reason, now).await?;
                tx.commit().await?;
            }
            _ => tx.rollback().await?,
        }
        Ok(found)
    }
}

impl Transaction {
    /// Ends a session. A lost machine will not be asked for the disk of one that it stored: it deletes it when it comes back.
    pub(crate) async fn end(&mut self, session: &mut Session, reason: EndReason, now: EpochMs) -> Result<()> {
        const LOST: &str = "SELECT id FROM machines WHERE id = $1 AND state = 'lost'";
        self.apply(session, |session| session.end(reason, now)).await?;
        if session.stored {
            let machine = session.machine.as_ref().map(MachineId::as_str);
            if self.first(LOST, values![machine]).await?.is_some() {
                self.apply(session, |session| session.finish(now)).await?;
            }
        }
        Ok(())
    }
}
