//! From a browser's folder to an archive.

use super::{Budget, COOKIES, DEPTH_MAX, ProfileError, SessionCookies, is_kept};
use crate::host::Exit;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Below 5 it is as fast as the disk; above, profiles hardly get smaller.
const LEVEL: i32 = 3;

/// Packs the folder of a browser that has ended with `exit`: only one that was closed has written all that it knows.
pub fn pack(exit: Exit, folder: &Path, cookies: &SessionCookies, archive: impl Write) -> Result<(), ProfileError> {
    if exit != Exit::Code(0) {
        return Err(ProfileError::NotClosed(exit));
    }
    let failed = || ProfileError::io("write the archive");
    let compressed = zstd::Encoder::new(archive, LEVEL).map_err(failed())?;
    let mut packing = Packing { archive: Builder::new(compressed), budget: Budget::new() };
    let cookies = serde_json::to_vec(cookies).map_err(ProfileError::io("write the cookies"))?;
    packing.member(Path::new(COOKIES), EntryType::Regular, cookies.len() as u64, &*cookies)?;
    let top = rustix::fs::openat(CWD, folder, FOLDER_ONLY, Mode::empty());
    packing.folder(&top.map_err(ProfileError::io("open the browser's folder"))?, Path::new(""), 0)?;
    let compressed = packing.archive.into_inner().map_err(failed())?;
    compressed.finish().and_then(|mut archive| archive.flush()).map_err(failed())
}

const FOLDER_ONLY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Never waits: a pipe without a writer would hold the opener.
const ANYTHING: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

struct Packing<W: Write> {
    archive: Builder<W>,
    budget: Budget,
}

impl<W: Write> Packing<W> {
    /// What is kept of an open folder. `path` is relative to the browser's.
    fn folder(&mut self, folder: &OwnedFd, path: &Path, depth: usize) -> Result<(), ProfileError> {
        if depth > DEPTH_MAX {
            return Err(ProfileError::TooDeep);
        }
        let failed = || ProfileError::io(format!("list {}", path.display()));
        for entry in Dir::read_from(folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let path = path.join(name);
            if !matches!(name, "." | "..") && is_kept(&path) {
                self.entry(folder, name, path, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, folder: &OwnedFd, name: &str, path: PathBuf, depth: usize) -> Result<(), ProfileError> {
        let failed = || ProfileError::io(format!("read {}", path.display()));
        let file = match rustix::fs::openat(folder.as_fd(), name, ANYTHING, Mode::empty()) {
            // A link, a socket, or gone meanwhile.
            Err(Errno::LOOP | Errno::NXIO | Errno::NOENT) => return Ok(()),
            opened => opened.map_err(failed())?,
        };
        let status = rustix::fs::fstat(&file).map_err(failed())?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                self.member(&path, EntryType::Directory, 0, io::empty())?;
                self.folder(&file, &path, depth + 1)
            }
            FileType::RegularFile => {
                let size = u64::try_from(status.st_size).unwrap_or(u64::MAX);
                self.member(&path, EntryType::Regular, size, File::from(file))
            }
            _ => Ok(()),
        }
    }

    fn member(&mut self, path: &Path, kind: EntryType, size: u64, content: impl Read) -> Result<(), ProfileError> {
        self.budget.take(size)?;
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(if kind == EntryType::Directory { 0o700 } else { 0o600 });
        self.archive
            .append_data(&mut header, path, Exactly { content, left: size })
            .map_err(ProfileError::io(format!("pack {}", path.display())))
    }
}

/// A file that somebody shortens meanwhile must not shift what follows it in the archive.
struct Exactly<R> {
    content: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.content.read(&mut buffer[..wanted])?;
        if read == 0 && wanted > 0 {
            return Err(io::Error::other("it was shortened meanwhile"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
