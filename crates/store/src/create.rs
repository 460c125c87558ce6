//! Making a session: the plan's limits are counted in the transaction that inserts the row.

use crate::{Result, Session, Store};
use vitrine_model::wire::Workload;
use vitrine_model::{ApiKeyId, EpochMs, OrganizationId, SessionId};

/// A session to be queued. Kind, weight, isolation, region and duration are the workload's.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: SessionId,
    pub organization: OrganizationId,
    pub api_key: Option<ApiKeyId>,
    pub workload: Workload,
    pub reserve_mb: u32,
    pub limit_mb: u32,
    pub profile_key: Option<String>,
    pub queue_deadline: EpochMs,
}

/// What the organization's plan allows of the session's kind.
#[derive(Debug, Clone, Copy)]
pub struct CreateLimits {
    /// At once; those that are ending or paused hold no place.
    pub concurrent: u32,
    /// From which UTC day on time is counted.
    pub period_start: EpochMs,
    /// Running time in the period.
    pub hours_ms: u64,
}

/// Why a session was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many as the plan allows are open.
    Concurrency,
    /// The period's time is used up.
    Hours,
    /// Another session of the organization that is not over has the same profile key.
    ProfileInUse,
}

impl Store {
    /// Queues a session, or says which limit forbids it.
    pub async fn create_session(
        &self,
        new: &NewSession,
        limits: CreateLimits,
        now: EpochMs,
    ) -> Result<std::result::Result<Session, Refused>> {
        todo!()
    }
}
