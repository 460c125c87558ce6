//! `PATCH /v1/browsers`: another way out for a session that runs.

use super::wish::{WayOut, WishedProxy};
use super::{Browser, view};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{ErrorBody, check_feature};
use crate::gate::Caller;
use crate::request::{Fields, body};
use crate::run::{self, ANSWER_TIME_MAX};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Method};
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::{EgressProfile, Error, Proxy, SchedulingReason, SessionId};

/// A session, and its new way out: `egressProfile`, or `proxy` (which means `byo-proxy`).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChangeBrowser)]
pub struct Change {
    pub id: String,
    #[schema(required = false, schema_with = super::egress_profiles)]
    pub egress_profile: EgressProfile,
    #[schema(nullable = false)]
    pub proxy: Option<WishedProxy>,
}

/// Send a running session out another way.
///
/// Connections that are open stay where they are; new ones take the new upstream. When it does not answer, the session
/// keeps the old one.
#[utoipa::path(
    patch, path = "/v1/browsers", operation_id = "changeBrowser", tag = "Browser sessions", request_body = Change,
    responses(
        (status = 200, description = "The session", body = Browser),
        (status = 503, description = "`SCHEDULING_FAILED` with reason `egress_unavailable`: nothing was changed", body = ErrorBody),
    )
)]
pub async fn change(State(app): State<App>, caller: Caller, headers: HeaderMap, body: Body) -> Answer<Json<Browser>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let id: SessionId = fields.id("id", "session")?;
    let WayOut { profile, proxy } = WayOut::read(&fields, &app.config)?
        .ok_or_else(|| fields.wrong("egressProfile", "is missing, and proxy too; expected one of them"))?;
    let session = super::owned(&app, &caller, &id).await?;
    check_feature(&app, caller.organization.plan, profile.feature())?;
    let proxy = proxy.map(Proxy::from);
    let connected = app.dial_run(&session, "changing its way out").await?;
    let key = session.profile_key.as_deref();
    let upstream = app.upstream(profile, &session.organization, key, proxy.as_ref())?;
    let request = run::json_request(Method::PUT, "/upstream", &upstream)?;
    // The machine first: what it refuses must not stand in the row.
    run::ask(connected, request, ANSWER_TIME_MAX).await.map_err(|refused| {
        Error::scheduling(SchedulingReason::EgressUnavailable, refused.message)
            .because(refused.private.unwrap_or_default())
    })?;
    let run = session.run.as_ref().ok_or_else(|| Error::internal("a session runs without a run"))?;
    let changed = app.store.change_egress(&id, run, profile, proxy.as_ref(), app.clock.now()).await?;
    let changed = changed.ok_or_else(|| Error::state(vitrine_model::Status::Ending, "changing its way out"))?;
    Ok(Json(view(&app, &caller, changed, &headers).await?))
}
