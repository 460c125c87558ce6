//! A program that is run for somebody who waits for its end.
//!
//! Promises: the call ends with the program's own end, its time limit, its caller's leaving or the capsule's end, whatever
//! the program's children do with its output; a program that is not waited for any more is killed with all that it started.

use super::Sandbox;
use super::output::{Sink, Stream};
use crate::presence::Door;
use std::os::fd::AsFd;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use vitrine_capsule::{CapsuleError, Ended, Exec, Exit, Process, Refusal, Stdio, User};

/// The label of such programs: a node that finds one of its predecessor's kills it, for nobody waits for it.
pub(super) const EXEC: &str = "exec";
/// What is read of a program's output at once.
const PIECE_BYTES: usize = 32 * 1024;
/// What is read after a program's end, of each stream: what its pipe held, and not what its children go on to write.
const REST_BYTES_MAX: usize = 256 * 1024;
/// How long a killed program may take to end.
const KILL_LIMIT: Duration = Duration::from_secs(5);
const SIGKILL: i32 = 9;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;

/// What is to be run.
pub(crate) struct Command {
    pub(crate) argv: Vec<String>,
    /// On top of the sandbox's own.
    pub(crate) env: Vec<(String, String)>,
    /// Absolute.
    pub(crate) cwd: String,
    pub(crate) stdin: Vec<u8>,
    pub(crate) time_limit: Duration,
}

/// How it ended.
pub(crate) struct Outcome {
    /// Nothing when it could not even be killed in time.
    pub(crate) exit: Option<Exit>,
    pub(crate) timed_out: bool,
    pub(crate) duration: Duration,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) out_of_memory: bool,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error("the sandbox is paused")]
    Paused,
    #[error("the sandbox ends, or moves to disk")]
    Ending,
    /// Nobody waits for it any more.
    #[error("the caller has left")]
    Left,
    #[error("the command, its arguments and its environment are too long")]
    TooLong,
    #[error("too many programs run in the sandbox")]
    TooMany,
    /// The system's error number.
    #[error("{}", std::io::Error::from_raw_os_error(*.0))]
    NotStarted(i32),
    #[error("the sandbox does not answer")]
    Lost,
}

impl ExecError {
    /// The exit code that a shell gives for a program that it cannot start.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        match self {
            ExecError::NotStarted(ENOENT | ENOTDIR) => Some(127),
            ExecError::NotStarted(EACCES) => Some(126),
            _ => None,
        }
    }
}

impl From<CapsuleError> for ExecError {
    fn from(error: CapsuleError) -> Self {
        match error {
            CapsuleError::Refused(Refusal::Malformed(_)) => ExecError::TooLong,
            CapsuleError::Refused(Refusal::TooMany) => ExecError::TooMany,
            CapsuleError::Refused(Refusal::NotStarted(number) | Refusal::System(number)) => {
                ExecError::NotStarted(number)
            }
            CapsuleError::Frozen => ExecError::Paused,
            error => {
                tracing::warn!(%error, "a program could not be run");
                ExecError::Lost
            }
        }
    }
}

impl Sandbox {
    /// Runs a program to its end. `gone` is cancelled when nobody waits any more.
    pub(crate) async fn run(
        &self,
        command: Command,
        door: &Door,
        sink: &mut impl Sink,
        gone: &CancellationToken,
    ) -> Result<Outcome, ExecError> {
        let _acting = door.enter(true);
        if self.is_frozen() {
            return Err(ExecError::Paused);
        }
        let begun = Instant::now();
        let killed_before = self.oom_kills();
        let mut env = self.environment.clone();
        overlay(&mut env, command.env);
        let exec = Exec {
            name: EXEC.into(),
            argv: command.argv,
            env,
            cwd: command.cwd,
            user: User::Root,
            stdio: Stdio::Pipes { stdin: !command.stdin.is_empty(), stdout: true, stderr: true },
        };
        let mut process = self.start(exec).await?;
        let (ended, timed_out) = tokio::select! {
            ended = follow(&mut process, &command.stdin, sink) => (ended?, false),
            () = self.awake_for(command.time_limit) => (self.kill(&process).await, true),
            () = gone.cancelled() => {
                self.kill(&process).await;
                return Err(ExecError::Left);
            }
            () = self.closing.cancelled() => return Err(ExecError::Ending),
        };
        let succeeded = ended.is_some_and(|ended| ended.exit == Exit::Code(0));
        Ok(Outcome {
            exit: ended.map(|ended| ended.exit),
            timed_out,
            duration: begun.elapsed(),
            peak_memory_bytes: ended.map_or(0, |ended| ended.peak_memory_bytes),
            out_of_memory: !succeeded && self.oom_kills() > killed_before,
        })
    }

    /// Starts a program. Waits while everything stands still for a checkpoint.
    pub(super) async fn start(&self, exec: Exec) -> Result<Process, ExecError> {
        let _moving = self.moving.read().await;
        Ok(self.capsule().exec(exec).await?)
    }

    /// Kills a program with all that it started, and waits for its end.
    pub(super) async fn kill(&self, process: &Process) -> Option<Ended> {
        let killed = async {
            process.kill_tree(SIGKILL).await?;
            process.wait().await
        };
        match timeout(KILL_LIMIT, killed).await {
            Ok(Ok(ended)) => Some(ended),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a program could not be killed: its capsule is gone, most likely");
                None
            }
            Err(_) => {
                tracing::warn!(capsule = self.capsule().id(), "a killed program did not end in time");
                None
            }
        }
    }

    fn oom_kills(&self) -> u64 {
        self.capsule().oom_kills().unwrap_or(0)
    }
}

/// Sets what `more` names, in place of what was there.
pub(crate) fn overlay(env: &mut Vec<(String, String)>, more: Vec<(String, String)>) {
    env.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    env.extend(more);
}

/// Feeds a program and takes what it says, until it ends.
async fn follow(process: &mut Process, stdin: &[u8], sink: &mut impl Sink) -> Result<Option<Ended>, ExecError> {
    let (mut stdout, mut stderr) = (process.take_stdout(), process.take_stderr());
    let input = process.take_stdin();
    let mut feeding = pin!(async move {
        if let Some(mut input) = input {
            // A program need not read what it is given.
            let _ = input.write_all(stdin).await;
        }
    });
    let (mut fed, mut out, mut err) = (false, vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    let ended = loop {
        tokio::select! {
            biased;
            ended = process.wait() => break ended?,
            () = &mut feeding, if !fed => fed = true,
            count = piece(&mut stdout, &mut out) => sink.take(Stream::Stdout, &out[..count]).await,
            count = piece(&mut stderr, &mut err) => sink.take(Stream::Stderr, &err[..count]).await,
        }
    };
    for (pipe, stream) in [(&stdout, Stream::Stdout), (&stderr, Stream::Stderr)] {
        let Some(pipe) = pipe else { continue };
        let mut rest = 0;
        while let Ok(count @ 1..) = rustix::io::read(pipe.as_fd(), &mut out)
            && rest < REST_BYTES_MAX
        {
            rest += count;
            sink.take(stream, &out[..count]).await;
        }
    }
    Ok(Some(ended))
}

/// The next bytes. Never resolves again once there are no more.
async fn piece(pipe: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> usize {
    if let Some(open) = pipe
        && let Ok(count @ 1..) = open.read(buffer).await
    {
        return count;
    }
    *pipe = None;
    std::future::pending().await
}
