//! Answers kept under a client's idempotency key, so that a retried request is answered and not repeated.

use crate::backend::{retry, values};
use crate::{Result, Store, StoreError};
use vitrine_model::{ApiKeyId, EpochMs};

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedAnswer {
    /// Of the request's body: the same key with another body is the client's mistake.
    pub request_hash: [u8; 32],
    /// As the server wrote it; `None` while the first request is still being answered.
    pub answer: Option<String>,
    pub expires_at: EpochMs,
}

/// Who may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This request is the first with the key: do it, then [`Store::idempotency_put`].
    First,
    /// Another was first.
    Taken(SavedAnswer),
}

/// How long events are kept.
pub const EVENTS_KEPT_MS: i64 = 30 * 86_400_000;

impl Store {
    /// Claims a key for a request until `expires_at`; an expired claim is taken over.
    pub async fn idempotency_claim(
        &self,
        api_key: &ApiKeyId,
        key: &str,
        request_hash: [u8; 32],
        now: EpochMs,
        expires_at: EpochMs,
    ) -> Result<Claim> {
        retry(|| self.idempotency_claim_once(api_key, key, request_hash, now, expires_at)).await
    }

    async fn idempotency_claim_once(
        &self,
        api_key: &ApiKeyId,
        key: &str,
        request_hash: [u8; 32],
        now: EpochMs,
        expires_at: EpochMs,
    ) -> Result<Claim> {
        let claimed = self
            .run(
                "INSERT INTO idempotency (api_key, key, request_hash, expires_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (api_key, key) DO UPDATE
                 SET request_hash = excluded.request_hash, answer = NULL, expires_at = excluded.expires_at
                 WHERE idempotency.expires_at <= $5",
                values![api_key.as_str(), key, &request_hash, expires_at, now],
            )
            .await?;
        if claimed == 1 {
            return Ok(Claim::First);
        }
        const SQL: &str = "SELECT request_hash, answer, expires_at FROM idempotency WHERE api_key = $1 AND key = $2";
        // Released in between: the next try gets it.
        let row = self.first(SQL, values![api_key.as_str(), key]).await?.ok_or(StoreError::Conflict)?;
        Ok(Claim::Taken(SavedAnswer {
            request_hash: row.bytes("request_hash")?,
            answer: row.get("answer")?,
            expires_at: row.get("expires_at")?,
        }))
    }

    /// Keeps the answer until `expires_at`.
    pub async fn idempotency_put(
        &self,
        api_key: &ApiKeyId,
        key: &str,
        answer: &str,
        expires_at: EpochMs,
    ) -> Result<()> {
        const SQL: &str = "UPDATE idempotency SET answer = $3, expires_at = $4 WHERE api_key = $1 AND key = $2";
        self.run(SQL, values![api_key.as_str(), key, answer, expires_at]).await?;
        Ok(())
    }

    /// Gives a claim back that has no answer, because the request came to nothing that must not be repeated.
    pub async fn idempotency_release(&self, api_key: &ApiKeyId, key: &str) -> Result<()> {
        const SQL: &str = "DELETE FROM idempotency WHERE api_key = $1 AND key = $2 AND answer IS NULL";
        self.run(SQL, values![api_key.as_str(), key]).await?;
        Ok(())
    }

    /// Forgets a key whose answer came to nothing, unless another answer is kept under it by now.
    pub async fn idempotency_forget(&self, api_key: &ApiKeyId, key: &str, answer: &str) -> Result<()> {
        const SQL: &str = "DELETE FROM idempotency WHERE api_key = $1 AND key = $2 AND answer = $3";
        self.run(SQL, values![api_key.as_str(), key, answer]).await?;
        Ok(())
    }

    /// Deletes expired answers, secrets past their grace time, revoked tokens that expired, old events and deliveries,
    /// unpaid orders and old visits.
    pub async fn delete_expired(&self, now: EpochMs) -> Result<()> {
        self.run("DELETE FROM idempotency WHERE expires_at <= $1", values![now]).await?;
        self.run("DELETE FROM api_key_secrets WHERE valid_until <= $1", values![now]).await?;
        self.run("DELETE FROM revoked_tokens WHERE expires_at <= $1", values![now]).await?;
        self.run("DELETE FROM events WHERE at < $1", values![now - EVENTS_KEPT_MS]).await?;
        self.delete_unpaid_orders(now).await?;
        self.delete_old_visits(now).await?;
        self.delete_old_deliveries(now).await
    }
}
