//! Capsules that an OCI runtime confines: what is prepared for it, who keeps that, and what is done inside afterwards.
//!
//! The keeper is a process on the host's side of the wall. It owns the network namespace and the mount namespace with
//! the capsule's root, so that the host reaches both as it reaches those of a capsule of our own making, and it ends
//! with the container. The runtime inherits its network: without a path to one in its configuration it makes none.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::fs::{CWD, Gid, MemfdFlags, Mode, SeekFrom, Uid};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags};
use rustix::process::WaitOptions;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use vitrine_init::{CONTROL, CONTROL_INSIDE, Container, Control, Inside, KEEPER, Order, Plan};

use super::users::Users;
use super::{Role, announce, begin, join_groups, null, privileges, root, split, tree};
use crate::error::{Failure, Step};
use crate::supervise::Supervisor;
use crate::sys;

/// Where the bundle may lie: the container's root has to walk there, which it cannot in our own folders. The host's
/// folder stays as it is; only the keeper sees another.
const STAGES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];
/// Folders and the configuration; the capsule's files are mounted there.
const STAGE: [(&str, &str); 3] = [("mode", "0755"), ("size", "1m"), ("nr_inodes", "64")];
const GROUPS: &str = "/sys/fs/cgroup";
/// Where the runtime writes which process it started.
const PID: &str = "pid";
/// What a second kernel remembers and writes, in the bundle: it runs as the capsule's own root.
const STATE: &str = "state";
/// The longest line of a runtime's log that is told on, in characters.
const COMPLAINT_MAX: usize = 400;

pub fn contain(plan: &Plan, container: &Container) -> Result<Role, Failure> {
    if !container.groups_by_runtime {
        join_groups(plan)?;
    }
    let users = begin(plan, c"vitrine-keeper")?;
    sys::unshare(UnshareFlags::NEWNS).step(|| "make a mount namespace".into())?;
    split(|| Keeper::make(plan, container, users).map(Role::Keeper))
}

/// Ends when the container does.
pub struct Keeper(());

impl Keeper {
    fn make(plan: &Plan, container: &Container, users: Users) -> Result<Self, Failure> {
        rustix::process::setsid().step(|| "lead a session".into())?;
        // Whom the runtime leaves behind becomes our child.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).step(|| "adopt children".into())?;
        let listener = match container.control {
            Control::Inherited => Some(root::listen_in(&plan.directory.join(CONTROL))?),
            Control::Folder => None,
        };
        let root = root::bare(plan, &users)?;
        root::furnish(&root, plan, &users)?;
        let stage = stage(plan, container)?;
        if !container.groups_by_runtime {
            // It refuses some mixtures of both versions, which are none of its business.
            let none = tree::filesystem("tmpfs", &STAGE, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
            tree::attach(&none, tree::host(Path::new(GROUPS))?)?;
        }
        let top = open_tree(root.top(), OpenTreeFlags::AT_RECURSIVE).step(|| "take the capsule's root".into())?;
        tree::attach(&top, tree::host(&stage.join("root"))?)?;
        run(plan, container, stage, listener, users)?;
        if container.groups_by_runtime {
            join_groups(plan)?;
        }
        let id = format!("{}\n", std::process::id());
        fs::write(plan.directory.join(KEEPER), id).step(|| "write the keeper's id".into())?;
        // The host's is out of reach from there.
        let null = null()?;
        match container.control {
            Control::Inherited => join_mounts(stage)?,
            // A second kernel keeps its mounts to itself: the root without them has to do.
            Control::Folder => root::pivot(&tree::host(&stage.join("root"))?)?,
        }
        sys::replace_standard(null.as_fd()).step(|| "let go of the host's descriptors".into())?;
        Ok(Self(()))
    }

    /// Bury the container's processes as they end.
    pub fn run(self) -> ExitCode {
        while !matches!(rustix::process::wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
        ExitCode::SUCCESS
    }
}

/// See the capsule's files as its process 1 does.
fn join_mounts(stage: &Path) -> Result<(), Failure> {
    let id = fs::read_to_string(stage.join(PID)).step(|| "read the id of process 1".into())?;
    let mounts = File::open(format!("/proc/{}/ns/mnt", id.trim())).step(|| "open the capsule's mounts".into())?;
    rustix::thread::move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))
        .step(|| "enter the capsule's mounts".into())
}

fn open_tree(place: &OwnedFd, flags: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    let own = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(place, "", own | flags)
}

