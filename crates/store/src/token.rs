//! Connect tokens that were revoked before they expire.

use crate::backend::values;
use crate::{Result, Store};
use vitrine_model::{EpochMs, TokenId};

impl Store {
    /// Makes a token good for nothing; it is remembered until it would have expired.
    pub async fn revoke_token(&self, id: &TokenId, expires_at: EpochMs) -> Result<()> {
        const SQL: &str = "INSERT INTO revoked_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        self.run(SQL, values![id.as_str(), expires_at]).await?;
        Ok(())
    }

    /// Whether a token was revoked.
    pub async fn is_token_revoked(&self, id: &TokenId) -> Result<bool> {
        const SQL: &str = "SELECT id FROM revoked_tokens WHERE id = $1";
        Ok(self.first(SQL, values![id.as_str()]).await?.is_some())
    }
}
