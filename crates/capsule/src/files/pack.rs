//! A directory as a tar archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use tar::{EntryType, Header};

use super::error::failure;
use super::walk::{Found, Skipped, TreeLimits, walk};
use super::{FileError, Files, open_regular};

/// What is read of a file, and given to the sink, at once.
const BUFFER_BYTES: usize = 512 * 1024;
/// Everything in an archive fills whole blocks.
const BLOCK_BYTES: usize = 512;
/// What GNU tar calls the entry that carries the next one's long name.
const LONG_NAME: &[u8] = b"././@LongLink";

/// What an archive was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub entries: u64,
    pub bytes: u64,
    /// Pipes, sockets, devices, and what changed too quickly.
    pub skipped: Skipped,
}

impl Files {
    /// All that is in a directory, as a tar archive: files, directories and links with their modes, times and the capsule's
    /// own ids. A file with several names comes once for each.
    pub fn pack(&self, path: impl AsRef<Path>, limits: TreeLimits, sink: &mut dyn Write) -> Result<Packed, FileError> {
        let path = path.as_ref();
        let top = self.directory(path)?;
        let uid_base = self.uid_base;
        let mut packing = Packing { sink, uid_base, limits, done: Packed::default(), buffer: vec![0; BUFFER_BYTES] };
        let mut skipped = Skipped::default();
        walk(&top, limits.entries_max, &mut skipped, |found, skipped| packing.add(found, skipped))?;
        // Two empty blocks are the end.
        let ended = packing.sink.write_all(&[0; 2 * BLOCK_BYTES]).and_then(|()| packing.sink.flush());
        ended.map_err(|error| FileError::from_io(path, error))?;
        Ok(Packed { skipped, ..packing.done })
    }
}

struct Packing<'a> {
    sink: &'a mut dyn Write,
    uid_base: u32,
    limits: TreeLimits,
    done: Packed,
    buffer: Vec<u8>,
}

impl Packing<'_> {
    fn add(&mut self, found: &Found<'_>, skipped: &mut Skipped) -> Result<(), FileError> {
        let mut header = self.header(found);
        let name = found.path.as_os_str().as_bytes();
        let written = match found.kind() {
            FileType::RegularFile => match open_regular(found.folder, found.name, OFlags::RDONLY) {
                Ok((file, status)) => {
                    let size = u64::try_from(status.st_size).unwrap_or(0);
                    self.count(found.path, size)?;
                    self.entry(&mut header, name, EntryType::Regular, size).and_then(|()| self.content(file, size))
                }
                Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => {
                    skipped.add(found.path, "changed meanwhile");
                    return Ok(());
                }
                Err(error) => return Err(failure(found.path, error)),
            },
            FileType::Directory => self.entry(&mut header, &[name, b"/"].concat(), EntryType::Directory, 0),
            FileType::Symlink => match rustix::fs::readlinkat(found.folder, found.name, Vec::new()) {
                Ok(target) => self.link(&mut header, name, target.as_bytes()),
                Err(_) => {
                    skipped.add(found.path, "changed meanwhile");
                    return Ok(());
                }
            },
            _ => {
                skipped.add(found.path, "no regular file");
                return Ok(());
            }
        };
        self.done.entries += 1;
        written.map_err(|error| FileError::from_io(found.path, error))
    }

    fn count(&mut self, path: &Path, size: u64) -> Result<(), FileError> {
        self.done.bytes = self.done.bytes.saturating_add(size);
        if self.done.bytes <= self.limits.bytes_max {
            return Ok(());
        }
        Err(FileError::TooLarge { path: path.to_owned(), limit: format!("{} bytes", self.limits.bytes_max) })
    }

    fn header(&self, found: &Found<'_>) -> Header {
        let mut header = Header::new_gnu();
        header.set_mode(found.status.st_mode & 0o1777);
        header.set_mtime(u64::try_from(found.status.st_mtime).unwrap_or(0));
        header.set_uid(u64::from(found.status.st_uid.saturating_sub(self.uid_base)));
        header.set_gid(u64::from(found.status.st_gid.saturating_sub(self.uid_base)));
        header
    }

    fn entry(&mut self, header: &mut Header, name: &[u8], kind: EntryType, size: u64) -> io::Result<()> {
        if name.len() > header.as_old().name.len() {
            self.long(name, EntryType::GNULongName)?;
        }
        fill(&mut header.as_old_mut().name, name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        self.sink.write_all(header.as_bytes())
    }

    fn link(&mut self, header: &mut Header, name: &[u8], target: &[u8]) -> io::Result<()> {
        if target.len() > header.as_old().linkname.len() {
            self.long(target, EntryType::GNULongLink)?;
        }
        fill(&mut header.as_old_mut().linkname, target);
        self.entry(header, name, EntryType::Symlink, 0)
    }

    /// The bytes that have no room in the next header.
    fn long(&mut self, bytes: &[u8], kind: EntryType) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        // The name ends with a zero, which counts.
        let size = bytes.len() as u64 + 1;
        self.entry(&mut header, LONG_NAME, kind, size)?;
        self.sink.write_all(bytes)?;
        self.sink.write_all(&[0])?;
        self.pad(size)
    }

    /// The header has promised a size: what is written to the file or cut off meanwhile does not change it.
    fn content(&mut self, file: File, size: u64) -> io::Result<()> {
        let mut content = file.chain(io::repeat(0)).take(size);
        loop {
            match content.read(&mut self.buffer) {
                Ok(0) => return self.pad(size),
                Ok(count) => self.sink.write_all(&self.buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = (size % BLOCK_BYTES as u64) as usize;
        self.sink.write_all(&[0; BLOCK_BYTES][..(BLOCK_BYTES - over) % BLOCK_BYTES])
    }
}

fn fill(field: &mut [u8], bytes: &[u8]) {
    let count = bytes.len().min(field.len());
    field[..count].copy_from_slice(&bytes[..count]);
}
