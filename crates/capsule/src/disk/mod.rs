//! Disks of capsules: sparse files with a file system in each, which outlive capsules and processes until they are removed.
//!
//! Assumes a folder of its own on a file system that keeps holes. Promises that no disk grows beyond its size, that none is
//! swept that is in use or was made in this life, and that whoever names a disk names nothing outside of the folder. What the
//! machine lacks is said by whoever makes a disk, each time: once it is there, disks are made.

mod blank;
mod usage;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, RenameFlags};
use rustix::io::Errno;
use tokio::sync::{Notify, OnceCell};
use tokio::time::sleep;

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
/// Disks that nobody has yet are hidden beside the others.
const SPARE_PREFIX: &str = ".";
const SPARE_SUFFIX: &str = ".spare";
/// Where the blank image is made, once.
const SCRATCH: &str = "blank";
/// Between two tries to make a spare disk when one failed.
const SPARE_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks whether a disk is still in use.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    size: u64,
    blank: OnceCell<Arc<Blank>>,
    names: Mutex<Names>,
    /// One of the spare ones was taken.
    taken: Notify,
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
    pub fn open(directory: PathBuf, size: u64) -> Result<Self, CapsuleError> {
        if !(SIZE_MIN..=SIZE_MAX).contains(&size) {
            return Err(CapsuleError::Invalid(format!("a disk has from {SIZE_MIN} to {SIZE_MAX} bytes, not {size}")));
        }
        crate::driver::make_directory(&directory)?;
        let directory = fs::canonicalize(&directory).doing(|| "find the folder of disks".into())?;
        let size = size.next_multiple_of(BLOCK_BYTES);
        let inner = Inner { directory, size, blank: OnceCell::new(), names: Mutex::default(), taken: Notify::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A blank disk of a name that no other has: a spare one, or a new one, which takes its capsule longer to mount.
    pub async fn take(&self) -> Result<(String, PathBuf), CapsuleError> {
        let spare = self.names().spare.pop();
        let Some(name) = spare else {
            let name = new_name()?;
            let path = self.make(&name).await?;
            return Ok((name, path));
        };
        self.inner.taken.notify_one();
        let path = self.path(&name)?;
        let renamed = rustix::fs::renameat_with(CWD, self.spare_path(&name), CWD, &path, RenameFlags::NOREPLACE);
        renamed.doing(|| format!("take disk {name}"))?;
        Ok((name, path))
    }

    /// Have so many spare disks, written through: the kernel flushes a file before it makes a device of it.
    pub async fn refill(&self, spare: usize) -> Result<(), CapsuleError> {
        while self.names().spare.len() < spare {
            let name = new_name()?;
            let path = self.spare_path(&name);
            self.names().made.insert(name.clone());
            let made = async {
                self.write(&name, path.clone()).await?;
                flush(&name, path.clone()).await
            };
            if let Err(error) = made.await {
                self.names().made.remove(&name);
                remove(&name, path).await?;
                return Err(error);
            }
            self.names().spare.push(name);
        }
        Ok(())
    }

    /// Has so many spare disks whenever some are taken; never ends by itself.
    pub async fn keep_spare(&self, spare: usize) -> ! {
        loop {
            match self.refill(spare).await {
                Ok(()) => self.inner.taken.notified().await,
                Err(error) => {
                    tracing::warn!(%error, "there are fewer spare disks than there should be");
                    sleep(SPARE_AGAIN).await;
                }
            }
        }
    }

    /// Remove the spare disks.
    pub fn remove_spare(&self) -> Result<(), CapsuleError> {
        let spare = std::mem::take(&mut self.names().spare);
        let remove = |name: &String| fs::remove_file(self.spare_path(name)).doing(|| format!("remove disk {name}"));
        spare.iter().try_for_each(remove)
    }

    fn spare_path(&self, name: &str) -> PathBuf {
        self.inner.directory.join(format!("{SPARE_PREFIX}{name}{SPARE_SUFFIX}"))
    }

    /// A blank disk of this name. There must be none.
    pub async fn make(&self, name: &str) -> Result<PathBuf, CapsuleError> {
        let path = self.path(name)?;
        self.names().made.insert(name.to_owned());
        self.write(name, path.clone()).await.map(|()| path)
    }

    async fn write(&self, name: &str, path: PathBuf) -> Result<(), CapsuleError> {
        let blank = self.inner.blank.get_or_try_init(|| self.blank()).await?.clone();
        let what = format!("make disk {name}");
        let doing = what.clone();
        blocking(|| what, move || blank.write(&path).doing(|| doing)).await
    }

    /// What a disk is made of.
    async fn blank(&self) -> Result<Arc<Blank>, CapsuleError> {
        let (scratch, size) = (self.inner.directory.join(SCRATCH), self.inner.size);
        let work = move || {
            let clear = || crate::delete::delete(&scratch).doing(|| format!("clear {}", scratch.display()));
            clear()?;
            crate::driver::make_directory(&scratch)?;
            let blank = Blank::make(size, &scratch)?;
            clear()?;
            Ok(Arc::new(blank))
        };
        blocking(|| "prepare disks".into(), work).await
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

    /// Write a disk through to the machine's own, so that it survives a crash of the machine.
    pub async fn flush(&self, name: &str) -> Result<(), CapsuleError> {
        flush(name, self.path(name)?).await
    }

    /// Resolves when no capsule has the disk of this name any more.
    pub async fn free(&self, name: &str) {
        while self.path(name).is_ok_and(|path| in_use(&path)) {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Nothing happens when there is none. A capsule that still has it keeps it until its end.
    pub async fn remove(&self, name: &str) -> Result<(), CapsuleError> {
        let path = self.path(name)?;
        self.names().made.remove(name);
        remove(name, path).await
    }

    /// Remove every disk of an earlier life that is not in `keep` and that no capsule has.
    pub async fn sweep(&self, keep: &HashSet<String>) -> Result<DisksSweep, CapsuleError> {
        let mut report = DisksSweep::default();
        let what = || format!("list {}", self.inner.directory.display());
        for entry in fs::read_dir(&self.inner.directory).doing(what)? {
            let entry = entry.doing(what)?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().and_then(named) else { continue };
            let path = entry.path();
            if keep.contains(name) || self.names().made.contains(name) || in_use(&path) {
                continue;
            }
            match remove(name, path).await {
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

/// The name of the disk in a file that is called so, a spare one too.
fn named(file_name: &str) -> Option<&str> {
    let spare = || file_name.strip_prefix(SPARE_PREFIX)?.strip_suffix(SPARE_SUFFIX);
    file_name.strip_suffix(SUFFIX).or_else(spare)
}

async fn flush(name: &str, path: PathBuf) -> Result<(), CapsuleError> {
    let what = format!("flush disk {name}");
    let doing = what.clone();
    blocking(|| what, move || File::open(path).and_then(|file| file.sync_all()).doing(|| doing)).await
}

/// To free what a large file occupies can take long.
async fn remove(name: &str, path: PathBuf) -> Result<(), CapsuleError> {
    let what = format!("remove disk {name}");
    let doing = what.clone();
    let work = move || match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.doing(|| doing),
    };
    blocking(|| what, work).await
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
