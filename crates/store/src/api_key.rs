//! API keys: only hashes are stored, a rotated key's old secret stays good for its grace time.

use crate::backend::{Row, Transaction, retry, values};
use crate::{Organization, Result, Store, StoreError};
use vitrine_model::{ApiKeyId, EpochMs, OrganizationId, Permissions, Plan, api_key::KeyHash};

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

/// `last_used_at` is written when it is older than this, so that not every request writes.
const LAST_USED_EXACT_TO_MS: i64 = 60_000;

macro_rules! key_columns {
    () => {
        "k.id, k.organization, k.name, k.hint, k.permissions, k.created_at, k.expires_at, k.revoked_at, k.last_used_at"
    };
}

impl ApiKey {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.word("id", |text| ApiKeyId::parse(text).ok())?,
            organization: row.word("organization", |text| OrganizationId::parse(text).ok())?,
            name: row.get("name")?,
            hint: row.get("hint")?,
            permissions: row.word("permissions", |text| serde_json::from_str(text).ok())?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

impl Store {
    /// Stores a key; fails when its hash or id is taken or its organization does not exist.
    pub async fn create_api_key(&self, key: &NewApiKey) -> Result<ApiKey> {
        retry(|| self.create_api_key_once(key)).await
    }

    async fn create_api_key_once(&self, key: &NewApiKey) -> Result<ApiKey> {
        let mut tx = self.begin().await?;
        tx.insert_api_key(key).await?;
        tx.commit().await?;
        let NewApiKey { id, organization, name, hint, permissions, created_at, expires_at, .. } = key.clone();
        Ok(ApiKey {
            id,
            organization,
            name,
            hint,
            permissions,
            created_at,
            expires_at,
            revoked_at: None,
            last_used_at: None,
        })
    }

    /// An organization's keys, oldest first, revoked ones too.
    pub async fn api_keys(&self, organization: &OrganizationId) -> Result<Vec<ApiKey>> {
        const SQL: &str = concat!(
            "SELECT ",
            key_columns!(),
            " FROM api_keys k WHERE k.organization = $1 ORDER BY k.created_at, k.id"
        );
        self.all(SQL, values![organization.as_str()]).await?.iter().map(ApiKey::from_row).collect()
    }

    /// One key of an organization.
    pub async fn api_key(&self, organization: &OrganizationId, id: &ApiKeyId) -> Result<Option<ApiKey>> {
        const SQL: &str =
            concat!("SELECT ", key_columns!(), " FROM api_keys k WHERE k.organization = $1 AND k.id = $2");
        self.first(SQL, values![organization.as_str(), id.as_str()]).await?.as_ref().map(ApiKey::from_row).transpose()
    }

    /// Who presents a secret with this hash; `None` when it is unknown, revoked, expired or past its grace time.
    pub async fn authenticate(&self, hash: &KeyHash, now: EpochMs) -> Result<Option<(ApiKey, Organization)>> {
        const SQL: &str = concat!(
            "SELECT ",
            key_columns!(),
            ", o.name AS organization_name, o.plan, o.created_at AS organization_created_at
             FROM api_key_secrets x JOIN api_keys k ON k.id = x.api_key JOIN organizations o ON o.id = k.organization
             WHERE x.hash = $1 AND (x.valid_until IS NULL OR x.valid_until > $2)
               AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)"
        );
        let Some(row) = self.first(SQL, values![hash, now]).await? else { return Ok(None) };
        let mut key = ApiKey::from_row(&row)?;
        let organization = Organization {
            id: key.organization.clone(),
            name: row.get("organization_name")?,
            plan: row.word("plan", Plan::parse)?,
            created_at: row.get("organization_created_at")?,
        };
        if key.last_used_at.is_none_or(|last| last <= now - LAST_USED_EXACT_TO_MS) {
            const TOUCH: &str =
                "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
            self.run(TOUCH, values![key.id.as_str(), now]).await?;
            key.last_used_at = Some(now);
        }
        Ok(Some((key, organization)))
    }

    /// Revokes a key at once, every secret of it; a revoked one stays as it was. `None`: no such key.
    pub async fn revoke_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        now: EpochMs,
    ) -> Result<Option<ApiKey>> {
        const SQL: &str =
            "UPDATE api_keys SET revoked_at = $3 WHERE organization = $1 AND id = $2 AND revoked_at IS NULL";
        self.run(SQL, values![organization.as_str(), id.as_str(), now]).await?;
        self.api_key(organization, id).await
    }

    /// Gives a key a new secret; the old one stays good until `grace_until`. `None`: no such key, or it is revoked or expired.
    pub async fn rotate_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &KeyHash,
        hint: &str,
        now: EpochMs,
        grace_until: EpochMs,
    ) -> Result<Option<ApiKey>> {
        let mut tx = self.begin().await?;
        let rows = tx
            .run(
                "UPDATE api_keys SET hint = $3 WHERE organization = $1 AND id = $2 AND revoked_at IS NULL
                 AND (expires_at IS NULL OR expires_at > $4)",
                values![organization.as_str(), id.as_str(), hint, now],
            )
            .await?;
        if rows == 0 {
            tx.rollback().await?;
            return Ok(None);
        }
        // One that is in its own grace time already does not get a longer one.
        tx.run(
            "UPDATE api_key_secrets SET valid_until = $2
             WHERE api_key = $1 AND (valid_until IS NULL OR valid_until > $2)",
            values![id.as_str(), grace_until],
        )
        .await?;
        tx.run("INSERT INTO api_key_secrets (hash, api_key) VALUES ($1, $2)", values![hash, id.as_str()]).await?;
        tx.commit().await?;
        self.api_key(organization, id).await
    }
}

impl Transaction {
    pub(crate) async fn insert_api_key(&mut self, key: &NewApiKey) -> Result<()> {
        let NewApiKey { id, organization, name, hash, hint, permissions, created_at, expires_at } = key;
        let words = serde_json::to_string(permissions).map_err(|error| StoreError::Encode("permissions", error))?;
        self.run(
            "INSERT INTO api_keys (id, organization, name, hint, permissions, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            values![id.as_str(), organization.as_str(), name.as_str(), hint.as_str(), words, *created_at, *expires_at],
        )
        .await?;
        self.run("INSERT INTO api_key_secrets (hash, api_key) VALUES ($1, $2)", values![hash, id.as_str()]).await?;
        Ok(())
    }
}
