//! `/v1/api-keys`: an organization's keys. A secret is shown once; nobody grants more than they have.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done, words};
use crate::gate::Caller;
use crate::request::{Fields, Query, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vitrine_model::api_key::EMBED_PREFIX;
use vitrine_model::{ApiKeyId, ApiKeySecret, Code, Entropy, EpochMs, Error, OrganizationId, Permission, Permissions};
use vitrine_store::{ApiKey, NewApiKey};

/// Longest name of a key.
const NAME_BYTES_MAX: usize = 100;
/// Name of a key for which the client thought of none.
const NAME_DEFAULT: &str = "key";
/// Longest time for which a rotated key's old secret stays good: a week.
const GRACE_MS_MAX: u64 = 604_800_000;

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    pub id: String,
    #[schema(example = "nightly tests")]
    pub name: String,
    /// The beginning of the secret.
    #[schema(example = "br_live_4k0v")]
    pub hint: String,
    /// Empty: all of them.
    #[schema(value_type = Vec<String>, example = json!(["browser_sessions:read"]))]
    pub permissions: Permissions,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    /// Exact to a minute.
    pub last_used_at: Option<i64>,
}

/// A key with its secret, which is not shown again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownKey {
    #[serde(flatten)]
    pub view: KeyView,
    /// The secret.
    #[schema(example = "br_live_4k0vmv0c5t1s9e0z7r2k8q4w6y3am1x7")]
    pub key: String,
    /// After a rotation: until when the old secret stays good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<i64>,
}

/// An organization's keys, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeyList {
    pub data: Vec<KeyView>,
}

/// What a new key should be.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateApiKey, example = json!({"name": "nightly tests", "permissions": ["browser_sessions:create"]}))]
pub struct KeyWish {
    #[schema(required = false, max_length = 100)]
    pub name: String,
    /// Left out or empty: all of them.
    #[schema(required = false, schema_with = permissions)]
    pub permissions: Permissions,
    /// Epoch milliseconds; left out: never.
    #[schema(nullable = false)]
    pub expires_at: Option<i64>,
    #[schema(required = false, schema_with = kinds)]
    pub kind: KeyKind,
}

/// What a key's secret looks like; either kind opens both APIs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// `br_live_…`
    #[default]
    Cloud,
    /// `bbx_…`
    Embed,
}

impl KeyKind {
    const ALL: [KeyKind; 2] = [KeyKind::Cloud, KeyKind::Embed];

    fn as_str(self) -> &'static str {
        match self {
            KeyKind::Cloud => "cloud",
            KeyKind::Embed => "embed",
        }
    }

    /// Of an existing key, by how its secret begins.
    fn of(hint: &str) -> Self {
        if hint.starts_with(EMBED_PREFIX) { KeyKind::Embed } else { KeyKind::Cloud }
    }

    fn secret(self, entropy: &dyn Entropy) -> ApiKeySecret {
        match self {
            KeyKind::Cloud => ApiKeySecret::cloud(entropy),
            KeyKind::Embed => ApiKeySecret::embed(entropy),
        }
    }
}

fn kinds() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("How its secret begins: `br_live_` or `bbx_`; either opens both APIs", KeyKind::ALL.map(KeyKind::as_str))
}

/// Which key gets a new secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RotateApiKey)]
pub struct Rotation {
    pub id: String,
    /// How long the old secret stays good; 0 when left out.
    #[schema(required = false, maximum = 604_800_000)]
    pub grace_ms: u64,
}

fn permissions() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let items = words("What the key may do", Permission::ALL.map(Permission::as_str));
    utoipa::openapi::schema::ArrayBuilder::new().items(items).build().into()
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            hint: key.hint,
            permissions: key.permissions,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

impl KeyWish {
    /// Reads a body.
    pub fn read(body: &Map<String, Value>, now: EpochMs) -> Result<Self, Error> {
        let fields = Fields::of(body);
        let expires_at = fields.integer("expiresAt", 0..=i64::MAX as u64)?.map(|at| at as EpochMs);
        if expires_at.is_some_and(|at| at <= now) {
            return Err(fields.wrong("expiresAt", "expected epoch milliseconds in the future"));
        }
        Ok(Self {
            name: fields.text("name", 1..=NAME_BYTES_MAX)?.unwrap_or(NAME_DEFAULT).to_owned(),
            permissions: Permissions(
                fields.words("permissions", &Permission::ALL, Permission::as_str)?.unwrap_or_default(),
            ),
            expires_at,
            kind: fields.word("kind", &KeyKind::ALL, KeyKind::as_str)?.unwrap_or_default(),
        })
    }
}

impl App {
    /// Makes a key and shows its secret, once.
    pub async fn make_key(
        &self,
        organization: &OrganizationId,
        wish: KeyWish,
    ) -> Result<(ApiKey, ApiKeySecret), Error> {
        let now = self.clock.now();
        let secret = wish.kind.secret(self.entropy.as_ref());
        let new = NewApiKey {
            id: ApiKeyId::new(now, self.entropy.as_ref()),
            organization: organization.clone(),
            name: wish.name,
            hash: secret.hash(),
            hint: secret.hint(),
            permissions: wish.permissions,
            created_at: now,
            expires_at: wish.expires_at,
        };
        let key = self.store.create_api_key(&new).await.map_err(Error::internal)?;
        Ok((key, secret))
    }

