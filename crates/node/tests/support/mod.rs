//! A server that speaks the wire types and remembers what it was told and brought.
#![allow(dead_code)]

pub mod lab;
pub mod sandbox;

use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use vitrine_capsule::image::Store;
use vitrine_model::wire::{
    Assignment, Assignments, AssignmentsRequest, Beat, BeatAnswer, OBJECT_HEADER, Object, ObjectAnswer, ObjectRequest,
    Register, Registered, Step, StepAnswer, StepKind, Upstream, Workload,
};
use vitrine_model::{
    ArtifactKind, BrowserSpec, CheckpointId, Desired, EgressProfile, EndReason, EpochMs, Isolation, MachineId,
    OrganizationId, RunId, SessionId, Weight,
};
use vitrine_node::{
    Body, CarriedConfig, Image, NodeConfig, PoolConfig, SandboxConfig, Transport, TransportError, whole,
};

#[derive(Default)]
struct Rows {
    assignments: HashMap<SessionId, Assignment>,
    /// Paused on the machine's disk.
    stored: HashMap<SessionId, Assignment>,
    steps: Vec<Step>,
    registrations: i64,
    objects: Vec<Kept>,
    profile: Option<Vec<u8>>,
    packs: HashMap<String, Vec<u8>>,
    checkpoints: HashMap<CheckpointId, Vec<u8>>,
    /// What a run that is resumed is told to end by.
    expires_at: Option<EpochMs>,
    away: bool,
    beat: Option<Beat>,
}

/// An artifact that was brought.
#[derive(Clone, Debug)]
pub struct Kept {
    pub kind: ArtifactKind,
    pub name: String,
    pub key: String,
    pub bytes: Vec<u8>,
}

/// The scripted server.
#[derive(Clone, Default)]
pub struct FakeServer {
    rows: Arc<Mutex<Rows>>,
    changed: Arc<Notify>,
    steps_seen: Arc<watch::Sender<usize>>,
}

impl FakeServer {
    pub fn assign(&self, spec: BrowserSpec) -> (SessionId, RunId) {
        self.assign_with(spec, Upstream::Direct)
    }

    pub fn assign_with(&self, spec: BrowserSpec, upstream: Upstream) -> (SessionId, RunId) {
        self.assign_workload(Workload::Browser(spec), upstream)
    }

    pub fn assign_workload(&self, workload: Workload, upstream: Upstream) -> (SessionId, RunId) {
        let entropy = |buffer: &mut [u8]| getrandom::fill(buffer).unwrap();
        let assignment = Assignment {
            session: SessionId::new(1, &entropy),
            organization: OrganizationId::new(1, &entropy),
            run: RunId::new(1, &entropy),
            generation: 1,
            desired: Desired::Run,
            end_reason: None,
            expires_at: None,
            limit_mb: 1024,
            upstream,
            workload,
        };
        let key = (assignment.session.clone(), assignment.run.clone());
        self.rows.lock().unwrap().assignments.insert(key.0.clone(), assignment);
        self.changed.notify_waiters();
        key
    }

    pub fn end(&self, session: &SessionId, reason: EndReason) {
        if let Some(row) = self.rows.lock().unwrap().assignments.get_mut(session) {
            row.desired = Desired::End;
            row.end_reason = Some(reason);
        }
        self.changed.notify_waiters();
    }

    /// What a handler of `pause` or `resume` does.
    pub fn want(&self, session: &SessionId, desired: Desired) {
        self.rows.lock().unwrap().assignments.get_mut(session).unwrap().desired = desired;
        self.changed.notify_waiters();
    }

    /// A session that moved to disk starts again.
    pub fn assign_again(&self, session: &SessionId) -> RunId {
        let run = RunId::new(1, &|buffer: &mut [u8]| getrandom::fill(buffer).unwrap());
        let mut rows = self.rows.lock().unwrap();
        let row = rows.stored.remove(session).expect("it is stored");
        let expires_at = Some(EpochMs::MAX / 2);
        let again =
            Assignment { run: run.clone(), generation: row.generation + 1, desired: Desired::Run, expires_at, ..row };
        rows.assignments.insert(session.clone(), again);
        drop(rows);
        self.changed.notify_waiters();
        run
    }

