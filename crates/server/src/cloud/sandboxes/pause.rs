//! `POST /v1/sandboxes/pause|resume`: a sandbox that waits costs nothing and loses nothing.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done, ErrorBody, settled};
use crate::gate::Caller;
use crate::request::{Fields, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::{Code, Desired, Error, Kind, RunId, SchedulingReason, Status};
use vitrine_store::{NotResumed, Session};

/// Freezing takes milliseconds; the checkpoint of a workspace that is kept may take a while before it.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Which sandbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = NameSandbox)]
pub struct Wish {
    pub id: String,
}

/// Pause a sandbox.
///
/// Every process is frozen: no time counts, memory is kept. After a while it moves to disk: its processes are ended, its
/// workspace and installed packages are kept. Pausing one that is paused is no mistake.
#[utoipa::path(
    post, path = "/v1/sandboxes/pause", operation_id = "pauseSandbox", tag = "Sandboxes", request_body = Wish,
    responses((status = 200, description = "It is paused", body = Done))
)]
pub async fn pause(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<Done>> {
    let body = body::object(body, app.body_limits()).await?;
    let session = super::named(&app, &caller, &Fields::of(&body)).await?;
    let what = "pausing";
    let asked = app.store.request_pause(&session.id, Some(caller.organization_id()), app.clock.now()).await?;
    match asked.ok_or_else(|| Error::not_found("sandbox"))? {
        Ok(session) => app.moved(&session),
        Err(not_now) => return Err(Error::state(not_now.status, what).into()),
    }
    let is_over = |session: &Session| session.status != Status::Pausing;
    let session = settled(&app, &caller, (Kind::Sandbox, &session.id), WAIT_MAX, is_over).await?;
    match session.status {
        Status::Paused => Ok(Json(DONE)),
        Status::Pausing => Err(Error::new(Code::Unavailable, "the sandbox is still being paused; look again").into()),
        status => Err(Error::state(status, what).into()),
    }
}

/// Resume a paused sandbox.
///
/// With the same processes when they were still frozen, with the same files always. It takes its place in the plan's limits
/// again; when there is none it stays paused. Resuming one that runs is no mistake.
#[utoipa::path(
    post, path = "/v1/sandboxes/resume", operation_id = "resumeSandbox", tag = "Sandboxes", request_body = Wish,
    responses(
        (status = 200, description = "It runs", body = Done),
        (status = 503, description = "`SCHEDULING_FAILED` with `reason`: it stays paused", body = ErrorBody),
    )
)]
pub async fn resume(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<Done>> {
    let body = body::object(body, app.body_limits()).await?;
    let session = super::named(&app, &caller, &Fields::of(&body)).await?;
    app.check_open()?;
    let (plan, now) = (caller.organization.plan, app.clock.now());
    let limits = app.limits(plan, Kind::Sandbox, now);
    let run = RunId::new(now, app.entropy.as_ref());
    let (organization, options) = (Some(caller.organization_id()), app.place_options());
    let asked = app.store.request_resume(&session.id, organization, limits, options, run, now).await?;
    match asked.ok_or_else(|| Error::not_found("sandbox"))? {
        Ok(session) => app.moved(&session),
        Err(NotResumed::State(not_now)) if not_now.status.is_running() => return Ok(Json(DONE)),
        Err(NotResumed::State(not_now)) => return Err(Error::state(not_now.status, "resuming").into()),
        Err(NotResumed::Limit(refused)) => return Err(app.refusal(refused, plan, Kind::Sandbox).into()),
        Err(NotResumed::NoRoom) => {
            let message = "its machine has no room now; it stays paused";
            return Err(Error::scheduling(SchedulingReason::NoCapacity, message).into());
        }
    }
    let is_over = |session: &Session| !is_coming(session);
    let session = settled(&app, &caller, (Kind::Sandbox, &session.id), WAIT_MAX, is_over).await?;
    match session.status {
        status if status.is_running() => Ok(Json(DONE)),
        // Back where it was: its machine could not start it.
        Status::Paused if !is_coming(&session) => {
            let message = "it could not be started again; it stays paused";
            Err(Error::scheduling(SchedulingReason::StartFailed, message).into())
        }
        Status::Paused | Status::Assigning => {
            Err(Error::new(Code::Unavailable, "the sandbox is still being resumed; look again").into())
        }
        status => Err(Error::state(status, "resuming").into()),
    }
}

/// Whether a resume is under way.
fn is_coming(session: &Session) -> bool {
    match session.status {
        Status::Assigning => true,
        Status::Paused => session.desired == Desired::Resume,
        _ => false,
    }
}
