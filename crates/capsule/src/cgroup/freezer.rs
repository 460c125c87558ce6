//! Stopping everybody in a group where they are, and letting them go on.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::Group;
use super::hierarchy::Version;
use crate::CapsuleError;
use crate::error::Doing;

/// Whoever waits for a disk is stopped when it has answered; one that takes this long will not be waited for.
const DEADLINE: Duration = Duration::from_secs(2);
/// The timer knows nothing shorter.
const POLL: Duration = Duration::from_millis(1);
/// Looks without waiting, before the first wait: most groups stop within microseconds.
const LOOKS: u32 = 20;
/// After so many looks everybody goes on for a moment, since two may stand in each other's way.
const THAW_LOOKS: u32 = 60;

impl Group {
    /// Returns when nobody in the group runs any more. When somebody cannot be stopped, everybody goes on.
    pub async fn freeze(&self) -> Result<(), CapsuleError> {
        let stopped = self.everybody_stops().await;
        if stopped.is_err() {
            self.thaw()?;
        }
        stopped
    }

    async fn everybody_stops(&self) -> Result<(), CapsuleError> {
        let deadline = Instant::now() + DEADLINE;
        for look in 1.. {
            // Every time anew: v1 overlooks who is just being started, for good when it is told only once.
            self.stop()?;
            if self.is_frozen()? {
                break;
            }
            if Instant::now() > deadline {
                return Err(ErrorKind::TimedOut).doing(|| "stop all processes of the capsule".into());
            }
            if look % THAW_LOOKS == 0 {
                self.thaw()?;
            }
            match look < LOOKS {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(POLL).await,
            }
        }
        Ok(())
    }

    fn stop(&self) -> Result<(), CapsuleError> {
        match self.hierarchies.freezer.version {
            Version::One => self.write(&self.freezer(), "freezer.state", "FROZEN"),
            Version::Two => self.write(&self.freezer(), "cgroup.freeze", 1),
        }
    }

    pub fn thaw(&self) -> Result<(), CapsuleError> {
        match self.hierarchies.freezer.version {
            Version::One => self.write(&self.freezer(), "freezer.state", "THAWED"),
            Version::Two => self.write(&self.freezer(), "cgroup.freeze", 0),
        }
    }

    pub fn is_frozen(&self) -> Result<bool, CapsuleError> {
        let directory = self.freezer();
        match self.hierarchies.freezer.version {
            Version::One => Ok(read(&directory.join("freezer.state"))?.trim() == "FROZEN"),
            Version::Two => Ok(self.number(&directory, "cgroup.events", Some("frozen"))? == 1),
        }
    }
}

fn read(path: &Path) -> Result<String, CapsuleError> {
    fs::read_to_string(path).doing(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::process::{Child, Command};

    use super::super::hierarchy::{Controller, Hierarchies};
    use super::*;

    /// The hierarchies of this machine that can freeze, in both languages.
    fn hierarchies() -> Vec<(PathBuf, Version)> {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let parse = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            match words[2] {
                "cgroup2" => Some((words[1].into(), Version::Two)),
                "cgroup" if words[3].split(',').any(|word| word == "freezer") => Some((words[1].into(), Version::One)),
                _ => None,
            }
        };
        mounts.lines().filter_map(parse).collect()
    }

    /// The processor time of a process.
    fn used(child: &Child) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("a process");
        stat.split(' ').nth(13).expect("a number").to_owned()
    }

    #[tokio::test]
    async fn both_versions_freeze_thaw_and_kill() {
        for (root, version) in hierarchies() {
            let controller =
                || Controller { base: root.join(format!("vitrine-freeze-{}", std::process::id())), version };
            let base = controller().base;
            let all = BTreeMap::from([(base.clone(), version)]);
            let (memory, pids, cpu) = (controller(), controller(), controller());
            let (accounting, freezer) = (controller(), controller());
            let group = Group::new(&Hierarchies { memory, pids, cpu, accounting, freezer, all }, "one");
            fs::create_dir_all(base.join("one")).expect("made");
            let mut child = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn().expect("starts");
            fs::write(base.join("one/cgroup.procs"), child.id().to_string()).expect("joined");

            assert!(!group.is_frozen().expect("read"), "{version:?}");
            group.freeze().await.expect("frozen");
            assert!(group.is_frozen().expect("read"), "{version:?}");
            let before = used(&child);
            tokio::time::sleep(Duration::from_millis(60)).await;
            assert_eq!(used(&child), before, "{version:?}");
            group.thaw().expect("thawed");
            assert!(!group.is_frozen().expect("read"), "{version:?}");
            let deadline = Instant::now() + DEADLINE;
            while used(&child) == before && Instant::now() < deadline {
                tokio::time::sleep(POLL).await;
            }
            assert_ne!(used(&child), before, "{version:?}");

            group.freeze().await.expect("frozen");
            let dead = group.kill().await.expect("nobody is left").len();
            child.wait().expect("buried");
            assert!(dead >= 1, "{version:?}");
            assert_eq!(group.remove(), Vec::<String>::new());
        }
    }
}