/// The bundle's folder, with all but the root in it.
fn stage(plan: &Plan, container: &Container) -> Result<&'static Path, Failure> {
    let needed = [&plan.directory, &plan.rootfs, &container.runtime, &container.init];
    let free = |stage: &&Path| stage.is_dir() && needed.iter().all(|path| !path.starts_with(stage));
    let stage = STAGES.iter().map(Path::new).find(free).ok_or("all of them are in use");
    let stage = stage.step(|| format!("find a folder to mount on among {}", STAGES.join(", ")))?;
    let init = tree::copy(CWD, &container.init)?;
    let control = tree::copy(CWD, &plan.directory.join(CONTROL))?;
    let own = tree::filesystem("tmpfs", &STAGE, MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    tree::attach(&own, tree::host(stage)?)?;
    let make = || {
        fs::create_dir(stage.join("root"))?;
        fs::create_dir(stage.join(CONTROL))?;
        File::create(stage.join("init"))?;
        fs::write(stage.join("config.json"), &container.config)
    };
    make().step(|| "write the bundle".into())?;
    tree::attach(&init, tree::host(&stage.join("init"))?)?;
    if container.control == Control::Folder {
        tree::attach(&control, tree::host(&stage.join(CONTROL))?)?;
        fs::create_dir(stage.join(STATE)).step(|| "make the runtime's folder".into())?;
        let owner = Some(plan.uid_base);
        for folder in [CONTROL, STATE] {
            rustix::fs::chown(stage.join(folder), owner.map(Uid::from_raw), owner.map(Gid::from_raw))
                .step(|| format!("give the {folder} folder away"))?;
        }
    }
    Ok(stage)
}

/// Start the container; its process 1 reports for itself. A second kernel is started by the capsule's own root, who is
/// nobody outside: it maps no ids itself.
fn run(
    plan: &Plan,
    container: &Container,
    stage: &Path,
    listener: Option<OwnedFd>,
    users: Users,
) -> Result<(), Failure> {
    let own = match container.control {
        Control::Inherited => stage.to_owned(),
        Control::Folder => stage.join(STATE),
    };
    let log = own.join("log");
    let mut command = Command::new(&container.runtime);
    if container.control == Control::Folder {
        command.arg("--root").arg(&own);
        sys::begin_with(&mut command, move || {
            privileges::enter_users(&users.capsule).map_err(|_| ErrorKind::PermissionDenied.into())
        });
    }
    command.args(&container.options).arg("--log").arg(&log).arg("run").args(&container.run_options);
    command.arg("--detach").arg("--bundle").arg(stage).arg("--pid-file").arg(own.join(PID)).arg(&container.id);
    command.current_dir("/").env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(order(plan, container).step(|| "write the order for process 1".into())?).stdout(Stdio::inherit());
    if let Some(listener) = listener {
        sys::hand_down(&mut command, listener);
    }
    let what = || format!("start the container with {}", container.runtime.display());
    let ended = command.status().step(what)?;
    if ended.success() { Ok(()) } else { Err(complaint(&log).as_str()).step(what) }
}

fn order(plan: &Plan, container: &Container) -> std::io::Result<Stdio> {
    let inside = Inside {
        profile: plan.profile,
        hostname: plan.hostname.clone(),
        filters: plan.filters.clone(),
        control: container.control,
    };
    let mut file = File::from(rustix::fs::memfd_create("order", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(&Order::Serve(inside))?)?;
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(Stdio::from(file))
}

/// The last thing that the runtime complained of.
fn complaint(log: &Path) -> String {
    let lines = File::open(log).map(|file| BufReader::new(file).lines().map_while(Result::ok).last());
    let line = lines.ok().flatten().unwrap_or_else(|| "it does not say why".into());
    line.chars().take(COMPLAINT_MAX).collect()
}

/// Process 1 of the container, which the runtime has made ours in every respect but these.
pub fn serve(inside: &Inside) -> Result<Role, Failure> {
    rustix::thread::set_name(c"vitrine-init").step(|| "take a name".into())?;
    privileges::limit_resources()?;
    let listener = match inside.control {
        Control::Inherited => sys::inherited_socket().step(|| "take the control socket".into())?,
        Control::Folder => root::listen_in(Path::new(CONTROL_INSIDE))?,
    };
    std::env::set_current_dir("/").step(|| "enter the root".into())?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    root::write_names(&inside.hostname)?;
    privileges::drop_all(inside.profile, &inside.filters)?;
    let supervisor = Supervisor::new(listener).step(|| "prepare for requests".into())?;
    announce()?;
    Ok(Role::First(supervisor))
}
