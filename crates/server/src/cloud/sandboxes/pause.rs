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
use vitrine_model::{Code, Desired, Error, Kind, RunId, SchedulingReason, SessionId, Status};
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
    let mut asked = ask_to_resume(&app, &caller, &session.id).await?;
    let is_over = |session: &Session| !is_coming(session);
    let mut found = settled(&app, &caller, (Kind::Sandbox, &session.id), WAIT_MAX, is_over).await?;
    if asked.status == Status::Paused && found.stored {
        // It moved to disk at this very moment, and has to be asked there.
        asked = ask_to_resume(&app, &caller, &session.id).await?;
        found = settled(&app, &caller, (Kind::Sandbox, &session.id), WAIT_MAX, is_over).await?;
    }
    match found.status {
        status if status.is_running() => Ok(Json(DONE)),
        // Back where it was: its machine could not start it.
        Status::Paused if found.generation >= asked.generation && found.stored => {
            let message = "it could not be started again; it stays paused";
            Err(Error::scheduling(SchedulingReason::StartFailed, message).into())
        }
        Status::Paused | Status::Assigning => {
            Err(Error::new(Code::Unavailable, "the sandbox is still being resumed; look again").into())
        }
        status => Err(Error::state(status, "resuming").into()),
    }
}

/// Asks a sandbox to resume, within the plan's limits. One that runs is as it should be.
async fn ask_to_resume(app: &App, caller: &Caller, id: &SessionId) -> Result<Session, Error> {
    let (plan, now) = (caller.organization.plan, app.clock.now());
    let (organization, limits) = (caller.organization_id(), app.limits(plan, Kind::Sandbox, now));
    let run = RunId::new(now, app.entropy.as_ref());
    let asked = app.store.request_resume(id, Some(organization), limits, app.place_options(), run, now).await;
    match asked.map_err(Error::internal)?.ok_or_else(|| Error::not_found("sandbox"))? {
        Ok(session) => {
            app.moved(&session);
            Ok(session)
        }
        Err(NotResumed::State(not_now)) if not_now.status.is_running() => super::owned(app, caller, id).await,
        Err(NotResumed::State(not_now)) => Err(Error::state(not_now.status, "resuming")),
        Err(NotResumed::Limit(refused)) => Err(app.refusal(refused, plan, Kind::Sandbox)),
        Err(NotResumed::NoRoom) => {
            Err(Error::scheduling(SchedulingReason::NoCapacity, "its machine has no room now; it stays paused"))
        }
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
