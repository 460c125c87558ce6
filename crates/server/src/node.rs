//! `/internal/node/*`: what nodes say to the server. The handlers are the same for the machine in this process and for
//! one far away.
//!
//! A caller in this process shows [`InProcess`]. Over the network a machine registers with the operator's join token
//! and from then on carries a token that is bound to its id and epoch.

mod objects;

use crate::answer::Answer;
use crate::app::{App, Place};
use crate::metrics::Warm;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Extension, Json, Router};
use hmac::{Hmac, Mac};
use http::{HeaderMap, header::AUTHORIZATION};
use serde::de::DeserializeOwned;
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::wire::{
    Assignment, Assignments, AssignmentsRequest, Beat, BeatAnswer, Register, Registered, Step, StepAnswer, StepKind,
    Upstream, Workload,
};
use vitrine_model::{Code, Desired, EgressProfile, EndReason, Error, MachineId, SchedulingReason, Status};
use vitrine_store::Session;

/// Shows that a request comes from this process; never set on what the network brings.
#[derive(Debug, Clone, Copy)]
pub struct InProcess;

/// Largest body that a node sends: thousands of sessions in one beat.
const NODE_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest poll for assignments.
const POLL_MS_MAX: u64 = 30_000;
/// How often a poll looks at the rows although nobody woke it: another server may have placed something.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a request showed.
#[derive(Debug, Clone)]
enum Shown {
    InProcess,
    Token(String),
}

/// The nodes' routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/internal/node/register", post(register))
        .route("/internal/node/beat", post(beat))
        .route("/internal/node/assignments", post(assignments))
        .route("/internal/node/steps", post(step))
        .route("/internal/node/objects", put(objects::put).get(objects::get))
        .layer(axum::extract::DefaultBodyLimit::max(NODE_BODY_BYTES_MAX))
        .layer(from_fn(show))
}

async fn show(mut request: Request, next: Next) -> Response {
    let shown = match request.extensions().get::<InProcess>() {
        Some(InProcess) => Shown::InProcess,
        None => match token(request.headers()) {
            Some(token) => Shown::Token(token.to_owned()),
            None => return crate::answer::Failure(refused()).into_response(),
        },
    };
    request.extensions_mut().insert(shown);
    next.run(request).await
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn refused() -> Error {
    Error::new(Code::Unauthenticated, "this needs a node's token")
}

fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

impl App {
    /// The token of a machine in its epoch.
    fn node_token(&self, machine: &MachineId, epoch: i64) -> String {
        // HMAC takes a key of any length; the error type exists for other MACs.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.node_key).unwrap_or_else(|_| unreachable!());
        mac.update(format!("{machine}\n{epoch}").as_bytes());
        hexadecimal(&mac.finalize().into_bytes())
    }

    fn check_node(&self, shown: &Shown, machine: &MachineId, epoch: i64) -> Result<(), Error> {
        match shown {
            Shown::InProcess => Ok(()),
            Shown::Token(token) if same(token, &self.node_token(machine, epoch)) => Ok(()),
            Shown::Token(_) => Err(refused()),
        }
    }

    fn check_join(&self, shown: &Shown) -> Result<(), Error> {
        match (shown, &self.config.join_token) {
            (Shown::InProcess, _) => Ok(()),
            (Shown::Token(token), Some(join)) if same(token, join.reveal()) => Ok(()),
            _ => Err(refused()),
        }
    }

    /// A session as its machine is told of it. Fails when its egress profile has no upstream (any more).
    fn assignment(&self, session: Session) -> Result<Assignment, Box<(Session, Error)>> {
        let key = session.profile_key.as_deref();
        let (profile, proxy) = match &session.workload {
            Workload::Browser(spec) => (spec.egress_profile, spec.proxy.as_ref()),
            Workload::Sandbox(_) => (EgressProfile::SharedDc, None),
        };
        let upstream = match self.upstream(profile, &session.organization, key, proxy) {
            Ok(upstream) => upstream,
            Err(error) if session.status == Status::Assigning && session.desired != Desired::End => {
                return Err(Box::new((session, error)));
            }
            // A session that runs keeps its upstream while that does not answer; one that is only told to end may have none.
            Err(error) => {
                let profiles = &self.config.egress_profiles;
                match profiles.resolve(profile, &session.organization, key, proxy, |_| true) {
                    Ok(upstream) => upstream,
                    Err(_) if session.desired == Desired::End => Upstream::Rotating(Vec::new()),
                    Err(_) => return Err(Box::new((session, error))),
                }
            }
        };
        let Some(run) = session.run.clone() else {
            return Err(Box::new((session, Error::internal("a session was placed without a run"))));
        };
        Ok(Assignment {
            session: session.id,
            organization: session.organization,
            run,
            generation: session.generation,
            desired: session.desired,
            end_reason: session.end_reason,
            expires_at: session.expires_at,
            limit_mb: session.limit_mb,
            upstream,
            workload: session.workload,
        })
    }

    /// Turns rows into assignments; what has no upstream fails here and now, never goes out directly.
    async fn assign(&self, machine: &MachineId, epoch: i64, sessions: Vec<Session>) -> Result<Vec<Assignment>, Error> {
        let mut items = Vec::with_capacity(sessions.len());
        for session in sessions {
            match self.assignment(session) {
                Ok(assignment) => items.push(assignment),
                Err(refused) => self.refuse(machine, epoch, *refused).await?,
            }
        }
        Ok(items)
    }

    async fn refuse(&self, machine: &MachineId, epoch: i64, refused: (Session, Error)) -> Result<(), Error> {
        let (session, error) = refused;
        let Some(run) = session.run.clone() else { return Err(error) };
        let message = error.message;
        let what = match session.status {
            Status::Assigning => StepKind::NotStarted { reason: SchedulingReason::EgressUnavailable, message },
            _ => StepKind::Fail { reason: EndReason::SchedulingFailed, message, egress: session.egress },
        };
        let step =
            Step { machine: machine.clone(), epoch, session: session.id, generation: session.generation, run, what };
        self.take(&step).await.map(|_| ())
    }

    async fn take(&self, step: &Step) -> Result<StepAnswer, Error> {
        let now = self.clock.now();
        let (answer, session) = self.store.step(step, now).await.map_err(Error::internal)?;
        if let Some(session) = session.filter(|session| session.updated_at == now) {
            if step.what == StepKind::Ready && session.status == Status::Ready {
                self.metrics.ready(&session);
            }
            self.moved(&session);
        }
        Ok(answer)
    }
}

/// A node's body; what it cannot be read as is the node's mistake.
fn read<T: DeserializeOwned>(body: &bytes::Bytes) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::invalid("body", error))
}

