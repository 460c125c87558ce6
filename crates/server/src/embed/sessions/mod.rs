//! Embed sessions: what clients see of them.

pub mod change;
pub mod create;
pub mod end;
mod once;
mod policy;
pub mod read;
pub mod wish;

use crate::app::App;
use crate::gate::Caller;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::wire::Workload;
use vitrine_model::{
    BrowserSpec, EgressProfile, EmbedSpec, Error, Isolation, OrganizationId, Permission, SessionId, Weight,
};
use vitrine_store::Session;

/// Milliseconds of a minute.
pub const MINUTE_MS: u64 = 60_000;

/// An embed session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EmbedSession)]
pub struct SessionView {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    /// Who runs the machine.
    #[schema(example = "local")]
    pub provider: String,
    /// The machine's region.
    #[schema(example = "na-east")]
    pub region: String,
    #[schema(example = "68365e2c721798")]
    pub machine_id: String,
    /// For the element's `login-link`; good for as long as the session is.
    #[schema(example = "https://browsers.example.org/login?token=login.…&mid=68365e2c721798")]
    pub login_url: String,
    #[schema(example = 15)]
    pub duration_minutes: u32,
    /// Epoch milliseconds at which its minutes began.
    #[schema(example = 1_770_611_914_916_i64)]
    pub created_at: i64,
    /// When they are over.
    #[schema(example = 1_770_612_814_916_i64)]
    pub expires_at: i64,
    /// `default`: nobody knows where `clientIP` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "default")]
    pub region_source: Option<&'static str>,
    /// Where it is driven over the DevTools protocol, when `cdp` was asked for: for keys with `browser_sessions:create`, while
    /// it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cdp_url: Option<String>,
}

/// What makes a session an embed session. None: it is none, or a visitor's, which no key sees.
fn embed(session: &Session) -> Option<&EmbedSpec> {
    session.browser()?.embed.as_ref().filter(|embed| !embed.demo)
}

/// An embed session of the caller's organization, with its part.
async fn owned(app: &App, caller: &Caller, id: &str) -> Result<(Session, EmbedSpec), Error> {
    let unknown = || Error::not_found("session");
    let id = SessionId::parse(id).map_err(|_| unknown())?;
    let session = app.store.session_of(caller.organization_id(), &id).await.map_err(Error::internal)?;
    let session = session.ok_or_else(unknown)?;
    let embed = embed(&session).ok_or_else(unknown)?.clone();
    // One that never began has no machine, and no minutes were paid for it.
    if session.started_at.is_none() { Err(unknown()) } else { Ok((session, embed)) }
}

/// A session as its owner sees it.
async fn view(
    app: &App,
    caller: &Caller,
    session: &Session,
    embed: &EmbedSpec,
    headers: &HeaderMap,
) -> Result<SessionView, Error> {
    let drives = embed.cdp && caller.key.permissions.allow(Permission::BrowserSessionsCreate);
    let cdp_url = if drives { app.cdp_url(session, headers)? } else { None };
    Ok(SessionView { cdp_url, ..app.session_view(session, embed, headers).await? })
}

/// What runs in the capsule of an embed session.
pub fn workload(embed: EmbedSpec, region: Option<String>) -> Workload {
    Workload::Browser(BrowserSpec {
        weight: Weight::Light,
        isolation: Isolation::Shared,
        egress_profile: EgressProfile::SharedDc,
        proxy: None,
        max_duration_ms: u64::from(embed.minutes) * MINUTE_MS,
        idle_timeout_ms: 0,
        region,
        stealth: false,
        recording: false,
        captcha: false,
        har: None,
        profile_key: None,
        embed: Some(embed),
    })
}

impl App {
    /// A session as whoever may enter it sees it.
    pub async fn session_view(
        &self,
        session: &Session,
        embed: &EmbedSpec,
        headers: &HeaderMap,
    ) -> Result<SessionView, Error> {
        let absent = |what: &str| Error::internal(format!("session {} began without {what}", session.id));
        let machine = session.machine.as_ref().ok_or_else(|| absent("a machine"))?;
        let place = self.place_of(machine).await?.ok_or_else(|| absent("a known machine"))?;
        let started_at = session.started_at.ok_or_else(|| absent("a time"))?;
        Ok(SessionView {
            id: session.id.to_string(),
            provider: place.provider,
            region: place.global,
            machine_id: machine.to_string(),
            login_url: self.login_url(session, headers)?,
            duration_minutes: embed.minutes,
            created_at: started_at,
            expires_at: started_at.saturating_add_unsigned(u64::from(embed.minutes) * MINUTE_MS),
            region_source: None,
            cdp_url: None,
        })
    }

    /// Ends an embed session and settles its minutes; answers how many came back, the same when it is over already. `None`: no
    /// such session.
    pub async fn end_embed(&self, organization: &OrganizationId, id: &SessionId) -> Result<Option<u32>, Error> {
        let now = self.clock.now();
        let ended = self.store.end_embed_session(organization, id, now).await.map_err(Error::internal)?;
        if let Some(ended) = ended.as_ref().filter(|ended| ended.session.updated_at == now) {
            self.moved(&ended.session);
        }
        Ok(ended.map(|ended| ended.refunded_minutes))
    }
}
