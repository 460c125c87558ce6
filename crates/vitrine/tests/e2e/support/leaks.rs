//! What a server left on the machine: processes, cgroups, mounts, folders.

use std::fs;
use std::path::{Path, PathBuf};

/// Where cgroups are, whatever their version.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Hierarchies lie one or two levels below that, our groups one more, capsules another.
const CGROUP_DEPTH: usize = 4;

/// Everything of the server with this data folder and machine id that outlived it.
pub fn left(data: &Path, machine: &str) -> Vec<String> {
    if machine.is_empty() {
        return Vec::new();
    }
    let group = format!("vitrine-{machine}");
    let mut found = Vec::new();
    processes(&group, &mut found);
    let mut groups = Vec::new();
    capsule_groups(Path::new(CGROUPS), &group, CGROUP_DEPTH, &mut groups);
    found.extend(groups.iter().map(|path| format!("cgroup {}", path.display())));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let data = data.display().to_string();
    found.extend(mounts.lines().filter(|line| line.contains(&data)).map(|line| format!("mount {line}")));
    for folder in ["capsules", "runs", "spool"] {
        let entries = fs::read_dir(Path::new(&data).join(folder)).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| format!("folder {}", entry.path().display())));
    }
    found
}

/// Processes of this server's capsules.
pub fn processes_of(machine: &str) -> usize {
    let mut found = Vec::new();
    processes(&format!("vitrine-{machine}"), &mut found);
    found.len()
}

/// Kills every process of this server's capsules, as a machine in need of memory might.
pub fn kill_processes_of(machine: &str) {
    let mut found = Vec::new();
    processes(&format!("vitrine-{machine}"), &mut found);
    for process in found.iter().filter_map(|line| line.split(' ').nth(1)) {
        // It may be gone with its init already.
        let _ = std::process::Command::new("kill")
            .args(["-s", "KILL", process])
            .stderr(std::process::Stdio::null())
            .status();
    }
}

fn processes(group: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(groups) = fs::read_to_string(entry.path().join("cgroup")) else { continue };
        if groups.contains(group) && !is_dead(&entry.path()) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(format!("process {} {}", entry.file_name().display(), name.trim()));
        }
    }
}

/// A process that is over and only waits for its parent, after a restart the machine's own init, to take note.
fn is_dead(process: &Path) -> bool {
    let state = fs::read_to_string(process.join("stat")).unwrap_or_default();
    state.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// Groups of capsules: the children of ours. Our own, empty, may stay for the next start.
fn capsule_groups(folder: &Path, group: &str, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name() == *group {
            let children = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            found.extend(children.filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir())).map(|c| c.path()));
        } else if depth > 0 {
            capsule_groups(&entry.path(), group, depth - 1, found);
        }
    }
}

/// How often a memory limit of this server's capsules has killed something.
pub fn memory_kills(machine: &str) -> u64 {
    let mut groups = Vec::new();
    capsule_groups(Path::new(CGROUPS), &format!("vitrine-{machine}"), CGROUP_DEPTH, &mut groups);
    let counts = groups.iter().flat_map(|group| ["memory.oom_control", "memory.events"].map(|file| group.join(file)));
    let texts = counts.filter_map(|path| fs::read_to_string(path).ok());
    texts
        .flat_map(|text| {
            let kills = text.lines().filter_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok());
            kills.collect::<Vec<_>>()
        })
        .sum()
}
