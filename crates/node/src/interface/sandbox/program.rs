//! What requests that run something have in common: where, with what, for how long, and how its end is told.

use super::{Interface, Unfulfilled};
use crate::sandbox::{Collected, Command, ExecError, Outcome, Said, Stream, Told};
use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Component, Path};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use vitrine_capsule::Exit;
use vitrine_model::Secret;
use vitrine_model::sandbox::{DURATION_MAX_MS, WORKSPACE};

/// How long a program may run when nobody says.
const TIMEOUT_DEFAULT_MS: u64 = 30_000;
/// Pieces of output that wait for a slow reader; then the program waits.
const SAID_MAX: usize = 16;
/// Between two signs of life while a program says nothing.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
const EVENT_STREAM: &str = "text/event-stream";

/// The part of a request that is the same whatever is run.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Circumstances {
    #[serde(default)]
    pub(super) env: BTreeMap<String, Secret>,
    pub(super) cwd: Option<String>,
    #[serde(default)]
    stdin: String,
    timeout_ms: Option<u64>,
}

impl Circumstances {
    pub(super) fn command(self, argv: Vec<String>) -> Result<Command, Unfulfilled> {
        let timeout_ms = self.timeout_ms.unwrap_or(TIMEOUT_DEFAULT_MS).clamp(1, DURATION_MAX_MS);
        Ok(Command {
            argv: without_nul("command", argv)?,
            env: env(self.env)?,
            cwd: cwd(self.cwd.as_deref())?,
            stdin: self.stdin.into_bytes(),
            time_limit: Duration::from_millis(timeout_ms),
        })
    }
}

/// Variables as they are given to a program.
pub(super) fn env(env: BTreeMap<String, Secret>) -> Result<Vec<(String, String)>, Unfulfilled> {
    let good = |(name, value): (String, Secret)| {
        let value = value.reveal().to_owned();
        match name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            true => Err(Unfulfilled::field("env", "a name is empty or has `=` in it, or a null byte is in one")),
            false => Ok((name, value)),
        }
    };
    env.into_iter().map(good).collect()
}

/// A working directory: below the workspace, when it is not absolute.
pub(super) fn cwd(cwd: Option<&str>) -> Result<String, Unfulfilled> {
    let given = cwd.unwrap_or(WORKSPACE);
    if given.contains('\0') {
        return Err(Unfulfilled::field("cwd", "a null byte is in it"));
    }
    Ok(Path::new(WORKSPACE).join(given).to_string_lossy().into_owned())
}

pub(super) fn without_nul(name: &str, words: Vec<String>) -> Result<Vec<String>, Unfulfilled> {
    match words.iter().any(|word| word.contains('\0')) {
        true => Err(Unfulfilled::field(name, "a null byte is in it")),
        false => Ok(words),
    }
}

/// A path of the sandbox's: below the workspace, when it is not absolute.
pub(super) fn inside(path: &str) -> Result<String, Unfulfilled> {
    if path.is_empty() || path.contains('\0') {
        return Err(Unfulfilled::field("path", "it is empty or has a null byte in it"));
    }
    let whole = Path::new(WORKSPACE).join(path);
    let plain = whole.components().filter(|part| !matches!(part, Component::CurDir));
    Ok(plain.collect::<std::path::PathBuf>().to_string_lossy().into_owned())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    exit_code: Option<i32>,
    signal: Option<&'static str>,
    timed_out: bool,
    duration_ms: u64,
    truncated: bool,
    peak_memory_bytes: u64,
    out_of_memory: bool,
}

impl Answer {
    fn of(outcome: &Outcome) -> Self {
        let (exit_code, signal) = match outcome.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(number)) => (None, Some(signal_name(number))),
            None => (None, None),
        };
        Self {
            stdout: None,
            stderr: None,
            exit_code,
            signal,
            timed_out: outcome.timed_out,
            duration_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
            truncated: false,
            peak_memory_bytes: outcome.peak_memory_bytes,
            out_of_memory: outcome.out_of_memory,
        }
    }

    /// Of a program that is not there, as a shell would put it.
    fn not_found(program: &str, error: &ExecError, code: i32) -> Self {
        Self {
            stdout: Some(String::new()),
            stderr: Some(format!("{program}: {error}\n")),
            exit_code: Some(code),
            signal: None,
            timed_out: false,
            duration_ms: 0,
            truncated: false,
            peak_memory_bytes: 0,
            out_of_memory: false,
        }
    }
}

/// Runs a command, and answers its end or, to who asks for events, what it says as it comes. `after` is done when it is over,
/// whoever still waits.
pub(super) async fn answer(
    interface: &Interface,
    headers: &HeaderMap,
    command: Command,
    after: impl Future<Output = ()> + Send + 'static,
) -> Result<Response, Unfulfilled> {
    let wants_events = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains(EVENT_STREAM));
    match wants_events {
        true => Ok(events(interface, command, after).await),
        false => whole(interface, command, after).await,
    }
}

