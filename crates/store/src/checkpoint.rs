//! Checkpoints: snapshots of a sandbox's workspace. The row shows a list of what is in it, and names the packs with the bytes.
//!
//! Who brings one is guarded by `(machine, generation, run)` as for artifacts. A checkpoint belongs to its organization: any
//! sandbox of it may begin from one, also after the session that made it is over.

use crate::artifact::is_of;
use crate::backend::{Row, Sql, Transaction, retry, values};
use crate::{Bringing, ObjectKey, Result, Session, Store, StoreError};
use std::collections::BTreeSet;
use vitrine_model::wire::ObjectRequest;
use vitrine_model::{CheckpointId, EpochMs, Happening, OrganizationId, SessionId};

/// Expired checkpoints that are dropped in one go.
const BATCH: i64 = 100;
/// How long the list of what a checkpoint held stays after it was deleted: somebody may be fetching it.
const REMOVED_KEPT_MS: EpochMs = 600_000;

/// A kept checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub id: CheckpointId,
    pub organization: OrganizationId,
    /// The session whose workspace it is.
    pub session: SessionId,
    /// The list of what is in it.
    pub object: ObjectKey,
    /// Bytes of the list.
    pub manifest_bytes: u64,
    /// Of the list.
    pub sha256: [u8; 32],
    /// Bytes of the list and of its packs, some of which other checkpoints may share.
    pub size: u64,
    /// Bytes of the files.
    pub workspace_bytes: u64,
    pub created_at: EpochMs,
    /// `None`: it is kept until it is deleted.
    pub expires_at: Option<EpochMs>,
}

/// A checkpoint whose list is there, and whose packs should be.
#[derive(Debug, Clone)]
pub struct NewCheckpoint {
    pub id: CheckpointId,
    pub manifest_bytes: u64,
    pub sha256: [u8; 32],
    pub object: ObjectKey,
    /// The hashes of its packs, as 64 hexadecimal characters each.
    pub packs: Vec<String>,
    pub workspace_bytes: u64,
    pub expires_at: Option<EpochMs>,
}

macro_rules! checkpoints {
    ($rest:literal) => {
        concat!(
            "SELECT id, organization, session, object, manifest_bytes, sha256, size, workspace_bytes, created_at, expires_at
             FROM checkpoints ",
            $rest
        )
    };
}

impl Checkpoint {
    /// The key under which clients know it.
    pub fn key(&self) -> String {
        key(&self.id)
    }

