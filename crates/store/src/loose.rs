//! Objects that no row shows: one that is being brought, one that was replaced, one whose row is gone. Each is written down
//! with the time at which it is deleted, in the transaction that makes it loose, so that a crash leaves nothing to search for.

use crate::backend::{Transaction, values};
use crate::{ObjectKey, Result, Store, StoreError};
use vitrine_model::EpochMs;

/// How long an object may take to be brought: what is still loose then was left behind.
pub(crate) const BRINGING_MS_MAX: EpochMs = 86_400_000;
/// Objects that one sweep deletes at most.
const BATCH: i64 = 500;

impl Store {
    /// Writes an object down before its first byte comes.
    pub async fn announce_object(&self, object: &ObjectKey, now: EpochMs) -> Result<()> {
        const SQL: &str = "INSERT INTO loose_objects (object, due_at) VALUES ($1, $2)";
        self.run(SQL, values![object.as_str(), now + BRINGING_MS_MAX]).await?;
        Ok(())
    }

    /// Makes an object due that came to nothing.
    pub async fn abandon_object(&self, object: &ObjectKey, now: EpochMs) -> Result<()> {
        const SQL: &str = "UPDATE loose_objects SET due_at = $2 WHERE object = $1";
        self.run(SQL, values![object.as_str(), now]).await?;
        Ok(())
    }

    /// Loose objects that are due, oldest first; a bounded number.
    pub async fn due_objects(&self, now: EpochMs) -> Result<Vec<ObjectKey>> {
        const SQL: &str = "SELECT object FROM loose_objects WHERE due_at <= $1 ORDER BY due_at, object LIMIT $2";
        let rows = self.all(SQL, values![now, BATCH]).await?;
        rows.iter().map(|row| Ok(ObjectKey::from_row(row.get("object")?))).collect()
    }

    /// Forgets a loose object, now that it is deleted.
    pub async fn object_deleted(&self, object: &ObjectKey) -> Result<()> {
        self.run("DELETE FROM loose_objects WHERE object = $1", values![object.as_str()]).await?;
        Ok(())
    }
}

impl Transaction {
    /// Takes an object off the list: a row shows it from now on. One that is not on it may be deleted already.
    pub(crate) async fn keep_object(&mut self, object: &ObjectKey) -> Result<()> {
        match self.run("DELETE FROM loose_objects WHERE object = $1", values![object.as_str()]).await? {
            1 => Ok(()),
            _ => Err(StoreError::Missing("object that was announced")),
        }
    }

    /// Puts an object on the list: no row shows it any more.
    pub(crate) async fn loosen_object(&mut self, object: &ObjectKey, due_at: EpochMs) -> Result<()> {
        const SQL: &str = "INSERT INTO loose_objects (object, due_at) VALUES ($1, $2)";
        self.run(SQL, values![object.as_str(), due_at]).await?;
        Ok(())
    }
}
