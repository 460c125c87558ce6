//! A capsule's files, used from the host's side.
//!
//! Assumes that hostile programs link, rename and replace whatever they can while we look. Promises that every name is looked
//! up as the capsule's own processes would, below its root, so that nothing of the host is ever reached; that only regular
//! files are opened, and that a pipe, a socket or a device is not even touched; that what is made belongs to the user that
//! the capsule's programs are. The calls wait for the disk: not for the threads of an asynchronous runtime.

mod delete;
mod entry;
mod error;
mod identity;
mod pack;
mod rename;
mod unpack;
pub(crate) mod walk;
mod watch;
mod write;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec};
use rustix::io::Errno;
use vitrine_init::{Profile, USER_ID};

use crate::error::Doing;
use crate::{Capsule, CapsuleError};
pub(crate) use delete::remove;
pub use entry::{FileEntry, FileKind, Listing};
pub use error::FileError;
use error::failure;
pub(crate) use identity::Identity;
pub use pack::Packed;
pub use unpack::Unpacked;
pub use walk::{Skipped, TreeLimits};
pub use watch::{Change, Watch};
pub use write::Draft;
pub(crate) use write::draft_name;

/// Tries to look a name up while somebody renames what it leads through.
const LOOK_UPS_MAX: usize = 32;
/// What files that are not finished yet begin with.
pub(crate) const DRAFT_PREFIX: &str = ".vitrine-";
/// From the kernel's `linux/magic.h`; of the same type as what `statfs` says.
const SYSFS_MAGIC: rustix::fs::FsWord = 0x6265_6572;

/// The files as the capsule's processes see them. It keeps the capsule's file systems alive: not to be kept.
#[derive(Debug)]
pub struct Files {
    root: OwnedFd,
    uid_base: u32,
    owner: u32,
}

impl Capsule {
    /// Fails once process 1 is gone.
    pub fn files(&self) -> Result<Files, CapsuleError> {
        let root = root_of(self.init()).doing(|| format!("reach the files of capsule {}", self.id()))?;
        let user = match self.profile() {
            Profile::Browser => USER_ID,
            Profile::Sandbox => 0,
        };
        let uid_base = self.uid_base();
        Ok(Files { root, uid_base, owner: uid_base + user })
    }
}

/// The root directory of a process in its own mount namespace.
pub(crate) fn root_of(process: impl AsFd) -> std::io::Result<OwnedFd> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_fd().as_raw_fd()))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim).unwrap_or("-1");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty())?;
    // The id was the process's all the time, for the process is still there.
    let mut watched = [PollFd::new(&process, PollFlags::IN)];
    match rustix::event::poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
        0 => Ok(root),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    }
}

impl Files {
    /// A regular file, for reading. Its size may change while it is read.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File, FileError> {
        let path = path.as_ref();
        let place = self.find(path, OFlags::empty())?;
        regular(&place).and_then(|_| reopen(&place, OFlags::RDONLY)).map_err(|error| failure(path, error))
    }

    /// The first host id of the capsule's range.
    pub(crate) fn uid_base(&self) -> u32 {
        self.uid_base
    }

    /// Until it is dropped, this thread makes files as the capsule's user.
    pub(crate) fn identity(&self, path: &Path) -> Result<Identity, FileError> {
        Identity::assume(self.owner).map_err(|error| failure(path, error))
    }

    /// A directory, for reading its names.
    pub(crate) fn directory(&self, path: &Path) -> Result<OwnedFd, FileError> {
        let place = self.find(path, OFlags::DIRECTORY)?;
        readable(&place).map_err(|error| failure(path, error))
    }

    /// The directory that a name is in, and the name.
    fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString), FileError> {
        let (folder, name) = split(path)?;
        Ok((self.find(folder, OFlags::DIRECTORY)?, name))
    }

    /// A place, without opening what is there.
    fn find(&self, path: &Path, more: OFlags) -> Result<OwnedFd, FileError> {
        match look_up(&self.root, path, OFlags::PATH | more, ResolveFlags::IN_ROOT) {
            Ok(place) if more.contains(OFlags::DIRECTORY) && is_kernels(&place).unwrap_or(true) => {
                Err(FileError::NotADirectory(path.to_owned()))
            }
            other => other.map_err(|error| failure(path, error)),
        }
    }
}

/// Look a name up from a directory, however often somebody renames what it leads through.
pub(crate) fn look_up(
    from: impl AsFd,
    path: impl rustix::path::Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let (flags, resolve) = (flags | OFlags::CLOEXEC, resolve | ResolveFlags::NO_MAGICLINKS);
    for _ in 0..LOOK_UPS_MAX {
        match rustix::fs::openat2(&from, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// A regular file in a directory, and what it was found to be.
pub(crate) fn open_regular(
    folder: &OwnedFd,
    name: impl rustix::path::Arg,
    access: OFlags,
) -> Result<(File, Stat), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let status = regular(&place)?;
    Ok((reopen(&place, access)?, status))
}

/// What is known of a place when it is a regular file that is not the kernel's.
fn regular(place: &OwnedFd) -> Result<Stat, Errno> {
    let status = rustix::fs::fstat(place)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile || is_kernels(place)? {
        return Err(Errno::NXIO);
    }
    Ok(status)
}

/// Open the very file that was looked at. Without waiting: somebody may hold a lease on it.
fn reopen(place: &OwnedFd, flags: OFlags) -> Result<File, Errno> {
    let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty()).map(File::from)
}

/// A directory that was only named so far, for reading its names.
pub(crate) fn readable(place: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(place, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Whether it lies in `/proc` or `/sys`, whose files are the kernel's doors and open wider to the host than to the capsule.
fn is_kernels(place: &OwnedFd) -> Result<bool, Errno> {
    let kind = rustix::fs::fstatfs(place)?.f_type;
    Ok(kind == rustix::fs::PROC_SUPER_MAGIC || kind == SYSFS_MAGIC)
}

fn split(path: &Path) -> Result<(&Path, OsString), FileError> {
    let name = path.file_name().ok_or_else(|| FileError::NotAPath(path.to_owned()))?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("/"));
    Ok((folder, name.to_owned()))
}
