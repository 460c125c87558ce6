//! Checkpoints of the workspace, made and gone back to.

use super::{Interface, Unfulfilled};
use crate::interface::Request;
use crate::sandbox::NoCheckpoint;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use vitrine_model::CheckpointId;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Which {
    checkpoint_id: CheckpointId,
}

pub(super) async fn make(
    State(interface): State<Interface>,
    Request(Which { checkpoint_id }): Request<Which>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    interface.sandbox.keep_artifacts(&interface.shared).await;
    let kept = interface.sandbox.make_checkpoint(&interface.shared, checkpoint_id).await?;
    Ok(Json(serde_json::json!({ "size": kept.size, "workspaceBytes": kept.workspace_bytes, "files": kept.files })))
}

pub(super) async fn restore(
    State(interface): State<Interface>,
    Request(Which { checkpoint_id }): Request<Which>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    interface.sandbox.restore(&interface.shared, checkpoint_id).await?;
    Ok(Json(serde_json::json!({ "ok": true })))
}

impl From<NoCheckpoint> for Unfulfilled {
    fn from(error: NoCheckpoint) -> Self {
        Unfulfilled::new(StatusCode::CONFLICT, error.to_string())
    }
}
