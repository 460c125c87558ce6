//! The `config.json` of one capsule.
//!
//! Promises what the native driver gives: the same namespaces but the network's, which the runtime inherits, the same
//! ids (a second kernel is started among them and maps none), mounts, masks and capabilities. The system call filter and Landlock are process 1's own last steps, so that they
//! are the same ones; it holds `CAP_SETPCAP` until then.

use serde_json::{Value, json};
use vitrine_init::{CONTROL_INSIDE, Control, IDS, INIT_INSIDE, MASKED_DIRECTORIES, MASKED_FILES, Plan};

const CAPABILITIES: [&str; 12] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_SETFCAP",
    "CAP_KILL",
    "CAP_SYS_CHROOT",
    "CAP_NET_BIND_SERVICE",
    "CAP_AUDIT_WRITE",
    "CAP_SETPCAP",
];
const NAMESPACES: [&str; 5] = ["pid", "ipc", "uts", "mount", "cgroup"];

/// `groups` is the capsule's place below the root of every cgroup hierarchy.
pub(super) fn config(plan: &Plan, groups: &str, control: Control) -> Value {
    let (ids, users) = match control {
        Control::Inherited => (json!([{ "containerID": 0, "hostID": plan.uid_base, "size": IDS }]), Some("user")),
        Control::Folder => (json!([]), None),
    };
    let namespaces: Vec<_> = NAMESPACES.into_iter().chain(users).map(|kind| json!({ "type": kind })).collect();
    let masked: Vec<&str> = MASKED_FILES.into_iter().chain(MASKED_DIRECTORIES).collect();
    json!({
        "ociVersion": "1.0.2",
        "hostname": plan.hostname,
        "root": { "path": "root", "readonly": false },
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": [INIT_INSIDE],
            "env": [],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
        },
        "mounts": mounts(plan, control),
        "linux": {
            "namespaces": namespaces,
            "uidMappings": ids,
            "gidMappings": ids,
            "cgroupsPath": groups,
            "maskedPaths": masked,
            "readonlyPaths": ["/proc/sys"],
        },
    })
}

/// Before what is mounted in it.
const RUN: usize = 4;

fn mounts(plan: &Plan, control: Control) -> Vec<Value> {
    let mount = |kind: &str, place: &str, options: &[&str]| json!({ "type": kind, "source": kind, "destination": place, "options": options });
    let bind = |source: &str, place: &str, access: &str| {
        let options = ["bind", access, "nosuid", "nodev"];
        json!({ "type": "bind", "source": source, "destination": place, "options": options })
    };
    let shared = format!("size={}", plan.shm_bytes);
    let mut mounts = vec![
        mount("proc", "/proc", &["nosuid", "nodev", "noexec"]),
        mount("tmpfs", "/dev", &["nosuid", "mode=0755", "size=64k", "nr_inodes=256"]),
        mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("tmpfs", "/dev/shm", &["nosuid", "nodev", "mode=1777", "nr_inodes=65536", &shared]),
        mount("tmpfs", "/sys", &["nosuid", "nodev", "noexec", "mode=0755", "size=64k", "nr_inodes=64"]),
        bind("/sys/devices/system/cpu", "/sys/devices/system/cpu", "ro"),
        bind("init", INIT_INSIDE, "ro"),
    ];
    match control {
        Control::Inherited => {
            let run = mount("tmpfs", "/run", &["nosuid", "nodev", "mode=0755", "size=16m", "nr_inodes=65536"]);
            mounts.insert(RUN, run);
        }
        // Of a second kernel the host sees what lies on the disk alone, and it writes to /run.
        Control::Folder => mounts.push(bind("control", CONTROL_INSIDE, "rw")),
    }
    mounts
}
