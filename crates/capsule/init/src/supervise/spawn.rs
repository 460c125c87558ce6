//! Starting one program.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as StdStdio};

use rustix::fs::{Access, Uid};
use rustix::pipe::PipeFlags;
use rustix::process::Pid;
use vitrine_init::{Exec, Refusal, Stdio, USER_ID, User};

use super::tail::Tail;
use super::tree;
use crate::sys;

/// When memory runs out, programs go before process 1, which is small but not always the smallest.
const OOM_SCORE: &str = "100";

/// What init keeps of a program's input and output.
pub enum Kept {
    Nothing,
    Tail(Tail),
    /// The master of its terminal, which a host that connects again is given.
    Terminal(OwnedFd),
}

/// `mark` is what the tree of the program is known by.
pub fn spawn(exec: &Exec, mark: u64, descriptors: Vec<OwnedFd>) -> Result<(Pid, Kept), Refusal> {
    let (program, arguments) =
        exec.argv.split_first().ok_or_else(|| Refusal::Malformed("the command is empty".into()))?;
    let found = find(program, exec);
    let mut command = Command::new(found.as_deref().unwrap_or(Path::new(program)));
    command.arg0(program).args(arguments).env_clear().envs(exec.env.iter().map(|(name, value)| (name, value)));
    let kept = connect(&mut command, exec, descriptors)?;
    match kept {
        Kept::Terminal(_) => sys::lead_session(&mut command),
        _ => drop(command.process_group(0)),
    }
    tree::wear(mark);
    // The handle is dropped at once: the supervisor waits for all children alike.
    let child = start(command, exec).map_err(|error| Refusal::NotStarted(error.raw_os_error().unwrap_or_default()))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Refusal::NotStarted(0))?;
    // A program that has already ended needs no score.
    let _ = fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero()), OOM_SCORE);
    Ok((pid, kept))
}

/// Where the program's search path leads, if that is plain: a search after the fork would need a copy of process 1, see
/// [`start`].
fn find(program: &str, exec: &Exec) -> Option<PathBuf> {
    if exec.user == User::Ordinary || program.is_empty() || program.contains('/') {
        return None;
    }
    let path = &exec.env.iter().rfind(|(name, _)| name == "PATH")?.1;
    // What is not absolute depends on the program's own directory.
    let folders = path.split(':').map(Path::new).take_while(|folder| folder.is_absolute());
    folders
        .map(|folder| folder.join(program))
        .find(|place| place.is_file() && rustix::fs::access(place, Access::EXEC_OK).is_ok())
}

fn start(mut command: Command, exec: &Exec) -> io::Result<Child> {
    match exec.user {
        User::Ordinary => command.uid(USER_ID).gid(USER_ID).current_dir(&exec.cwd).spawn(),
        User::Root => {
            // With nothing left to do between fork and exec, process 1 need not be copied: that is a quarter of the time.
            std::env::set_current_dir(&exec.cwd)?;
            let child = command.spawn();
            std::env::set_current_dir("/")?;
            child
        }
    }
}

fn connect(command: &mut Command, exec: &Exec, descriptors: Vec<OwnedFd>) -> Result<Kept, Refusal> {
    match exec.stdio {
        Stdio::Pipes { stdin, stdout, stderr } => {
            let mut given = descriptors.into_iter();
            let mut next = |wanted: bool| match wanted {
                false => Ok(StdStdio::null()),
                true => {
                    given.next().map(StdStdio::from).ok_or_else(|| Refusal::Malformed("a descriptor is missing".into()))
                }
            };
            command.stdin(next(stdin)?).stdout(next(stdout)?).stderr(next(stderr)?);
            Ok(Kept::Nothing)
        }
        Stdio::Tail => {
            let (reading, writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
            rustix::fs::fcntl_setfl(&reading, rustix::fs::OFlags::NONBLOCK).map_err(failed)?;
            let copy = writing.try_clone().map_err(failed)?;
            command.stdin(StdStdio::null()).stdout(writing).stderr(copy);
            Ok(Kept::Tail(Tail::new(reading)))
        }
        Stdio::Terminal { cols, rows } => {
            let (master, theirs) = sys::open_terminal(cols, rows).map_err(failed)?;
            if exec.user == User::Ordinary {
                rustix::fs::fchown(&theirs, Some(Uid::from_raw(USER_ID)), None).map_err(failed)?;
            }
            command.stdin(theirs.try_clone().map_err(failed)?).stdout(theirs.try_clone().map_err(failed)?);
            command.stderr(theirs);
            Ok(Kept::Terminal(master))
        }
    }
}

fn failed(error: impl Into<io::Error>) -> Refusal {
    Refusal::System(error.into().raw_os_error().unwrap_or_default())
}
