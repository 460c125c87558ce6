//! A tar archive into a directory.
//!
//! Assumes that the archive is as hostile as the capsule. Promises that nothing is written outside the directory, not through
//! links either, be they the archive's own; a link itself is made as it is written, for whom it leads astray is the capsule.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::error::failure;
use super::walk::TreeLimits;
use super::write::{make, make_folder, permit};
use super::{FileError, Files, is_kernels, look_up, regular};

/// What is read of the archive at once.
const BUFFER_BYTES: usize = 512 * 1024;
/// The longest extension of a header that is read: two of the longest paths, and a little else.
const EXTENSION_BYTES_MAX: u64 = 64 * 1024;

/// What came out of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    pub entries: u64,
    pub bytes: u64,
}

impl Files {
    /// Unpack a tar archive into a directory, which is made when missing. Everything becomes the capsule's user's, with the
    /// archive's permissions; files that are there are replaced. Devices, pipes, and names or hard links that lead outside
    /// are refused; what was unpacked until then stays.
    pub fn unpack(
        &self,
        path: impl AsRef<Path>,
        limits: TreeLimits,
        source: &mut dyn Read,
    ) -> Result<Unpacked, FileError> {
        let _identity = self.identity(path.as_ref())?;
        let top = self.ensure(path.as_ref())?;
        let mut unpacking = Unpacking {
            top,
            limits,
            done: Unpacked::default(),
            folder: None,
            ahead: Ahead::default(),
            buffer: vec![0; BUFFER_BYTES],
        };
        let mut archive = Archive::new(source);
        // Raw: the library would read an extension of any size into memory.
        for entry in archive.entries().map_err(broken)?.raw(true) {
            unpacking.take(entry.map_err(broken)?)?;
        }
        Ok(unpacking.done)
    }
}

/// What earlier entries say about the next one.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

struct Unpacking {
    top: OwnedFd,
    limits: TreeLimits,
    done: Unpacked,
    /// The directory of the entry before: mostly the next one's too.
    folder: Option<(PathBuf, OwnedFd)>,
    ahead: Ahead,
    buffer: Vec<u8>,
}

