//! Control groups: one for each capsule in every hierarchy that counts or limits something.
//!
//! Assumes root at the top of the hierarchies that this process sees. Promises the same limits on v1, v2 and hybrid
//! machines, and that a group is removed only when nobody lives in it.

mod freezer;
mod hierarchy;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::error::Doing;
use crate::{CapsuleError, Limits};
pub(crate) use hierarchy::Hierarchies;
use hierarchy::Version;

/// A processor's weight of 100 in the v1 unit.
const SHARES_OF_HUNDRED: u64 = 1024;
const SHARES_MIN: u64 = 2;
const SHARES_MAX: u64 = 262_144;
const CPU_PERIOD_US: u64 = 100_000;
/// How long the kernel may take to end killed processes.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
/// How often the making of a group begins again when its folder goes meanwhile.
const ATTEMPTS: u32 = 10;
const POLL_MIN: Duration = Duration::from_millis(1);
const POLL_MAX: Duration = Duration::from_millis(20);

/// What a capsule uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub memory_bytes: u64,
    /// Nothing on v2 before Linux 5.19.
    pub memory_peak_bytes: Option<u64>,
    pub cpu_ns: u64,
    pub pids: u32,
}

/// The groups of one capsule. Naming them does not make them.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    hierarchies: Hierarchies,
    name: String,
}

impl Group {
    pub fn new(hierarchies: &Hierarchies, name: &str) -> Self {
        Self { hierarchies: hierarchies.clone(), name: name.to_owned() }
    }