async fn register(
    State(app): State<App>,
    Extension(shown): Extension<Shown>,
    body: bytes::Bytes,
) -> Answer<Json<Registered>> {
    app.check_join(&shown)?;
    let register: Register = read(&body)?;
    let lease_ms = i64::try_from(app.config.lease_ms).unwrap_or(i64::MAX);
    let place = Place {
        provider: register.provider.clone(),
        code: register.region_code.clone(),
        global: register.region_global.clone(),
    };
    app.note_place(&register.machine, place);
    app.note_drivers(&register.machine, &register.drivers);
    let registration = app.store.register_machine(&register, app.clock.now(), lease_ms).await?;
    let epoch = registration.epoch;
    let Register { machine, version, .. } = &register;
    let (adopted, dropped) = (registration.adopted.len(), registration.dropped.len());
    tracing::info!(%machine, epoch, adopted, dropped, version, "machine registered");
    registration.dropped.iter().for_each(|session| app.moved(session));
    app.placement.notify_one();
    Ok(Json(Registered {
        epoch,
        token: app.node_token(&register.machine, epoch),
        beat_ms: app.config.beat_ms,
        lease_ms: app.config.lease_ms,
        adopted: app.assign(&register.machine, epoch, registration.adopted).await?,
        stored: registration.stored,
    }))
}

async fn beat(
    State(app): State<App>,
    Extension(shown): Extension<Shown>,
    body: bytes::Bytes,
) -> Answer<Json<BeatAnswer>> {
    let beat: Beat = read(&body)?;
    app.check_node(&shown, &beat.machine, beat.epoch)?;
    let lease_ms = i64::try_from(app.config.lease_ms).unwrap_or(i64::MAX);
    let Beat { machine, epoch, not_ready, traffic, warm, warm_sandboxes, no_sandboxes } = beat;
    let now = app.clock.now();
    let answer = app.store.beat(&machine, epoch, not_ready.as_ref(), &traffic, now, lease_ms).await?;
    if let BeatAnswer::Extended { .. } = answer {
        app.metrics.warm(&machine, Warm { browsers: warm, sandboxes: warm_sandboxes });
        app.note_sandboxes(&machine, no_sandboxes);
        app.placement.notify_one();
    }
    Ok(Json(answer))
}

async fn assignments(
    State(app): State<App>,
    Extension(shown): Extension<Shown>,
    body: bytes::Bytes,
) -> Answer<Json<Assignments>> {
    let request: AssignmentsRequest = read(&body)?;
    let AssignmentsRequest { machine, epoch, wait_ms, known } = request;
    app.check_node(&shown, &machine, epoch)?;
    let deadline = Instant::now() + Duration::from_millis(wait_ms.min(POLL_MS_MAX));
    let mut waiting = app.wakes.machines.subscribe(&machine);
    loop {
        let Some(sessions) = app.store.assignments(&machine, epoch, &known).await? else {
            return Ok(Json(Assignments { items: Vec::new(), not_yours: true }));
        };
        let items = app.assign(&machine, epoch, sessions).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if !items.is_empty() || left.is_zero() || app.closing.is_cancelled() {
            return Ok(Json(Assignments { items, not_yours: false }));
        }
        tokio::select! {
            () = waiting.woken() => {}
            () = app.closing.cancelled() => {}
            () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
        }
    }
}

async fn step(
    State(app): State<App>,
    Extension(shown): Extension<Shown>,
    body: bytes::Bytes,
) -> Answer<Json<StepAnswer>> {
    let step: Step = read(&body)?;
    app.check_node(&shown, &step.machine, step.epoch)?;
    Ok(Json(app.take(&step).await?))
}
