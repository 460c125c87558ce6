//! What the first start makes: an organization on plan `scale` with a key, and the operator's key.

use super::data_dir::DataDir;
use anyhow::Context as _;
use vitrine_model::api_key::KeyHash;
use vitrine_model::{ApiKeyId, ApiKeySecret, Entropy, EpochMs, OrganizationId, Permissions, Plan};
use vitrine_store::{NewApiKey, Organization, Store};

const ORGANIZATION_NAME: &str = "default";
const KEY_NAME: &str = "first";

/// Keys that were made now, to be shown once.
#[derive(Debug, Default)]
pub struct Keys {
    pub api: Option<ApiKeySecret>,
    pub operator: Option<ApiKeySecret>,
}

/// Makes what is missing. Answers the operator key's hash and what was made.
pub async fn prepare(
    data: &DataDir,
    store: &Store,
    entropy: &dyn Entropy,
    now: EpochMs,
) -> anyhow::Result<(KeyHash, Option<Keys>)> {
    let (operator, made) = data.operator_key(entropy)?;
    let hash = operator.hash();
    let mut keys = Keys { api: None, operator: made.then_some(operator) };
    if let Some(organization) = keyless(store, entropy, now).await? {
        keys.api = Some(first_key(data, store, organization, entropy, now).await?);
    }
    let any = keys.api.is_some() || keys.operator.is_some();
    Ok((hash, any.then_some(keys)))
}

/// The first organization, made now if need be; none when it has a key already.
async fn keyless(store: &Store, entropy: &dyn Entropy, now: EpochMs) -> anyhow::Result<Option<OrganizationId>> {
    let organizations = store.organizations().await.context("could not read the organizations")?;
    if let Some(first) = organizations.into_iter().next() {
        let keys = store.api_keys(&first.id).await.context("could not read the API keys")?;
        return Ok(keys.is_empty().then_some(first.id));
    }
    let organization = Organization {
        id: OrganizationId::new(now, entropy),
        name: ORGANIZATION_NAME.to_owned(),
        plan: Plan::Scale,
        created_at: now,
    };
    store.create_organization(&organization).await.context("could not make the first organization")?;
    Ok(Some(organization.id))
}

async fn first_key(
    data: &DataDir,
    store: &Store,
    organization: OrganizationId,
    entropy: &dyn Entropy,
    now: EpochMs,
) -> anyhow::Result<ApiKeySecret> {
    let secret = ApiKeySecret::cloud(entropy);
    let key = NewApiKey {
        id: ApiKeyId::new(now, entropy),
        organization,
        name: KEY_NAME.to_owned(),
        hash: secret.hash(),
        hint: secret.hint(),
        permissions: Permissions::default(),
        created_at: now,
        expires_at: None,
    };
    // The file first: a start that dies here makes another key, and no row knows one that nobody has.
    data.write_api_key(&secret)?;
    store.create_api_key(&key).await.context("could not make the first API key")?;
    Ok(secret)
}
