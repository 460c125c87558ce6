//! The programs that the host started: which run, how they ended, what they wrote last.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use vitrine_init::{EXECS_MAX, Exec, ExecState, Exit, FINISHED_MAX, LIST_MAX, NAME_BYTES_MAX, Refusal};

use super::spawn;
use super::tail::Tail;

struct Program {
    name: String,
    pid: Pid,
    exit: Option<Exit>,
    tail: Option<Tail>,
}

#[derive(Default)]
pub struct Programs {
    /// By id, in the order of their start.
    programs: BTreeMap<u64, Program>,
    running: HashMap<Pid, u64>,
    finished: VecDeque<u64>,
    started: u64,
}

impl Programs {
    pub fn start(&mut self, exec: Exec, descriptors: Vec<OwnedFd>) -> Result<u64, Refusal> {
        if self.running.len() >= EXECS_MAX {
            return Err(Refusal::TooMany);
        }
        if exec.name.len() > NAME_BYTES_MAX {
            return Err(Refusal::Malformed(format!("a name has at most {NAME_BYTES_MAX} bytes")));
        }
        let (pid, tail) = spawn::spawn(&exec, descriptors)?;
        self.started += 1;
        self.running.insert(pid, self.started);
        self.programs.insert(self.started, Program { name: exec.name, pid, exit: None, tail });
        Ok(self.started)
    }

    /// The open output of a program whose tail is kept.
    pub fn output(&self, exec: u64) -> Option<&OwnedFd> {
        self.programs.get(&exec)?.tail.as_ref()?.source()
    }

    /// Read what a program wrote; at its end, the descriptor that need not be watched any more.
    pub fn collect(&mut self, exec: u64) -> Option<OwnedFd> {
        self.programs.get_mut(&exec)?.tail.as_mut()?.collect()
    }

    /// Bury every process that has ended, ours or adopted; name those that the host started.
    pub fn reap(&mut self) -> Vec<(u64, Exit)> {
        let mut exits = Vec::new();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Some(exec) = self.running.remove(&pid) else { continue };
            let exit = exit_of(status);
            if let Some(program) = self.programs.get_mut(&exec) {
                program.exit = Some(exit);
            }
            self.finished.push_back(exec);
            exits.push((exec, exit));
        }
        while self.finished.len() > FINISHED_MAX {
            self.finished.pop_front().and_then(|exec| self.programs.remove(&exec));
        }
        exits
    }

    pub fn kill(&self, exec: Option<u64>, signal: i32) -> Result<(), Refusal> {
        let signal = Signal::from_named_raw(signal).ok_or_else(|| Refusal::Malformed("no such signal".into()))?;
        let done = match exec {
            Some(exec) => {
                let program = self.programs.get(&exec).filter(|program| program.exit.is_none());
                rustix::process::kill_process_group(program.ok_or(Refusal::NoSuchExec)?.pid, signal)
            }
            None => crate::sys::kill_everybody(signal),
        };
        match done {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(Refusal::System(error.raw_os_error())),
        }
    }

    pub fn list(&self, after: u64) -> Vec<ExecState> {
        let state = |(exec, program): (&u64, &Program)| ExecState {
            exec: *exec,
            name: program.name.clone(),
            exit: program.exit,
        };
        self.programs.range(after.saturating_add(1)..).take(LIST_MAX).map(state).collect()
    }

    pub fn write_tail(&self, exec: u64, descriptors: Vec<OwnedFd>) -> Result<(), Refusal> {
        let tail = self.programs.get(&exec).and_then(|program| program.tail.as_ref()).ok_or(Refusal::NoSuchExec)?;
        let target = descriptors.first().ok_or_else(|| Refusal::Malformed("no descriptor to write to".into()))?;
        tail.write(target.as_fd()).map_err(|error| Refusal::System(error.raw_os_error()))
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}
