//! The capsule's file system: an overlay over the image, on a disk of its own or on the host's, with the little else that
//! programs expect.
//!
//! Assumes to be process 1 of a new mount namespace, with the host's privileges, before anything hostile has run.
//! Promises that afterwards nothing of the host's tree is reachable, by path or by descriptor.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use vitrine_init::{
    Bind, CONTROL, MASKED_DIRECTORIES, MASKED_FILES, Plan, RESOLVER_ADDRESS, SESSION, SOCKET, WORKSPACE,
};

use super::disk;
use super::tree::{self, Root};
use super::users::Users;
use crate::error::{Failure, Step};
use crate::sys;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8;
const TERMINAL_GROUP: u32 = 5;
/// Terminals of one capsule. All capsules share the kernel's own limit, which is 3072 unless it is raised.
const TERMINALS_MAX: &str = "128";

const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
pub const NO_DEVICES: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV.union(MountAttrFlags::MOUNT_ATTR_NOSUID);
const DATA_ONLY: MountAttrFlags = NO_DEVICES.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Build the root, move into it, and return the control socket, which only the host's tree names.
pub fn enter(plan: &Plan, users: &Users) -> Result<OwnedFd, Failure> {
    let listener = listen_in(&plan.directory.join(CONTROL))?;
    let root = bare(plan, users)?;
    proc(&root)?;
    dev(&root, plan)?;
    let owner = plan.uid_base.to_string();
    let run = [("mode", "0755"), ("size", "16m"), ("nr_inodes", "65536"), ("uid", &owner), ("gid", &owner)];
    put(&root, "/run", &tree::filesystem("tmpfs", &run, NO_DEVICES)?)?;
    sys(&root)?;
    furnish(&root, plan, users)?;
    pivot(root.top())?;
    Ok(listener)
}

/// The image and the capsule's own changes, in a mount namespace from which nothing spreads.
pub fn bare(plan: &Plan, users: &Users) -> Result<Root, Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).step(|| "make the mounts private".into())?;
    std::env::set_current_dir(&plan.directory).step(|| "enter the capsule's directory".into())?;
    if let (Some(spec), Some(owners)) = (&plan.disk, &users.disk) {
        disk::mount(spec, owners)?;
    }
    overlay(plan, &users.capsule)
}

/// What the host gives the capsule to see.
pub fn furnish(root: &Root, plan: &Plan, users: &Users) -> Result<(), Failure> {
    match &plan.disk {
        Some(spec) => put(root, WORKSPACE, &disk::workspace(spec, &users.capsule)?)?,
        None => {
            let session = Bind { source: plan.directory.join(SESSION), target: "/session".into(), read_only: false };
            bind(root, &session)?;
        }
    }
    plan.binds.iter().try_for_each(|one| bind(root, one))
}

/// The control socket in this folder, which becomes the current one.
pub fn listen_in(folder: &Path) -> Result<OwnedFd, Failure> {
    std::env::set_current_dir(folder).step(|| "enter the control folder".into())?;
    let listen = || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(SOCKET)?)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok::<_, Errno>(socket)
    };
    listen().step(|| "listen on the control socket".into())
}

/// The image below, mapped to the capsule's ids; the capsule's own changes above.
fn overlay(plan: &Plan, users: &OwnedFd) -> Result<Root, Failure> {
    let image = tree::copy(CWD, &plan.rootfs)?;
    let read_only = u64::from((NO_DEVICES | MountAttrFlags::MOUNT_ATTR_RDONLY).bits());
    sys::mount_setattr(image.as_fd(), read_only, Some(users.as_fd())).step(|| "map the image's owners".into())?;
    tree::attach(&image, tree::host(Path::new("lower"))?)?;
    // Relative names: what the capsule reads in its own mount table tells nothing about the host. Volatile: a capsule's
    // changes never outlive a crash of the machine, so nothing needs to be flushed for them.
    let (upper, work) = if plan.disk.is_some() { (disk::UPPER, disk::WORK) } else { ("upper", "work") };
    let options = [
        ("source", "capsule"),
        ("lowerdir", "lower"),
        ("upperdir", upper),
        ("workdir", work),
        ("redirect_dir", "on"),
        ("volatile", ""),
    ];
    let merged = tree::filesystem("overlay", &options, NO_DEVICES)?;
    tree::attach(&merged, tree::host(Path::new("root"))?)?;
    Ok(Root::new(tree::host(Path::new("root"))?, plan.uid_base))
}

/// Attach a tree at a directory of the capsule.
fn put(root: &Root, place: &str, mount: &OwnedFd) -> Result<(), Failure> {
    tree::attach(mount, root.ensure(Path::new(place), FileType::Directory)?)
}

