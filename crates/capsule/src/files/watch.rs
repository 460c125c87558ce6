//! What changes in a directory, as it happens.
//!
//! Assumes that programs change more, and faster, than anybody reads. Promises a bounded number of watched directories and of
//! changes at once, and that what could not be told is told of as lost. Keeps nothing of the capsule alive.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Dir, FileType, OFlags};
use rustix::io::Errno;

use super::entry::is_shown;
use super::error::failure;
use super::{FileError, Files, readable};
use crate::sys;

/// How many directories one watch looks at; the kernel's memory for each is about a kilobyte.
const FOLDERS_MAX: usize = 8192;
/// How much is read from the kernel at once; an event takes 16 bytes and its name.
const BUFFER_BYTES: usize = 64 * 1024;
/// How many names of new directories are told at once.
const CHANGES_MAX: usize = 16_384;

/// What happened to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Created(PathBuf),
    /// Its content or what is known of it.
    Modified(PathBuf),
    Deleted(PathBuf),
    Moved {
        from: PathBuf,
        to: PathBuf,
    },
    /// More happened than could be followed: look again.
    Overflow,
    /// The watched directory is gone. Nothing more comes.
    Ended,
}

/// Its descriptor is readable when something has happened.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
    recursive: bool,
    /// The directories by the kernel's numbers for them; the first one is what was asked for.
    folders: HashMap<i32, PathBuf>,
    first: i32,
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Files {
    /// Watch a directory, with `recursive` all below it.
    pub fn watch(&self, path: impl AsRef<Path>, recursive: bool) -> Result<Watch, FileError> {
        let path = path.as_ref();
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map_err(|error| not_watched(path, error))?;
        let mut watch = Watch { inotify, recursive, folders: HashMap::new(), first: -1 };
        let place = self.find(path, OFlags::DIRECTORY)?;
        watch.first = watch.add(path, &place).map_err(|error| not_watched(path, error))?;
        if recursive && !watch.follow(self, path, place, &mut |_| {}) {
            let limit = format!("{FOLDERS_MAX} directories to watch");
            return Err(FileError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(watch)
    }
}

/// What the kernel refuses is no full disk.
fn not_watched(path: &Path, error: Errno) -> FileError {
    match error {
        Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::NOMEM => FileError::TooManyWatches(path.to_owned()),
        error => failure(path, error),
    }
}

/// The changes of one reading, each said once.
#[derive(Default)]
struct Told {
    changes: Vec<Change>,
    /// The last that was told of a path.
    last: HashMap<PathBuf, usize>,
}

impl Told {
    fn add(&mut self, path: PathBuf, change: fn(PathBuf) -> Change) {
        let change = change(path.clone());
        let before = self.last.get(&path).map(|place| &self.changes[*place]);
        let known = match (before, &change) {
            (Some(Change::Created(_) | Change::Modified(_)), Change::Modified(_)) => true,
            (Some(before), _) => *before == change,
            (None, _) => false,
        };
        if known {
            return;
        }
        if self.changes.len() >= CHANGES_MAX {
            return self.overflow();
        }
        self.last.insert(path, self.changes.len());
        self.changes.push(change);
    }

    fn end(&mut self) {
        if !self.changes.contains(&Change::Ended) {
            self.changes.push(Change::Ended);
        }
    }

    fn overflow(&mut self) {
        if !self.changes.contains(&Change::Overflow) {
            self.changes.push(Change::Overflow);
        }
    }
}

impl Watch {
    /// Resolves when something has happened since the last call of [`Watch::changes`].
    pub fn happened(&self) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let inotify = self.inotify.try_clone();
        async move { sys::watch(Arc::new(inotify?))?.readable().await.map(drop) }
    }

    /// What has happened since the last call; nothing when nothing has. The files are the capsule's, taken for this call.
    pub fn changes(&mut self, files: &Files) -> Result<Vec<Change>, FileError> {
        let mut told = Told::default();
        // A name that left, until the next event says whether it came back elsewhere.
        let mut left: Option<(u32, PathBuf)> = None;
        for event in self.events()? {
            let arrived = event.flags.contains(ReadFlags::MOVED_TO);
            if let Some((cookie, from)) = left.take() {
                match self.folders.get(&event.folder) {
                    Some(folder) if arrived && cookie == event.cookie => {
                        let to = folder.join(OsStr::from_bytes(&event.name));
                        self.rename(&from, &to);
                        told.last.remove(&to);
                        told.changes.push(Change::Moved { from, to });
                        continue;
                    }
                    _ => told.add(from, Change::Deleted),
                }
            }
            left = self.tell(&event, files, &mut told);
        }
        if let Some((_, from)) = left {
            told.add(from, Change::Deleted);
        }
        if told.changes.contains(&Change::Overflow) && !self.renew(files) {
            told.end();
        }
        Ok(told.changes)
    }

    /// What was lost may be a new directory, or the end. Says whether what was asked for is there.
    fn renew(&mut self, files: &Files) -> bool {
        let Some(path) = self.folders.get(&self.first).cloned() else { return false };
        let Ok(place) = files.find(&path, OFlags::DIRECTORY) else { return false };
        if self.add(&path, &place) != Ok(self.first) {
            return false;
        }
        if self.recursive {
            self.folders.clear();
            // Too many still: that more is lost than told is said already.
            self.follow(files, &path, place, &mut |_| {});
        }
        true
    }

    /// One event; a name that left is not told yet.
    fn tell(&mut self, event: &Event, files: &Files, told: &mut Told) -> Option<(u32, PathBuf)> {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            told.overflow();
            return None;
        }
        if event.flags.intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT) {
            self.folders.remove(&event.folder);
            if event.folder == self.first {
                told.end();
            }
            return None;
        }
        let name = std::ffi::CString::new(event.name.clone()).ok()?;
        if event.name.is_empty() || !is_shown(&name) {
            return None;
        }
        let path = self.folders.get(&event.folder)?.join(OsStr::from_bytes(&event.name));
        if event.flags.contains(ReadFlags::MOVED_FROM) {
            return Some((event.cookie, path));
        }
        if event.flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
            told.add(path.clone(), Change::Created);
            if self.recursive && event.flags.contains(ReadFlags::ISDIR) {
                self.enter(files, &path, told);
            }
        } else if event.flags.contains(ReadFlags::DELETE) {
            told.add(path, Change::Deleted);
        } else {
            told.add(path, Change::Modified);
        }
        None
    }

    /// Watch a new directory, and tell what was in it before we did.
    fn enter(&mut self, files: &Files, path: &Path, told: &mut Told) {
        // Gone again, or no directory any more: an event of its own tells.
        let Ok(place) = files.find(path, OFlags::DIRECTORY | OFlags::NOFOLLOW) else { return };
        if !self.follow(files, path, place, &mut |path| told.add(path, Change::Created)) {
            told.overflow();
        }
    }

    /// Watch a directory and all below it, and name what is there. Says whether it was possible.
    fn follow(&mut self, files: &Files, path: &Path, place: OwnedFd, name: &mut dyn FnMut(PathBuf)) -> bool {
        let mut waiting = Vec::new();
        let mut here = Some((path.to_owned(), place));
        while let Some((path, place)) = here.take() {
            if self.folders.len() > FOLDERS_MAX || self.add(&path, &place).is_err() {
                return false;
            }
            let entries = readable(&place).and_then(Dir::new).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| is_shown(entry.file_name())) {
                let below = path.join(OsStr::from_bytes(entry.file_name().to_bytes()));
                if entry.file_type() == FileType::Directory {
                    waiting.push(below.clone());
                }
                if waiting.len() > FOLDERS_MAX {
                    return false;
                }
                name(below);
            }
            // What is gone by now tells itself.
            while let Some(next) = waiting.pop() {
                if let Ok(place) = files.find(&next, OFlags::DIRECTORY | OFlags::NOFOLLOW) {
                    here = Some((next, place));
                    break;
                }
            }
        }
        true
    }

    fn add(&mut self, path: &Path, place: &OwnedFd) -> Result<i32, Errno> {
        let what = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        let number = inotify::add_watch(&self.inotify, format!("/proc/self/fd/{}", place.as_raw_fd()), what)?;
        self.folders.insert(number, path.to_owned());
        Ok(number)
    }

    /// Directories keep their watches when they get other names.
    fn rename(&mut self, from: &Path, to: &Path) {
        for path in self.folders.values_mut() {
            if let Ok(rest) = path.strip_prefix(from) {
                *path = to.join(rest);
            }
        }
    }

    fn events(&self) -> Result<Vec<Event>, FileError> {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(Event {
                    folder: event.wd(),
                    flags: event.events(),
                    cookie: event.cookie(),
                    name: event.file_name().map(|name| name.to_bytes().to_vec()).unwrap_or_default(),
                }),
                Err(Errno::WOULDBLOCK) => return Ok(events),
                Err(error) => return Err(failure(Path::new("the watched directory"), error)),
            }
            // The reader would go on for as long as something happens.
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }
}

struct Event {
    folder: i32,
    flags: ReadFlags,
    cookie: u32,
    name: Vec<u8>,
}
