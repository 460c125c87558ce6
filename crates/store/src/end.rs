//! Asking a session to end.

use crate::{Result, Session, Store};
use vitrine_model::{EndReason, EpochMs, OrganizationId, SessionId};

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
        todo!()
    }
}