impl Unpacking {
    fn take<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), FileError> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => self.ahead.name = Some(name(&mut entry)?),
            EntryType::GNULongLink => self.ahead.target = Some(name(&mut entry)?),
            EntryType::XHeader => self.extend(&mut entry)?,
            // A comment on the whole, as git writes it.
            EntryType::XGlobalHeader => {}
            _ => {
                let ahead = std::mem::take(&mut self.ahead);
                let header = entry.header();
                let name = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
                let target = ahead.target.or_else(|| header.link_name_bytes().map(|bytes| bytes.into_owned()));
                self.make(entry, kind, &inside(OsStr::from_bytes(&name))?, target)?;
            }
        }
        Ok(())
    }

    /// What a POSIX header says about the next entry.
    fn extend<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), FileError> {
        let bytes = short(entry)?;
        for extension in PaxExtensions::new(&bytes) {
            let extension = extension.map_err(broken)?;
            match extension.key_bytes() {
                b"path" => self.ahead.name = Some(extension.value_bytes().to_vec()),
                b"linkpath" => self.ahead.target = Some(extension.value_bytes().to_vec()),
                b"size" => return Err(refused("a file is larger than 8 GiB, or its header does not say its size")),
                key if key.starts_with(b"GNU.sparse.") => return Err(refused("it has sparse files")),
                _ => {}
            }
        }
        Ok(())
    }

    fn make<R: Read>(
        &mut self,
        mut entry: Entry<'_, R>,
        kind: EntryType,
        path: &Path,
        target: Option<Vec<u8>>,
    ) -> Result<(), FileError> {
        self.done.entries += 1;
        if self.done.entries > self.limits.entries_max {
            return Err(self.too_large(path, format!("{} entries", self.limits.entries_max)));
        }
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            // The directory itself.
            return Ok(());
        };
        let (above, folder) = self.folder(path.parent().unwrap_or(Path::new("")))?;
        let mode = entry.header().mode().unwrap_or(0o644);
        let failed = |error| failure(path, error);
        match kind {
            EntryType::Directory => make_or_keep(&folder, &name, mode & 0o777).map_err(failed)?,
            EntryType::Regular | EntryType::Continuous => {
                let file = replaced(&folder, &name, || make(&folder, &name, OFlags::WRONLY)).map_err(failed)?;
                self.fill(&mut entry, file, path, mode)?;
            }
            EntryType::Symlink => {
                let target = OsString::from_vec(target.ok_or_else(|| refused("a link leads nowhere"))?);
                replaced(&folder, &name, || rustix::fs::symlinkat(&target, &folder, &name)).map_err(failed)?;
            }
            EntryType::Link => {
                let target = OsString::from_vec(target.ok_or_else(|| refused("a link leads nowhere"))?);
                let target = inside(&target)?;
                let linked = beneath(&self.top, &target, OFlags::PATH | OFlags::NOFOLLOW).and_then(|place| {
                    regular(&place)?;
                    let from = format!("/proc/self/fd/{}", place.as_raw_fd());
                    replaced(&folder, &name, || rustix::fs::linkat(CWD, &from, &folder, &name, AtFlags::SYMLINK_FOLLOW))
                });
                linked.map_err(|_| refused(&format!("{} is a link to what is not there", path.display())))?;
            }
            _ => return Err(refused(&format!("{} is neither file, directory nor link", path.display()))),
        }
        self.folder = Some((above, folder));
        Ok(())
    }

    fn fill<R: Read>(&mut self, entry: &mut Entry<'_, R>, file: File, path: &Path, mode: u32) -> Result<(), FileError> {
        let size = entry.size();
        self.done.bytes = self.done.bytes.saturating_add(size);
        if self.done.bytes > self.limits.bytes_max {
            return Err(self.too_large(path, format!("{} bytes", self.limits.bytes_max)));
        }
        let mut left = size;
        while left > 0 {
            let count = match entry.read(&mut self.buffer) {
                Ok(0) => return Err(refused("it ends early")),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(broken)?,
            };
            (&file).write_all(&self.buffer[..count]).map_err(|error| FileError::from_io(path, error))?;
            left -= (count as u64).min(left);
        }
        let modified = i64::try_from(entry.header().mtime().unwrap_or(0)).unwrap_or(0);
        let time = Timespec { tv_sec: modified, tv_nsec: 0 };
        permit(&file, mode)
            .and_then(|()| rustix::fs::futimens(&file, &Timestamps { last_access: time, last_modification: time }))
            .map_err(|error| failure(path, error))
    }

    /// The directory that an entry is in, made when the archive did not bring it before.
    fn folder(&mut self, path: &Path) -> Result<(PathBuf, OwnedFd), FileError> {
        match self.folder.take().filter(|(known, _)| known == path) {
            Some(known) => Ok(known),
            None => Ok((path.to_owned(), self.enter(path).map_err(|error| failure(path, error))?)),
        }
    }

    fn enter(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match beneath(&self.top, here, flags) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let mut folder = beneath(&self.top, Path::new("."), flags)?;
        for name in path {
            folder = match beneath(&folder, Path::new(name), flags) {
                Err(Errno::NOENT) => make_folder(&folder, name, 0o755)?,
                other => other?,
            };
        }
        Ok(folder)
    }

    fn too_large(&self, path: &Path, limit: String) -> FileError {
        FileError::TooLarge { path: path.to_owned(), limit }
    }
}

fn beneath(top: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let place = look_up(top, path, flags, ResolveFlags::BENEATH)?;
    if is_kernels(&place)? { Err(Errno::NXIO) } else { Ok(place) }
}

/// A directory of the archive; a link to one that is there is as good.
fn make_or_keep(folder: &OwnedFd, name: &OsStr, mode: u32) -> Result<(), Errno> {
    match beneath(folder, Path::new(name), OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => make_folder(folder, name, mode).map(drop),
        other => other.map(drop),
    }
}

/// Make something in place of what has the name; a directory keeps it.
fn replaced<T>(folder: &OwnedFd, name: &OsStr, make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    match make() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
            make()
        }
        other => other,
    }
}

/// A path that stays below.
fn inside(path: &OsStr) -> Result<PathBuf, FileError> {
    let mut below = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => below.push(name),
            Component::CurDir => {}
            _ => return Err(refused(&format!("{} leads outside", Path::new(path).display()))),
        }
    }
    Ok(below)
}

/// The bytes of a long name, without the zero at their end.
fn name<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, FileError> {
    let mut bytes = short(entry)?;
    bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    Ok(bytes)
}

fn short<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, FileError> {
    if entry.size() > EXTENSION_BYTES_MAX {
        return Err(refused("a name is too long"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

fn refused(why: &str) -> FileError {
    FileError::Archive(why.to_owned())
}

fn broken(error: io::Error) -> FileError {
    FileError::Archive(error.to_string())
}
