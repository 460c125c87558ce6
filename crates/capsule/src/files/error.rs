//! What a capsule's file could not be used for, in words that read after "could not".

use std::path::{Path, PathBuf};

use rustix::io::Errno;

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
    #[error("make {0}: there is something of that name")]
    Exists(PathBuf),
    #[error("remove {0}: it is not empty")]
    NotEmpty(PathBuf),
    /// One of the directories that the sandbox itself needs, or below which one is.
    #[error("remove or move {0}: the sandbox itself uses it")]
    Busy(PathBuf),
    /// Directories stay on the disk that they are on.
    #[error("move {0} there: only regular files can be moved to another file system")]
    Across(PathBuf),
    #[error("write {0}: the disk is full")]
    Full(PathBuf),
    /// More entries or bytes than the caller allowed.
    #[error("use {path}: it has more than {limit}")]
    TooLarge { path: PathBuf, limit: String },
    /// The kernel counts what it watches for all capsules together.
    #[error("watch {0}: this machine watches as much as it can; `fs.inotify` in sysctl says how much")]
    TooManyWatches(PathBuf),
    /// Not an archive, or one with an entry that is not taken.
    #[error("unpack the archive: {0}")]
    Archive(String),
    #[error("use {path}")]
    System { path: PathBuf, source: std::io::Error },
}

pub(super) fn failure(path: &Path, error: Errno) -> FileError {
    let path = path.to_owned();
    match error {
        Errno::NOENT | Errno::LOOP | Errno::XDEV => FileError::NotFound(path),
        Errno::NOTDIR => FileError::NotADirectory(path),
        Errno::NXIO | Errno::ISDIR => FileError::NotAFile(path),
        Errno::INVAL | Errno::NAMETOOLONG => FileError::NotAPath(path),
        Errno::EXIST => FileError::Exists(path),
        Errno::NOTEMPTY => FileError::NotEmpty(path),
        Errno::BUSY => FileError::Busy(path),
        Errno::NOSPC | Errno::DQUOT => FileError::Full(path),
        error => FileError::System { path, source: error.into() },
    }
}

impl FileError {
    /// What reading or writing an opened file ended with.
    pub fn from_io(path: &Path, error: std::io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => failure(path, errno),
            None => FileError::System { path: path.to_owned(), source: error },
        }
    }
}
