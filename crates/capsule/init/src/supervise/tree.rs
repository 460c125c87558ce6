//! All that a program has started: its process group, its session, its descendants, and those who have left all of these.
//!
//! Assumes that a program does what it can to be overlooked. Promises to stop everybody first, so that nobody escapes by
//! forking while the others are counted, and to give up in time when somebody cannot be stopped. A process that changed
//! its mark, left its session and lost its parent is overlooked: it stays in the capsule and ends with it.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};

/// Looks at the process table until everybody stands still; somebody may wait for a disk.
const ROUNDS_MAX: u32 = 20;
/// Between two looks: a process that was stopped takes a moment to notice.
const PAUSE: Duration = Duration::from_micros(500);
/// What carries the mark: a limit that is inherited, that programs leave alone and that concerns none of them, since
/// realtime scheduling is closed to capsules.
const MARK: Resource = Resource::Rttime;
/// Far above any limit that a program would set, and not yet unlimited.
const MARK_BASE: u64 = 1 << 62;
/// The line of `/proc/PID/limits` with the mark as its first number.
const MARK_LINE: &str = "Max realtime timeout";

/// Put a mark on what is started next.
pub fn wear(mark: u64) {
    // Where the machine has a limit itself, trees are known by their parents alone.
    let _ = rustix::process::setrlimit(MARK, Rlimit { current: Some(mark), maximum: None });
}

pub struct Tree {
    mark: String,
    /// The program itself, while it runs.
    program: Option<Pid>,
}

/// One line of the process table.
struct Process {
    pid: i32,
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
}

impl Tree {
    pub fn new(exec: u64, program: Option<Pid>) -> Self {
        Self { mark: Self::mark(exec).to_string(), program }
    }

    /// What all descendants of a program bear; see [`wear`].
    pub fn mark(exec: u64) -> u64 {
        MARK_BASE + exec
    }

    pub fn signal(&self, signal: Signal) {
        let mut members = Vec::new();
        for _ in 0..ROUNDS_MAX {
            members = self.members();
            let moving: Vec<&Process> = members.iter().filter(|process| !process.stands()).collect();
            if moving.is_empty() {
                break;
            }
            moving.iter().for_each(|process| process.signal(Signal::STOP));
            std::thread::sleep(PAUSE);
        }
        // The youngest first: the end of a parent would wake stopped children.
        for process in members.iter().rev() {
            process.signal(signal);
            if ![Signal::KILL, Signal::STOP].contains(&signal) {
                process.signal(Signal::CONT);
            }
        }
    }

    /// In the order of their ids.
    fn members(&self) -> Vec<Process> {
        let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut all: Vec<Process> = names.filter_map(|name| Process::read(name.to_str()?)).collect();
        all.sort_by_key(|process| process.pid);
        let mut members: Vec<bool> = all.iter().map(|process| self.has(process)).collect();
        // Once is enough, unless the ids have come round and a child has a lower one than its parent.
        let mut grown = true;
        while std::mem::take(&mut grown) {
            for child in 0..all.len() {
                let parent = all.binary_search_by_key(&all[child].parent, |process| process.pid);
                if !members[child] && parent.is_ok_and(|parent| members[parent]) {
                    members[child] = true;
                    grown = true;
                }
            }
        }
        all.into_iter().zip(members).filter_map(|(process, member)| member.then_some(process)).collect()
    }

    fn has(&self, process: &Process) -> bool {
        let program = self.program.map(|program| program.as_raw_nonzero().get());
        program.is_some_and(|program| [process.pid, process.group, process.session].contains(&program))
            || process.mark().is_some_and(|mark| mark == self.mark)
    }
}

impl Process {
    /// Nothing when it is gone already, or process 1.
    fn read(name: &str) -> Option<Self> {
        let pid = name.parse().ok().filter(|pid| *pid > 1)?;
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // Its own name comes before, and may have anything in it.
        let after = stat.iter().rposition(|byte| *byte == b')')?;
        let mut words = std::str::from_utf8(stat.get(after + 1..)?).ok()?.split_ascii_whitespace();
        let state = *words.next()?.as_bytes().first()?;
        let mut number = || words.next()?.parse().ok();
        Some(Self { pid, state, parent: number()?, group: number()?, session: number()? })
    }

    fn mark(&self) -> Option<String> {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.pid)).ok()?;
        let numbers = limits.lines().find_map(|line| line.strip_prefix(MARK_LINE))?;
        numbers.split_ascii_whitespace().next().map(str::to_owned)
    }

    /// Stopped, or dead.
    fn stands(&self) -> bool {
        b"TtZX".contains(&self.state)
    }

    /// One that is gone needs no signal.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}
