//! Packs: pieces of files of checkpoints, kept once for each organization under the hash of their bytes.
//!
//! A pack comes before the checkpoint that names it. One that no checkpoint names has a time at which it is dropped, late
//! enough for whoever knows that it is there to name it; bringing it again puts that off. Whoever changes which packs are
//! named holds the organization's lock.

use crate::artifact::is_of;
use crate::backend::{Row, Transaction, retry, values};
use crate::loose::BRINGING_MS_MAX;
use crate::{Bringing, ObjectKey, Result, Store, StoreError};
use vitrine_model::wire::ObjectRequest;
use vitrine_model::{EpochMs, OrganizationId};

/// Packs that are dropped in one transaction.
const BATCH: i64 = 500;

/// A kept pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// 64 hexadecimal characters: its name, and the hash of its bytes.
    pub sha256: String,
    pub size: u64,
    pub object: ObjectKey,
}

/// A pack whose bytes are there.
#[derive(Debug, Clone)]
pub struct NewPack {
    pub sha256: String,
    pub size: u64,
    pub object: ObjectKey,
}

impl Pack {
    fn from_row(row: &Row) -> Result<Pack> {
        Ok(Pack {
            sha256: row.get("sha256")?,
            size: row.number("size")?,
            object: ObjectKey::from_row(row.get("object")?),
        })
    }
}

/// Puts off when a pack is dropped, if it is there at all.
const TOUCH: &str = "UPDATE packs SET due_at = CASE WHEN due_at IS NOT NULL THEN CAST($3 AS BIGINT) END
    WHERE organization = $1 AND sha256 = $2";

impl Store {
    /// Whether a pack that a node wants to bring is there already; then it stays for long enough to be named.
    pub async fn knows_pack(&self, request: &ObjectRequest, sha256: &str, now: EpochMs) -> Result<bool> {
        let Some(session) = self.session_of_object(request).await? else { return Ok(false) };
        Ok(self.run(TOUCH, values![session.organization.as_str(), sha256, now + BRINGING_MS_MAX]).await? == 1)
    }

    /// Keeps a pack whose bytes are there; one that is there already stays as it is.
    pub async fn publish_pack(&self, request: &ObjectRequest, new: &NewPack, now: EpochMs) -> Result<Bringing> {
        retry(|| self.publish_pack_once(request, new, now)).await
    }

    async fn publish_pack_once(&self, request: &ObjectRequest, new: &NewPack, now: EpochMs) -> Result<Bringing> {
        const INSERT: &str =
            "INSERT INTO packs (organization, sha256, size, object, due_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (organization, sha256) DO NOTHING";
        let mut tx = self.begin().await?;
        let Some(session) = tx.session(&request.session).await?.filter(|session| is_of(session, request)) else {
            tx.rollback().await?;
            return Ok(Bringing::NotYours);
        };
        let (organization, sha256, due_at) =
            (session.organization.as_str(), new.sha256.as_str(), now + BRINGING_MS_MAX);
        if tx.run(TOUCH, values![organization, sha256, due_at]).await? == 0 {
            tx.keep_object(&new.object).await?;
            let values = values![organization, sha256, new.size, new.object.as_str(), due_at];
            // Somebody else brought it at this moment.
            if tx.run(INSERT, values).await? == 0 {
                tx.rollback().await?;
                return Err(StoreError::Conflict);
            }
        }
        tx.commit().await?;
        Ok(Bringing::Kept { key: None })
    }

    /// A pack of the organization of the session for which a machine asks.
    pub async fn pack_for(&self, request: &ObjectRequest, sha256: &str) -> Result<Option<Pack>> {
        const SQL: &str = "SELECT sha256, size, object FROM packs WHERE organization = $1 AND sha256 = $2";
        let Some(session) = self.session_of_object(request).await? else { return Ok(None) };
        let row = self.first(SQL, values![session.organization.as_str(), sha256]).await?;
        row.as_ref().map(Pack::from_row).transpose()
    }

    /// Drops packs that no checkpoint names and whose time is over; their objects are due then. Answers how many: when it
    /// is a full batch, there may be more.
    pub async fn drop_loose_packs(&self, now: EpochMs) -> Result<usize> {
        const DUE: &str = "SELECT organization, sha256 FROM packs WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
        let due = self.all(DUE, values![now, BATCH]).await?;
        for row in &due {
            let organization = row.word("organization", |text| OrganizationId::parse(text).ok())?;
            let sha256: String = row.get("sha256")?;
            retry(|| self.drop_pack(&organization, &sha256, now)).await?;
        }
        Ok(due.len())
    }

    async fn drop_pack(&self, organization: &OrganizationId, sha256: &str, now: EpochMs) -> Result<()> {
        const STILL_DUE: &str =
            "SELECT sha256, size, object FROM packs WHERE organization = $1 AND sha256 = $2 AND due_at <= $3";
        // With the guard once more: a node that knows the pack puts its time off without the organization's lock.
        const DELETE: &str = "DELETE FROM packs WHERE organization = $1 AND sha256 = $2 AND due_at <= $3";
        let values = values![organization.as_str(), sha256, now];
        let mut tx = self.begin().await?;
        tx.lock_organization(organization).await?;
        if let Some(row) = tx.first(STILL_DUE, values).await?
            && tx.run(DELETE, values).await? == 1
        {
            tx.loosen_object(&Pack::from_row(&row)?.object, now).await?;
        }
        tx.commit().await
    }
}

impl Transaction {
    /// Takes the time off the packs that are named now; `false`: not all of them are there. `names` is a JSON array
    /// without repetitions.
    pub(crate) async fn name_packs(&mut self, organization: &str, names: &str, count: usize) -> Result<bool> {
        const SQL: crate::backend::Sql = crate::backend::Sql {
            sqlite: "UPDATE packs SET due_at = NULL WHERE organization = $1
                AND sha256 IN (SELECT value FROM json_each($2))",
            postgres: "UPDATE packs SET due_at = NULL WHERE organization = $1
                AND sha256 IN (SELECT json_array_elements_text($2::json))",
        };
        Ok(self.run(SQL, values![organization, names]).await? == count as u64)
    }

    /// Gives a time to the packs that no other checkpoint than this one names.
    pub(crate) async fn loosen_packs(&mut self, organization: &str, checkpoint: &str, now: EpochMs) -> Result<()> {
        const SQL: &str = "UPDATE packs SET due_at = $3 WHERE organization = $1
            AND sha256 IN (SELECT pack FROM checkpoint_packs WHERE checkpoint = $2)
            AND NOT EXISTS (SELECT 1 FROM checkpoint_packs other WHERE other.organization = packs.organization
                AND other.pack = packs.sha256 AND other.checkpoint <> $2)";
        self.run(SQL, values![organization, checkpoint, now + BRINGING_MS_MAX]).await?;
        Ok(())
    }
}
