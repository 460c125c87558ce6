//! Making files and directories.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::error::failure;
use super::{DRAFT_PREFIX, FileError, Files, Identity, look_up, regular, reopen, split};

/// How a file that was put is made: the capsule's programs may read it, and change it as its owner.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;
/// Nobody becomes another by running what was put.
const PERMISSIONS: u32 = 0o777;

impl Files {
    /// A file under way to `path`, whose directories are made. Another file of that name stays until the new one is kept,
    /// and gives it its mode and owner.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Draft, FileError> {
        let path = path.as_ref();
        let (folder, name) = split(path)?;
        let identity = self.identity(path)?;
        let folder = self.ensure(folder)?;
        let (file, unfinished) = unnamed(&folder).map_err(|error| failure(path, error))?;
        drop(identity);
        Ok(Draft { file, folder, unfinished, name, path: path.to_owned(), owner: self.owner, mode: None })
    }

    /// A regular file to be added to at its end, made with its directories when missing. What is written is there at once.
    pub fn append(&self, path: impl AsRef<Path>) -> Result<File, FileError> {
        let path = path.as_ref();
        let add = OFlags::WRONLY | OFlags::APPEND;
        match self.find(path, OFlags::empty()) {
            Ok(place) => regular(&place).and_then(|_| reopen(&place, add)).map_err(|error| failure(path, error)),
            Err(FileError::NotFound(_)) => {
                let (folder, name) = split(path)?;
                let _identity = self.identity(path)?;
                let folder = self.ensure(folder)?;
                let made = make(&folder, &name, add).and_then(|file| permit(&file, FILE_MODE).map(|()| file));
                made.map_err(|error| failure(path, error))
            }
            Err(error) => Err(error),
        }
    }

    /// A directory, with those that it is in. One that is there stays as it is.
    pub fn make_directory(&self, path: impl AsRef<Path>, mode: Option<u32>) -> Result<(), FileError> {
        let path = path.as_ref();
        let _identity = self.identity(path)?;
        match (self.find(path, OFlags::DIRECTORY), mode) {
            (Err(FileError::NotFound(_)), Some(mode)) => {
                let (folder, name) = split(path)?;
                let folder = self.ensure(folder)?;
                make_folder(&folder, &name, mode & PERMISSIONS).map(drop).map_err(|error| failure(path, error))
            }
            (Err(FileError::NotFound(_)), None) => self.ensure(path).map(drop),
            (found, _) => found.map(drop),
        }
    }

    /// A directory, made with those that it is in when missing. The thread has the capsule's identity.
    pub(super) fn ensure(&self, path: &Path) -> Result<OwnedFd, FileError> {
        let mut missing = Vec::new();
        let mut there = path;
        let mut place = loop {
            match self.find(there, OFlags::DIRECTORY) {
                Err(FileError::NotFound(_)) => {
                    missing.push(there.file_name().ok_or_else(|| FileError::NotAPath(path.to_owned()))?);
                    there = there.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("/"));
                }
                other => break other?,
            }
        };
        for name in missing.into_iter().rev() {
            place = make_folder(&place, name, FOLDER_MODE).map_err(|error| failure(path, error))?;
        }
        Ok(place)
    }
}

/// A directory in another one; one that is there is as good.
pub(super) fn make_folder(folder: &OwnedFd, name: &OsStr, mode: u32) -> Result<OwnedFd, Errno> {
    let made = match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(mode)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let place = look_up(folder, name, OFlags::RDONLY | OFlags::DIRECTORY, resolve)?;
    // Our own mask is the server's. What is somebody else's by now keeps its mode.
    if made && rustix::fs::fstat(&place)?.st_uid == rustix::process::geteuid().as_raw() {
        rustix::fs::fchmod(&place, Mode::from_raw_mode(mode))?;
    }
    Ok(place)
}

/// A new file in a directory.
pub(super) fn make(folder: &OwnedFd, name: impl rustix::path::Arg, access: OFlags) -> Result<File, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | access;
    rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(FILE_MODE)).map(File::from)
}

pub(super) fn permit(file: &File, mode: u32) -> Result<(), Errno> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode & PERMISSIONS))
}

/// A file without a name, so that nothing is left when we die; where the file system cannot do that, one with a name of ours.
fn unnamed(folder: &OwnedFd) -> Result<(File, Option<String>), Errno> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, c".", flags, Mode::from_raw_mode(FILE_MODE)) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let name = draft_name()?;
            Ok((make(folder, &name, OFlags::WRONLY)?, Some(name)))
        }
        other => Ok((File::from(other?), None)),
    }
}

/// A name that nobody uses.
pub(crate) fn draft_name() -> Result<String, Errno> {
    Ok(format!("{DRAFT_PREFIX}{:016x}", getrandom::u64().map_err(|_| Errno::IO)?))
}

/// A file that the capsule's programs do not find yet. Dropped without being kept, it is gone.
#[derive(Debug)]
pub struct Draft {
    file: File,
    folder: OwnedFd,
    unfinished: Option<String>,
    name: OsString,
    path: PathBuf,
    owner: u32,
    mode: Option<u32>,
}

impl Draft {
    /// What is to be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The permissions that it is to have, instead of those of what it replaces.
    pub fn set_mode(&mut self, mode: u32) {
        self.mode = Some(mode & PERMISSIONS);
    }

    /// Gives it its name, in place of what had the name.
    pub fn keep(self) -> Result<(), FileError> {
        self.name_it(RenameFlags::empty())
    }

    /// Gives it its name, when nothing has it.
    pub(super) fn keep_new(self) -> Result<(), FileError> {
        self.name_it(RenameFlags::NOREPLACE)
    }

    fn name_it(mut self, how: RenameFlags) -> Result<(), FileError> {
        let path = self.path.clone();
        let mut named = || {
            let _identity = Identity::assume(self.owner)?;
            let replaced = rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW).ok();
            let replaced = replaced.filter(|it| FileType::from_raw_mode(it.st_mode) == FileType::RegularFile);
            permit(&self.file, self.mode.or(replaced.map(|it| it.st_mode)).unwrap_or(FILE_MODE))?;
            if let Some(it) = replaced {
                rustix::fs::fchown(&self.file, Some(Uid::from_raw(it.st_uid)), Some(Gid::from_raw(it.st_gid)))?;
            }
            if self.unfinished.is_none() {
                let name = draft_name()?;
                let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, file, &self.folder, &name, AtFlags::SYMLINK_FOLLOW)?;
                self.unfinished = Some(name);
            }
            let Some(unfinished) = &self.unfinished else { return Ok(()) };
            rustix::fs::renameat_with(&self.folder, unfinished, &self.folder, &self.name, how)?;
            self.unfinished = None;
            Ok(())
        };
        named().map_err(|error| failure(&path, error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            // The capsule's programs may have removed it themselves; its directory goes with the capsule anyhow.
            let _ = rustix::fs::unlinkat(&self.folder, unfinished, AtFlags::empty());
        }
    }
}
