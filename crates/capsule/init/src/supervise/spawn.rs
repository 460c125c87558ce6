//! Starting one program.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio as StdStdio};

use rustix::pipe::PipeFlags;
use rustix::process::Pid;
use vitrine_init::{Exec, Refusal, Stdio, USER_ID, User};

use super::tail::Tail;
use crate::sys;

/// When memory runs out, programs go before process 1, which is small but not always the smallest.
const OOM_SCORE: &str = "100";

pub fn spawn(exec: &Exec, descriptors: Vec<OwnedFd>) -> Result<(Pid, Option<Tail>), Refusal> {
    let (program, arguments) =
        exec.argv.split_first().ok_or_else(|| Refusal::Malformed("the command is empty".into()))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(exec.env.iter().map(|(name, value)| (name, value))).current_dir(&exec.cwd);
    let tail = connect(&mut command, exec.stdio, descriptors)?;
    if exec.user == User::Ordinary {
        command.uid(USER_ID).gid(USER_ID);
    }
    sys::lead_session(&mut command);
    // The handle is dropped at once: the supervisor waits for all children alike.
    let child = command.spawn().map_err(|error| Refusal::NotStarted(error.raw_os_error().unwrap_or_default()))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Refusal::NotStarted(0))?;
    // A program that has already ended needs no score.
    let _ = fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero()), OOM_SCORE);
    Ok((pid, tail))
}

fn connect(command: &mut Command, stdio: Stdio, descriptors: Vec<OwnedFd>) -> Result<Option<Tail>, Refusal> {
    let mut given = descriptors.into_iter();
    match stdio {
        Stdio::Pipes { stdin, stdout, stderr } => {
            let mut next = |wanted: bool| match wanted {
                false => Ok(StdStdio::null()),
                true => {
                    given.next().map(StdStdio::from).ok_or_else(|| Refusal::Malformed("a descriptor is missing".into()))
                }
            };
            command.stdin(next(stdin)?).stdout(next(stdout)?).stderr(next(stderr)?);
            Ok(None)
        }
        Stdio::Tail => {
            let failed = |error: rustix::io::Errno| Refusal::System(error.raw_os_error());
            let (reading, writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
            rustix::fs::fcntl_setfl(&reading, rustix::fs::OFlags::NONBLOCK).map_err(failed)?;
            let copy =
                writing.try_clone().map_err(|error| Refusal::System(error.raw_os_error().unwrap_or_default()))?;
            command.stdin(StdStdio::null()).stdout(writing).stderr(copy);
            Ok(Some(Tail::new(reading)))
        }
    }
}
