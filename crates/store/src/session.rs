//! A session as its row has it, and the reads of it.

use crate::backend::{Row, Sql, Transaction, locking, values};
use crate::{Result, Store, StoreError};
use serde::{Deserialize, Serialize};
use vitrine_model::wire::{EgressBytes, Workload};
use vitrine_model::{
    ApiKeyId, BrowserSpec, Desired, EmbedSpec, EndReason, EpochMs, Isolation, Kind, MachineId, OrganizationId, RunId,
    SandboxSpec, SessionId, Status,
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
    /// Not while it is paused: then its time stands still.
    pub expires_at: Option<EpochMs>,
    /// Since when its clock stands: from the moment at which it was frozen until it is ready again.
    pub paused_at: Option<EpochMs>,
    /// How long its clock stood before.
    pub paused_ms: i64,
    /// Paused, and all that its machine has of it is the disk: no slot, no reservation.
    pub stored: bool,
    pub ended_at: Option<EpochMs>,
    pub end_reason: Option<EndReason>,
    pub error: Option<SessionError>,
    pub egress: EgressBytes,
    /// What of that the runs before this one moved.
    pub egress_before: EgressBytes,
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
        self.workload.kind()
    }

    /// What was asked for, when it is a browser.
    pub fn browser(&self) -> Option<&BrowserSpec> {
        match &self.workload {
            Workload::Browser(spec) => Some(spec),
            Workload::Sandbox(_) => None,
        }
    }

    /// What makes it an embed session, when it is one.
    pub fn embed(&self) -> Option<&EmbedSpec> {
        self.browser().and_then(|spec| spec.embed.as_ref())
    }

    /// Minutes that its organization pays for it.
    pub fn paid_minutes(&self) -> u32 {
        self.embed().map_or(0, EmbedSpec::paid_minutes)
    }

    /// It ends, or is over.
    pub fn is_ending(&self) -> bool {
        self.status == Status::Ending || self.status.is_terminal()
    }

    /// What was asked for, when it is a sandbox.
    pub fn sandbox(&self) -> Option<&SandboxSpec> {
        match &self.workload {
            Workload::Browser(_) => None,
            Workload::Sandbox(spec) => Some(spec),
        }
    }

    /// Whether its machine may hold other organizations' sessions.
    pub fn isolation(&self) -> Isolation {
        self.workload.isolation()
    }

    /// How long it ran, once it has ended; 0 when it never started. Paused it did not run.
    pub fn duration_ms(&self) -> Option<u64> {
        let ended = self.ended_at?;
        Some(self.started_at.map_or(0, |started| (ended - started - self.paused_ms).max(0) as u64))
    }
}

/// The columns of [`Session`], of a table or subquery named `s`.
macro_rules! session_columns {
    () => {
        "s.id, s.organization, s.api_key, s.workload, s.status, s.desired, s.reserve_mb, s.limit_mb, s.profile_key, \
         s.machine_id, s.machine_epoch, s.generation, s.run_id, s.attempts, s.avoid_machine, s.created_at, s.updated_at, \
         s.not_before, s.queue_deadline, s.step_deadline, s.started_at, s.expires_at, s.paused_at, \
         s.paused_ms, s.stored, s.ended_at, s.end_reason, s.error_reason, s.error_message, s.bytes_in, s.bytes_out, \
         s.bytes_in_before, s.bytes_out_before"
    };
}
pub(crate) use session_columns;

pub(crate) fn error(reason: EndReason, detail: &str, message: &str) -> SessionError {
    let code = reason.as_str().to_ascii_uppercase();
    SessionError { code, reason: detail.to_owned(), message: message.to_owned() }
}

