//! Going through a tree of directories that hostile programs may change meanwhile.
//!
//! Promises to go by descriptors from the top down, to follow no link, to enter no other mount, to tell of parents before
//! what is in them and in the order of the names, and to bear any depth: what no program could name any more is told of as
//! skipped.

use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::entry::is_shown;
use super::error::failure;
use super::{FileError, look_up};

/// The longest path that the kernel takes, in bytes with the end.
pub(crate) const PATH_BYTES_MAX: usize = 4096;
/// How much the names take that wait to be looked at.
const NAMES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many skipped names are told.
const SKIPPED_TOLD_MAX: usize = 20;

/// How much of a tree is taken.
#[derive(Clone, Copy, Debug)]
pub struct TreeLimits {
    pub entries_max: u64,
    /// Of all files together.
    pub bytes_max: u64,
}

/// What was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    pub count: u64,
    /// The first of them, with the reason.
    pub first: Vec<(PathBuf, &'static str)>,
}

impl Skipped {
    pub(crate) fn add(&mut self, path: &Path, reason: &'static str) {
        self.count += 1;
        if self.first.len() < SKIPPED_TOLD_MAX {
            self.first.push((path.to_owned(), reason));
        }
    }
}

/// One name that was found.
pub(crate) struct Found<'a> {
    pub folder: &'a OwnedFd,
    pub name: &'a CString,
    /// Below the top.
    pub path: &'a Path,
    pub status: &'a Stat,
}

impl Found<'_> {
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.status.st_mode)
    }
}

/// A directory whose own directories are yet to be entered.
struct Level {
    path_bytes: usize,
    /// The last first.
    folders: Vec<CString>,
}

/// Tell `visit` of everything below a directory.
pub(crate) fn walk<E: From<FileError>>(
    top: &OwnedFd,
    entries_max: u64,
    skipped: &mut Skipped,
    mut visit: impl FnMut(&Found<'_>, &mut Skipped) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = Walk { top, path: Vec::new(), names_bytes: 0, entries: 0, entries_max };
    let mut levels = Vec::new();
    levels.extend(walk.enter(skipped, &mut visit)?);
    while let Some(level) = levels.last_mut() {
        walk.path.truncate(level.path_bytes);
        let Some(name) = level.folders.pop() else {
            levels.pop();
            continue;
        };
        walk.names_bytes -= name.as_bytes().len();
        if !walk.descend(name.as_bytes()) {
            continue;
        }
        levels.extend(walk.enter(skipped, &mut visit)?);
    }
    Ok(())
}

struct Walk<'a> {
    top: &'a OwnedFd,
    path: Vec<u8>,
    names_bytes: usize,
    entries: u64,
    entries_max: u64,
}

impl Walk<'_> {
    /// Whether a path can be that long.
    fn descend(&mut self, name: &[u8]) -> bool {
        if self.path.len() + name.len() + 2 > PATH_BYTES_MAX {
            return false;
        }
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        true
    }

    fn enter<E: From<FileError>>(
        &mut self,
        skipped: &mut Skipped,
        visit: &mut impl FnMut(&Found<'_>, &mut Skipped) -> Result<(), E>,
    ) -> Result<Option<Level>, E> {
        let here = if self.path.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(&self.path) };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let opened = look_up(self.top, here, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, resolve);
        let folder = match opened {
            Ok(folder) => folder,
            Err(Errno::XDEV) => {
                skipped.add(Path::new(here), "another file system");
                return Ok(None);
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                skipped.add(Path::new(here), "changed meanwhile");
                return Ok(None);
            }
            Err(error) => return Err(failure(Path::new(here), error).into()),
        };
        let names = self.names(&folder)?;
        let mut level = Level { path_bytes: self.path.len(), folders: Vec::new() };
        for name in names {
            self.names_bytes -= name.as_bytes().len();
            let is_folder = self.look(&folder, &name, skipped, visit)?;
            self.path.truncate(level.path_bytes);
            if is_folder {
                self.names_bytes += name.as_bytes().len();
                level.folders.push(name);
            }
        }
        level.folders.reverse();
        Ok(Some(level))
    }

    /// Whether it is a directory to be entered.
    fn look<E: From<FileError>>(
        &mut self,
        folder: &OwnedFd,
        name: &CString,
        skipped: &mut Skipped,
        visit: &mut impl FnMut(&Found<'_>, &mut Skipped) -> Result<(), E>,
    ) -> Result<bool, E> {
        if !self.descend(name.as_bytes()) {
            skipped.add(Path::new(OsStr::from_bytes(&self.path)), "what is in it has too long a path");
            return Ok(false);
        }
        let path = Path::new(OsStr::from_bytes(&self.path));
        let status = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(failure(path, error).into()),
        };
        let found = Found { folder, name, path, status: &status };
        visit(&found, skipped)?;
        Ok(found.kind() == FileType::Directory)
    }

    fn names(&mut self, folder: &OwnedFd) -> Result<Vec<CString>, FileError> {
        let path = || Path::new(OsStr::from_bytes(&self.path)).to_owned();
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(|error| failure(&path(), error))? {
            let entry = entry.map_err(|error| failure(&path(), error))?;
            if !is_shown(entry.file_name()) {
                continue;
            }
            self.entries += 1;
            self.names_bytes += entry.file_name().to_bytes().len();
            if self.entries > self.entries_max || self.names_bytes > NAMES_BYTES_MAX {
                return Err(FileError::TooLarge { path: path(), limit: format!("{} entries", self.entries_max) });
            }
            names.push(entry.file_name().to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }
}
