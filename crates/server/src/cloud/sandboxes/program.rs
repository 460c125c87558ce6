//! What `exec` and `code` share: a program's surroundings, its answer, its events.

use super::wish::read_env;
use crate::app::App;
use crate::request::{Fields, body};
use crate::run;
use axum::body::Body;
use axum::response::Response;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Request};
use hyper::body::Body as _;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use utoipa::ToSchema;
use vitrine_model::{Code, EpochMs, Error};
use vitrine_store::Session;

/// Largest body of a request with a program's input or a file's content.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
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

    /// The order to run something in a sandbox. It holds nothing of the client's request, which may be large.
    pub fn order(
        mut self,
        app: &App,
        session: &Session,
        (path, what): (&str, impl Serialize),
    ) -> Result<Program, Error> {
        self.timeout_ms = self.timeout_ms.min(left_ms(session, app.clock.now()));
        let time_max = Duration::from_millis(self.timeout_ms) + ANSWER_MARGIN;
        let request = run::json_request(Method::POST, path, &Order { what, surroundings: self })?;
        Ok(Program { request, time_max })
    }
}

/// A program to be run.
pub struct Program {
    request: Request<Body>,
    time_max: Duration,
}

impl Program {
    /// Runs it; answers once it ended, or with its events when the client asks for them.
    pub async fn run(mut self, app: &App, session: &Session, headers: &HeaderMap) -> Result<Response, Error> {
        if !run::wants_events(headers) {
            return Ok(run::pass(app.ask_run(session, WHAT, self.request, self.time_max).await?));
        }
        self.request.headers_mut().insert(ACCEPT, HeaderValue::from_static(run::EVENTS));
        Ok(run::pass_events(app.ask_run(session, WHAT, self.request, run::ANSWER_TIME_MAX).await?))
    }
}

/// How long a session runs on at most.
fn left_ms(session: &Session, now: EpochMs) -> u64 {
    let expires_at = session.expires_at.unwrap_or(EpochMs::MAX);
    u64::try_from(expires_at.saturating_sub(now)).unwrap_or(0).max(1)
}

/// Reads a body with a program's input or a file's content. A large one waits for room, which it gives back when what came
/// with it is dropped.
pub async fn object(app: &App, body: Body) -> Result<(Map<String, Value>, Option<SemaphorePermit<'_>>), Error> {
    let limits = body::Limits { bytes_max: BODY_BYTES_MAX, ..app.body_limits() };
    let is_large = |bytes: u64| bytes > app.body_limits().bytes_max as u64;
    // What does not say how long it is may be as long as is taken; what is longer is refused without room.
    let announced = body.size_hint().upper().unwrap_or(BODY_BYTES_MAX as u64);
    let mut room = None;
    if is_large(announced) && announced <= BODY_BYTES_MAX as u64 {
        let mib = u32::try_from(announced.div_ceil(MIB)).unwrap_or(u32::MAX);
        let busy = |_| Error::new(Code::Unavailable, "too many large requests are under way; try again in a moment");
        let acquired = timeout(limits.time_max, app.large.acquire_many(mib)).await.map_err(busy)?;
        room = Some(acquired.map_err(Error::internal)?);
    }
    let bytes = body::bytes(body, limits).await?;
    let room = room.filter(|_| is_large(bytes.len() as u64));
    Ok((body::parse(&bytes)?, room))
}
