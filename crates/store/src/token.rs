//! Connect tokens that were revoked before they expire.

use crate::backend::values;
use crate::{Result, Store};
use vitrine_model::{EpochMs, SessionId, TokenId};

impl Store {
    /// Makes a token of a session good for nothing; it is remembered until it would have expired. Answers whether it was good
    /// until now. Tokens of other sessions are not touched, whoever names them.
    pub async fn revoke_token(&self, session: &SessionId, id: &TokenId, expires_at: EpochMs) -> Result<bool> {
        const SQL: &str = "INSERT INTO revoked_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        Ok(self.run(SQL, values![key(session, id), expires_at]).await? == 1)
    }

    /// Whether a token was revoked.
    pub async fn is_token_revoked(&self, session: &SessionId, id: &TokenId) -> Result<bool> {
        const SQL: &str = "SELECT id FROM revoked_tokens WHERE id = $1";
        Ok(self.first(SQL, values![key(session, id)]).await?.is_some())
    }
}

/// What a revoked token is remembered by.
fn key(session: &SessionId, id: &TokenId) -> String {
    format!("{session}/{id}")
}
