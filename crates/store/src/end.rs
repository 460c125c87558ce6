//! Asking a session to end.

use crate::backend::retry;
use crate::{Result, Session, Store};
use vitrine_model::{EndReason, EpochMs, OrganizationId, SessionId, Transition};

impl Store {
    /// Asks a session to end. Queued: it is ended at once. On a machine: it is `ending` and the machine is told. Ending or
    /// over: unchanged. `None`: no such session (of that organization).
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
                tx.apply(session, |session| session.end(reason, now)).await?;
                tx.commit().await?;
            }
            _ => tx.rollback().await?,
        }
        Ok(found)
    }
}
