//! Sandboxes: what clients see of them.

pub mod absent;
pub mod artifacts;
pub mod change;
pub mod checkpoints;
pub mod code;
pub mod create;
pub mod documents;
pub mod end;
pub mod exec;
pub mod files;
pub mod folders;
pub mod pause;
pub mod ports;
pub mod program;
pub mod raw;
pub mod read;
pub mod runtime;
pub mod terminal;
pub mod watch;
pub mod wish;

use crate::app::App;
use crate::cloud::artifacts::ArtifactItem;
use crate::cloud::{self, Egress, Failed, end_reasons, statuses, words};
use crate::gate::Caller;
use crate::request::{Fields, Query};
use crate::run;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::{
    EndReason, Error, Kind, NetworkMode, NetworkPolicy, Permission, Runtime, SandboxSpec, SessionId, Size, Status,
};
use vitrine_store::Session;

/// A sandbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sandbox {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    #[schema(schema_with = statuses)]
    pub status: Status,
    #[schema(schema_with = runtimes)]
    pub runtime: Runtime,
    #[schema(schema_with = sizes)]
    pub size: Size,
    /// False: a checkpoint is made at every pause and at the end.
    pub ephemeral: bool,
    /// Null when none was asked for.
    pub capabilities: Option<Capabilities>,
    /// A WebSocket that opens a new terminal, once and within a minute. Null while it does not run, and for keys without
    /// `sandbox_sessions:exec`.
    pub terminal_url: Option<String>,
    /// A browser of its own. Null: none.
    pub paired_browser: Option<Absent>,
    pub opencode: AgentState,
    /// Null: no browser to look at.
    pub browser_preview: Option<Absent>,
    /// Null: nobody is asked for help.
    pub human_handoff: Option<Absent>,
    pub artifacts: ArtifactSummary,
    pub network: Network,
    pub isolation: SandboxIsolation,
    /// The checkpoint that its workspace began as.
    pub from: Option<String>,
    /// Milliseconds that it ran, pauses left out; null until it is over.
    pub duration: Option<u64>,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// When it became ready.
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    /// When it ends at the latest; pauses push it on. Null until it is ready.
    pub expires_at: Option<i64>,
    #[schema(schema_with = end_reasons)]
    pub end_reason: Option<EndReason>,
    /// Why it failed.
    pub error: Option<Failed>,
    #[schema(example = 3_600_000)]
    pub max_duration_ms: u64,
    /// The machine's region, before placement the one that was asked for.
    pub region: Option<String>,
    pub machine_id: Option<String>,
    pub egress: Egress,
}

/// What this sandbox does not have: always null.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Absent {}

/// What was asked for beside programs and files.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    pub opencode: OpencodeCapability,
    pub browser: BrowserCapability,
    pub documents: DocumentsCapability,
    pub storage: StorageCapability,
}

/// The coding agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OpencodeCapability {
    /// `true` is 501 today.
    pub enabled: bool,
}

/// A browser beside the programs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BrowserCapability {
    /// `none`; the others are 501 today.
    #[schema(example = "none")]
    pub mode: &'static str,
}

/// Conversion of documents.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentsCapability {
    pub libreoffice_headless: bool,
}

/// What is kept of the workspace.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageCapability {
    #[schema(schema_with = storages)]
    pub workspace: &'static str,
    /// Before the keys of its artifacts.
    pub artifact_prefix: Option<String>,
}

/// The coding agent's state.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentState {
    pub enabled: bool,
    #[schema(example = "disabled")]
    pub status: &'static str,
    pub session_id: Option<String>,
    pub agent: Option<String>,
    pub busy: bool,
    /// Epoch milliseconds.
    pub updated_at: i64,
}

/// What it left behind so far.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ArtifactSummary {
    pub count: u64,
    pub latest: Option<ArtifactItem>,
}

/// Where it may connect to. Denying wins.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Network {
    #[schema(required = false, schema_with = modes, default = "open")]
    pub mode: NetworkMode,
    /// `example.com`, `*.example.com` (every name below it), `203.0.113.7` or `203.0.113.0/24`.
    #[schema(required = false, max_items = 256, example = json!(["registry.npmjs.org", "*.example.com"]))]
    pub allow: Vec<String>,
    #[schema(required = false, max_items = 256)]
    pub deny: Vec<String>,
}

impl From<NetworkPolicy> for Network {
    fn from(NetworkPolicy { mode, allow, deny }: NetworkPolicy) -> Self {
        Self { mode, allow, deny }
    }
}

/// What separates it from everything else.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SandboxIsolation {
    /// Null until it was placed.
    #[schema(example = "native")]
    pub driver: Option<String>,
    pub machine_id: Option<String>,
    pub region: Option<String>,
}

fn runtimes() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words(
        "What `code` runs: `bun` TypeScript and JavaScript, `python` Python, `base` shell. All have the same programs",
        Runtime::ALL.map(Runtime::as_str),
    )
}

fn sizes() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("`standard`: two shared processors, 4 GiB", Size::ALL.map(Size::as_str))
}

fn modes() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words(
        "`open`: everything public; `allowlist`: what `allow` lists; `none`: nothing",
        NetworkMode::ALL.map(NetworkMode::as_str),
    )
}

