//! `POST /v1/sandboxes/exec`: run a command.

use super::program::{self, PATH_BYTES_MAX, ProgramResult, Surroundings};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::Fields;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Longest argument that Linux starts a program with (`MAX_ARG_STRLEN`, without its NUL).
const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;
/// Most arguments.
const ARGUMENTS_MAX: usize = 4_096;

/// A command.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExecCommand, example = json!({"id": "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a", "command": "echo hello"}))]
pub struct Wish {
    pub id: String,
    /// Without `args` a line for `sh -lc`; with them the program's name.
    #[schema(max_length = 131_071)]
    pub command: String,
    /// Given to the program as they are; no shell reads them.
    #[schema(nullable = false, max_items = 4_096)]
    pub args: Option<Vec<String>>,
    /// Milliseconds after which it is killed with every process that it started; at most the sandbox's remaining time.
    #[schema(required = false, minimum = 1, default = 30_000)]
    pub timeout: u64,
    /// On top of the sandbox's own.
    #[schema(required = false)]
    pub env: BTreeMap<String, String>,
    /// Where it starts; relative to `/workspace`, which is the default.
    #[schema(nullable = false, max_length = 4_096)]
    pub cwd: Option<String>,
    /// What it reads; without, it reads nothing.
    #[schema(nullable = false)]
    pub stdin: Option<String>,
}

/// Execute a command.
///
/// 200 whatever its exit code. A process that goes on in the background does not hold the answer up, and lives on. With
/// `Accept: text/event-stream` its output comes as it is written: events `stdout` and `stderr` with `{"data"}`, at last `exit` with the
/// rest of the result; a client that leaves ends it.
#[utoipa::path(
    post, path = "/v1/sandboxes/exec", operation_id = "execInSandbox", tag = "Sandbox programs", request_body = Wish,
    responses((status = 200, description = "It ended", content((ProgramResult = "application/json"), (String = "text/event-stream"))))
)]
pub async fn exec(State(app): State<App>, caller: Caller, headers: HeaderMap, body: Body) -> Answer<Response> {
    let (body, room) = program::object(&app, body).await?;
    let fields = Fields::of(&body);
    let command = fields.required("command", fields.argument("command", 1..=ARGUMENT_BYTES_MAX)?)?;
    let args = fields.arguments("args", ARGUMENTS_MAX, ARGUMENT_BYTES_MAX)?;
    let longest = if args.is_some() { PATH_BYTES_MAX } else { ARGUMENT_BYTES_MAX };
    if command.len() > longest {
        return Err(fields.wrong("command", format!("expected a program's name of at most {longest} bytes")).into());
    }
    let surroundings = Surroundings::read(&fields)?;
    let session = super::named(&app, &caller, &fields).await?;
    let program = surroundings.order(&app, &session, ("/exec", Command { command, args }))?;
    drop((body, room));
    Ok(program.run(&app, &session, &headers).await?)
}

/// The command as the run reads it.
#[derive(Serialize)]
struct Command<'a> {
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Vec<&'a str>>,
}
