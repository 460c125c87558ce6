//! A session as its row has it, and the reads of it.

use crate::{Result, Store};
use serde::{Deserialize, Serialize};
use vitrine_model::wire::{EgressBytes, Workload};
use vitrine_model::{
    ApiKeyId, BrowserSpec, Desired, EndReason, EpochMs, Isolation, Kind, MachineId, OrganizationId, RunId, SessionId,
    Status,
};

/// A session: every column, decoded. What the workload holds in secrets, `Debug` does not show.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub organization: OrganizationId,
    /// `None`: made by the operator.
    pub api_key: Option<ApiKeyId>,
    pub workload: Workload,
    pub status: Status,
    pub desired: Desired,
    /// What placement counts.
    pub reserve_mb: u32,
    /// The capsule's limit.
    pub limit_mb: u32,
    pub profile_key: Option<String>,
    /// Where it runs or ran; `None` before the first placement and while queued again.
    pub machine: Option<MachineId>,
    /// The machine's epoch that owns it.
    pub machine_epoch: i64,
    /// One more with each placement; 0 before the first.
    pub generation: i64,
    /// The start of this generation.
    pub run: Option<RunId>,
    /// Placements so far.
    pub attempts: i64,
    /// The machine on which the last start failed: taken again only when no other fits.
    pub avoid_machine: Option<MachineId>,
    pub created_at: EpochMs,
    pub updated_at: EpochMs,
    /// Placement looks at it again from then on.
    pub not_before: EpochMs,
    /// Until when it may wait in `queued`.
    pub queue_deadline: EpochMs,
    /// Until when the machine must have it `ready`.
    pub step_deadline: Option<EpochMs>,
    pub started_at: Option<EpochMs>,
    pub expires_at: Option<EpochMs>,
    pub ended_at: Option<EpochMs>,
    pub end_reason: Option<EndReason>,
    pub error: Option<SessionError>,
    pub egress: EgressBytes,
}

/// Why a session failed, as clients read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionError {
    /// The end reason in capitals, for example `SCHEDULING_FAILED`.
    pub code: String,
    /// The word of a scheduling reason, or of the end reason.
    pub reason: String,
    pub message: String,
}

impl Session {
    /// Browser or sandbox.
    pub fn kind(&self) -> Kind {
        match &self.workload {
            Workload::Browser(_) => Kind::Browser,
        }
    }

    /// What was asked for.
    pub fn browser(&self) -> &BrowserSpec {
        let Workload::Browser(spec) = &self.workload;
        spec
    }

    /// Whether its machine may hold other organizations' sessions.
    pub fn isolation(&self) -> Isolation {
        self.browser().isolation
    }

    /// How long it ran, once it has ended; 0 when it never started.
    pub fn duration_ms(&self) -> Option<u64> {
        let ended = self.ended_at?;
        Some(self.started_at.map_or(0, |started| ended.saturating_sub(started).max(0) as u64))
    }
}

impl Store {
    /// One session, whoever owns it.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>> {
        todo!()
    }

    /// One session of an organization.
    pub async fn session_of(&self, organization: &OrganizationId, id: &SessionId) -> Result<Option<Session>> {
        todo!()
    }

    /// An organization's sessions of a kind that are not over, newest first.
    pub async fn active_sessions(&self, organization: &OrganizationId, kind: Kind, limit: u32) -> Result<Vec<Session>> {
        todo!()
    }
}
