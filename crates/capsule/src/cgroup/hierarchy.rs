//! Where this machine keeps which controller: in hierarchies of their own (v1), in the unified one (v2), or mixed.

use std::collections::{BTreeMap, BTreeSet};
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
    /// What stops everybody where they are.
    pub freezer: Controller,
    /// Each folder once. The unified hierarchy is among them only where it is needed: to join a group of it makes the
    /// kernel wait some milliseconds for all processors.
    pub all: BTreeMap<PathBuf, Version>,
}

/// One mounted cgroup file system.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    root: PathBuf,
    version: Version,
    controllers: BTreeSet<String>,
}

impl Hierarchies {
    /// Look at the machine, and try to make the folder of this driver's groups in every hierarchy that it needs.
    pub fn probe(folder: &str) -> Result<Self, CapsuleError> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").doing(|| "read the mount table".into())?;
        let mounted = mounted(&mounts, |root| fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default());
        let hierarchies = Self::choose(&mounted, folder)?;
        hierarchies.open()?;
        hierarchies.close();
        Ok(hierarchies)
    }

    /// Make this driver's folders where they are missing.
    pub fn open(&self) -> Result<(), CapsuleError> {
        for base in self.all.keys() {
            make_folder(base)?;
        }
        for wanted in [("memory", &self.memory), ("pids", &self.pids), ("cpu", &self.cpu)] {
            if let (name, Controller { base, version: Version::Two }) = wanted {
                hand_down(name, base)?;
            }
        }
        Ok(())
    }

    /// Remove this driver's folders unless somebody lives in them, so that a machine without capsules shows none.
    pub fn close(&self) {
        for base in self.all.keys() {
            // Refused as long as there are groups in it, which is the question.
            let _ = rustix::fs::rmdir(base);
        }
    }

    /// The name of this driver's folder, the same in all.
    pub fn folder(&self) -> String {
        self.memory.base.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// As [`Self::close`], also in hierarchies that are none of ours: runtimes make groups in all there are.
    pub fn close_everywhere(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for one in mounted(&mounts, |_| String::new()) {
            // As above.
            let _ = rustix::fs::rmdir(one.root.join(self.folder()));
        }
    }

    fn choose(mounted: &[Mounted], folder: &str) -> Result<Self, CapsuleError> {
        let find = |name: &str| {
            let having = mounted.iter().find(|one| one.controllers.contains(name))?;
            Some(Controller { base: having.root.join(folder), version: having.version })
        };
        let need = |name: &str| {
            find(name).ok_or_else(|| CapsuleError::Unsupported(format!("it has no {name} controller for cgroups")))
        };
        // The unified hierarchy counts time and freezes in every group, without a controller.
        let unified = mounted.iter().find(|one| one.version == Version::Two);
        let anywhere = unified.map(|one| Controller { base: one.root.join(folder), version: Version::Two });
        let (memory, pids, cpu) = (need("memory")?, need("pids")?, need("cpu")?);
        let accounting = match find("cpuacct").or(anywhere.clone()) {
            Some(accounting) => accounting,
            None => need("cpuacct")?,
        };
        let joined = [&memory, &pids, &cpu, &accounting];
        let joined_unified = joined.into_iter().find(|one| one.version == Version::Two).cloned();
        let freezer = match joined_unified.or_else(|| find("freezer")).or(anywhere) {
            Some(freezer) => freezer,
            None => need("freezer")?,
        };
        let all = [&memory, &pids, &cpu, &accounting, &freezer].map(|one| (one.base.clone(), one.version));
        Ok(Self { all: BTreeMap::from(all), memory, pids, cpu, accounting, freezer })
    }

    /// The names of all groups that exist.
    pub fn names(&self) -> BTreeSet<String> {
        let entries = self.all.keys().filter_map(|base| fs::read_dir(base).ok()).flatten().flatten();
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
32 25 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 25 0:29 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer";
    const TWO: &str = "40 25 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

    fn choose(mountinfo: &str, controllers: &str) -> Result<Hierarchies, CapsuleError> {
        Hierarchies::choose(&mounted(mountinfo, |_| controllers.to_owned()), "vitrine-x")
    }

    #[test]
    fn version_one_alone() {
        let found = choose(ONE, "").expect("complete");
        assert_eq!(found.memory.base, Path::new("/sys/fs/cgroup/memory/vitrine-x"));
        assert_eq!(found.accounting.base, Path::new("/sys/fs/cgroup/cpu,cpuacct/vitrine-x"));
        assert_eq!(found.freezer.base, Path::new("/sys/fs/cgroup/freezer/vitrine-x"));
        assert_eq!(found.all.len(), 4);
    }

    #[test]
    fn version_two_alone() {
        let found = choose(TWO, "cpuset cpu io memory pids").expect("complete");
        assert_eq!((found.memory.version, found.freezer.version), (Version::Two, Version::Two));
        assert_eq!(found.all.into_keys().collect::<Vec<_>>(), [Path::new("/sys/fs/cgroup/vitrine-x")]);
    }

    #[test]
    fn both_with_the_controllers_in_version_one() {
        let found = choose(&format!("{ONE}\n{}", TWO.replace("cgroup rw", "cgroup/unified rw")), "hugetlb");
        let found = found.expect("complete");
        assert_eq!(found.memory.version, Version::One);
        assert!(found.all.values().all(|version| *version == Version::One));
    }

    #[test]
    fn the_unified_hierarchy_freezes_where_nobody_else_does() {
        let without: String =
            ONE.lines().filter(|line| !line.contains("freezer")).map(|line| format!("{line}\n")).collect();
        let found = choose(&format!("{without}{TWO}"), "").expect("complete");
        assert_eq!((found.memory.version, found.freezer.version), (Version::One, Version::Two));
        let error = choose(&without, "").expect_err("incomplete").to_string();
        assert!(error.contains("freezer"), "{error}");
    }

    #[test]
    fn a_missing_controller_is_named() {
        let error = choose(TWO, "cpu pids").expect_err("incomplete").to_string();
        assert!(error.contains("memory"), "{error}");
    }
}
