//! `/v1/browsers/live-view`: a page where a person looks at a session, or acts in it.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done, words};
use crate::gate::Caller;
use crate::request::{Fields, Query, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::token::Scope;
use vitrine_model::{Error, Permission, SessionId, TokenId};

const HOUR_MS: u64 = 3_600_000;
/// Shortest and longest life of a token.
const EXPIRES_MS: std::ops::RangeInclusive<u64> = 1_000..=24 * HOUR_MS;

/// What the page's visitor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    View,
    Control,
}

impl Mode {
    const ALL: [Mode; 2] = [Mode::View, Mode::Control];

    fn as_str(self) -> &'static str {
        match self {
            Mode::View => "view",
            Mode::Control => "control",
        }
    }

    fn scope(self) -> Scope {
        match self {
            Mode::View => Scope::View,
            Mode::Control => Scope::Control,
        }
    }
}

fn modes() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("`view` looks; `control` also acts, and needs `browser_sessions:create`", Mode::ALL.map(Mode::as_str))
}

/// What the page is for.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateLiveView)]
pub struct Wish {
    pub id: String,
    #[schema(required = false, schema_with = modes, default = "view")]
    pub mode: Mode,
    /// How long the page may be opened and watched; it ends with the session at the latest.
    #[schema(required = false, minimum = 1_000, maximum = 86_400_000, default = 3_600_000)]
    pub expires_in_ms: u64,
}

/// A page for a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveView {
    pub id: String,
    /// Opens in any browser; all authentication is inside.
    #[schema(example = "https://browsers.example.org/view/mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a#token=view.…")]
    pub url: String,
    /// Revokes it.
    pub token_id: String,
    #[schema(schema_with = modes)]
    pub mode: Mode,
    /// Epoch milliseconds.
    pub expires_at: i64,
}

/// Make a page where a person watches a session, or drives it.
#[utoipa::path(
    post, path = "/v1/browsers/live-view", operation_id = "createLiveView", tag = "Browser sessions",
    request_body = Wish, responses((status = 201, description = "The page", body = LiveView))
)]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<LiveView>)> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let mode = fields.word("mode", &Mode::ALL, Mode::as_str)?.unwrap_or(Mode::View);
    if mode == Mode::Control {
        caller.demand(Permission::BrowserSessionsCreate)?;
    }
    let id: SessionId = fields.id("id", "session")?;
    let expires_in_ms = fields.integer("expiresInMs", EXPIRES_MS)?.unwrap_or(HOUR_MS);
    let session = super::owned(&app, &caller, &id).await?;
    let now = app.clock.now();
    let expires_at = now.saturating_add_unsigned(expires_in_ms);
    let token_id = TokenId::new(now, app.entropy.as_ref());
    let url = app.live_view_url(&session, mode.scope(), expires_at, Some(&token_id), &headers)?;
    let url = url.ok_or_else(|| Error::state(session.status, "watching it"))?;
    let token_id = token_id.to_string();
    Ok((StatusCode::CREATED, Json(LiveView { id: id.to_string(), url, token_id, mode, expires_at })))
}

/// Revoke a live view's page.
///
/// Nobody gets in with it any more; who is in is told within a ping interval, by close code 4401.
#[utoipa::path(
    delete, path = "/v1/browsers/live-view", operation_id = "revokeLiveView", tag = "Browser sessions",
    params(
        ("id" = String, Query, description = "The session"),
        ("tokenId" = String, Query, description = "As it was answered when the page was made"),
    ),
    responses((status = 200, description = "It opens nothing any more", body = Done))
)]
pub async fn revoke(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Done>> {
    let id: SessionId = query.id("session")?;
    let token_id: TokenId = query.named_id("tokenId", "live view")?;
    super::owned(&app, &caller, &id).await?;
    let expires_at = app.clock.now().saturating_add_unsigned(*EXPIRES_MS.end());
    app.store.revoke_token(&id, &token_id, expires_at).await?;
    Ok(Json(DONE))
}
