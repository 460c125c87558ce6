//! Terminals: opened, listed, ended. What is said in them goes over streams of their own.

use super::program::{cwd, env, without_nul};
use super::{Interface, Unfulfilled};
use crate::interface::Request;
use crate::sandbox::{ExecError, Opening, TerminalError};
use axum::Json;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeMap;
use vitrine_model::Secret;

/// The most that programs take for a size without harm.
const SIZE_MAX: u16 = 1000;

#[derive(Deserialize)]
pub(super) struct Wanted {
    cols: Option<u16>,
    rows: Option<u16>,
    /// A line for a shell; without, a shell.
    command: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, Secret>,
    cwd: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Which {
    terminal_id: u64,
}

pub(super) async fn open(
    State(interface): State<Interface>,
    Request(wanted): Request<Wanted>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    if interface.sandbox.capsule().lacks("terminals") {
        let message = "the isolation driver of this sandbox has no terminals";
        return Err(Unfulfilled::new(StatusCode::NOT_IMPLEMENTED, message));
    }
    let argv = match wanted.command {
        None => vec!["bash".into(), "-l".into()],
        Some(line) => without_nul("command", vec!["sh".into(), "-lc".into(), line])?,
    };
    let opening = Opening {
        argv,
        env: env(wanted.env)?,
        cwd: cwd(wanted.cwd.as_deref())?,
        cols: wanted.cols.unwrap_or(80).clamp(1, SIZE_MAX),
        rows: wanted.rows.unwrap_or(24).clamp(1, SIZE_MAX),
    };
    let directory = opening.cwd.clone();
    match interface.sandbox.open_terminal(&interface.shared, opening).await {
        Ok(id) => Ok(Json(serde_json::json!({ "terminalId": id }))),
        Err(TerminalError::Exec(error)) => match error {
            ExecError::NotStarted(_) => Err(Unfulfilled::field("cwd", format!("{directory}: {error}"))),
            error => Err(error.into()),
        },
        Err(error @ TerminalError::TooMany) => Err(Unfulfilled::new(StatusCode::CONFLICT, error.to_string())),
    }
}

pub(super) async fn list(State(interface): State<Interface>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "terminals": interface.sandbox.terminals().list() }))
}

pub(super) async fn end(
    State(interface): State<Interface>,
    Query(Which { terminal_id }): Query<Which>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    match interface.sandbox.terminals().end(terminal_id).await {
        true => Ok(Json(serde_json::json!({ "ok": true }))),
        false => Err(Unfulfilled::new(StatusCode::NOT_FOUND, "there is no such terminal")),
    }
}
