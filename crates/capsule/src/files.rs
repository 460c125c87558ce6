//! A capsule's files, used from the host's side.
//!
//! Assumes that hostile programs link, rename and replace whatever they can while we look. Promises that every name is looked
//! up as the capsule's own processes would, below its root, so that nothing of the host is ever reached; that only regular
//! files are opened, and that a pipe, a socket or a device is not even touched. The calls wait for the disk: not for the
//! threads of an asynchronous runtime.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Uid};
use rustix::io::Errno;
use vitrine_init::USER_ID;

use crate::error::Doing;
use crate::{Capsule, CapsuleError};

/// Tries to look a name up while somebody renames what it leads through.
const LOOK_UPS_MAX: usize = 32;
/// What files that are not finished yet begin with.
const DRAFT_PREFIX: &str = ".vitrine-";
/// How a file that was put is made: the capsule's programs may read it, and change it as its owner.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// What a capsule's file could not be used for, in words that read after "could not".
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("find {0}")]
    NotFound(PathBuf),
    /// A directory, a pipe, a socket, a device, or one of the kernel's own files.
    #[error("use {0}: it is no regular file")]
    NotAFile(PathBuf),
    #[error("use {0}: it is no directory")]
    NotADirectory(PathBuf),
    /// It names no place below the root: empty, or ends in `..`.
    #[error("use {0} as a path")]
    NotAPath(PathBuf),
    #[error("use {path}")]
    System { path: PathBuf, source: std::io::Error },
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    pub name: OsString,
    pub kind: FileKind,
    pub size: u64,
    pub modified_ms: i64,
    /// The permission bits.
    pub mode: u32,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    /// A symbolic link: not followed by a list.
    Link,
    /// What is never opened.
    Other,
}

/// The files as the capsule's processes see them. It keeps the capsule's file systems alive: not to be kept.
#[derive(Debug)]
pub struct Files {
    root: OwnedFd,
    owner: u32,
}

impl Capsule {
    /// Fails once process 1 is gone.
    pub fn files(&self) -> Result<Files, CapsuleError> {
        let root = root_of(self.init()).doing(|| format!("reach the files of capsule {}", self.id()))?;
        Ok(Files { root, owner: self.uid_base() + USER_ID })
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
        let opened = || {
            let status = rustix::fs::fstat(&place)?;
            if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile || is_kernels(&place)? {
                return Err(Errno::NXIO);
            }
            // The very file that was looked at. Without waiting: somebody may hold a lease on it.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, format!("/proc/self/fd/{}", place.as_raw_fd()), flags, Mode::empty())
        };
        opened().map(File::from).map_err(|error| failure(path, error))
    }

