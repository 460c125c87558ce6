//! Removing files and whole directories.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::failure;
use super::{FileError, Files, look_up};

/// How often a directory is emptied that programs fill again meanwhile.
const TRIES_MAX: usize = 8;

impl Files {
    /// A file, link, pipe or whatever has the name; an empty directory, or with `recursive` any. What lies on another file
    /// system is not entered.
    pub fn delete(&self, path: impl AsRef<Path>, recursive: bool) -> Result<(), FileError> {
        let path = path.as_ref();
        let (folder, name) = self.parent(path)?;
        let _identity = self.identity(path)?;
        stays_mounted(&folder, &name, path)?;
        remove(&folder, name.as_os_str(), recursive).map_err(|error| match error {
            Errno::XDEV => FileError::Busy(path.to_owned()),
            error => failure(path, error),
        })
    }
}

/// Fails for a place where something is mounted: we are not in the capsule's mount namespace, and there the kernel would
/// undo the mount.
pub(super) fn stays_mounted(folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), FileError> {
    let here = ResolveFlags::NO_XDEV | ResolveFlags::BENEATH;
    match look_up(folder, name, OFlags::PATH | OFlags::NOFOLLOW, here) {
        Err(Errno::XDEV) => Err(FileError::Busy(path.to_owned())),
        other => other.map(drop).map_err(|error| failure(path, error)),
    }
}

pub(crate) fn remove(folder: &OwnedFd, name: impl rustix::path::Arg + Copy, recursive: bool) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return other,
    }
    for _ in 0..TRIES_MAX {
        match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) if recursive => {}
            other => return other,
        }
        let alone = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        crate::delete::empty(look_up(folder, name, OFlags::RDONLY | OFlags::DIRECTORY, alone)?)?;
    }
    Err(Errno::NOTEMPTY)
}