    /// Waits for a beat that says something.
    pub async fn until_beat<T>(&self, said: impl Fn(&Beat) -> Option<T>) -> T {
        for _ in 0..500 {
            if let Some(found) = self.rows.lock().unwrap().beat.as_ref().and_then(&said) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no such beat");
    }

    pub fn checkpoints(&self) -> Vec<CheckpointId> {
        self.rows.lock().unwrap().checkpoints.keys().cloned().collect()
    }

    pub fn packs(&self) -> usize {
        self.rows.lock().unwrap().packs.len()
    }

    pub async fn wait_for(&self, what: &str, matches: impl Fn(&StepKind) -> bool) -> StepKind {
        self.wait_for_after(0, what, matches).await
    }

    /// Waits for a step behind the first `before`.
    pub async fn wait_for_after(&self, before: usize, what: &str, matches: impl Fn(&StepKind) -> bool) -> StepKind {
        let mut seen = self.steps_seen.subscribe();
        let found = async {
            loop {
                let found = {
                    let rows = self.rows.lock().unwrap();
                    rows.steps.iter().skip(before).find(|step| matches(&step.what)).map(|step| step.what.clone())
                };
                if let Some(found) = found {
                    return found;
                }
                seen.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(40), found).await {
            Ok(found) => found,
            Err(_) => panic!("no {what}; the node reported {:?}", self.steps()),
        }
    }

    pub fn steps(&self) -> Vec<StepKind> {
        self.rows.lock().unwrap().steps.iter().map(|step| step.what.clone()).collect()
    }

    /// What was brought so far.
    pub fn objects(&self) -> Vec<Kept> {
        self.rows.lock().unwrap().objects.clone()
    }

    /// Waits until an artifact of a kind was brought.
    pub async fn wait_for_object(&self, kind: ArtifactKind) -> Kept {
        for _ in 0..300 {
            if let Some(kept) = self.objects().into_iter().find(|kept| kept.kind == kind) {
                return kept;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no {kind:?} was brought; there is {:?}", self.objects().len());
    }

    /// Whether objects are taken.
    pub fn set_away(&self, away: bool) {
        self.rows.lock().unwrap().away = away;
    }

    /// What a reaper does to the sessions of a machine that it believes dead.
    pub fn forget_all(&self) {
        self.rows.lock().unwrap().assignments.clear();
    }

    pub fn profile(&self) -> Option<Vec<u8>> {
        self.rows.lock().unwrap().profile.clone()
    }

    fn object(&self, method: http::Method, headers: &http::HeaderMap, body: &[u8]) -> http::Response<Body> {
        let request: ObjectRequest = serde_json::from_slice(headers[OBJECT_HEADER].as_bytes()).unwrap();
        let mut rows = self.rows.lock().unwrap();
        let answer = |status: u16, bytes: Vec<u8>| http::Response::builder().status(status).body(whole(bytes)).unwrap();
        if rows.away {
            return answer(503, b"away".to_vec());
        }
        if method == http::Method::GET {
            let found = match &request.object {
                Object::Pack { sha256, .. } => rows.packs.get(sha256),
                Object::Checkpoint { id, .. } => rows.checkpoints.get(id),
                _ => rows.profile.as_ref(),
            };
            return found.cloned().map_or_else(|| answer(404, Vec::new()), |bytes| answer(200, bytes));
        }
        let (Object::Artifact { size, sha256, .. }
        | Object::Profile { size, sha256 }
        | Object::Pack { size, sha256 }
        | Object::Checkpoint { size, sha256, .. }) = &request.object;
        let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((*size, sha256), (body.len() as u64, &hash), "what was brought is what was announced");
        let key = match request.object {
            Object::Artifact { kind, name, .. } => {
                let key = kind.key(&name);
                rows.objects.push(Kept { kind, name, key: key.clone(), bytes: body.to_vec() });
                Some(key)
            }
            Object::Profile { .. } => {
                rows.profile = Some(body.to_vec());
                None
            }
            Object::Pack { sha256, .. } => {
                rows.packs.insert(sha256, body.to_vec());
                None
            }
            Object::Checkpoint { id, packs, .. } => {
                assert!(packs.iter().all(|pack| rows.packs.contains_key(pack)), "a checkpoint comes after its packs");
                rows.checkpoints.insert(id, body.to_vec());
                None
            }
        };
        answer(200, serde_json::to_vec(&ObjectAnswer::Kept { key }).unwrap())
    }

    async fn answer(&self, path: &str, body: &[u8]) -> Vec<u8> {
        let json = |value: &dyn erased::Json| value.json();
        match path {
            "/internal/node/register" => json(&self.register(serde_json::from_slice(body).unwrap())),
            "/internal/node/beat" => {
                self.rows.lock().unwrap().beat = Some(serde_json::from_slice(body).unwrap());
                json(&BeatAnswer::Extended { draining: false })
            }
            "/internal/node/assignments" => json(&self.assignments(serde_json::from_slice(body).unwrap()).await),
            "/internal/node/steps" => json(&self.step(serde_json::from_slice(body).unwrap())),
            other => panic!("the node called {other}"),
        }
    }

    fn register(&self, register: Register) -> Registered {
        let mut rows = self.rows.lock().unwrap();
        rows.registrations += 1;
        let adopted = rows
            .assignments
            .values()
            .filter(|row| register.alive.iter().any(|alive| alive.session == row.session && alive.run == row.run))
            .cloned()
            .collect();
        let (epoch, token) = (rows.registrations, "t".into());
        Registered {
            epoch,
            token,
            beat_ms: 1_000,
            lease_ms: 45_000,
            adopted,
            stored: rows.stored.keys().cloned().collect(),
        }
    }

    async fn assignments(&self, request: AssignmentsRequest) -> Assignments {
        let changed = self.changed.notified();
        let items = self.wanted(&request);
        if items.is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(request.wait_ms), changed).await;
        }
        Assignments { items: self.wanted(&request), not_yours: false }
    }

    fn wanted(&self, request: &AssignmentsRequest) -> Vec<Assignment> {
        let rows = self.rows.lock().unwrap();
        let new = |row: &&Assignment| {
            !request.known.iter().any(|known| known.session == row.session && known.desired == row.desired)
        };
        rows.assignments.values().filter(new).cloned().collect()
    }

    fn step(&self, step: Step) -> StepAnswer {
        let mut rows = self.rows.lock().unwrap();
        if matches!(step.what, StepKind::Finish { .. } | StepKind::Fail { .. } | StepKind::NotStarted { .. }) {
            rows.assignments.remove(&step.session);
        }
        let row = rows.assignments.get_mut(&step.session);
        let answer = match &step.what {
            // As the real one: somebody may want it back at this very moment.
            StepKind::Stored { .. } if row.as_ref().is_none_or(|row| row.desired != Desired::Pause) => {
                StepAnswer::NotYours
            }
            StepKind::Stored { .. } => {
                let row = rows.assignments.remove(&step.session).unwrap();
                rows.stored.insert(step.session.clone(), row);
                StepAnswer::Taken { expires_at: None }
            }
            StepKind::Resumed => {
                if let Some(row) = row {
                    row.desired = Desired::Run;
                }
                StepAnswer::Taken { expires_at: rows.expires_at }
            }
            _ => StepAnswer::Taken { expires_at: None },
        };
        rows.steps.push(step);
        self.steps_seen.send_replace(rows.steps.len());
        answer
    }
}

impl Transport for FakeServer {
    fn call(&self, request: http::Request<Body>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| TransportError(error.to_string()))?.to_bytes();
            if head.uri.path() == "/internal/node/objects" {
                return Ok(self.object(head.method, &head.headers, &body));
            }
            Ok(http::Response::new(whole(self.answer(head.uri.path(), &body).await)))
        })
    }
}