    /// Its place below the root of every hierarchy.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.hierarchies.folder(), self.name)
    }

    pub fn create(&self, limits: &Limits) -> Result<(), CapsuleError> {
        for attempt in 1.. {
            match self.hierarchies.open().and_then(|()| self.make_directories()) {
                // The last capsule but this took the folder with it, between our steps.
                Err(CapsuleError::System { source, .. })
                    if source.kind() == ErrorKind::NotFound && attempt < ATTEMPTS => {}
                other => {
                    other?;
                    break;
                }
            }
        }
        self.limit(limits)
    }

    fn make_directories(&self) -> Result<(), CapsuleError> {
        for directory in self.directories() {
            match fs::create_dir(&directory) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                other => other.doing(|| format!("make the cgroup {}", directory.display()))?,
            }
        }
        Ok(())
    }

    /// What to write `0` to in order to join, one file in each hierarchy, for a process of one thread: joining v1 by
    /// thread takes microseconds, by process the kernel waits some milliseconds for all processors.
    pub fn entrances(&self) -> Vec<PathBuf> {
        let file = |version: &Version| match version {
            Version::One => "tasks",
            Version::Two => "cgroup.procs",
        };
        self.hierarchies.all.iter().map(|(base, version)| base.join(&self.name).join(file(version))).collect()
    }

    /// Takes effect at once on everybody in the group.
    pub fn limit(&self, limits: &Limits) -> Result<(), CapsuleError> {
        self.limit_memory(limits.memory_bytes)?;
        self.write(&self.pids(), "pids.max", limits.pids_max)?;
        let cpu = self.cpu();
        let quota = limits.cpu_max_millis.map(|millis| u64::from(millis) * CPU_PERIOD_US / 1000);
        match self.hierarchies.cpu.version {
            Version::One => {
                let shares = u64::from(limits.cpu_weight) * SHARES_OF_HUNDRED / 100;
                self.write(&cpu, "cpu.shares", shares.clamp(SHARES_MIN, SHARES_MAX))?;
                self.write(&cpu, "cpu.cfs_period_us", CPU_PERIOD_US)?;
                self.write(&cpu, "cpu.cfs_quota_us", quota.map_or("-1".into(), |quota| quota.to_string()))
            }
            Version::Two => {
                self.write(&cpu, "cpu.weight", limits.cpu_weight)?;
                let quota = quota.map_or("max".into(), |quota| quota.to_string());
                self.write(&cpu, "cpu.max", format!("{quota} {CPU_PERIOD_US}"))
            }
        }
    }

    fn limit_memory(&self, bytes: u64) -> Result<(), CapsuleError> {
        let memory = self.memory();
        match self.hierarchies.memory.version {
            Version::One => {
                let (own, with_swap) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
                if !memory.join(with_swap).exists() {
                    return self.write(&memory, own, bytes);
                }
                // The limit with swap may never be the lower one: which goes first depends on the direction.
                if self.write(&memory, own, bytes).is_ok() {
                    return self.write(&memory, with_swap, bytes);
                }
                self.write(&memory, with_swap, bytes)?;
                self.write(&memory, own, bytes)
            }
            Version::Two => {
                self.write(&memory, "memory.max", bytes)?;
                match self.write(&memory, "memory.swap.max", 0) {
                    // A kernel without swap accounting.
                    Err(CapsuleError::System { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(()),
                    other => other,
                }
            }
        }
    }

    pub fn usage(&self) -> Result<Usage, CapsuleError> {
        let memory = self.memory();
        let (now, peak) = match self.hierarchies.memory.version {
            Version::One => ("memory.usage_in_bytes", "memory.max_usage_in_bytes"),
            Version::Two => ("memory.current", "memory.peak"),
        };
        let cpu_ns = match self.hierarchies.accounting.version {
            Version::One => self.number(&self.accounting(), "cpuacct.usage", None)?,
            Version::Two => self.number(&self.accounting(), "cpu.stat", Some("usage_usec"))? * 1000,
        };
        Ok(Usage {
            memory_bytes: self.number(&memory, now, None)?,
            memory_peak_bytes: self.number(&memory, peak, None).ok(),
            cpu_ns,
            pids: self.number(&self.pids(), "pids.current", None)? as u32,
        })
    }

    /// How many processes the kernel has killed for want of memory.
    pub fn oom_kills(&self) -> Result<u64, CapsuleError> {
        let file = match self.hierarchies.memory.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        self.number(&self.memory(), file, Some("oom_kill"))
    }

    /// Whoever lives in any of the groups.
    pub fn members(&self) -> Vec<Pid> {
        let mut members: Vec<i32> = self
            .directories()
            .filter_map(|directory| fs::read_to_string(directory.join("cgroup.procs")).ok())
            .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>())
            .collect();
        members.sort_unstable();
        members.dedup();
        members.into_iter().filter_map(Pid::from_raw).collect()
    }

    pub fn exists(&self) -> bool {
        self.directories().any(|directory| directory.exists())
    }

    /// End everybody. Returns whom it killed when nobody is left, and nothing when the deadline has passed.
    pub async fn kill(&self) -> Option<Vec<OwnedFd>> {
        // Without room for another process, killing catches up with any fork bomb. The group may be gone already.
        let _ = self.write(&self.pids(), "pids.max", 0);
        let deadline = tokio::time::Instant::now() + KILL_DEADLINE;
        let mut pause = POLL_MIN;
        let mut killed = Vec::new();
        while !self.members().is_empty() {
            if tokio::time::Instant::now() > deadline {
                return None;
            }
            killed.extend(self.kill_once());
            // On v1 the frozen die when they are thawed, before they do anything else.
            let _ = self.thaw();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
        Some(killed)
    }

    fn kill_once(&self) -> Vec<OwnedFd> {
        let open = |pid: Pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
        let processes: Vec<(Pid, OwnedFd)> =
            self.members().into_iter().filter_map(|pid| Some((pid, open(pid)?))).collect();
        // An id may have passed to a stranger before it was opened, not afterwards.
        let members = self.members();

        processes
            .into_iter()
            .filter(|(pid, process)| {
                // One that has ended meanwhile needs no signal.
                members.contains(pid) && rustix::process::pidfd_send_signal(process, Signal::KILL).is_ok()
            })
            .map(|(_, process)| process)
            .collect()
    }

    /// Remove the groups; the error of one does not keep the others.
    pub fn remove(&self) -> Vec<String> {
        let complain = |directory: PathBuf| match remove_tree(&directory) {
            Ok(()) => None,
            Err(error) => Some(format!("cgroup {} ({error})", directory.display())),
        };
        let left = self.directories().filter_map(complain).collect();
        self.hierarchies.close();
        left
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        self.hierarchies.all.keys().map(|base| base.join(&self.name))
    }

    fn memory(&self) -> PathBuf {
        self.hierarchies.memory.base.join(&self.name)
    }

    fn pids(&self) -> PathBuf {
        self.hierarchies.pids.base.join(&self.name)
    }

    fn cpu(&self) -> PathBuf {
        self.hierarchies.cpu.base.join(&self.name)
    }

    fn accounting(&self) -> PathBuf {
        self.hierarchies.accounting.base.join(&self.name)
    }

    fn freezer(&self) -> PathBuf {
        self.hierarchies.freezer.base.join(&self.name)
    }

    fn write(&self, directory: &Path, file: &str, value: impl ToString) -> Result<(), CapsuleError> {
        let path = directory.join(file);
        let value = value.to_string();
        fs::write(&path, &value).doing(|| format!("set {} to {value}", path.display()))
    }

    /// A file's number, or the one after `key` in it.
    fn number(&self, directory: &Path, file: &str, key: Option<&str>) -> Result<u64, CapsuleError> {
        let path = directory.join(file);
        let what = || format!("read {}", path.display());
        let text = fs::read_to_string(&path).doing(what)?;
        let value = match key {
            None => Some(text.as_str()),
            Some(key) => text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')),
        };
        let number = value.and_then(|value| value.trim().parse().ok());
        number.ok_or(io::Error::from(ErrorKind::InvalidData)).doing(what)
    }
}

/// Remove a group with what was made below it, innermost first.
fn remove_tree(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match rustix::fs::rmdir(directory) {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::hierarchy::Controller;
    use super::*;

    /// A group in a folder of plain files, which take what is written as the kernel's would.
    fn group(base: &Path, version: Version) -> Group {
        let controller = || Controller { base: base.to_owned(), version };
        let all = BTreeMap::from([(base.to_owned(), version)]);
        let (memory, pids, cpu) = (controller(), controller(), controller());
        let (accounting, freezer) = (controller(), controller());
        fs::create_dir(base.join("one")).expect("made");
        Group::new(&Hierarchies { memory, pids, cpu, accounting, freezer, all }, "one")
    }

    fn contents(base: &Path) -> BTreeMap<String, String> {
        let entries = fs::read_dir(base.join("one")).expect("listed").flatten();
        let read = |entry: fs::DirEntry| {
            let text = fs::read_to_string(entry.path()).expect("text");
            (entry.file_name().to_string_lossy().into_owned(), text)
        };
        entries.map(read).collect()
    }

    fn expected(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn both_versions_are_told_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path();
        let mut limits = Limits { memory_bytes: 1 << 30, pids_max: 99, cpu_weight: 50, cpu_max_millis: Some(1500) };
        let two = group(base, Version::Two);
        two.limit(&limits).expect("set");
        let common = ("pids.max", "99");
        let memory = [("memory.max", "1073741824"), ("memory.swap.max", "0")];
        let cpu = [("cpu.weight", "50"), ("cpu.max", "150000 100000")];
        assert_eq!(contents(base), expected(&[common, memory[0], memory[1], cpu[0], cpu[1]]));
        limits.cpu_max_millis = None;
        two.limit(&limits).expect("set");
        assert_eq!(contents(base)["cpu.max"], "max 100000");
        fs::remove_dir_all(base.join("one")).expect("removed");

        group(base, Version::One).limit(&limits).expect("set");
        let cpu = [("cpu.shares", "512"), ("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "-1")];
        let memory = ("memory.limit_in_bytes", "1073741824");
        assert_eq!(contents(base), expected(&[common, memory, cpu[0], cpu[1], cpu[2]]));
    }

    #[test]
    fn version_two_is_understood() {
        let folder = tempfile::tempdir().expect("a folder");
        let group = group(folder.path(), Version::Two);
        let files = [
            ("memory.current", "4096\n"),
            ("memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n"),
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
            ("pids.current", "3\n"),
        ];
        for (name, text) in files {
            fs::write(folder.path().join("one").join(name), text).expect("written");
        }
        let usage = Usage { memory_bytes: 4096, memory_peak_bytes: None, cpu_ns: 1_500_000, pids: 3 };
        assert_eq!(group.usage().expect("read"), usage);
        assert_eq!(group.oom_kills().expect("read"), 2);
    }
}
