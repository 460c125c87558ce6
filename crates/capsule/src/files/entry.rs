//! What names stand for: one, and all of a directory.

use std::collections::BinaryHeap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::error::failure;
use super::{DRAFT_PREFIX, FileError, Files, readable};

/// How many names of a directory are looked at for a list; a program may have made any number.
const NAMES_MAX: usize = 2_000_000;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// As it is; not always UTF-8.
    pub name: OsString,
    pub kind: FileKind,
    pub size: u64,
    pub modified_ms: i64,
    /// The permission bits.
    pub mode: u32,
    /// What a symbolic link says.
    pub target: Option<OsString>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    /// A symbolic link: not followed.
    Link,
    /// What is never opened.
    Other,
}

/// What is in a directory, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub entries: Vec<FileEntry>,
    /// There are more.
    pub truncated: bool,
}

impl Files {
    /// What a name stands for. A link is not followed, unless further names come after it.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<FileEntry, FileError> {
        let path = path.as_ref();
        let place = self.find(path, OFlags::NOFOLLOW)?;
        let name = path.file_name().unwrap_or(OsStr::new("/"));
        rustix::fs::fstat(&place)
            .and_then(|status| described(&place, c"", name, &status))
            .map_err(|error| failure(path, error))
    }

    /// What is in a directory: the first `entries_max` by name.
    pub fn list(&self, path: impl AsRef<Path>, entries_max: usize) -> Result<Listing, FileError> {
        let path = path.as_ref();
        let place = self.find(path, OFlags::DIRECTORY)?;
        listed(&place, entries_max).map_err(|error| failure(path, error))
    }
}

fn listed(place: &OwnedFd, entries_max: usize) -> Result<Listing, Errno> {
    let mut first = BinaryHeap::new();
    let mut truncated = false;
    for (number, entry) in Dir::new(readable(place)?)?.enumerate() {
        let entry = entry?;
        if !is_shown(entry.file_name()) {
            continue;
        }
        if number >= NAMES_MAX {
            truncated = true;
            break;
        }
        first.push(entry.file_name().to_owned());
        if first.len() > entries_max {
            first.pop();
            truncated = true;
        }
    }
    let mut entries = Vec::with_capacity(first.len());
    for name in first.into_sorted_vec() {
        let name: CString = name;
        let found = rustix::fs::statat(place, &name, AtFlags::SYMLINK_NOFOLLOW)
            .and_then(|status| described(place, &name, OsStr::from_bytes(name.to_bytes()), &status));
        match found {
            Ok(entry) => entries.push(entry),
            // Removed or replaced a moment ago.
            Err(Errno::NOENT | Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Listing { entries, truncated })
}

/// Whether a name in a directory is one for others than us.
pub(super) fn is_shown(name: &CStr) -> bool {
    name != c"." && name != c".." && !name.to_bytes().starts_with(DRAFT_PREFIX.as_bytes())
}

/// `relative` to `place` it can be read again, when it is a link.
fn described(place: &OwnedFd, relative: &CStr, name: &OsStr, status: &Stat) -> Result<FileEntry, Errno> {
    let kind = match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    };
    let target = match kind {
        FileKind::Link => Some(OsString::from_vec(rustix::fs::readlinkat(place, relative, Vec::new())?.into_bytes())),
        _ => None,
    };
    let nanoseconds = i64::try_from(status.st_mtime_nsec).unwrap_or(0);
    Ok(FileEntry {
        name: name.to_owned(),
        kind,
        size: u64::try_from(status.st_size).unwrap_or(0),
        modified_ms: status.st_mtime.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000),
        mode: status.st_mode & 0o7777,
        target,
    })
}
