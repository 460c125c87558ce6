//! Disks of capsules: sparse files with a file system in each, which outlive capsules and processes until they are removed.
//!
//! Assumes a folder of its own on a file system that keeps holes. Promises that no disk grows beyond its size, that none is
//! swept that is in use or was made in this life, and that whoever names a disk names nothing outside of the folder.

mod blank;
mod usage;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, FlockOperation, RenameFlags};
use rustix::io::Errno;

use crate::CapsuleError;
use crate::error::Doing;
use blank::Blank;
pub use usage::DiskUsage;

/// Smaller ones hold no file system worth the name; larger ones would need a larger image format. In bytes.
const SIZE_MIN: u64 = 16 * 1024 * 1024;
const SIZE_MAX: u64 = 8 << 40;
/// A disk's size is a whole number of its blocks.
const BLOCK_BYTES: u64 = 4096;
const NAME_BYTES_MAX: usize = 64;
const SUFFIX: &str = ".disk";
/// Where the blank image is made, once.
const SCRATCH: &str = "blank";

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    blank: Blank,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    /// Made in this life and not removed: not for the sweep.
    made: HashSet<String>,
    /// Those that nobody has yet.
    spare: Vec<String>,
}

/// What a sweep did.
#[derive(Debug, Default)]
pub struct DisksSweep {
    pub removed: Vec<String>,
    /// What could not be removed, and why; the next sweep tries again.
    pub failed: Vec<(String, CapsuleError)>,
}

impl Disks {
    /// New disks will have this size in bytes; there may be others in the folder.
    pub async fn open(directory: PathBuf, size: u64) -> Result<Self, CapsuleError> {
        if !(SIZE_MIN..=SIZE_MAX).contains(&size) {
            return Err(CapsuleError::Invalid(format!("a disk has from {SIZE_MIN} to {SIZE_MAX} bytes, not {size}")));
        }
        let work = move || {
            crate::driver::make_directory(&directory)?;
            let directory = fs::canonicalize(&directory).doing(|| "find the folder of disks".into())?;
            let scratch = directory.join(SCRATCH);
            let clear = || crate::delete::delete(&scratch).doing(|| format!("clear {}", scratch.display()));
            clear()?;
            crate::driver::make_directory(&scratch)?;
            let blank = Blank::make(size.next_multiple_of(BLOCK_BYTES), &scratch)?;
            clear()?;
            Ok(Self { inner: Arc::new(Inner { directory, blank, names: Mutex::default() }) })
        };
        blocking(|| "prepare disks".into(), work).await
    }

    /// A blank disk of a name that no other has: a spare one, or a new one, which takes its capsule longer to mount.
    pub async fn take(&self) -> Result<(String, PathBuf), CapsuleError> {
        let spare = self.names().spare.pop();
        let name = match spare {
            Some(name) => name,
            None => {
                let name = new_name()?;
                self.make(&name).await?;
                name
            }
        };
        self.path(&name).map(|path| (name, path))
    }

    /// Have so many spare disks, written through: the kernel flushes a file before it makes a device of it.
    pub async fn refill(&self, spare: usize) -> Result<(), CapsuleError> {
        while self.names().spare.len() < spare {
            let name = new_name()?;
            self.make(&name).await?;
            self.flush(&name).await?;
            self.names().spare.push(name);
        }
        Ok(())
    }

    /// A blank disk of this name. There must be none.
    pub async fn make(&self, name: &str) -> Result<PathBuf, CapsuleError> {
        let path = self.path(name)?;
        let what = format!("make disk {name}");
        self.names().made.insert(name.to_owned());
        let (disks, doing) = (self.clone(), what.clone());
        let work = move || disks.inner.blank.write(&path).doing(|| doing).map(|()| path);
        blocking(|| what, work).await
    }

    /// Where the disk of this name is, or would be.
    pub fn path(&self, name: &str) -> Result<PathBuf, CapsuleError> {
        let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        match fits {
            true => Ok(self.inner.directory.join(format!("{name}{SUFFIX}"))),
            false => Err(CapsuleError::Invalid(format!("{name:?} is no name of a disk"))),
        }
    }

    /// Where the disk of this name is.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>, CapsuleError> {
        Ok(Some(self.path(name)?).filter(|path| path.exists()))
    }

    /// Another name for a disk that no capsule has. There must be none of that name.
    pub fn rename(&self, name: &str, new_name: &str) -> Result<PathBuf, CapsuleError> {
        let (old, new) = (self.path(name)?, self.path(new_name)?);
        let renamed = rustix::fs::renameat_with(CWD, &old, CWD, &new, RenameFlags::NOREPLACE);
        renamed.doing(|| format!("call disk {name} {new_name}"))?;
        let mut names = self.names();
        if names.made.remove(name) {
            names.made.insert(new_name.to_owned());
        }
        Ok(new)
    }

    /// Write a disk that no capsule has through to the machine's own, so that it survives a crash of the machine.
    pub async fn flush(&self, name: &str) -> Result<(), CapsuleError> {
        let path = self.path(name)?;
        let what = format!("flush disk {name}");
        let doing = what.clone();
        blocking(|| what, move || File::open(path).and_then(|file| file.sync_all()).doing(|| doing)).await
    }

    /// Nothing happens when there is none. A capsule that still has it keeps it until its end.
    pub async fn remove(&self, name: &str) -> Result<(), CapsuleError> {
        let path = self.path(name)?;
        let what = format!("remove disk {name}");
        self.names().made.remove(name);
        let doing = what.clone();
        let work = move || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.doing(|| doing),
        };
        // To free what a large file occupies can take long.
        blocking(|| what, work).await
    }

    /// Remove every disk of an earlier life that is not in `keep` and that no capsule has.
    pub async fn sweep(&self, keep: &HashSet<String>) -> Result<DisksSweep, CapsuleError> {
        let mut report = DisksSweep::default();
        let what = || format!("list {}", self.inner.directory.display());
        for entry in fs::read_dir(&self.inner.directory).doing(what)? {
            let entry = entry.doing(what)?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
            if keep.contains(name) || self.names().made.contains(name) || in_use(&entry.path()) {
                continue;
            }
            match self.remove(name).await {
                Ok(()) => report.removed.push(name.to_owned()),
                Err(error) => report.failed.push((name.to_owned(), error)),
            }
        }
        report.removed.sort();
        Ok(report)
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.inner.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_name() -> Result<String, CapsuleError> {
    let number = getrandom::u64().map_err(|error| CapsuleError::Unsupported(error.to_string()))?;
    Ok(format!("disk-{number:016x}"))
}

/// Whether a loop device has the file: it keeps the lock that the helper took.
fn in_use(file: &Path) -> bool {
    let Ok(file) = File::open(file) else { return false };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> String,
    work: impl FnOnce() -> Result<T, CapsuleError> + Send + 'static,
) -> Result<T, CapsuleError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)).doing(what))
}
