//! What `exec` and `code` share: a program's surroundings, its answer, its events.

use super::wish::read_env;
use crate::app::App;
use crate::request::{Fields, body};
use crate::run;
use axum::response::Response;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::{EpochMs, Error};
use vitrine_store::Session;

/// Largest body of a request with a program's input or a file's content.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// `timeout` where the client names none.
const TIMEOUT_MS_DEFAULT: u64 = 30_000;
/// How much longer than a program may run its answer may take: for killing its processes and reading what they left.
const ANSWER_MARGIN: Duration = Duration::from_secs(15);
/// Longest path.
pub const PATH_BYTES_MAX: usize = 4_096;
/// What is not possible while a sandbox does not run.
const WHAT: &str = "running a program";

/// How a program ended, and what it wrote.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgramResult {
    /// UTF-8; what is not is replaced by `U+FFFD`.
    pub stdout: String,
    pub stderr: String,
    /// Null when a signal ended it.
    #[schema(example = 0)]
    pub exit_code: Option<i32>,
    #[schema(example = "SIGKILL")]
    pub signal: Option<String>,
    /// It was killed, with every process that it started, because its time was over.
    pub timed_out: bool,
    pub duration_ms: u64,
    /// A stream was longer than 1 MiB and is cut.
    pub truncated: bool,
    /// The most memory that one of its processes held at once.
    pub peak_memory_bytes: Option<u64>,
    /// The sandbox's memory was used up while it ran, and a process was killed for it.
    pub out_of_memory: bool,
}

/// A program's surroundings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Surroundings<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<&'a str>,
    timeout_ms: u64,
}

/// What is run, and in which surroundings.
#[derive(Debug, Serialize)]
struct Order<'a, T> {
    #[serde(flatten)]
    what: T,
    #[serde(flatten)]
    surroundings: Surroundings<'a>,
}

impl<'a> Surroundings<'a> {
    /// Reads the fields that both calls have.
    pub fn read(fields: &Fields<'a>) -> Result<Self, Error> {
        Ok(Self {
            env: read_env(fields)?,
            cwd: fields.argument("cwd", 1..=PATH_BYTES_MAX)?,
            stdin: fields.content("stdin", 0..=BODY_BYTES_MAX)?,
            timeout_ms: fields.integer("timeout", 1..=u64::MAX)?.unwrap_or(TIMEOUT_MS_DEFAULT),
        })
    }

    /// Runs something; answers once it ended, or with its events when the client asks for them.
    pub async fn run(
        mut self,
        app: &App,
        session: &Session,
        headers: &HeaderMap,
        (path, what): (&str, impl Serialize),
    ) -> Result<Response, Error> {
        self.timeout_ms = self.timeout_ms.min(left_ms(session, app.clock.now()));
        let limit = Duration::from_millis(self.timeout_ms) + ANSWER_MARGIN;
        let mut request = run::json_request(Method::POST, path, &Order { what, surroundings: self })?;
        if !run::wants_events(headers) {
            return Ok(run::pass(app.ask_run(session, WHAT, request, limit).await?));
        }
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(run::EVENTS));
        Ok(run::pass_events(app.ask_run(session, WHAT, request, run::ANSWER_TIME_MAX).await?))
    }
}

/// How long a session runs on at most.
fn left_ms(session: &Session, now: EpochMs) -> u64 {
    let expires_at = session.expires_at.unwrap_or(EpochMs::MAX);
    u64::try_from(expires_at.saturating_sub(now)).unwrap_or(0).max(1)
}

/// How much of a body with a program's input or a file's content is read.
pub fn body_limits(app: &App) -> body::Limits {
    body::Limits { bytes_max: BODY_BYTES_MAX, ..app.body_limits() }
}