mod erased {
    pub trait Json {
        fn json(&self) -> Vec<u8>;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> Vec<u8> {
            serde_json::to_vec(self).unwrap()
        }
    }
}

/// A node's configuration on a data directory; the image is the one that `vitrine image build` made.
pub fn config(data_dir: &std::path::Path, pool: usize) -> NodeConfig {
    let image = Store::new(Store::default_directory()).find("standard").unwrap();
    let image = image.expect("the image `standard` is not built: run `vitrine image build standard`");
    let environment = image.environment.into_iter().collect();
    let (_, image) = watch::channel(Image::Ready { rootfs: image.rootfs, environment });
    NodeConfig {
        data_dir: data_dir.to_owned(),
        machine: MachineId::new(&|buffer: &mut [u8]| getrandom::fill(buffer).unwrap()),
        region_code: "iad".into(),
        region_global: "na-east".into(),
        provider: "local".into(),
        reserve_total_mb: 4096,
        slots_total: 16,
        image,
        pool: PoolConfig { size: pool, refill_pause: Duration::from_millis(10), ..PoolConfig::default() },
        egress_hosts: Default::default(),
        ca_bundle: Some("/etc/ssl/certs/ca-certificates.crt".into()),
        browser_base_mb: 512,
        carried: CarriedConfig::default(),
        sandbox: SandboxConfig {
            pool: PoolConfig { size: pool, refill_pause: Duration::from_millis(10), ..PoolConfig::default() },
            ..SandboxConfig::default()
        },
    }
}

pub fn spec() -> BrowserSpec {
    BrowserSpec {
        weight: Weight::Light,
        isolation: Isolation::Shared,
        egress_profile: EgressProfile::SharedDc,
        proxy: None,
        max_duration_ms: 60_000,
        idle_timeout_ms: 0,
        region: None,
        stealth: false,
        recording: false,
        captcha: false,
        har: None,
        profile_key: None,
        embed: None,
    }
}
