//! The capsule's disk: an ext4 in a file, mounted in the capsule's own mount namespace and nowhere else.
//!
//! Assumes the capsule's directory as current directory. Promises that mount, loop device and lock go with the capsule's
//! last process, whoever kills it; that a disk that was not closed cleanly, or lies over another folder than before, is
//! an error; and that nobody but the kernel writes what lies between the files.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::MountAttrFlags;
use vitrine_init::{DISK, DiskSpec};

use super::loop_device::LoopDevice;
use super::root::NO_DEVICES;
use super::tree;
use crate::error::{Failure, Step};
use crate::sys;

/// What of the disk the root's overlay uses, seen from the capsule's directory.
pub const UPPER: &str = "disk/upper";
pub const WORK: &str = "disk/work";
const WORKSPACE: &str = "disk/workspace";
const WORKSPACE_WORK: &str = "disk/workspace-work";
/// Where the workspace's lower folder is mounted, seen from there too.
const BASE: &str = "base";
/// The name of the folder that the workspace lies over; empty for none. Beyond the capsule's reach.
const LOWER_NAME: &str = "disk/lower";
/// What an overlay that flushes nothing leaves, to warn of a crash of the machine.
const VOLATILE_MARK: &str = "disk/work/work/incompat";

/// Where an ext4 says what it is and how it was left: two numbers of two bytes.
const SUPERBLOCK_MAGIC_AT: u64 = 1024 + 56;
const MAGIC: u16 = 0xef53;
const CLEAN: u16 = 1;

/// The capsule ends with the machine, and its disk with it: nothing is ordered or repeated for a crash, and an error stops
/// writing instead of the machine. The image of a blank disk has nothing that would have to be zeroed.
const OPTIONS: [(&str, &str); 6] = [
    ("errors", "remount-ro"),
    ("nobarrier", ""),
    ("noauto_da_alloc", ""),
    ("noinit_itable", ""),
    ("no_prefetch_block_bitmaps", ""),
    ("nodiscard", ""),
];

/// Mount the disk at its place in the capsule's directory.
pub fn mount(spec: &DiskSpec, owners: &OwnedFd) -> Result<(), Failure> {
    let open = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(&spec.file);
    let file = open.step(|| format!("open {}", spec.file.display()))?;
    let device = LoopDevice::attach(&file)?;
    check(&file)?;
    let options: Vec<(&str, &str)> = [("source", device.path.as_str())].into_iter().chain(OPTIONS).collect();
    let mounted = tree::filesystem("ext4", &options, NO_DEVICES | MountAttrFlags::MOUNT_ATTR_NOATIME)?;
    sys::mount_setattr(mounted.as_fd(), 0, Some(owners.as_fd())).step(|| "map the owners on the disk".into())?;
    tree::attach(&mounted, tree::host(Path::new(DISK))?)?;
    // The disk was closed cleanly, so there was no crash. No program of a capsule reaches this folder.
    match fs::remove_dir_all(VOLATILE_MARK) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).step(|| "use the disk again".into())?,
        _ => {}
    }
    remember_lower(spec)
}

/// A kernel that reads a half-written disk may believe it.
fn check(file: &File) -> Result<(), Failure> {
    let mut words = [0; 4];
    file.read_exact_at(&mut words, SUPERBLOCK_MAGIC_AT).step(|| "read the disk".into())?;
    let [magic, state] = [[words[0], words[1]], [words[2], words[3]]].map(u16::from_le_bytes);
    match (magic, state) {
        (MAGIC, CLEAN) => Ok(()),
        (MAGIC, _) => Err("it was not closed cleanly").step(|| "use the disk".into()),
        _ => Err("it is damaged").step(|| "use the disk".into()),
    }
}

/// What lies over one folder makes no sense over another.
fn remember_lower(spec: &DiskSpec) -> Result<(), Failure> {
    let lower = spec.workspace_lower.as_ref().and_then(|lower| lower.file_name()).unwrap_or_default();
    match fs::read(LOWER_NAME) {
        Ok(before) if before == lower.as_encoded_bytes() => Ok(()),
        Ok(_) => Err("its workspace lies over another folder").step(|| "use the disk".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::write(LOWER_NAME, lower.as_encoded_bytes()).step(|| "prepare the disk".into())
        }
        Err(error) => Err(error).step(|| "read the disk".into()),
    }
}

/// What is seen as `/workspace`, detached.
pub fn workspace(spec: &DiskSpec, users: &OwnedFd) -> Result<OwnedFd, Failure> {
    let Some(lower) = &spec.workspace_lower else { return tree::copy(CWD, Path::new(WORKSPACE)) };
    let base = tree::copy(CWD, lower)?;
    let read_only = u64::from((NO_DEVICES | MountAttrFlags::MOUNT_ATTR_RDONLY).bits());
    sys::mount_setattr(base.as_fd(), read_only, Some(users.as_fd())).step(|| "map the workspace's owners".into())?;
    tree::attach(&base, tree::host(Path::new(BASE))?)?;
    // Not volatile, unlike the root: whoever flushes it expects that all of the disk is flushed.
    let options = [
        ("source", "workspace"),
        ("lowerdir", BASE),
        ("upperdir", WORKSPACE),
        ("workdir", WORKSPACE_WORK),
        ("redirect_dir", "on"),
    ];
    tree::filesystem("overlay", &options, NO_DEVICES)
}
