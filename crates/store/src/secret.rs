//! Secrets of the deployment, made once, for example the key that signs tokens.

use crate::backend::values;
use crate::{Result, Store, StoreError};

impl Store {
    /// The secret of that name; `fresh` becomes it when there is none yet.
    pub async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32]> {
        if let Some(bytes) = self.stored_secret(name).await? {
            return Ok(bytes);
        }
        let insert = "INSERT INTO secrets (name, bytes) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        self.run(insert, values![name, &fresh]).await?;
        // Another server may have been first: what is stored counts.
        self.stored_secret(name).await?.ok_or(StoreError::Missing("secret"))
    }

    async fn stored_secret(&self, name: &str) -> Result<Option<[u8; 32]>> {
        let row = self.first("SELECT bytes FROM secrets WHERE name = $1", values![name]).await?;
        row.map(|row| row.bytes("bytes")).transpose()
    }
}