fn storages() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("`checkpointed`: a checkpoint is made at every pause and at the end", wish::STORAGES)
}

/// A sandbox of the caller's organization.
async fn owned(app: &App, caller: &Caller, id: &SessionId) -> Result<Session, Error> {
    cloud::owned(app, caller, Kind::Sandbox, id).await
}

/// The sandbox that a body is about. Read last: what is wrong in the body comes before whether there is such a sandbox.
async fn named(app: &App, caller: &Caller, fields: &Fields<'_>) -> Result<Session, Error> {
    owned(app, caller, &fields.id("id", "sandbox")?).await
}

/// The sandbox that a query is about.
async fn asked(app: &App, caller: &Caller, query: &Query) -> Result<Session, Error> {
    owned(app, caller, &query.id("sandbox")?).await
}

/// What was asked for. Every session here was found as a sandbox.
fn spec_of(session: &Session) -> Result<&SandboxSpec, Error> {
    session.sandbox().ok_or_else(|| Error::internal("a browser was read as a sandbox"))
}

/// Sends an order to a sandbox's own interface and passes its answer on.
async fn order(
    app: &App,
    session: &Session,
    what: &str,
    (path, order): (&str, &impl Serialize),
    limit: Duration,
) -> Result<Response, Error> {
    let request = run::json_request(Method::POST, path, order)?;
    Ok(run::pass(app.ask_run(session, what, request, limit).await?))
}

/// Asks a sandbox's own interface and passes its answer on.
async fn question(app: &App, session: &Session, what: &str, path: &str, limit: Duration) -> Result<Response, Error> {
    let request = run::request(Method::GET, path, Body::empty())?;
    Ok(run::pass(app.ask_run(session, what, request, limit).await?))
}

/// What was asked for beside programs and files; `None` when nothing was.
fn capabilities(spec: &SandboxSpec) -> Option<Capabilities> {
    let stored = spec.checkpointed && spec.ephemeral;
    let asked = spec.documents || stored || spec.artifact_prefix.is_some();
    asked.then(|| Capabilities {
        opencode: OpencodeCapability { enabled: false },
        browser: BrowserCapability { mode: wish::BROWSER_MODES[0] },
        documents: DocumentsCapability { libreoffice_headless: spec.documents },
        storage: StorageCapability {
            workspace: wish::STORAGES[usize::from(spec.checkpointed)],
            artifact_prefix: spec.artifact_prefix.clone(),
        },
    })
}

/// The state of an agent that is not there.
fn no_agent(session: &Session) -> AgentState {
    AgentState {
        enabled: false,
        status: "disabled",
        session_id: None,
        agent: None,
        busy: false,
        updated_at: session.created_at,
    }
}

async fn artifact_summary(app: &App, id: &SessionId) -> Result<ArtifactSummary, Error> {
    let mut artifacts = app.store.artifacts(id).await.map_err(Error::internal)?;
    let count = artifacts.len() as u64;
    Ok(ArtifactSummary { count, latest: artifacts.pop().map(ArtifactItem::from) })
}

async fn isolation(app: &App, session: &Session) -> Result<SandboxIsolation, Error> {
    let spec = spec_of(session)?;
    let region = match &session.machine {
        Some(machine) => app.region_of(machine).await?,
        None => spec.region.clone(),
    };
    let default = || session.machine.as_ref().and_then(|machine| app.drivers_of(machine).into_iter().next());
    Ok(SandboxIsolation {
        driver: spec.isolation_driver.clone().or_else(default),
        machine_id: session.machine.as_ref().map(ToString::to_string),
        region,
    })
}

/// A sandbox as its owner sees it. Its environment is in no answer.
pub async fn view(app: &App, caller: &Caller, session: Session, headers: &HeaderMap) -> Result<Sandbox, Error> {
    let spec = spec_of(&session)?;
    let isolation = isolation(app, &session).await?;
    let may_exec = caller.key.permissions.allow(Permission::SandboxSessionsExec);
    let terminal_url = match may_exec {
        true => app.terminal_url(&session, None, None, headers)?.map(|link| link.url),
        false => None,
    };
    Ok(Sandbox {
        terminal_url,
        artifacts: artifact_summary(app, &session.id).await?,
        id: session.id.to_string(),
        status: session.status,
        runtime: spec.runtime,
        size: spec.size,
        ephemeral: spec.ephemeral,
        capabilities: capabilities(spec),
        paired_browser: None,
        opencode: no_agent(&session),
        browser_preview: None,
        human_handoff: None,
        network: spec.network.clone().into(),
        from: spec.from.as_ref().map(ToString::to_string),
        duration: session.duration_ms(),
        created_at: session.created_at,
        started_at: session.started_at,
        ended_at: session.ended_at,
        expires_at: session.expires_at,
        end_reason: session.end_reason,
        max_duration_ms: spec.max_duration_ms,
        region: isolation.region.clone(),
        machine_id: isolation.machine_id.clone(),
        isolation,
        egress: Egress { bytes_in: session.egress.bytes_in, bytes_out: session.egress.bytes_out },
        error: session.error.map(Failed::from),
    })
}