fn proc(root: &Root) -> Result<(), Failure> {
    put(root, "/proc", &tree::filesystem("proc", &[], DATA_ONLY)?)?;
    let read_only = u64::from((DATA_ONLY | MountAttrFlags::MOUNT_ATTR_RDONLY).bits());
    if let Some(place) = root.find(Path::new("/proc/sys"))? {
        let settings = tree::copy(&place, Path::new("."))?;
        sys::mount_setattr(settings.as_fd(), read_only, None).step(|| "write-protect /proc/sys".into())?;
        tree::attach(&settings, place)?;
    }
    for path in MASKED_FILES {
        if let Some(place) = root.find(Path::new(path))? {
            tree::attach(&tree::copy(CWD, Path::new("/dev/null"))?, place)?;
        }
    }
    let nothing = [("mode", "0555"), ("size", "4k"), ("nr_inodes", "2")];
    let mut empty: Option<OwnedFd> = None;
    for path in MASKED_DIRECTORIES {
        let Some(place) = root.find(Path::new(path))? else { continue };
        let mount = match &empty {
            Some(empty) => tree::copy(empty, Path::new("."))?,
            None => tree::filesystem("tmpfs", &nothing, DATA_ONLY | MountAttrFlags::MOUNT_ATTR_RDONLY)?,
        };
        tree::attach(&mount, place)?;
        empty = Some(mount);
    }
    Ok(())
}

fn dev(root: &Root, plan: &Plan) -> Result<(), Failure> {
    let owner = plan.uid_base.to_string();
    let options = [("mode", "0755"), ("size", "64k"), ("nr_inodes", "256"), ("uid", &owner), ("gid", &owner)];
    put(root, "/dev", &tree::filesystem("tmpfs", &options, NO_DEVICES)?)?;
    for name in NODES {
        let node = tree::copy(CWD, &Path::new("/dev").join(name))?;
        let place = root.ensure(&Path::new("/dev").join(name), FileType::RegularFile)?;
        tree::attach(&node, place)?;
    }
    let folder = root.ensure(Path::new("/dev"), FileType::Directory)?;
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &folder, name).step(|| format!("make /dev/{name}"))?;
    }
    let group = (plan.uid_base + TERMINAL_GROUP).to_string();
    let terminals = [("mode", "0620"), ("ptmxmode", "0666"), ("gid", &group), ("max", TERMINALS_MAX)];
    let no_programs = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    put(root, "/dev/pts", &tree::filesystem("devpts", &terminals, no_programs)?)?;
    let size = plan.shm_bytes.to_string();
    let shared = [("mode", "1777"), ("size", &size), ("nr_inodes", "65536"), ("uid", &owner), ("gid", &owner)];
    put(root, "/dev/shm", &tree::filesystem("tmpfs", &shared, NO_DEVICES)?)
}

/// Programs count processors in `/sys`; the rest of the host's hardware is none of their business.
fn sys(root: &Root) -> Result<(), Failure> {
    let options = [("mode", "0755"), ("size", "64k"), ("nr_inodes", "64")];
    put(root, "/sys", &tree::filesystem("tmpfs", &options, DATA_ONLY)?)?;
    let processors = "/sys/devices/system/cpu";
    bind(root, &Bind { source: processors.into(), target: processors.into(), read_only: true })
}

fn bind(root: &Root, bind: &Bind) -> Result<(), Failure> {
    let kind = fs::metadata(&bind.source).step(|| format!("look at {}", bind.source.display()))?;
    let kind = if kind.is_dir() { FileType::Directory } else { FileType::RegularFile };
    let mount = tree::copy(CWD, &bind.source)?;
    let read_only = if bind.read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    let attributes = u64::from((NO_DEVICES | read_only).bits());
    sys::mount_setattr(mount.as_fd(), attributes, None).step(|| format!("restrict {}", bind.source.display()))?;
    tree::attach(&mount, root.ensure(&bind.target, kind)?)
}

/// Make the new root the only one.
pub fn pivot(root: &OwnedFd) -> Result<(), Failure> {
    rustix::process::fchdir(root).step(|| "enter the new root".into())?;
    rustix::process::pivot_root(".", ".").step(|| "exchange the roots".into())?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step(|| "leave the host's root".into())?;
    std::env::set_current_dir("/").step(|| "enter the new root".into())
}

/// What the capsule calls itself and asks for names; written by the capsule's own root, inside.
pub fn write_names(hostname: &str) -> Result<(), Failure> {
    let [a, b, c, d] = RESOLVER_ADDRESS;
    let resolver = format!("nameserver {a}.{b}.{c}.{d}\noptions timeout:5 attempts:2\n");
    let hosts = format!("127.0.0.1 localhost\n127.0.0.1 {hostname}\n");
    let files = [("/etc/resolv.conf", resolver), ("/etc/hosts", hosts), ("/etc/hostname", format!("{hostname}\n"))];
    rustix::process::umask(Mode::from_raw_mode(0o022));
    for (path, text) in files {
        // An image may have a link here, into a folder that does not exist.
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).step(|| format!("replace {path}"))?,
            _ => fs::write(path, text).step(|| format!("write {path}"))?,
        }
    }
    Ok(())
}