    fn from_row(row: &Row) -> Result<Checkpoint> {
        Ok(Checkpoint {
            id: row.word("id", |text| CheckpointId::parse(text).ok())?,
            organization: row.word("organization", |text| OrganizationId::parse(text).ok())?,
            session: row.word("session", |text| SessionId::parse(text).ok())?,
            object: ObjectKey::from_row(row.get("object")?),
            manifest_bytes: row.number("manifest_bytes")?,
            sha256: row.bytes("sha256")?,
            size: row.number("size")?,
            workspace_bytes: row.number("workspace_bytes")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

fn key(id: &CheckpointId) -> String {
    format!("checkpoints/{id}")
}

impl Store {
    /// Shows a checkpoint whose list is there, with the event that says so, if all its packs are there. The same one
    /// brought again is kept once.
    pub async fn publish_checkpoint(
        &self,
        request: &ObjectRequest,
        new: &NewCheckpoint,
        checkpoints_max: u32,
        now: EpochMs,
    ) -> Result<Bringing> {
        retry(|| self.publish_checkpoint_once(request, new, checkpoints_max, now)).await
    }

    async fn publish_checkpoint_once(
        &self,
        request: &ObjectRequest,
        new: &NewCheckpoint,
        checkpoints_max: u32,
        now: EpochMs,
    ) -> Result<Bringing> {
        let Some(Session { organization, .. }) = self.session_of_object(request).await? else {
            return Ok(Bringing::NotYours);
        };
        let mut tx = self.begin().await?;
        tx.lock_organization(&organization).await?;
        let brought = tx.take_checkpoint(request, new, checkpoints_max, now).await?;
        match brought {
            Bringing::Kept { .. } => tx.commit().await?,
            _ => tx.rollback().await?,
        }
        Ok(brought)
    }

    /// A checkpoint of an organization.
    pub async fn checkpoint(&self, organization: &OrganizationId, id: &CheckpointId) -> Result<Option<Checkpoint>> {
        const SQL: &str = checkpoints!("WHERE id = $1 AND organization = $2");
        let row = self.first(SQL, values![id.as_str(), organization.as_str()]).await?;
        row.as_ref().map(Checkpoint::from_row).transpose()
    }

    /// A session's checkpoints, newest first.
    pub async fn checkpoints(&self, organization: &OrganizationId, session: &SessionId) -> Result<Vec<Checkpoint>> {
        const SQL: &str = checkpoints!("WHERE session = $1 AND organization = $2 ORDER BY created_at DESC, id DESC");
        let rows = self.all(SQL, values![session.as_str(), organization.as_str()]).await?;
        rows.iter().map(Checkpoint::from_row).collect()
    }

    /// A checkpoint of the organization of the session for which a machine asks.
    pub async fn checkpoint_for(&self, request: &ObjectRequest, id: &CheckpointId) -> Result<Option<Checkpoint>> {
        match self.session_of_object(request).await? {
            Some(session) => self.checkpoint(&session.organization, id).await,
            None => Ok(None),
        }
    }

    /// Deletes a checkpoint; its list is due soon, and its packs some time after the last checkpoint that names them.
    /// `false`: the organization has none of that id.
    pub async fn remove_checkpoint(
        &self,
        organization: &OrganizationId,
        id: &CheckpointId,
        now: EpochMs,
    ) -> Result<bool> {
        retry(|| self.remove_checkpoint_once(organization, id, now)).await
    }

    async fn remove_checkpoint_once(
        &self,
        organization: &OrganizationId,
        id: &CheckpointId,
        now: EpochMs,
    ) -> Result<bool> {
        const SQL: &str = checkpoints!("WHERE id = $1 AND organization = $2");
        let values = values![id.as_str(), organization.as_str()];
        let mut tx = self.begin().await?;
        tx.lock_organization(organization).await?;
        let Some(row) = tx.first(SQL, values).await? else {
            tx.rollback().await?;
            return Ok(false);
        };
        tx.loosen_packs(organization.as_str(), id.as_str(), now).await?;
        tx.run("DELETE FROM checkpoints WHERE id = $1 AND organization = $2", values).await?;
        tx.loosen_object(&Checkpoint::from_row(&row)?.object, now + REMOVED_KEPT_MS).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes checkpoints whose time is over. Answers how many: when it is a full batch, there may be more.
    pub async fn drop_expired_checkpoints(&self, now: EpochMs) -> Result<usize> {
        const EXPIRED: &str = checkpoints!("WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2");
        let expired = self.all(EXPIRED, values![now, BATCH]).await?;
        for row in &expired {
            let Checkpoint { organization, id, .. } = Checkpoint::from_row(row)?;
            self.remove_checkpoint(&organization, &id, now).await?;
        }
        Ok(expired.len())
    }
}

impl Transaction {
    async fn take_checkpoint(
        &mut self,
        request: &ObjectRequest,
        new: &NewCheckpoint,
        checkpoints_max: u32,
        now: EpochMs,
    ) -> Result<Bringing> {
        const KNOWN: &str = checkpoints!("WHERE id = $1");
        const COUNT: &str = "SELECT count(*) AS many FROM checkpoints WHERE session = $1";
        let Some(session) = self.session(&request.session).await?.filter(|session| is_of(session, request)) else {
            return Ok(Bringing::NotYours);
        };
        if let Some(row) = self.first(KNOWN, values![new.id.as_str()]).await? {
            let known = Checkpoint::from_row(&row)?;
            let is_same = known.session == session.id && known.sha256 == new.sha256;
            return Ok(if is_same { Bringing::Kept { key: Some(known.key()) } } else { Bringing::NotYours });
        }
        let count = self.first(COUNT, values![session.id.as_str()]).await?.ok_or(StoreError::Missing("count"))?;
        if count.number::<u64>("many")? >= u64::from(checkpoints_max) {
            return Ok(Bringing::TooMany);
        }
        let packs: BTreeSet<_> = new.packs.iter().collect();
        let names = serde_json::to_string(&packs).map_err(|error| StoreError::Encode("packs", error))?;
        if !self.name_packs(session.organization.as_str(), &names, packs.len()).await? {
            return Ok(Bringing::PacksMissing);
        }
        self.keep_object(&new.object).await?;
        self.insert_checkpoint(&session, new, &names, now).await?;
        Ok(Bringing::Kept { key: Some(key(&new.id)) })
    }

    async fn insert_checkpoint(
        &mut self,
        session: &Session,
        new: &NewCheckpoint,
        packs: &str,
        now: EpochMs,
    ) -> Result<()> {
        const INSERT: &str = "INSERT INTO checkpoints
                (id, organization, session, object, manifest_bytes, sha256, size, workspace_bytes, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $5, $7, $8, $9)";
        const NAME: Sql = Sql {
            sqlite: "INSERT INTO checkpoint_packs (checkpoint, organization, pack)
                SELECT $1, $2, value FROM json_each($3)",
            postgres: "INSERT INTO checkpoint_packs (checkpoint, organization, pack)
                SELECT $1, $2, json_array_elements_text($3::json)",
        };
        const MEASURE: &str = "UPDATE checkpoints SET size = manifest_bytes + (
                SELECT CAST(coalesce(sum(p.size), 0) AS BIGINT) FROM packs p
                JOIN checkpoint_packs c ON c.organization = p.organization AND c.pack = p.sha256
                WHERE c.checkpoint = $1)
            WHERE id = $1 RETURNING size";
        let (id, organization) = (new.id.as_str(), session.organization.as_str());
        let values = values![
            id,
            organization,
            session.id.as_str(),
            new.object.as_str(),
            new.manifest_bytes,
            &new.sha256,
            new.workspace_bytes,
            now,
            new.expires_at,
        ];
        self.run(INSERT, values).await?;
        self.run(NAME, values![id, organization, packs]).await?;
        let row = self.first(MEASURE, values![id]).await?.ok_or(StoreError::Missing("checkpoint"))?;
        let size: u64 = row.number("size")?;
        let data = serde_json::json!({ "checkpointId": id, "key": key(&new.id), "size": size });
        self.announce(session, Happening::CheckpointCreated, &data, now).await
    }
}
