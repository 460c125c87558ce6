//! The machine-wide folder of built images.
//!
//! `NAME-HASH/` holds `rootfs/` and `image.json`; it appears by one rename when everything in it is complete, so what is
//! there is whole. One builder at a time holds `lock`; whatever an earlier one left unfinished is swept by the next.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::ImageError;
use super::build::{self, Progress, Report, Settings, Step};
use super::definition::Definition;

/// Folders that are being made or removed begin so; nobody but the holder of the lock may touch them.
const UNFINISHED: &str = ".unfinished-";

/// How often a builder that waits for another one looks again.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    pub name: String,
    pub hash: String,
    /// The root file system, owned by root; lay something over it, never write to it.
    pub rootfs: PathBuf,
    pub size_bytes: u64,
    pub built: SystemTime,
    /// What every program in a capsule of this image starts with.
    pub environment: BTreeMap<String, String>,
    /// Program → what it said its version is.
    pub versions: BTreeMap<String, String>,
}

impl Image {
    /// The name of its folder: the name and the hash.
    pub fn id(&self) -> String {
        format!("{}-{}", self.name, self.hash)
    }
}

/// `image.json`.
#[derive(Serialize, Deserialize)]
struct Description {
    name: String,
    hash: String,
    size_bytes: u64,
    versions: BTreeMap<String, String>,
    definition: Definition,
}

/// The folder. Reading needs no lock: an image is whole or not there.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    pub fn new(directory: impl Into<PathBuf>) -> Store {
        Store { directory: directory.into() }
    }

    /// Where images are kept when nothing else is said: the system's cache for root, the user's own otherwise.
    pub fn default_directory() -> PathBuf {
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/var/cache/vitrine/images");
        }
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("vitrine/images")
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The image of that name: the one of today's definition for a name of the product's own, else the newest.
    pub fn find(&self, name: &str) -> Result<Option<Image>, ImageError> {
        match Definition::embedded(name) {
            Ok(definition) => self.find_built(&definition),
            Err(ImageError::Unknown { .. }) => Ok(self.list()?.into_iter().find(|image| image.name == name)),
            Err(error) => Err(error),
        }
    }

    /// The image of exactly this definition.
    pub fn find_built(&self, definition: &Definition) -> Result<Option<Image>, ImageError> {
        self.open(&definition.id())
    }

    /// Every image, by name, the newest of a name first.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let mut images = Vec::new();
        for entry in self.entries()? {
            if !entry.starts_with('.') {
                images.extend(self.open(&entry)?);
            }
        }
        images.sort_by(|a, b| a.name.cmp(&b.name).then(b.built.cmp(&a.built)));
        Ok(images)
    }

    /// Builds what the definition says, or finds that it is there already. Blocks for minutes: give it a thread of its
    /// own. `report` is told of progress and may stop the build; the end of this process stops it too.
    pub fn build(
        &self,
        definition: &Definition,
        settings: &Settings,
        report: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Image, ImageError> {
        if let Some(image) = self.find_built(definition)? {
            return Ok(image);
        }
        if !rustix::process::geteuid().is_root() {
            return Err(ImageError::NotRoot);
        }
        let _lock = self.lock(report)?;
        self.sweep()?;
        // The builder that was waited for may have made it.
        if let Some(image) = self.find_built(definition)? {
            return Ok(image);
        }
        let folder = self.directory.join(format!("{UNFINISHED}{}", definition.id()));
        fs::create_dir(&folder).map_err(ImageError::file("creating", &folder))?;
        let built = build::build(definition, settings, &folder, report)
            .and_then(|versions| self.publish(definition, versions, &folder, report));
        if built.is_err() {
            // The first error says more than one of cleaning up; what stays is swept by the next builder.
            let _ = self.sweep();
        }
        built
    }

    /// Removes the image of that folder name. Whether something still runs on it is the caller's to know.
    pub fn remove(&self, id: &str) -> Result<(), ImageError> {
        let Some(image) = self.open(id)? else {
            let known: Vec<_> = self.list()?.iter().map(Image::id).collect();
            return Err(ImageError::Unknown { name: id.to_owned(), known: known.join(", ") });
        };
        let _lock = self.lock(&mut |_| ControlFlow::Continue(()))?;
        let (from, to) = (self.directory.join(image.id()), self.directory.join(format!("{UNFINISHED}{id}")));
        refuse_mounts(&from)?;
        fs::rename(&from, &to).map_err(ImageError::file("removing", &from))?;
        self.sweep()
    }

    fn publish(
        &self,
        definition: &Definition,
        versions: BTreeMap<String, String>,
        folder: &Path,
        report: Report<'_>,
    ) -> Result<Image, ImageError> {
        if report(Progress { step: Step::Saving, done: 0, total: 0, item: "" }).is_break() {
            return Err(ImageError::Cancelled);
        }
        let (name, hash) = (definition.name.clone(), definition.hash());
        let size_bytes = disk_bytes(&folder.join("rootfs"))?;
        let description = Description { name, hash, size_bytes, versions, definition: definition.clone() };
        let path = folder.join("image.json");
        let text = serde_json::to_vec_pretty(&description).map_err(|error| error.into());
        text.and_then(|text| fs::write(&path, text)).map_err(ImageError::file("writing", &path))?;
        // Before the name promises that all of it is there, all of it must be on the disk.
        let opened = File::open(folder).map_err(ImageError::file("opening", folder))?;
        rustix::fs::syncfs(&opened).map_err(|error| ImageError::file("flushing", folder)(error.into()))?;
        let finished = self.directory.join(definition.id());
        fs::rename(folder, &finished).map_err(ImageError::file("publishing", &finished))?;
        self.find_built(definition)?.ok_or_else(|| ImageError::file("opening", &finished)(ErrorKind::NotFound.into()))
    }

    fn open(&self, id: &str) -> Result<Option<Image>, ImageError> {
        let folder = self.directory.join(id);
        let path = folder.join("image.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(ImageError::file("reading", &path)(error)),
        };
        let invalid = |reason: String| ImageError::Definition { path: path.display().to_string(), reason };
        let read: Description = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        let built = fs::metadata(&path).and_then(|metadata| metadata.modified());
        Ok(Some(Image {
            name: read.name,
            hash: read.hash,
            rootfs: folder.join("rootfs"),
            size_bytes: read.size_bytes,
            built: built.map_err(ImageError::file("reading", &path))?,
            environment: read.definition.environment,
            versions: read.versions,
        }))
    }

    /// Names in the folder; none when it was never made.
    fn entries(&self) -> Result<Vec<String>, ImageError> {
        let directory = match fs::read_dir(&self.directory) {
            Ok(directory) => directory,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ImageError::file("reading", &self.directory)(error)),
        };
        let names = directory.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        names.collect::<Result<_, _>>().map_err(ImageError::file("reading", &self.directory))
    }

    /// The lock, held until the file is closed: by its drop or by the end of this process.
    fn lock(&self, report: Report<'_>) -> Result<File, ImageError> {
        fs::create_dir_all(&self.directory).map_err(ImageError::file("creating", &self.directory))?;
        let path = self.directory.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(ImageError::file("opening", &path))?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(ImageError::file("locking", &path)(error.into())),
            }
            if report(Progress { step: Step::Waiting, done: 0, total: 0, item: "" }).is_break() {
                return Err(ImageError::Cancelled);
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// Deletes what is unfinished. Only for the holder of the lock.
    fn sweep(&self) -> Result<(), ImageError> {
        for entry in self.entries()? {
            if entry.starts_with(UNFINISHED) {
                let path = self.directory.join(entry);
                refuse_mounts(&path)?;
                fs::remove_dir_all(&path).map_err(ImageError::file("removing", &path))?;
            }
        }
        Ok(())
    }
}

