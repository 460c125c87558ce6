//! API keys: only hashes are stored, a rotated key's old secret stays good for its grace time.

use crate::{Organization, Result, Store};
use vitrine_model::{ApiKeyId, EpochMs, OrganizationId, Permissions, api_key::KeyHash};

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub organization: OrganizationId,
    pub name: String,
    /// The beginning of the newest secret, by which a person tells keys apart.
    pub hint: String,
    pub permissions: Permissions,
    pub created_at: EpochMs,
    pub expires_at: Option<EpochMs>,
    pub revoked_at: Option<EpochMs>,
    /// Exact to a minute.
    pub last_used_at: Option<EpochMs>,
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub id: ApiKeyId,
    pub organization: OrganizationId,
    pub name: String,
    pub hash: KeyHash,
    pub hint: String,
    pub permissions: Permissions,
    pub created_at: EpochMs,
    pub expires_at: Option<EpochMs>,
}

impl Store {
    /// Stores a key; fails when its hash or id is taken or its organization does not exist.
    pub async fn create_api_key(&self, key: &NewApiKey) -> Result<ApiKey> {
        todo!()
    }

    /// An organization's keys, oldest first, revoked ones too.
    pub async fn api_keys(&self, organization: &OrganizationId) -> Result<Vec<ApiKey>> {
        todo!()
    }

    /// One key of an organization.
    pub async fn api_key(&self, organization: &OrganizationId, id: &ApiKeyId) -> Result<Option<ApiKey>> {
        todo!()
    }

    /// Who presents a secret with this hash; `None` when it is unknown, revoked, expired or past its grace time.
    pub async fn authenticate(&self, hash: &KeyHash, now: EpochMs) -> Result<Option<(ApiKey, Organization)>> {
        todo!()
    }

    /// Revokes a key at once, every secret of it; revoked ones stay as they were. `None`: no such key.
    pub async fn revoke_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        now: EpochMs,
    ) -> Result<Option<ApiKey>> {
        todo!()
    }

    /// Gives a key a new secret; the old one stays good until `grace_until`. `None`: no such key, or it is revoked.
    pub async fn rotate_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &KeyHash,
        hint: &str,
        now: EpochMs,
        grace_until: EpochMs,
    ) -> Result<Option<ApiKey>> {
        todo!()
    }
}
