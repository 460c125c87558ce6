//! What server and node say to each other. The same bytes travel in memory in one process and over HTTP in a cluster.
//!
//! Node → server: `POST /internal/node/register|beat|assignments|steps`. Every later word of a node carries
//! `(machine, epoch, generation)`; the server answers [`StepAnswer::NotYours`] once any of them has moved on, and the node
//! then kills what it no longer owns.

use crate::{
    ArtifactKind, BrowserSpec, CheckpointId, Desired, EndReason, EpochMs, Happening, Isolation, Kind, MachineId,
    OrganizationId, Proxy, RunId, SandboxSpec, SchedulingReason, SessionId,
};
use serde::{Deserialize, Serialize};

/// A machine introduces itself, at every start of its node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Register {
    pub machine: MachineId,
    /// Of the host's kernel: tells a restart of the node from a reboot.
    pub boot_id: String,
    pub version: String,
    /// Three-letter code, for example `iad`.
    pub region_code: String,
    /// Global code, for example `na-east`.
    pub region_global: String,
    pub provider: String,
    /// Memory that placement may promise.
    pub reserve_total_mb: u32,
    /// Sessions at once.
    pub slots_total: u32,
    /// What survived the restart.
    pub alive: Vec<Alive>,
    /// The isolation drivers that work here, the default first.
    #[serde(default)]
    pub drivers: Vec<String>,
}

/// A run that a restarted node found alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    pub session: SessionId,
    pub run: RunId,
    pub generation: i64,
}

/// The answer to [`Register`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registered {
    pub epoch: i64,
    /// Authenticates the node from now on; bound to machine and epoch.
    pub token: String,
    pub beat_ms: u64,
    pub lease_ms: u64,
    /// The runs that live on. What the node found alive and is not here is to be killed.
    pub adopted: Vec<Assignment>,
    /// Paused sessions of which the machine has the disk alone. A disk of any other session that is not adopted is to go.
    #[serde(default)]
    pub stored: Vec<SessionId>,
}

/// A sign of life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Beat {
    pub machine: MachineId,
    pub epoch: i64,
    /// `None`: it can start sessions. Otherwise why it cannot yet, for a person to read (an image is missing…).
    pub not_ready: Option<NotReady>,
    /// What the machine's sessions moved so far.
    pub traffic: Vec<Traffic>,
    /// Warm browsers in the pool now.
    pub warm: u32,
    /// Warm sandboxes in theirs.
    #[serde(default)]
    pub warm_sandboxes: u32,
    /// Why no sandbox starts, although browsers may, for a person to read.
    #[serde(default)]
    pub no_sandboxes: Option<String>,
}

/// Why a machine takes no sessions yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotReady {
    pub reason: SchedulingReason,
    pub message: String,
}

/// Bytes through a session's egress since it became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EgressBytes {
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// One session's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub session: SessionId,
    pub generation: i64,
    #[serde(flatten)]
    pub bytes: EgressBytes,
}

/// The answer to [`Beat`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeatAnswer {
    /// The lease runs anew from the moment the beat was sent.
    Extended { draining: bool },
    /// Another epoch holds the machine: register again.
    NotYours,
}

/// A node asks for what it should do; answered when there is something, or empty after `wait_ms`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AssignmentsRequest {
    pub machine: MachineId,
    pub epoch: i64,
    pub wait_ms: u64,
    /// Generations that the node already works on, so that they are not answered again and again.
    pub known: Vec<Known>,
}

/// A session that the node works on, and what it last heard was wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub session: SessionId,
    pub generation: i64,
    pub desired: Desired,
}

/// Everything of this machine that the node does not know yet, or of which something else is wanted now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignments {
    pub items: Vec<Assignment>,
    /// The machine's epoch moved on: register again.
    pub not_yours: bool,
}

/// A session that a machine is to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    pub session: SessionId,
    pub organization: OrganizationId,
    pub run: RunId,
    pub generation: i64,
    pub desired: Desired,
    /// With `desired: end`.
    pub end_reason: Option<EndReason>,
    /// Set once it was ready.
    pub expires_at: Option<EpochMs>,
    pub limit_mb: u32,
    pub upstream: Upstream,
    pub workload: Workload,
}

/// What runs in the capsule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    Browser(BrowserSpec),
    Sandbox(SandboxSpec),
}

impl Workload {
    /// What a client asked for.
    pub fn kind(&self) -> Kind {
        match self {
            Workload::Browser(_) => Kind::Browser,
            Workload::Sandbox(_) => Kind::Sandbox,
        }
    }

    /// The longest that it may run.
    pub fn max_duration_ms(&self) -> u64 {
        match self {
            Workload::Browser(spec) => spec.max_duration_ms,
            Workload::Sandbox(spec) => spec.max_duration_ms,
        }
    }

    /// Where it is to run, when the client said so.
    pub fn region(&self) -> Option<&str> {
        match self {
            Workload::Browser(spec) => spec.region.as_deref(),
            Workload::Sandbox(spec) => spec.region.as_deref(),
        }
    }

