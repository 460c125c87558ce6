//! `/v1/sandboxes/checkpoint…`: the workspace as it was at a moment, kept for ever after or begun from again.

use super::pause::Wish;
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done};
use crate::gate::Caller;
use crate::request::{Fields, Query, body};
use crate::run;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::Method;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::{CheckpointId, Code, Error, Status};

/// A workspace of gigabytes takes its time to be read or written.
const CHECKPOINT_TIME_MAX: Duration = Duration::from_secs(1_800);

/// A kept workspace.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    #[schema(example = "checkpoints/mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub key: String,
    /// Bytes that it needs, what it shares with other checkpoints included.
    pub size: u64,
    /// Bytes of the files in it.
    pub workspace_bytes: u64,
    /// Epoch milliseconds.
    pub created_at: i64,
}

impl From<vitrine_store::Checkpoint> for Checkpoint {
    fn from(kept: vitrine_store::Checkpoint) -> Self {
        Self {
            key: kept.key(),
            id: kept.id.to_string(),
            size: kept.size,
            workspace_bytes: kept.workspace_bytes,
            created_at: kept.created_at,
        }
    }
}

/// A checkpoint that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CreatedCheckpoint {
    #[schema(example = true)]
    pub ok: bool,
    pub checkpoint: Checkpoint,
}

/// A sandbox's checkpoints, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckpointList {
    pub id: String,
    pub items: Vec<Checkpoint>,
}

/// Which checkpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RestoreCheckpoint)]
pub struct RestoreWish {
    pub id: String,
    /// Any of the organization.
    pub checkpoint_id: String,
}

/// Persist a snapshot of the workspace.
///
/// It is taken while the sandbox is frozen for a moment, and brought while it goes on. What an earlier checkpoint holds already is
/// not brought again. Files in `/workspace/artifacts` become artifacts. One that is paused stays so; when it was moved to
/// disk, it is to be resumed first.
#[utoipa::path(
    post, path = "/v1/sandboxes/checkpoint", operation_id = "createCheckpoint", tag = "Sandbox checkpoints",
    request_body = Wish, responses((status = 200, description = "It is kept", body = CreatedCheckpoint))
)]
pub async fn create(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<CreatedCheckpoint>> {
    let body = body::object(body, app.body_limits()).await?;
    let session = super::named(&app, &caller, &Fields::of(&body)).await?;
    let id = CheckpointId::new(app.clock.now(), app.entropy.as_ref());
    let request = run::json_request(Method::POST, "/checkpoint", &json!({"checkpointId": id}))?;
    if session.status == Status::Paused && session.stored {
        let message = "the sandbox is paused and was moved to disk: resume it to make a checkpoint";
        return Err(Error::new(Code::InvalidState, message).with("status", session.status.as_str()).into());
    }
    // What is frozen stands still as it is.
    let connected = match session.status {
        Status::Paused => app.dial_frozen(&session, "a checkpoint").await?,
        _ => app.dial_run(&session, "a checkpoint").await?,
    };
    run::ask(connected, request, CHECKPOINT_TIME_MAX).await?;
    let kept = app.store.checkpoint(caller.organization_id(), &id).await?;
    let kept = kept.ok_or_else(|| Error::internal("a machine made a checkpoint and did not bring it"))?;
    Ok(Json(CreatedCheckpoint { ok: true, checkpoint: kept.into() }))
}

/// List a sandbox's checkpoints.
///
/// Those of one that is over too.
#[utoipa::path(
    get, path = "/v1/sandboxes/checkpoints", operation_id = "listCheckpoints", tag = "Sandbox checkpoints",
    params(("id" = String, Query, description = "The sandbox")),
    responses((status = 200, description = "Newest first", body = CheckpointList))
)]
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<CheckpointList>> {
    let session = super::asked(&app, &caller, &query).await?;
    let items =
        app.store.checkpoints(caller.organization_id(), &session.id).await?.into_iter().map(Checkpoint::from).collect();
    Ok(Json(CheckpointList { id: session.id.to_string(), items }))
}

/// Make the workspace what it was at a checkpoint.
///
/// It replaces all of `/workspace`; processes go on.
#[utoipa::path(
    post, path = "/v1/sandboxes/checkpoint/restore", operation_id = "restoreCheckpoint", tag = "Sandbox checkpoints",
    request_body = RestoreWish, responses((status = 200, description = "It is as it was", body = Done))
)]
pub async fn restore(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<Done>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let id: CheckpointId = fields.id("checkpointId", "checkpoint")?;
    let session = super::named(&app, &caller, &fields).await?;
    let kept = app.store.checkpoint(caller.organization_id(), &id).await?;
    kept.ok_or_else(|| Error::not_found("checkpoint"))?;
    let request = run::json_request(Method::POST, "/checkpoint/restore", &json!({"checkpointId": id}))?;
    app.ask_run(&session, "restoring a checkpoint", request, CHECKPOINT_TIME_MAX).await?;
    Ok(Json(DONE))
}
