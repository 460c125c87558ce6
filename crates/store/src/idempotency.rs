//! Answers kept under a client's idempotency key, so that a retried request is answered and not repeated.

use crate::{Result, Store};
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

impl Store {
    /// Claims a key for a request until `expires_at`; expired claims are taken over.
    pub async fn idempotency_claim(
        &self,
        api_key: &ApiKeyId,
        key: &str,
        request_hash: [u8; 32],
        now: EpochMs,
        expires_at: EpochMs,
    ) -> Result<Claim> {
        todo!()
    }

    /// Keeps the answer until `expires_at`.
    pub async fn idempotency_put(
        &self,
        api_key: &ApiKeyId,
        key: &str,
        answer: &str,
        expires_at: EpochMs,
    ) -> Result<()> {
        todo!()
    }

    /// Gives a claim back, when the request came to nothing that would have to be repeated.
    pub async fn idempotency_release(&self, api_key: &ApiKeyId, key: &str) -> Result<()> {
        todo!()
    }

    /// Deletes expired answers and old events.
    pub async fn delete_expired(&self, now: EpochMs) -> Result<()> {
        todo!()
    }
}