    /// What is in a directory, in no order; no more than `entries_max` of it.
    pub fn list(&self, path: impl AsRef<Path>, entries_max: usize) -> Result<Vec<FileEntry>, FileError> {
        let path = path.as_ref();
        let place = self.find(path, OFlags::DIRECTORY)?;
        let listed = || {
            let mut entries = Vec::new();
            // What was only named so far is opened.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            for entry in Dir::new(rustix::fs::openat(&place, c".", flags, Mode::empty())?)? {
                let entry = entry?;
                let name = entry.file_name();
                if name == c"." || name == c".." || name.to_bytes().starts_with(DRAFT_PREFIX.as_bytes()) {
                    continue;
                }
                if entries.len() >= entries_max {
                    break;
                }
                match rustix::fs::statat(&place, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(status) => entries.push(described(OsStr::from_bytes(name.to_bytes()), &status)),
                    // Removed a moment ago.
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(entries)
        };
        listed().map_err(|error| failure(path, error))
    }

    /// A file under way to `path`, whose directory is there. Another file of that name stays until the new one is kept.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Draft, FileError> {
        let path = path.as_ref();
        let (folder, name) = self.parent(path)?;
        let number = getrandom::u64().map_err(|error| FileError::System {
            path: path.to_owned(),
            source: std::io::Error::other(error.to_string()),
        })?;
        let unfinished = format!("{DRAFT_PREFIX}{number:016x}");
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&folder, &unfinished, flags, Mode::from_raw_mode(FILE_MODE));
        let file = File::from(made.map_err(|error| failure(path, error))?);
        let draft = Draft { file, folder, unfinished, name, path: path.to_owned(), kept: false };
        rustix::fs::fchown(&draft.file, Some(Uid::from_raw(self.owner)), Some(Gid::from_raw(self.owner)))
            .map_err(|error| failure(path, error))?;
        Ok(draft)
    }

    /// A directory of the capsule's ordinary user. Nothing happens when there is one.
    pub fn make_directory(&self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        let (folder, name) = self.parent(path)?;
        match rustix::fs::mkdirat(&folder, &name, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) => {
                let owner = (Some(Uid::from_raw(self.owner)), Some(Gid::from_raw(self.owner)));
                rustix::fs::chownat(&folder, &name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| failure(path, error))
            }
            Err(Errno::EXIST) => self.find(path, OFlags::DIRECTORY).map(drop),
            Err(error) => Err(failure(path, error)),
        }
    }

    fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString), FileError> {
        let name = path.file_name().ok_or_else(|| FileError::NotAPath(path.to_owned()))?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("/"));
        Ok((self.find(folder, OFlags::DIRECTORY)?, name.to_owned()))
    }

    /// A place, without opening what is there.
    fn find(&self, path: &Path, more: OFlags) -> Result<OwnedFd, FileError> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC | more;
        let mut last = Errno::AGAIN;
        for _ in 0..LOOK_UPS_MAX {
            match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                Err(error) => {
                    last = error;
                    break;
                }
                Ok(place) if more.contains(OFlags::DIRECTORY) && is_kernels(&place).unwrap_or(true) => {
                    return Err(FileError::NotADirectory(path.to_owned()));
                }
                Ok(place) => return Ok(place),
            }
        }
        Err(failure(path, last))
    }
}

/// Whether it lies in `/proc`, whose files are the kernel's doors and open wider to the host than to the capsule.
fn is_kernels(place: &OwnedFd) -> Result<bool, Errno> {
    Ok(rustix::fs::fstatfs(place)?.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

fn described(name: &OsStr, status: &rustix::fs::Stat) -> FileEntry {
    let kind = match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    };
    let nanoseconds = i64::try_from(status.st_mtime_nsec).unwrap_or(0);
    FileEntry {
        name: name.to_owned(),
        kind,
        size: u64::try_from(status.st_size).unwrap_or(0),
        modified_ms: status.st_mtime.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000),
        mode: status.st_mode & 0o7777,
    }
}

fn failure(path: &Path, error: Errno) -> FileError {
    let path = path.to_owned();
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => FileError::NotFound(path),
        Errno::NXIO | Errno::ISDIR => FileError::NotAFile(path),
        Errno::INVAL | Errno::NAMETOOLONG => FileError::NotAPath(path),
        error => FileError::System { path, source: error.into() },
    }
}

/// A file that has no name yet for the capsule's programs. Dropped without being kept, it is gone.
#[derive(Debug)]
pub struct Draft {
    file: File,
    folder: OwnedFd,
    unfinished: String,
    name: OsString,
    path: PathBuf,
    kept: bool,
}

impl Draft {
    /// What is to be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, in place of what had the name.
    pub fn keep(mut self) -> Result<(), FileError> {
        rustix::fs::renameat(&self.folder, &self.unfinished, &self.folder, &self.name)
            .map_err(|error| failure(&self.path, error))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // The capsule's programs may have removed it themselves; its directory goes with the capsule anyhow.
            let _ = rustix::fs::unlinkat(&self.folder, &self.unfinished, AtFlags::empty());
        }
    }
}