impl Session {
    pub(crate) fn from_row(row: &Row) -> Result<Session> {
        let workload: String = row.get("workload")?;
        let workload = serde_json::from_str(&workload)
            // The text holds credentials: the position of the mistake has to be enough.
            .map_err(|error| StoreError::Corrupt { column: "workload", value: error.to_string() })?;
        let end_reason = row.maybe_word("end_reason", EndReason::parse)?;
        let error =
            match (end_reason, row.get::<Option<String>>("error_reason")?, row.get::<Option<String>>("error_message")?)
            {
                (Some(reason), Some(detail), Some(message)) => Some(error(reason, &detail, &message)),
                _ => None,
            };
        Ok(Session {
            id: row.word("id", |text| SessionId::parse(text).ok())?,
            organization: row.word("organization", |text| OrganizationId::parse(text).ok())?,
            api_key: row.maybe_word("api_key", |text| ApiKeyId::parse(text).ok())?,
            workload,
            status: row.word("status", Status::parse)?,
            desired: row.word("desired", Desired::parse)?,
            reserve_mb: row.number("reserve_mb")?,
            limit_mb: row.number("limit_mb")?,
            profile_key: row.get("profile_key")?,
            machine: row.maybe_word("machine_id", |text| MachineId::parse(text).ok())?,
            machine_epoch: row.get("machine_epoch")?,
            generation: row.get("generation")?,
            run: row.maybe_word("run_id", |text| RunId::parse(text).ok())?,
            attempts: row.get("attempts")?,
            avoid_machine: row.maybe_word("avoid_machine", |text| MachineId::parse(text).ok())?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            not_before: row.get("not_before")?,
            queue_deadline: row.get("queue_deadline")?,
            step_deadline: row.get("step_deadline")?,
            started_at: row.get("started_at")?,
            expires_at: row.get("expires_at")?,
            paused_at: row.get("paused_at")?,
            paused_ms: row.get("paused_ms")?,
            stored: row.get::<i64>("stored")? != 0,
            ended_at: row.get("ended_at")?,
            end_reason,
            error,
            egress: EgressBytes { bytes_in: row.number("bytes_in")?, bytes_out: row.number("bytes_out")? },
            egress_before: EgressBytes {
                bytes_in: row.number("bytes_in_before")?,
                bytes_out: row.number("bytes_out_before")?,
            },
        })
    }

    pub(crate) fn from_rows(rows: &[Row]) -> Result<Vec<Session>> {
        rows.iter().map(Session::from_row).collect()
    }
}

impl Store {
    /// One session, whoever owns it.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>> {
        const SQL: &str = concat!("SELECT ", session_columns!(), " FROM sessions s WHERE s.id = $1");
        self.first(SQL, values![id.as_str()]).await?.as_ref().map(Session::from_row).transpose()
    }

    /// One session of an organization.
    pub async fn session_of(&self, organization: &OrganizationId, id: &SessionId) -> Result<Option<Session>> {
        Ok(self.session(id).await?.filter(|session| session.organization == *organization))
    }

    /// An organization's sessions of a kind that are not over, newest first.
    pub async fn active_sessions(&self, organization: &OrganizationId, kind: Kind, limit: u32) -> Result<Vec<Session>> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions s WHERE s.organization = $1 AND s.kind = $2 AND s.status NOT IN ('ended', 'failed')
              ORDER BY s.created_at DESC, s.id DESC LIMIT $3"
        );
        Session::from_rows(&self.all(SQL, values![organization.as_str(), kind.as_str(), limit]).await?)
    }
}

impl Store {
    /// An organization's sessions of a kind, also those that are over, newest first.
    pub async fn sessions_of(&self, organization: &OrganizationId, kind: Kind, limit: u32) -> Result<Vec<Session>> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions s WHERE s.organization = $1 AND s.kind = $2 ORDER BY s.created_at DESC, s.id DESC LIMIT $3"
        );
        Session::from_rows(&self.all(SQL, values![organization.as_str(), kind.as_str(), limit]).await?)
    }
}

impl Transaction {
    /// A session that nobody else can move until this transaction is over.
    pub(crate) async fn session(&mut self, id: &SessionId) -> Result<Option<Session>> {
        const SQL: Sql =
            locking!(concat!("SELECT ", session_columns!(), " FROM sessions s WHERE s.id = $1"), "FOR NO KEY UPDATE");
        self.first(SQL, values![id.as_str()]).await?.as_ref().map(Session::from_row).transpose()
    }

    /// The sessions that hold a machine, oldest first; nobody else can move them until this transaction is over.
    pub(crate) async fn sessions_on(&mut self, machine: &MachineId) -> Result<Vec<Session>> {
        const SQL: Sql = locking!(
            concat!(
                "SELECT ",
                session_columns!(),
                " FROM sessions s WHERE s.machine_id = $1 AND s.status NOT IN ('ended', 'failed') ORDER BY s.id"
            ),
            "FOR NO KEY UPDATE"
        );
        Session::from_rows(&self.all(SQL, values![machine.as_str()]).await?)
    }

    /// Takes a machine's row. Whoever moves a session off a machine takes the machine first and the session second, so that
    /// no two wait for each other.
    pub(crate) async fn lock_machine(&mut self, machine: &MachineId) -> Result<()> {
        if self.is_concurrent() {
            self.all("SELECT id FROM machines WHERE id = $1 FOR NO KEY UPDATE", values![machine.as_str()]).await?;
        }
        Ok(())
    }
}
