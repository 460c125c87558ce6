//! `/admin/v1/api-keys`: the keys of any organization.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::api_keys::{KeyList, KeyView, KeyWish, ShownKey};
use crate::cloud::{DONE, Done};
use crate::request::{Fields, Query, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::{ApiKeyId, Error, OrganizationId};

/// Whose new key, and what it should be.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreateOrganizationKey)]
pub struct OrganizationKeyWish {
    /// The organization's id.
    pub organization: String,
    #[serde(flatten)]
    pub key: KeyWish,
}

fn organization(query: &Query) -> Result<OrganizationId, Error> {
    let id = query.text("organization").ok_or_else(|| Error::invalid("organization", "is missing"))?;
    id.parse().map_err(|_| Error::not_found("organization"))
}

/// Make a key for an organization; its secret is in this answer only.
#[utoipa::path(
    post, path = "/admin/v1/api-keys", operation_id = "createOrganizationKey", tag = "Operator",
    request_body = OrganizationKeyWish,
    responses((status = 201, description = "The key with its secret", body = ShownKey))
)]
pub async fn create(State(app): State<App>, body: Body) -> Answer<(StatusCode, Json<ShownKey>)> {
    let body = body::object(body, app.body_limits()).await?;
    let wish = KeyWish::read(&body, app.clock.now())?;
    let organization = super::organization(&app, &Fields::of(&body), "organization").await?;
    let (key, secret) = app.make_key(&organization.id, wish).await?;
    let shown = ShownKey { view: key.into(), key: secret.reveal().to_owned(), grace_until: None };
    Ok((StatusCode::CREATED, Json(shown)))
}

/// List an organization's keys.
#[utoipa::path(
    get, path = "/admin/v1/api-keys", operation_id = "listOrganizationKeys", tag = "Operator",
    params(("organization" = String, Query, description = "The organization's id")),
    responses((status = 200, description = "Without their secrets", body = KeyList))
)]
pub async fn list(State(app): State<App>, query: Query) -> Answer<Json<KeyList>> {
    let keys = app.store.api_keys(&organization(&query)?).await?;
    Ok(Json(KeyList { data: keys.into_iter().map(KeyView::from).collect() }))
}

/// Revoke an organization's key at once.
#[utoipa::path(
    delete, path = "/admin/v1/api-keys", operation_id = "revokeOrganizationKey", tag = "Operator",
    params(
        ("organization" = String, Query, description = "The organization's id"),
        ("id" = String, Query, description = "The key"),
    ),
    responses((status = 200, description = "It opens nothing any more", body = Done))
)]
pub async fn revoke(State(app): State<App>, query: Query) -> Answer<Json<Done>> {
    let id: ApiKeyId = query.id("API key")?;
    let revoked = app.store.revoke_api_key(&organization(&query)?, &id, app.clock.now()).await?;
    revoked.ok_or_else(|| Error::not_found("API key"))?;
    Ok(Json(DONE))
}
