//! Browser sessions: what clients see of them.

pub mod artifacts;
pub mod change;
pub mod create;
pub mod end;
pub mod files;
pub mod live_view;
pub mod read;
pub mod screenshot;
pub mod wish;

use crate::app::App;
use crate::cloud::{self, Egress, Failed, end_reasons, statuses, words};
use crate::gate::Caller;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::token::Scope;
use vitrine_model::{
    ArtifactKind, BrowserSpec, EgressProfile, EndReason, Error, Isolation, Kind, Permission, SessionId, Status, Weight,
};
use vitrine_store::{Artifact, Session};

/// A browser session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Browser {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    #[schema(schema_with = statuses)]
    pub status: Status,
    /// Goes unchanged into Playwright's `connectOverCDP` or Puppeteer's `connect`. Null until it is ready, after it
    /// ended, and for keys without `browser_sessions:create`.
    #[schema(example = "wss://browsers.example.org/cdp/mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a?token=cdp.…")]
    pub cdp_url: Option<String>,
    /// A page where a person watches it. Null until it is ready and after it ended.
    #[schema(example = "https://browsers.example.org/view/mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a#token=view.…")]
    pub live_view_url: Option<String>,
    #[schema(schema_with = weights)]
    pub weight: Weight,
    #[schema(schema_with = isolations)]
    pub isolation: Isolation,
    #[schema(schema_with = egress_profiles)]
    pub egress_profile: EgressProfile,
    pub artifacts: Artifacts,
    /// Milliseconds that it ran; null until it is over.
    pub duration: Option<u64>,
    /// Epoch milliseconds.
    #[schema(example = 1_772_078_705_353_i64)]
    pub created_at: i64,
    /// When it became ready.
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    /// When it ends at the latest; null until it is ready.
    pub expires_at: Option<i64>,
    #[schema(schema_with = end_reasons)]
    pub end_reason: Option<EndReason>,
    /// Why it failed.
    pub error: Option<Failed>,
    #[schema(example = 300_000)]
    pub max_duration_ms: u64,
    #[schema(example = 60_000)]
    pub idle_timeout_ms: u64,
    /// The machine's region, before placement the one that was asked for.
    #[schema(example = "iad")]
    pub region: Option<String>,
    #[schema(example = "68365e2c721798")]
    pub machine_id: Option<String>,
    pub egress: Egress,
}

/// The keys of what a session leaves behind; `GET /v1/browsers/artifacts/download` says where each is fetched.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Artifacts {
    pub screenshots: Vec<String>,
    pub har: Option<String>,
    pub recording: Option<String>,
    pub downloads: Vec<String>,
}

impl Artifacts {
    fn of(all: Vec<Artifact>) -> Self {
        let mut keys = Self::default();
        for Artifact { kind, key, .. } in all {
            match kind {
                ArtifactKind::Screenshot => keys.screenshots.push(key),
                ArtifactKind::Download => keys.downloads.push(key),
                // Of sandboxes.
                ArtifactKind::File => {}
                // The first has the plain name; a second one is of a run that was interrupted.
                ArtifactKind::Har => keys.har = keys.har.or(Some(key)),
                ArtifactKind::Recording => keys.recording = keys.recording.or(Some(key)),
            }
        }
        keys
    }
}

/// A session in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedBrowser {
    pub id: String,
    #[schema(schema_with = statuses)]
    pub status: Status,
    pub cdp_url: Option<String>,
    #[schema(schema_with = weights)]
    pub weight: Weight,
    #[schema(schema_with = isolations)]
    pub isolation: Isolation,
    #[schema(schema_with = egress_profiles)]
    pub egress_profile: EgressProfile,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub expires_at: Option<i64>,
}

/// The sessions that are not over, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BrowserList {
    pub data: Vec<ListedBrowser>,
}

fn weights() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("Memory tier; `heavy` from plan pro", Weight::ALL.map(Weight::as_str))
}

fn isolations() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words(
        "Whether the machine may hold other organizations' sessions; `dedicated` from plan pro",
        Isolation::ALL.map(Isolation::as_str),
    )
}

fn egress_profiles() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words(
        "The way out: `shared-dc` is direct and the default, `byo-proxy` is the body's `proxy`",
        EgressProfile::ALL.map(EgressProfile::as_str),
    )
}

/// The session's address, for those who may drive it.
fn cdp_url(app: &App, caller: &Caller, session: &Session, headers: &HeaderMap) -> Result<Option<String>, Error> {
    if !caller.key.permissions.allow(Permission::BrowserSessionsCreate) {
        return Ok(None);
    }
    app.cdp_url(session, headers)
}

/// A browser session of the caller's organization. Embed sessions are seen by their own API only.
async fn owned(app: &App, caller: &Caller, id: &SessionId) -> Result<Session, Error> {
    seen(cloud::owned(app, caller, Kind::Browser, id).await?)
}

/// The session, unless it is an embed session.
fn seen(session: Session) -> Result<Session, Error> {
    if is_embed(&session) { Err(Error::not_found("session")) } else { Ok(session) }
}

fn is_embed(session: &Session) -> bool {
    session.browser().is_some_and(|spec| spec.embed.is_some())
}

/// What was asked for. Every session here was found as a browser.
fn spec_of(session: &Session) -> Result<&BrowserSpec, Error> {
    session.browser().ok_or_else(|| Error::internal("a sandbox was read as a browser"))
}

/// A session as its owner sees it.
pub async fn view(app: &App, caller: &Caller, session: Session, headers: &HeaderMap) -> Result<Browser, Error> {
    let spec = spec_of(&session)?.clone();
    let region = match &session.machine {
        Some(machine) => app.region_of(machine).await?,
        None => spec.region.clone(),
    };
    let artifacts = app.store.artifacts(&session.id).await.map_err(Error::internal)?;
    let watched_until = app.token_expires_at(&session);
    Ok(Browser {
        cdp_url: cdp_url(app, caller, &session, headers)?,
        live_view_url: app.live_view_url(&session, Scope::View, watched_until, None, headers)?,
        id: session.id.to_string(),
        status: session.status,
        weight: spec.weight,
        isolation: spec.isolation,
        egress_profile: spec.egress_profile,
        artifacts: Artifacts::of(artifacts),
        duration: session.duration_ms(),
        created_at: session.created_at,
        started_at: session.started_at,
        ended_at: session.ended_at,
        expires_at: session.expires_at,
        end_reason: session.end_reason,
        max_duration_ms: spec.max_duration_ms,
        idle_timeout_ms: spec.idle_timeout_ms,
        region,
        machine_id: session.machine.as_ref().map(ToString::to_string),
        egress: Egress { bytes_in: session.egress.bytes_in, bytes_out: session.egress.bytes_out },
        error: session.error.map(Failed::from),
    })
}

/// A session in its owner's list.
fn listed(app: &App, caller: &Caller, session: &Session, headers: &HeaderMap) -> Result<ListedBrowser, Error> {
    let spec = spec_of(session)?;
    Ok(ListedBrowser {
        id: session.id.to_string(),
        status: session.status,
        cdp_url: cdp_url(app, caller, session, headers)?,
        weight: spec.weight,
        isolation: spec.isolation,
        egress_profile: spec.egress_profile,
        created_at: session.created_at,
        started_at: session.started_at,
        expires_at: session.expires_at,
    })
}
