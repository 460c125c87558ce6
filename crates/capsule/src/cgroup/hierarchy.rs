//! Where this machine keeps which controller: in hierarchies of their own (v1), in the unified one (v2), or mixed.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::CapsuleError;
use crate::error::Doing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// A controller: the folder of this driver's groups, and which language its files speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Controller {
    pub base: PathBuf,
    pub version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    pub memory: Controller,
    pub pids: Controller,
    pub cpu: Controller,
    /// What counts processor time.
    pub accounting: Controller,
    /// The unified hierarchy, which can kill a group at once even where it controls nothing.
    pub unified: Option<PathBuf>,
    /// Each folder once.
    pub all: BTreeSet<PathBuf>,
}

/// One mounted cgroup file system.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    root: PathBuf,
    version: Version,
    controllers: BTreeSet<String>,
}

impl Hierarchies {
    /// Look at the machine and make the folder of this driver's groups in every hierarchy that it needs.
    pub fn probe(folder: &str) -> Result<Self, CapsuleError> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").doing(|| "read the mount table".into())?;
        let mounted = mounted(&mounts, |root| fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default());
        let hierarchies = Self::choose(&mounted, folder)?;
        for base in &hierarchies.all {
            make_folder(base)?;
        }
        for wanted in [("memory", &hierarchies.memory), ("pids", &hierarchies.pids), ("cpu", &hierarchies.cpu)] {
            if let (name, Controller { base, version: Version::Two }) = wanted {
                hand_down(name, base)?;
            }
        }
        Ok(hierarchies)
    }

    fn choose(mounted: &[Mounted], folder: &str) -> Result<Self, CapsuleError> {
        let find = |name: &str| {
            let having = mounted.iter().find(|one| one.controllers.contains(name))?;
            Some(Controller { base: having.root.join(folder), version: having.version })
        };
        let need = |name: &str| {
            find(name).ok_or_else(|| CapsuleError::Unsupported(format!("it has no {name} controller for cgroups")))
        };
        let unified = mounted.iter().find(|one| one.version == Version::Two).map(|one| one.root.join(folder));
        // The unified hierarchy counts time in every group, without a controller.
        let anywhere = unified.clone().map(|base| Controller { base, version: Version::Two });
        let (memory, pids, cpu) = (need("memory")?, need("pids")?, need("cpu")?);
        let accounting = match find("cpuacct").or(anywhere) {
            Some(accounting) => accounting,
            None => need("cpuacct")?,
        };
        let all = [&memory, &pids, &cpu, &accounting].map(|one| one.base.clone()).into_iter().chain(unified.clone());
        Ok(Self { all: all.collect(), memory, pids, cpu, accounting, unified })
    }

    /// The names of all groups that exist.
    pub fn names(&self) -> BTreeSet<String> {
        let entries = self.all.iter().filter_map(|base| fs::read_dir(base).ok()).flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }
}

fn mounted(mountinfo: &str, controllers_of: impl Fn(&Path) -> String) -> Vec<Mounted> {
    let parse = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let root = PathBuf::from(before.split(' ').nth(4)?.replace("\\040", " "));
        let mut after = after.split(' ');
        match after.next()? {
            "cgroup" => {
                let controllers = after.nth(1)?.split(',').map(str::to_owned).collect();
                Some(Mounted { root, version: Version::One, controllers })
            }
            "cgroup2" => {
                let controllers = controllers_of(&root).split_whitespace().map(str::to_owned).collect();
                Some(Mounted { root, version: Version::Two, controllers })
            }
            _ => None,
        }
    };
    mountinfo.lines().filter_map(parse).collect()
}

fn make_folder(base: &Path) -> Result<(), CapsuleError> {
    match fs::create_dir(base) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).doing(|| format!("make the cgroup {}", base.display()))
        }
        _ => Ok(()),
    }
}

/// Let the groups in `base` use a controller of the unified hierarchy.
fn hand_down(controller: &str, base: &Path) -> Result<(), CapsuleError> {
    let Some(root) = base.parent() else { return Ok(()) };
    for directory in [root, base] {
        let switch = directory.join("cgroup.subtree_control");
        let enable = || fs::write(&switch, format!("+{controller}"));
        let what = || format!("hand the {controller} controller down by {}", switch.display());
        match enable() {
            // Below a container's root, a group with processes hands nothing down: they move aside.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                move_aside(directory).doing(|| format!("move processes out of {}", directory.display()))?;
                enable().doing(what)?;
            }
            other => other.doing(what)?,
        }
    }
    Ok(())
}

fn move_aside(directory: &Path) -> std::io::Result<()> {
    let aside = directory.join("vitrine-host");
    fs::create_dir_all(&aside)?;
    for pid in fs::read_to_string(directory.join("cgroup.procs"))?.lines() {
        // One may have ended meanwhile.
        let _ = fs::write(aside.join("cgroup.procs"), pid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "\
30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 25 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids";
    const TWO: &str = "40 25 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

    fn choose(mountinfo: &str, controllers: &str) -> Result<Hierarchies, CapsuleError> {
        Hierarchies::choose(&mounted(mountinfo, |_| controllers.to_owned()), "vitrine-x")
    }

    #[test]
    fn version_one_alone() {
        let found = choose(ONE, "").expect("complete");
        assert_eq!(found.unified, None);
        assert_eq!(found.memory.base, Path::new("/sys/fs/cgroup/memory/vitrine-x"));
        assert_eq!(found.accounting.base, Path::new("/sys/fs/cgroup/cpu,cpuacct/vitrine-x"));
        assert_eq!(found.all.len(), 3);
    }

    #[test]
    fn version_two_alone() {
        let found = choose(TWO, "cpuset cpu io memory pids").expect("complete");
        assert_eq!(found.memory.version, Version::Two);
        assert_eq!(found.all.into_iter().collect::<Vec<_>>(), [Path::new("/sys/fs/cgroup/vitrine-x")]);
    }

    #[test]
    fn both_with_the_controllers_in_version_one() {
        let found = choose(&format!("{ONE}\n{}", TWO.replace("cgroup rw", "cgroup/unified rw")), "hugetlb");
        let found = found.expect("complete");
        assert_eq!(found.memory.version, Version::One);
        assert_eq!(found.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified/vitrine-x")));
        assert_eq!(found.all.len(), 4);
    }

    #[test]
    fn a_missing_controller_is_named() {
        let error = choose(TWO, "cpu pids").expect_err("incomplete").to_string();
        assert!(error.contains("memory"), "{error}");
    }
}