    /// Gives a key a new secret of its kind. `None`: it is revoked or has expired.
    pub async fn rotate_key(&self, key: &ApiKey, grace_ms: u64) -> Result<Option<ShownKey>, Error> {
        let now = self.clock.now();
        let secret = KeyKind::of(&key.hint).secret(self.entropy.as_ref());
        let until = now.saturating_add_unsigned(grace_ms);
        let rotated =
            self.store.rotate_api_key(&key.organization, &key.id, &secret.hash(), &secret.hint(), now, until).await;
        let key = rotated.map_err(Error::internal)?;
        Ok(key.map(|key| ShownKey {
            view: key.into(),
            key: secret.reveal().to_owned(),
            grace_until: (grace_ms > 0).then_some(until),
        }))
    }
}

impl Rotation {
    /// Reads a body.
    pub fn read(body: &Map<String, Value>) -> Result<(ApiKeyId, u64), Error> {
        let fields = Fields::of(body);
        let id = fields.required("id", fields.text("id", 1..=64)?)?;
        let grace_ms = fields.integer("graceMs", 0..=GRACE_MS_MAX)?.unwrap_or(0);
        Ok((id.parse().map_err(|_| Error::not_found("API key"))?, grace_ms))
    }
}

/// Make a new API key; its secret is in this answer only.
#[utoipa::path(
    post, path = "/v1/api-keys", operation_id = "createApiKey", tag = "API keys", request_body = KeyWish,
    responses((status = 201, description = "The key with its secret", body = ShownKey))
)]
pub async fn create(State(app): State<App>, caller: Caller, body: Body) -> Answer<(StatusCode, Json<ShownKey>)> {
    let wish = KeyWish::read(&body::object(body, app.body_limits()).await?, app.clock.now())?;
    demand_cover(&caller, &wish.permissions, wish.expires_at)?;
    let (key, secret) = app.make_key(caller.organization_id(), wish).await?;
    let shown = ShownKey { view: key.into(), key: secret.reveal().to_owned(), grace_until: None };
    Ok((StatusCode::CREATED, Json(shown)))
}

/// List the organization's keys, revoked ones too.
#[utoipa::path(
    get, path = "/v1/api-keys", operation_id = "listApiKeys", tag = "API keys",
    responses((status = 200, description = "Without their secrets", body = KeyList))
)]
pub async fn list(State(app): State<App>, caller: Caller) -> Answer<Json<KeyList>> {
    let keys = app.store.api_keys(caller.organization_id()).await?;
    Ok(Json(KeyList { data: keys.into_iter().map(KeyView::from).collect() }))
}

/// Revoke a key at once.
#[utoipa::path(
    delete, path = "/v1/api-keys", operation_id = "revokeApiKey", tag = "API keys",
    params(("id" = String, Query, description = "The key")),
    responses((status = 200, description = "It opens nothing any more", body = Done))
)]
pub async fn revoke(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Done>> {
    let id: ApiKeyId = query.id("API key")?;
    let revoked = app.store.revoke_api_key(caller.organization_id(), &id, app.clock.now()).await?;
    revoked.ok_or_else(|| Error::not_found("API key"))?;
    Ok(Json(DONE))
}

/// Give a key a new secret; the old one stays good for `graceMs`.
#[utoipa::path(
    post, path = "/v1/api-keys/rotate", operation_id = "rotateApiKey", tag = "API keys", request_body = Rotation,
    responses((status = 200, description = "The key with its new secret", body = ShownKey))
)]
pub async fn rotate(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<ShownKey>> {
    let (id, grace_ms) = Rotation::read(&body::object(body, app.body_limits()).await?)?;
    let key = app.store.api_key(caller.organization_id(), &id).await?;
    let key = key.ok_or_else(|| Error::not_found("API key"))?;
    demand_cover(&caller, &key.permissions, key.expires_at)?;
    let shown = app.rotate_key(&key, grace_ms).await?;
    let dead = || {
        let status = if key.revoked_at.is_some() { "revoked" } else { "expired" };
        Error::new(Code::InvalidState, format!("the key is {status}")).with("status", status)
    };
    Ok(Json(shown.ok_or_else(dead)?))
}

fn demand_cover(caller: &Caller, wished: &Permissions, expires_at: Option<EpochMs>) -> Result<(), Error> {
    let own_end = caller.key.expires_at;
    let field = if !caller.key.permissions.cover(wished) {
        "permissions"
    } else if own_end.is_some_and(|own| expires_at.is_none_or(|wished| wished > own)) {
        "expiresAt"
    } else {
        return Ok(());
    };
    Err(Error::new(Code::PermissionDenied, format!("{field}: nobody grants more than they have")).with("field", field))
}