async fn whole(
    interface: &Interface,
    command: Command,
    after: impl Future<Output = ()> + Send + 'static,
) -> Result<Response, Unfulfilled> {
    let Interface { shared, door, sandbox } = interface.clone();
    let program = command.argv.first().cloned().unwrap_or_default();
    let cwd = command.cwd.clone();
    let (end, ended) = oneshot::channel();
    let gone = CancellationToken::new();
    let _waits = gone.clone().drop_guard();
    // On a task of its own: what was started is also ended when the caller leaves.
    shared.serve(async move {
        let mut output = Collected::default();
        let outcome = sandbox.run(command, &door, &mut output, &gone).await;
        after.await;
        let _ = end.send((outcome, output));
    });
    let (outcome, output) = ended.await.map_err(|_| ExecError::Ending)?;
    let answer = match outcome {
        Ok(outcome) => {
            let truncated = output.truncated;
            let (stdout, stderr) = output.texts();
            Answer { stdout: Some(stdout), stderr: Some(stderr), truncated, ..Answer::of(&outcome) }
        }
        Err(error) => not_run(interface, &program, &cwd, error).await?,
    };
    Ok(Json(answer).into_response())
}

/// A program that is not there ends as a shell would have it end; everything else is an error.
async fn not_run(interface: &Interface, program: &str, cwd: &str, error: ExecError) -> Result<Answer, Unfulfilled> {
    let Some(code) = error.exit_code() else { return Err(error.into()) };
    let there = super::files::is_directory(&interface.sandbox, cwd.to_owned()).await;
    match there {
        true => Ok(Answer::not_found(program, &error, code)),
        false => Err(Unfulfilled::field("cwd", format!("{cwd} is no directory"))),
    }
}

/// What happens to a program, as it is told.
enum Event {
    Said(Said),
    Ended(Result<Outcome, ExecError>),
}

async fn events(interface: &Interface, command: Command, after: impl Future<Output = ()> + Send + 'static) -> Response {
    let Interface { shared, door, sandbox } = interface.clone();
    let (to, said) = mpsc::channel(SAID_MAX);
    let (end, ended) = oneshot::channel();
    let gone = CancellationToken::new();
    let waits = gone.clone().drop_guard();
    let (program, cwd) = (command.argv.first().cloned().unwrap_or_default(), command.cwd.clone());
    shared.serve(async move {
        let mut sink = Told::new(to);
        let outcome = sandbox.run(command, &door, &mut sink, &gone).await;
        after.await;
        sink.finish().await;
        let _ = end.send(outcome);
    });
    let said =
        stream::unfold(said, |mut said| async move { said.recv().await.map(|piece| (Event::Said(piece), said)) });
    let ended = stream::once(async move { Event::Ended(ended.await.unwrap_or(Err(ExecError::Ending))) });
    let interface = interface.clone();
    let frames = said.chain(ended).then(move |event| {
        // Dropped with the answer: whoever asked has left.
        let _waits = &waits;
        let (interface, program, cwd) = (interface.clone(), program.clone(), cwd.clone());
        async move { frame(&interface, &program, &cwd, event).await }
    });
    let body = Body::from_stream(with_comments(frames.boxed()));
    ([(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

async fn frame(interface: &Interface, program: &str, cwd: &str, event: Event) -> String {
    match event {
        Event::Said(said) => {
            let name = if said.stream == Stream::Stdout { "stdout" } else { "stderr" };
            sse(name, &serde_json::json!({ "data": said.text }))
        }
        Event::Ended(Ok(outcome)) => sse("exit", &Answer::of(&outcome)),
        Event::Ended(Err(error)) => match not_run(interface, program, cwd, error).await {
            Ok(answer) => {
                let said = sse("stderr", &serde_json::json!({ "data": answer.stderr }));
                said + &sse("exit", &Answer { stdout: None, stderr: None, ..answer })
            }
            Err(error) => sse("error", &serde_json::json!({ "error": error.message() })),
        },
    }
}

/// One event, as `text/event-stream` has it.
pub(super) fn sse(name: &str, data: &impl Serialize) -> String {
    // What is told has no keys that are not strings.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// The same frames, with a comment where there is none for a while.
pub(super) fn with_comments(
    frames: BoxStream<'static, String>,
) -> impl futures_util::Stream<Item = Result<String, Infallible>> {
    stream::unfold(frames, |mut frames| async move {
        match timeout(COMMENT_EVERY, frames.next()).await {
            Ok(frame) => frame.map(|frame| (Ok(frame), frames)),
            Err(_) => Some((Ok(": \n\n".to_owned()), frames)),
        }
    })
}

/// As the kernel's headers call it.
fn signal_name(number: i32) -> &'static str {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| NAMES.get(index)).copied().unwrap_or("SIGRT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_below_the_workspace_and_signals_have_names() {
        assert_eq!(inside("a/./b").unwrap(), "/workspace/a/b");
        assert_eq!(inside("/etc/passwd").unwrap(), "/etc/passwd");
        assert!(inside("").is_err() && inside("a\0b").is_err());
        assert_eq!(cwd(None).unwrap(), "/workspace");
        assert_eq!(cwd(Some("src")).unwrap(), "/workspace/src");
        assert_eq!(
            (signal_name(9), signal_name(15), signal_name(64), signal_name(0)),
            ("SIGKILL", "SIGTERM", "SIGRT", "SIGRT")
        );
    }
}
