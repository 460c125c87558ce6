//! Whether memory, processes and CPU can be limited, by cgroup v1, v2 or a mixture.

use super::Finding;
use std::collections::BTreeSet;
use std::fs;

/// Without the first two a session could take the whole machine; without the third it could only slow it.
const NEEDED: [&str; 2] = ["memory", "pids"];
const WANTED: &str = "cpu";

pub fn look() -> Vec<Finding> {
    const NAME: &str = "cgroups";
    let (mode, controllers) = mounted(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let found = format!("{mode}: {}", controllers.iter().cloned().collect::<Vec<_>>().join(", "));
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !controllers.contains(*name)).collect();
    let finding = if !missing.is_empty() {
        let advice = format!(
            "A session's memory and processes must have limits; missing: {}.\nBoot with systemd.unified_cgroup_hierarchy=1 cgroup_enable=memory, or mount -t cgroup2 cgroup2 /sys/fs/cgroup",
            missing.join(", ")
        );
        Finding::fail(NAME, found, advice)
    } else if controllers.contains(WANTED) {
        Finding::ok(NAME, found)
    } else {
        Finding::warn(NAME, found, "No cpu controller: a busy session can slow the others.")
    };
    vec![finding]
}

/// The mode, and which of the controllers that we know are there in it.
fn mounted(mountinfo: &str) -> (&'static str, BTreeSet<String>) {
    let mut controllers = BTreeSet::new();
    let (mut first, mut second) = (false, false);
    for line in mountinfo.lines() {
        let Some((place, kind)) = line.split_once(" - ") else { continue };
        let point = place.split(' ').nth(4).unwrap_or_default();
        let mut kind = kind.split(' ');
        let mut known = |list: &str, separator: char| {
            let known = list.split(separator).filter(|name| NEEDED.contains(name) || *name == WANTED);
            controllers.extend(known.map(str::to_owned));
        };
        match kind.next() {
            Some("cgroup") => {
                first = true;
                known(kind.nth(1).unwrap_or_default(), ',');
            }
            Some("cgroup2") => {
                second = true;
                let list = fs::read_to_string(format!("{point}/cgroup.controllers")).unwrap_or_default();
                known(list.trim(), ' ');
            }
            _ => {}
        }
    }
    let mode = match (first, second) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    };
    (mode, controllers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_one_hierarchies_are_recognised() {
        let text = "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                    32 25 0:28 / /nowhere rw - cgroup2 cgroup2 rw\n";
        let (mode, controllers) = mounted(text);
        assert_eq!(mode, "hybrid");
        assert_eq!(controllers.into_iter().collect::<Vec<_>>(), ["cpu", "memory"]);
    }
}
