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
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;
use vitrine_model::{Code, Desired, Error, Kind, RunId, SchedulingReason, SessionId, Status};
use vitrine_store::{MachineState, NotResumed, Session};

/// Freezing takes milliseconds; the checkpoint of a workspace that is kept may take a while before it.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// How long a machine may take to be back: its server is started anew.
const BACK_MAX: Duration = Duration::from_secs(15);
/// Between two looks whether it is.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often one request asks for a resume: each time something else came first.
const ASKS_MAX: usize = 3;

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
    let is_over = |session: &Session| !is_coming(session);
    let mut asked = ask_to_resume(&app, &caller, &session.id).await?;
    let mut found = settled(&app, &caller, (Kind::Sandbox, &session.id), WAIT_MAX, is_over).await?;
    for _ in 1..ASKS_MAX {
        if !was_overtaken(&asked, &found) {
            break;
        }
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

/// Whether it has to be asked once more: it moved to disk at this very moment, or its machine's node was started anew and
/// does not know that it was asked.
fn was_overtaken(asked: &Session, found: &Session) -> bool {
    let is_frozen = asked.status == Status::Paused;
    found.status == Status::Paused && found.stored && (is_frozen || asked.machine_epoch != found.machine_epoch)
}

/// Asks a sandbox to resume, within the plan's limits; waits for a machine that is just coming back. One that runs is as it
/// should be.
async fn ask_to_resume(app: &App, caller: &Caller, id: &SessionId) -> Result<Session, Error> {
    let until = Instant::now() + BACK_MAX;
    loop {
        if let Some(session) = ask_once(app, caller, id).await? {
            return Ok(session);
        }
        if Instant::now() > until || !is_coming_back(app, caller, id).await? {
            let message = "its machine has no room now; it stays paused";
            return Err(Error::scheduling(SchedulingReason::NoCapacity, message));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Whether the machine that has it on its disk cannot take sessions yet.
async fn is_coming_back(app: &App, caller: &Caller, id: &SessionId) -> Result<bool, Error> {
    let machine = super::owned(app, caller, id).await?.machine;
    let machines = app.store.machines().await.map_err(Error::internal)?;
    let found = machines.iter().find(|known| Some(&known.id) == machine.as_ref());
    Ok(found.is_some_and(|known| known.state != MachineState::Lost && !app.is_running(known, app.clock.now())))
}

/// Nothing when its machine has no room.
async fn ask_once(app: &App, caller: &Caller, id: &SessionId) -> Result<Option<Session>, Error> {
    let (plan, now) = (caller.organization.plan, app.clock.now());
    let (organization, limits) = (caller.organization_id(), app.limits(plan, Kind::Sandbox, now));
    let run = RunId::new(now, app.entropy.as_ref());
    let asked = app.store.request_resume(id, Some(organization), limits, app.place_options(), run, now).await;
    match asked.map_err(Error::internal)?.ok_or_else(|| Error::not_found("sandbox"))? {
        Ok(session) => {
            app.moved(&session);
            Ok(Some(session))
        }
        Err(NotResumed::State(not_now)) if not_now.status.is_running() => super::owned(app, caller, id).await.map(Some),
        Err(NotResumed::State(not_now)) => Err(Error::state(not_now.status, "resuming")),
        Err(NotResumed::Limit(refused)) => Err(app.refusal(refused, plan, Kind::Sandbox)),
        Err(NotResumed::NoRoom) => Ok(None),
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