/// A recursive delete goes through a forgotten mount and empties what it points to.
fn refuse_mounts(path: &Path) -> Result<(), ImageError> {
    let table = fs::read_to_string("/proc/self/mountinfo");
    let table = table.map_err(ImageError::file("reading", Path::new("/proc/self/mountinfo")))?;
    let path = fs::canonicalize(path).map_err(ImageError::file("reading", path))?;
    let mut points = table.lines().filter_map(|line| line.split(' ').nth(4));
    match points.find(|point| Path::new(point).starts_with(&path)) {
        Some(mount) => Err(ImageError::Mounted { path, mount: mount.to_owned() }),
        None => Ok(()),
    }
}

/// Space that a tree takes on disk.
fn disk_bytes(root: &Path) -> Result<u64, ImageError> {
    const BLOCK_BYTES: u64 = 512;
    let mut total = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(ImageError::file("reading", &folder))? {
            let entry = entry.map_err(ImageError::file("reading", &folder))?;
            let path = entry.path();
            let metadata = entry.metadata().map_err(ImageError::file("reading", &path))?;
            total += metadata.blocks() * BLOCK_BYTES;
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, definition: &Definition) {
        let folder = store.directory.join(definition.id());
        fs::create_dir_all(folder.join("rootfs/etc")).unwrap();
        fs::write(folder.join("rootfs/etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let description = Description {
            name: definition.name.clone(),
            hash: definition.hash(),
            size_bytes: disk_bytes(&folder.join("rootfs")).unwrap(),
            versions: BTreeMap::new(),
            definition: definition.clone(),
        };
        fs::write(folder.join("image.json"), serde_json::to_vec(&description).unwrap()).unwrap();
    }

    #[test]
    fn a_name_finds_todays_recipe_and_a_foreign_one_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("images"));
        assert!(store.find("minimal").unwrap().is_none() && store.list().unwrap().is_empty());

        let today = Definition::embedded("minimal").unwrap();
        let old = Definition { description: "of last year".to_owned(), ..today.clone() };
        let own = Definition { name: "own".to_owned(), ..today.clone() };
        put(&store, &old);
        assert!(store.find("minimal").unwrap().is_none());
        put(&store, &today);
        put(&store, &own);
        assert_eq!(store.find("minimal").unwrap().unwrap().hash, today.hash());
        assert_eq!(store.find("own").unwrap().unwrap().id(), own.id());
        assert_eq!(store.list().unwrap().len(), 3);
        assert!(store.find("own").unwrap().unwrap().size_bytes > 0);

        store.remove(&old.id()).unwrap();
        assert_eq!(store.list().unwrap().len(), 2);
        assert!(matches!(store.remove(&old.id()), Err(ImageError::Unknown { .. })));
    }

    #[test]
    fn the_next_holder_of_the_lock_sweeps_and_a_waiting_one_can_give_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let left = folder.path().join(format!("{UNFINISHED}standard-0"));
        fs::create_dir_all(left.join("rootfs/proc")).unwrap();
        put(&store, &Definition::embedded("minimal").unwrap());

        let lock = store.lock(&mut |_| ControlFlow::Break(())).unwrap();
        let refused = store.lock(&mut |progress| {
            assert_eq!(progress.step, Step::Waiting);
            ControlFlow::Break(())
        });
        assert!(matches!(refused, Err(ImageError::Cancelled)));
        drop(lock);
        store.lock(&mut |_| ControlFlow::Break(())).unwrap();
        store.sweep().unwrap();
        assert!(!left.exists() && store.find("minimal").unwrap().is_some());
    }
}