    /// Whether its machine may hold other organizations' sessions.
    pub fn isolation(&self) -> Isolation {
        match self {
            Workload::Browser(spec) => spec.isolation,
            Workload::Sandbox(_) => Isolation::Shared,
        }
    }

    /// Drops what is kept no longer than the session runs: a proxy's credentials, the environment.
    pub fn forget_secrets(&mut self) {
        match self {
            Workload::Browser(spec) => spec.proxy = None,
            Workload::Sandbox(spec) => spec.env.clear(),
        }
    }
}

/// How connections leave the machine: resolved from the session's egress profile by the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upstream {
    Direct,
    /// The same proxy for every connection.
    Fixed(Proxy),
    /// Another one for each connection.
    Rotating(Vec<Proxy>),
}

/// What a node did with a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub machine: MachineId,
    pub epoch: i64,
    pub session: SessionId,
    pub generation: i64,
    pub run: RunId,
    pub what: StepKind,
}

/// Which step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// `cdpUrl` answers from now on.
    Ready,
    /// The first client came.
    Activate,
    /// The last client left.
    Deactivate,
    /// It ends for a reason of the node's own: idle, maximum duration, closed by the client.
    End { reason: EndReason },
    /// Nothing of it is left. `reason` is the node's word where the row has none yet.
    Finish { reason: EndReason, egress: EgressBytes },
    /// It went wrong while it ran.
    Fail { reason: EndReason, message: String, egress: EgressBytes },
    /// Every process of it is frozen.
    Paused,
    /// A frozen one moved to disk: its processes ended, its files are kept, the capsule is gone.
    Stored { egress: EgressBytes },
    /// Its processes run again.
    Resumed,
    /// Something happened in it; written as an event. Never a secret.
    Happened { what: Happening, data: serde_json::Value },
    /// It could not be started here. The server places it anew while tries are left and another try can help.
    NotStarted { reason: SchedulingReason, message: String },
}

/// The answer to a [`Step`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAnswer {
    Taken {
        /// With [`StepKind::Ready`]: when the session must end.
        expires_at: Option<EpochMs>,
    },
    /// The row has moved on: kill it, publish nothing.
    NotYours,
}

/// The gateway asks a machine for a byte stream to a run's DevTools port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    pub session: SessionId,
    pub run: RunId,
    pub purpose: Purpose,
}

/// Why the gateway dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A client: counts for `active` and for the idle time.
    Client,
    /// One question of the discovery endpoints: counts for nothing.
    Discovery,
    /// A viewer of the live picture: the stream speaks WebSocket, as `docs/api/live-view.md` says. Counts for the idle time;
    /// for `active` too when it may act. `calls`: it is the page of an embed session, and may call the embed API's methods
    /// as far as the session's policy lets it.
    View { control: bool, calls: bool },
    /// The run's own HTTP interface (files, commands, screenshots, upstream): a request counts where it says so.
    Run,
    /// A terminal of a sandbox: the stream speaks WebSocket, as `docs/api/sandboxes.md` says. Counts for `active`. From
    /// `offset` on, output that is still remembered is sent again.
    Terminal { terminal: u64, offset: Option<u64> },
    /// A connection to a port on which a program in the sandbox listens. Counts for nothing.
    Port { port: u16 },
}

/// Header of `/internal/node/objects`: an [`ObjectRequest`] as JSON. The body is the object's bytes.
pub const OBJECT_HEADER: &str = "vitrine-object";

/// A node brings (`PUT`) or asks for (`GET`) a session's object. The guard is `(machine, generation, run)`, whatever the
/// session's status: what was recorded is brought after the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRequest {
    pub machine: MachineId,
    pub epoch: i64,
    pub session: SessionId,
    pub generation: i64,
    pub run: RunId,
    pub object: Object,
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// `PUT` only. The server makes the name unique in the session and answers the key.
    Artifact { kind: ArtifactKind, name: String, content_type: String, size: u64, sha256: String },
    /// The saved profile under the session's own `profileKey`: `GET` brings the last good one, or 404; `PUT` makes a new
    /// version.
    Profile { size: u64, sha256: String },
    /// Compressed pieces of files of a checkpoint, named by their hash: `PUT` of one that is there already changes nothing;
    /// `GET` brings one of the organization's.
    Pack { sha256: String, size: u64 },
    /// The list of what a checkpoint holds. `PUT` makes the checkpoint visible, when all its packs are there; `GET` brings one
    /// of the organization's.
    Checkpoint { id: CheckpointId, size: u64, sha256: String, packs: Vec<String>, workspace_bytes: u64 },
}

/// The answer to a `PUT` of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectAnswer {
    /// It is kept, and visible from now on. `key` of an artifact.
    Kept { key: Option<String> },
    /// The row has moved on.
    NotYours,
    /// It is not kept, and another try would not help: too large, or damaged on its way.
    Refused { message: String },
}

/// Why there is no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The machine does not have this run (any more).
    #[error("the machine does not run this session")]
    Gone,
    /// The machine or the browser did not answer.
    #[error("the machine did not answer: {0}")]
    Unreachable(String),
}
