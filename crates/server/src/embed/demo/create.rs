//! `POST /api/session`: the visitor's session, a new one where there is none.

use super::visitor::Visitor;
use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::cloud::{has_arrived, settled_of};
use crate::embed::sessions::create::READY_TIME_MAX;
use crate::embed::sessions::workload;
use crate::gate::{Peer, address};
use crate::request::body;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::net::IpAddr;
use vitrine_model::embed::{MINUTES_DEFAULT, Policy};
use vitrine_model::{
    Code, EmbedSpec, EndReason, EpochMs, Error, Kind, OrganizationId, Plan, SchedulingReason, SessionId, Weight,
    browser,
};
use vitrine_store::{
    CreateLimits, DemoLimits, DemoMade, DemoRefused, DemoVisitor, NewSession, Organization, Refused, Session,
};

/// Whose all visitors' sessions are: an id that is never made, so that every server knows it.
const ORGANIZATION: &str = "000000000v0demo00000000000000000";
const HOUR_MS: EpochMs = 3_600_000;

/// Answers the visitor's session when it is ready.
pub async fn create(
    State(app): State<App>,
    peer: Option<axum::Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    app.check_sender(&headers)?;
    let bytes = body::bytes(body, app.body_limits()).await?;
    let wish = if bytes.is_empty() { Default::default() } else { body::parse(&bytes)? };
    if wish.contains_key("allowedEmbeddingOrigins") {
        return Err(Error::invalid("allowedEmbeddingOrigins", "is for paid sessions").into());
    }
    if !app.config.embed.demo.enabled {
        return Err(Error::new(Code::CapabilityDisabled, "this server gives no demo sessions").into());
    }
    let visitor = Visitor::of(&headers).unwrap_or_else(|| Visitor::new(&app));
    let address = address(&app, &headers, peer.map(|axum::Extension(peer)| peer));
    let DemoMade { session, is_new } = match app.visit(&visitor, address).await? {
        Ok(made) => made,
        Err(wait_ms) => return Ok(too_many(wait_ms)),
    };
    let session = app.until_ready(&session).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(app.demo_view(&session, &headers).await?)).into_response();
    visitor.mark(&app, &headers, &mut response)?;
    Ok(response)
}

/// What an address is told that had its share.
fn too_many(wait_ms: EpochMs) -> Response {
    let seconds = u64::try_from(wait_ms).unwrap_or(0).div_ceil(1_000).max(1);
    let minutes = seconds.div_ceil(60);
    let text = format!("this address had its demo sessions; again in {minutes} minutes");
    let error = Error::new(Code::RateLimited, text).with("reason", "address_limit").with("waitMinutes", minutes);
    let mut response = Failure(error).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

impl App {
    /// The visitor's session, or how long the address has to wait for one.
    async fn visit(&self, visitor: &Visitor, address: IpAddr) -> Result<Result<DemoMade, EpochMs>, Error> {
        self.check_open()?;
        let (now, demo) = (self.clock.now(), &self.config.embed.demo);
        let embed = EmbedSpec {
            minutes: MINUTES_DEFAULT,
            demo: true,
            cdp: false,
            embedding_origins: Vec::new(),
            policy: Policy::open(now),
        };
        let new = NewSession {
            id: SessionId::new(now, self.entropy.as_ref()),
            organization: self.visitors_organization(now).await?,
            api_key: None,
            reserve_mb: self.config.reserve_mb.of(Weight::Light),
            limit_mb: browser::limit_mb(self.config.browser_base_mb, Weight::Light),
            profile_key: None,
            workload: workload(embed, None),
            queue_deadline: now.saturating_add_unsigned(READY_TIME_MAX.as_millis() as u64),
        };
        let limits = CreateLimits { concurrent: demo.sessions_max, period_start: now, hours_ms: u64::MAX };
        let per_address = DemoLimits { per_address: demo.address_sessions_max, window_ms: HOUR_MS };
        let who = DemoVisitor { visitor: visitor.hash(self), address: self.address_hash(address) };
        let made = self.store.create_demo_session(&new, limits, &who, per_address, now).await;
        match made.map_err(Error::internal)? {
            Ok(made) => {
                if made.is_new {
                    self.metrics.created(Kind::Browser);
                    self.moved(&made.session);
                }
                Ok(Ok(made))
            }
            Err(DemoRefused::Address { wait_ms }) => Ok(Err(wait_ms)),
            Err(DemoRefused::Limit(Refused::Concurrency)) => Err(no_room()),
            Err(DemoRefused::Limit(refused)) => Err(Error::internal(format!("a visitor was refused: {refused:?}"))),
        }
    }

    /// The session once it can be entered. One that does not get there in time is ended.
    async fn until_ready(&self, session: &Session) -> Result<Session, Error> {
        let id = (Kind::Browser, &session.id);
        let session = settled_of(self, &session.organization, id, READY_TIME_MAX, has_arrived).await?;
        if session.status.is_running() {
            return Ok(session);
        }
        self.end(&session.id, None, EndReason::Deleted).await.map_err(Error::internal)?;
        Err(no_room())
    }

    /// The organization of all visitors, made when the first one comes.
    async fn visitors_organization(&self, now: EpochMs) -> Result<OrganizationId, Error> {
        let id = OrganizationId::parse(ORGANIZATION).map_err(Error::internal)?;
        if self.store.organization(&id).await.map_err(Error::internal)?.is_none() {
            let organization = Organization { id: id.clone(), name: "demo".into(), plan: Plan::Scale, created_at: now };
            if let Err(error) = self.store.create_organization(&organization).await
                && self.store.organization(&id).await.map_err(Error::internal)?.is_none()
            {
                return Err(Error::internal(error));
            }
        }
        Ok(id)
    }
}

fn no_room() -> Error {
    Error::scheduling(SchedulingReason::NoCapacity, "no browser is free for a demo right now")
}
