//! Giving things other names.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, OFlags, RenameFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::delete::stays_mounted;
use super::error::failure;
use super::{FileError, Files, open_regular};

impl Files {
    /// Give what is at `from` the name `to`, whose directory is there. With `overwrite`, a file or an empty directory that has
    /// the name is replaced. To another file system a regular file is copied; a directory is refused.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>, overwrite: bool) -> Result<(), FileError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let (old_folder, old_name) = self.parent(from)?;
        let (new_folder, new_name) = self.parent(to)?;
        let flags = if overwrite { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        stays_mounted(&old_folder, &old_name, from)?;
        match stays_mounted(&new_folder, &new_name, to) {
            Ok(()) | Err(FileError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let renamed = {
            let _identity = self.identity(from)?;
            rustix::fs::renameat_with(&old_folder, &old_name, &new_folder, &new_name, flags)
        };
        match renamed {
            Ok(()) => Ok(()),
            Err(Errno::XDEV) => {
                self.carry(from, to, overwrite)?;
                rustix::fs::unlinkat(&old_folder, &old_name, AtFlags::empty()).map_err(|error| failure(from, error))
            }
            Err(error @ (Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR)) => Err(failure(to, error)),
            Err(error) => Err(failure(from, error)),
        }
    }

    /// Copy a regular file with what belongs to it.
    fn carry(&self, from: &Path, to: &Path, overwrite: bool) -> Result<(), FileError> {
        let (folder, name) = self.parent(from)?;
        let (mut file, status) = open_regular(&folder, &name, OFlags::RDONLY).map_err(|error| match error {
            Errno::NXIO => FileError::Across(from.to_owned()),
            error => failure(from, error),
        })?;
        if !overwrite && self.find(to, OFlags::NOFOLLOW).is_ok() {
            return Err(FileError::Exists(to.to_owned()));
        }
        let mut draft = self.create(to)?;
        draft.set_mode(status.st_mode);
        copy(&mut file, draft.file()).map_err(|error| FileError::from_io(to, error))?;
        let time = Timespec { tv_sec: status.st_mtime, tv_nsec: i64::try_from(status.st_mtime_nsec).unwrap_or(0) };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::futimens(draft.file(), &times)
            .and_then(|()| {
                let owner = (Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)));
                rustix::fs::fchown(draft.file(), owner.0, owner.1)
            })
            .map_err(|error| failure(to, error))?;
        if overwrite { draft.keep() } else { draft.keep_new() }
    }
}

fn copy(from: &mut File, mut to: &File) -> io::Result<u64> {
    io::copy(from, &mut to)
}
