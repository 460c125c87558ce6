//! The programs that the host started: which run, how they ended, what they wrote last.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use vitrine_init::{EXECS_MAX, Ended, Exec, ExecState, FINISHED_MAX, LIST_MAX, NAME_BYTES_MAX, Refusal, Whom};

use super::spawn::{self, Kept};
use super::tree::Tree;
use crate::sys;

struct Program {
    name: String,
    pid: Pid,
    ended: Option<Ended>,
    kept: Kept,
}

impl Program {
    fn running(&self) -> Option<Pid> {
        self.ended.is_none().then_some(self.pid)
    }
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
        let id = self.started + 1;
        let (pid, kept) = spawn::spawn(&exec, Tree::mark(id), descriptors)?;
        self.started = id;
        self.running.insert(pid, id);
        self.programs.insert(id, Program { name: exec.name, pid, ended: None, kept });
        Ok(id)
    }

    /// The open output of a program whose tail is kept.
    pub fn output(&self, exec: u64) -> Option<&OwnedFd> {
        match &self.programs.get(&exec)?.kept {
            Kept::Tail(tail) => tail.source(),
            _ => None,
        }
    }

    /// Read what a program wrote; at its end, the descriptor that need not be watched any more.
    pub fn collect(&mut self, exec: u64) -> Option<OwnedFd> {
        match &mut self.programs.get_mut(&exec)?.kept {
            Kept::Tail(tail) => tail.collect(),
            _ => None,
        }
    }

    /// Another descriptor of the terminal of a program.
    pub fn terminal(&self, exec: u64) -> Result<OwnedFd, Refusal> {
        match self.programs.get(&exec).map(|program| &program.kept) {
            Some(Kept::Terminal(master)) => {
                master.try_clone().map_err(|error| Refusal::System(error.raw_os_error().unwrap_or_default()))
            }
            _ => Err(Refusal::NoSuchExec),
        }
    }

    /// Bury every process that has ended, ours or adopted; name those that the host started.
    pub fn reap(&mut self) -> Vec<(u64, Ended)> {
        let mut ends = Vec::new();
        while let Some((pid, ended)) = sys::bury() {
            let Some(exec) = self.running.remove(&pid) else { continue };
            if let Some(program) = self.programs.get_mut(&exec) {
                program.ended = Some(ended);
            }
            self.finished.push_back(exec);
            ends.push((exec, ended));
        }
        while self.finished.len() > FINISHED_MAX {
            self.finished.pop_front().and_then(|exec| self.programs.remove(&exec));
        }
        ends
    }

    pub fn kill(&self, whom: Whom, signal: i32) -> Result<(), Refusal> {
        let signal = Signal::from_named_raw(signal).ok_or_else(|| Refusal::Malformed("no such signal".into()))?;
        let done = match whom {
            Whom::Everybody => sys::kill_everybody(signal),
            Whom::Group(exec) => {
                let program = self.programs.get(&exec).and_then(Program::running).ok_or(Refusal::NoSuchExec)?;
                rustix::process::kill_process_group(program, signal)
            }
            Whom::Tree(exec) => {
                let program = self.programs.get(&exec).and_then(Program::running);
                Tree::new(exec, program).signal(signal);
                Ok(())
            }
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
            terminal: matches!(program.kept, Kept::Terminal(_)),
            ended: program.ended,
        };
        self.programs.range(after.saturating_add(1)..).take(LIST_MAX).map(state).collect()
    }

    pub fn write_tail(&self, exec: u64, descriptors: Vec<OwnedFd>) -> Result<(), Refusal> {
        let Some(Kept::Tail(tail)) = self.programs.get(&exec).map(|program| &program.kept) else {
            return Err(Refusal::NoSuchExec);
        };
        let target = descriptors.first().ok_or_else(|| Refusal::Malformed("no descriptor to write to".into()))?;
        tail.write(target.as_fd()).map_err(|error| Refusal::System(error.raw_os_error()))
    }
}
