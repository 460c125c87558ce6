//! `GET /v1/sandboxes/runtime`: what a sandbox is made of and uses now.

use super::{
    Absent, AgentState, ArtifactSummary, Capabilities, SandboxIsolation, artifact_summary, capabilities, isolation,
    no_agent, spec_of,
};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::statuses;
use crate::gate::Caller;
use crate::request::Query;
use crate::run::{self, ANSWER_TIME_MAX};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vitrine_model::{Runtime, Size, Status};

/// A sandbox's runtime.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeStatus {
    pub id: String,
    #[schema(schema_with = statuses)]
    pub status: Status,
    #[schema(schema_with = super::runtimes)]
    pub runtime: Runtime,
    #[schema(schema_with = super::sizes)]
    pub size: Size,
    pub capabilities: Option<Capabilities>,
    pub opencode: AgentState,
    /// Null: no browser to look at.
    pub browser: Option<Absent>,
    /// Null: nobody is asked for help.
    pub handoff: Option<Absent>,
    pub artifacts: ArtifactSummary,
    pub isolation: SandboxIsolation,
    /// Null while it does not run.
    pub resources: Option<Resources>,
    /// Epoch milliseconds; null until it is ready.
    pub expires_at: Option<i64>,
}

/// What it uses now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    pub memory_bytes: u64,
    pub memory_limit_bytes: u64,
    /// Processor time since it began.
    pub cpu_ms: u64,
    /// Processes and threads.
    pub pids: u64,
    /// What it wrote, the workspace and everything else.
    pub disk_bytes: Option<u64>,
    pub disk_limit_bytes: Option<u64>,
}

/// What the run answers.
#[derive(Deserialize)]
struct Answered {
    #[serde(flatten)]
    resources: Resources,
    driver: String,
}

/// Get what a sandbox is made of and uses now.
#[utoipa::path(
    get, path = "/v1/sandboxes/runtime", operation_id = "readSandboxRuntime", tag = "Sandboxes",
    params(("id" = String, Query, description = "The sandbox")),
    responses((status = 200, description = "What it uses now", body = RuntimeStatus))
)]
pub async fn read(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<RuntimeStatus>> {
    let session = super::asked(&app, &caller, &query).await?;
    let mut isolation = isolation(&app, &session).await?;
    let mut resources = None;
    if session.status.is_running() {
        let request = run::request(Method::GET, "/runtime", Body::empty())?;
        let answer = app.ask_run(&session, "reading what it uses", request, ANSWER_TIME_MAX).await?;
        let answered: Answered = run::json(answer).await?;
        isolation.driver = Some(answered.driver);
        resources = Some(answered.resources);
    }
    let spec = spec_of(&session)?;
    Ok(Json(RuntimeStatus {
        id: session.id.to_string(),
        status: session.status,
        runtime: spec.runtime,
        size: spec.size,
        capabilities: capabilities(spec),
        opencode: no_agent(&session),
        browser: None,
        handoff: None,
        artifacts: artifact_summary(&app, &session.id).await?,
        isolation,
        resources,
        expires_at: session.expires_at,
    }))
}
