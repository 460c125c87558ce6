//! Making a session: the plan's limits are counted in the transaction that inserts the row.

use crate::backend::{Transaction, retry, values};
use crate::usage::{DAY_MS, time_used};
use crate::{Result, Session, Store, StoreError};
use vitrine_model::wire::EgressBytes;
use vitrine_model::wire::Workload;
use vitrine_model::{ApiKeyId, Desired, EpochMs, OrganizationId, SessionId, Status};

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
    /// At once; those that are ending or paused hold no place, unless they are being resumed.
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
    /// It has fewer minutes than the session is to hold.
    Minutes { balance: i64 },
    /// Another session of the organization that is not over has the same profile key.
    ProfileInUse,
    /// The organization has no checkpoint of that id to begin from.
    UnknownCheckpoint,
}

impl Store {
    /// Queues a session, or says which limit forbids it. An embed session that is paid for holds its minutes from this
    /// transaction on; its time is not limited by the plan's.
    pub async fn create_session(
        &self,
        new: &NewSession,
        limits: CreateLimits,
        now: EpochMs,
    ) -> Result<std::result::Result<Session, Refused>> {
        retry(|| self.create_session_once(new, limits, now)).await
    }

    async fn create_session_once(
        &self,
        new: &NewSession,
        limits: CreateLimits,
        now: EpochMs,
    ) -> Result<std::result::Result<Session, Refused>> {
        let session = new.queued(now);
        let mut tx = if session.paid_minutes() > 0 { self.begin_durable().await? } else { self.begin().await? };
        // What is counted next is still true when the row is inserted.
        tx.lock_organization(&new.organization).await?;
        if let Some(refused) = tx.refused(&session, limits, now).await? {
            tx.rollback().await?;
            return Ok(Err(refused));
        }
        if !tx.knows_origin(&session).await? {
            tx.rollback().await?;
            return Ok(Err(Refused::UnknownCheckpoint));
        }
        tx.insert_session(&session).await?;
        tx.commit().await?;
        Ok(Ok(session))
    }
}

impl NewSession {
    pub(crate) fn queued(&self, now: EpochMs) -> Session {
        let new = self.clone();
        Session {
            id: new.id,
            organization: new.organization,
            api_key: new.api_key,
            workload: new.workload,
            status: Status::Queued,
            desired: Desired::Run,
            reserve_mb: new.reserve_mb,
            limit_mb: new.limit_mb,
            profile_key: new.profile_key,
            machine: None,
            machine_epoch: 0,
            generation: 0,
            run: None,
            attempts: 0,
            avoid_machine: None,
            created_at: now,
            updated_at: now,
            not_before: now,
            queue_deadline: new.queue_deadline,
            step_deadline: None,
            started_at: None,
            expires_at: None,
            paused_at: None,
            paused_ms: 0,
            stored: false,
            ended_at: None,
            end_reason: None,
            error: None,
            egress: EgressBytes::default(),
            egress_before: EgressBytes::default(),
        }
    }
}

impl Transaction {
    /// One creation of an organization at a time, where others may write.
    pub(crate) async fn lock_organization(&mut self, organization: &OrganizationId) -> Result<()> {
        if self.is_concurrent() {
            const LOCK: &str = "SELECT id FROM organizations WHERE id = $1 FOR NO KEY UPDATE";
            self.all(LOCK, values![organization.as_str()]).await?;
        }
        Ok(())
    }

    /// Which limit forbids that one more session runs. The organization is locked.
    pub(crate) async fn refused(
        &mut self,
        session: &Session,
        limits: CreateLimits,
        now: EpochMs,
    ) -> Result<Option<Refused>> {
        const SQL: &str = concat!(
            "SELECT
                 (SELECT count(*) FROM sessions WHERE organization = o.id AND kind = $4
                     AND status NOT IN ('ended', 'failed') AND status <> 'ending'
                     AND (status <> 'paused' OR desired = 'resume')) AS open,
                 (SELECT CAST(coalesce(sum(ms), 0) AS BIGINT) FROM (",
            time_used!(),
            ") used WHERE kind = $4 AND weight <> 'embed') AS used_ms,
                 (SELECT available FROM minute_totals WHERE organization = o.id) AS balance,
                 (SELECT count(*) FROM sessions WHERE organization = o.id AND profile_key = $5
                     AND profile_key IS NOT NULL AND status NOT IN ('ended', 'failed')) AS same_profile
             FROM organizations o WHERE o.id = $1"
        );
        let values = values![
            session.organization.as_str(),
            limits.period_start / DAY_MS,
            now,
            session.kind().as_str(),
            session.profile_key.as_deref(),
        ];
        let row = self.first(SQL, values).await?.ok_or(StoreError::Missing("organization"))?;
        let balance: i64 = row.get("balance")?;
        Ok(if i64::from(session.paid_minutes()) > balance {
            Some(Refused::Minutes { balance })
        } else if row.get::<i64>("open")? >= i64::from(limits.concurrent) {
            Some(Refused::Concurrency)
        } else if session.embed().is_none() && row.number::<u64>("used_ms")? >= limits.hours_ms {
            Some(Refused::Hours)
        } else if row.get::<i64>("same_profile")? > 0 {
            Some(Refused::ProfileInUse)
        } else {
            None
        })
    }

    /// Whether the checkpoint that a sandbox begins from is its organization's.
    async fn knows_origin(&mut self, session: &Session) -> Result<bool> {
        let Some(from) = session.sandbox().and_then(|spec| spec.from.as_ref()) else { return Ok(true) };
        const SQL: &str = "SELECT id FROM checkpoints WHERE id = $1 AND organization = $2";
        Ok(self.first(SQL, values![from.as_str(), session.organization.as_str()]).await?.is_some())
    }

    pub(crate) async fn insert_session(&mut self, session: &Session) -> Result<()> {
        let workload =
            serde_json::to_string(&session.workload).map_err(|error| StoreError::Encode("workload", error))?;
        self.run(
            "INSERT INTO sessions (id, organization, api_key, kind, weight, isolation, region, workload, status, desired,
                 reserve_mb, limit_mb, profile_key, created_at, updated_at, not_before, queue_deadline, minutes, metered)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $14, $15, $16, $17)",
            values![
                session.id.as_str(),
                session.organization.as_str(),
                session.api_key.as_ref().map(ApiKeyId::as_str),
                session.kind().as_str(),
                session.usage_weight(),
                session.isolation().as_str(),
                session.workload.region(),
                workload,
                session.status.as_str(),
                session.desired.as_str(),
                session.reserve_mb,
                session.limit_mb,
                session.profile_key.as_deref(),
                session.created_at,
                session.queue_deadline,
                session.embed().map(|embed| i64::from(embed.paid_minutes())),
                session.embed().is_none_or(|embed| embed.cdp),
            ],
        )
        .await?;
        Ok(())
    }
}
