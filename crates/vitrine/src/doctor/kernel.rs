//! What the kernel must be able to do.

use super::Finding;
use std::fs;
use std::path::Path;

/// Overlay file systems take identity-mapped lower layers from this version on.
const OLDEST: (u32, u32) = (5, 19);
const NAMESPACES: [&str; 7] = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"];

pub fn look() -> Vec<Finding> {
    vec![version(), namespaces(), user_namespaces(), overlay(), nftables(), landlock(), seccomp()]
}

fn version() -> Finding {
    const NAME: &str = "kernel";
    let release = read("/proc/sys/kernel/osrelease");
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        return Finding::ok(NAME, format!("Linux {release}"));
    }
    let advice = "Capsules need identity-mapped mounts under an overlay, which Linux has from 5.19 on.\nOn Debian 12: apt-get install linux-image-amd64, then reboot.";
    Finding::fail(NAME, format!("Linux {release}"), advice)
}

fn namespaces() -> Finding {
    const NAME: &str = "namespaces";
    let missing: Vec<&str> =
        NAMESPACES.into_iter().filter(|kind| !Path::new("/proc/self/ns").join(kind).exists()).collect();
    if missing.is_empty() {
        return Finding::ok(NAME, NAMESPACES.join(", "));
    }
    let advice = "Capsules are made of namespaces. Use a kernel that has them; Debian's does.";
    Finding::fail(NAME, format!("the kernel lacks {}", missing.join(", ")), advice)
}

/// Chromium's own sandbox makes a user namespace as an ordinary user.
fn user_namespaces() -> Finding {
    const NAME: &str = "user namespaces";
    let meaning = "Chromium's own sandbox, which stays on in a capsule, needs them.";
    let switches = [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ];
    match switches.iter().find(|(path, off, _)| read(path) == *off) {
        None => Finding::ok(NAME, "allowed for ordinary users"),
        Some((path, off, fix)) => Finding::fail(NAME, format!("{path} is {off}"), format!("{meaning}\n{fix}")),
    }
}

fn overlay() -> Finding {
    const NAME: &str = "overlay";
    let known = read("/proc/filesystems").lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay");
    if known || module("overlay") {
        return Finding::ok(NAME, "the kernel has the overlay file system");
    }
    Finding::fail(NAME, "the kernel lacks the overlay file system", "A capsule's root is an overlay.\nmodprobe overlay")
}

fn nftables() -> Finding {
    const NAME: &str = "nftables";
    let missing: Vec<&str> =
        ["nf_tables", "nft_redir", "nft_reject", "nf_nat"].into_iter().filter(|name| !module(name)).collect();
    if missing.is_empty() {
        return Finding::ok(NAME, "redirect, reject and nat");
    }
    let advice = format!(
        "What leaves a capsule is redirected to the egress proxy by nftables rules inside its own namespace.\nmodprobe -a {}",
        missing.join(" ")
    );
    // A kernel may have parts built in under other names: the trial below is what counts.
    Finding::warn(NAME, format!("not found: {}", missing.join(", ")), advice)
}

fn landlock() -> Finding {
    const NAME: &str = "landlock";
    const LIST: &str = "/sys/kernel/security/lsm";
    if read(LIST).split(',').any(|module| module == "landlock") || symbol("landlock_restrict_self") {
        return Finding::ok(NAME, "the kernel has Landlock");
    }
    let advice = "A second fence around a capsule's files is missing; the first ones stand.\nAdd landlock to the kernel's lsm= parameter and reboot.";
    Finding::warn(NAME, "Landlock is off", advice)
}

fn seccomp() -> Finding {
    const NAME: &str = "seccomp";
    let actions = read("/proc/sys/kernel/seccomp/actions_avail");
    if actions.split(' ').any(|action| action == "errno") {
        return Finding::ok(NAME, "filters are available");
    }
    Finding::fail(
        NAME,
        "the kernel has no seccomp filters",
        "Use a kernel with CONFIG_SECCOMP_FILTER; Debian's has it.",
    )
}

/// Whether a module is loaded, built in, or can be loaded.
fn module(name: &str) -> bool {
    if Path::new("/sys/module").join(name).exists() || symbol(name) {
        return true;
    }
    let folder = Path::new("/lib/modules").join(read("/proc/sys/kernel/osrelease"));
    let file = format!("/{name}.ko");
    ["modules.builtin", "modules.dep"]
        .into_iter()
        .any(|list| fs::read_to_string(folder.join(list)).is_ok_and(|text| text.contains(&file)))
}

/// Whether a name begins some symbol of the running kernel.
fn symbol(name: &str) -> bool {
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    symbols.lines().any(|line| {
        let symbol = line.split(' ').nth(2).unwrap_or_default();
        symbol.trim_start_matches("__x64_sys_").starts_with(name)
    })
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}
