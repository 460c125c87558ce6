//! `POST /v1/browsers`: queue a session.

use super::wish::Wish;
use crate::answer::Answer;
use crate::app::App;
use crate::clock::month_start;
use crate::cloud::ErrorBody;
use crate::gate::Caller;
use crate::once::Once;
use crate::request::body;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vitrine_model::wire::Workload;
use vitrine_model::{
    BrowserSpec, Code, EgressProfile, EpochMs, Error, Isolation, Kind, PlanLimits, SchedulingReason, SessionId, Status,
    Weight, browser,
};
use vitrine_store::{CreateLimits, Fit, NewSession, PlaceOptions, Refused, Session};

const HOUR_MS: u64 = 3_600_000;

/// A session that was just queued.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedBrowser {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    #[schema(schema_with = super::statuses, example = "queued")]
    pub status: Status,
    /// Null: it is not ready yet.
    pub cdp_url: Option<String>,
    #[schema(schema_with = super::weights)]
    pub weight: Weight,
    #[schema(schema_with = super::isolations)]
    pub isolation: Isolation,
    #[schema(schema_with = super::egress_profiles)]
    pub egress_profile: EgressProfile,
    pub created_at: i64,
    pub max_duration_ms: u64,
    pub idle_timeout_ms: u64,
    pub region: Option<String>,
}

/// Create a new browser session.
///
/// It answers at once with `queued`; poll `GET /v1/browsers?id=…&waitMs=30000` until it is `ready`.
#[utoipa::path(
    post, path = "/v1/browsers", operation_id = "createBrowser", tag = "Browser sessions", request_body = Wish,
    params(
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, 
            description = "The same key with the same body gets the same answer for a day, and makes one session"),
    ),
    responses(
        (status = 201, description = "Queued", body = CreatedBrowser),
        (status = 409, description = "`PROFILE_IN_USE`: another session that is not over has the `profileKey`", body = ErrorBody),
        (status = 503, description = "`SCHEDULING_FAILED` with `reason`", body = ErrorBody),
    )
)]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<Value>)> {
    let fields = body::object(body, app.body_limits()).await?;
    let wish = Wish::read(&fields, &app.config)?;
    let once = Once::begin(&app, &caller, &headers, &fields).await?;
    if let Once::Answered(answer) = once {
        return Ok((StatusCode::CREATED, Json(answer)));
    }
    let made = make(&app, &caller, wish).await;
    once.end(&app, &made).await?;
    Ok((StatusCode::CREATED, Json(serde_json::to_value(made?).map_err(Error::internal)?)))
}

async fn make(app: &App, caller: &Caller, wish: Wish) -> Result<CreatedBrowser, Error> {
    let plan = caller.organization.plan;
    wish.check_plan(&app.config, plan)?;
    let spec = wish.spec(&app.config, plan);
    check_placeable(app, caller, &spec).await?;
    let session = queue(app, caller, spec).await?;
    app.metrics.created();
    app.moved(&session);
    created(&session)
}

/// Fails for what could never be placed, now that the client is still there to hear it.
async fn check_placeable(app: &App, caller: &Caller, spec: &BrowserSpec) -> Result<(), Error> {
    if app.is_draining() {
        let message = "the server is stopping; try again in a moment";
        return Err(Error::scheduling(SchedulingReason::NoCapacity, message));
    }
    let organization = caller.organization_id();
    app.upstream(spec.egress_profile, organization, spec.profile_key.as_deref(), spec.proxy.as_ref())?;
    let configured = |region: &&str| app.config.regions.iter().any(|known| known == region);
    let region = spec.region.as_deref().filter(|region| !configured(region));
    let reserve_mb = app.config.reserve_mb.of(spec.weight);
    match app.store.fit(region, reserve_mb, app.clock.now(), app.place_options()).await.map_err(Error::internal)? {
        Fit::Now | Fit::Later => Ok(()),
        Fit::NeverRegion => {
            let region = spec.region.as_deref().unwrap_or_default();
            Err(Error::scheduling(SchedulingReason::RegionUnavailable, format!("no region {region} is configured")))
        }
        Fit::NeverCapacity => {
            let message = format!("no machine is large enough for weight {}", spec.weight.as_str());
            Err(Error::scheduling(SchedulingReason::NoCapacity, message))
        }
    }
}

async fn queue(app: &App, caller: &Caller, spec: BrowserSpec) -> Result<Session, Error> {
    let now = app.clock.now();
    let plan = caller.organization.plan;
    let limits = app.config.plans.get(plan);
    let new = NewSession {
        id: SessionId::new(now, app.entropy.as_ref()),
        organization: caller.organization.id.clone(),
        api_key: Some(caller.key.id.clone()),
        reserve_mb: app.config.reserve_mb.of(spec.weight),
        limit_mb: browser::limit_mb(app.config.browser_base_mb, spec.weight),
        profile_key: spec.profile_key.clone(),
        workload: Workload::Browser(spec),
        queue_deadline: now.saturating_add_unsigned(app.config.queue_deadline_ms),
    };
    let made = app.store.create_session(&new, create_limits(limits, now), now).await.map_err(Error::internal)?;
    made.map_err(|refused| match refused {
        Refused::Concurrency => Error::plan_limit("concurrent browsers", limits.concurrent(Kind::Browser), plan),
        Refused::Hours => Error::plan_limit("browser hours a month", limits.hours_per_month(Kind::Browser), plan),
        Refused::UnknownCheckpoint => Error::not_found("checkpoint"),
        Refused::ProfileInUse => Error::new(Code::ProfileInUse, "another session uses this profileKey"),
    })
}

fn create_limits(limits: &PlanLimits, now: EpochMs) -> CreateLimits {
    CreateLimits {
        concurrent: limits.concurrent(Kind::Browser),
        period_start: month_start(now),
        hours_ms: u64::from(limits.hours_per_month(Kind::Browser)) * HOUR_MS,
    }
}

fn created(session: &Session) -> Result<CreatedBrowser, Error> {
    let spec = super::spec_of(session)?;
    Ok(CreatedBrowser {
        id: session.id.to_string(),
        status: session.status,
        cdp_url: None,
        weight: spec.weight,
        isolation: spec.isolation,
        egress_profile: spec.egress_profile,
        created_at: session.created_at,
        max_duration_ms: spec.max_duration_ms,
        idle_timeout_ms: spec.idle_timeout_ms,
        region: spec.region.clone(),
    })
}

impl App {
    /// Placement's figures, as configured.
    pub fn place_options(&self) -> PlaceOptions {
        let figure = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        PlaceOptions {
            fresh_beat_ms: figure(self.config.beat_fresh_ms),
            start_ms: figure(self.config.start_deadline_ms),
            ..Default::default()
        }
    }
}
