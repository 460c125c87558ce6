//! What outlives a session's capsule, on this machine's disk until the server has it: a folder for each run.
//!
//! Promises: a folder says by itself whose it is, so that a node that comes after a crash can bring what lies there; nothing is
//! forgotten before the server has it or does not want it; what is kept in memory is bounded.

mod publish;
mod record;

pub(crate) use publish::{Publisher, Setback};
pub(crate) use record::{Made, Place, Record, copy, measure};

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use vitrine_model::wire::Assignment;
use vitrine_model::{ArtifactKind, RunId, SessionId};

/// Says whose folder it is.
const OWNER: &str = "owner.json";
/// Where objects wait.
const OBJECTS: &str = "objects";
/// Objects of one session: pages can make files without end.
pub(crate) const OBJECTS_MAX: usize = 1000;

/// Whose folder it is: what the server's guard asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) session: SessionId,
    pub(crate) run: RunId,
    pub(crate) generation: i64,
}

impl Owner {
    pub(crate) fn of(assignment: &Assignment) -> Self {
        Self { session: assignment.session.clone(), run: assignment.run.clone(), generation: assignment.generation }
    }
}

/// The folder of one run.
pub(crate) struct Folder {
    pub(crate) owner: Owner,
    path: PathBuf,
    records: Mutex<Vec<Record>>,
    /// One at a time brings what is here.
    bringing: tokio::sync::Mutex<()>,
    /// Something was added.
    pub(crate) added: Notify,
}

impl Folder {
    /// A new run's, or one that an earlier node left.
    fn open(path: PathBuf, owner: Owner) -> io::Result<Self> {
        std::fs::create_dir_all(path.join(OBJECTS))?;
        record::write_whole(&path.join(OWNER), &owner)?;
        Self::found(path).ok_or_else(|| io::Error::other("what was just written cannot be read"))
    }

    /// What lies there; `None` when it does not say whose it is.
    fn found(path: PathBuf) -> Option<Self> {
        let owner: Owner = serde_json::from_slice(&std::fs::read(path.join(OWNER)).ok()?).ok()?;
        let records = Mutex::new(record::read_all(&path.join(OBJECTS)));
        Some(Self { owner, path, records, bringing: Default::default(), added: Notify::new() })
    }

    /// A file of the recorder's and the like.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What was added so far, brought or not.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// Takes a file over, which must lie in this folder: from now on it is the server's. `None` when there are too many
    /// downloads.
    pub(crate) fn add(&self, made: Made, file: &Path) -> io::Result<Option<u64>> {
        let mut records = self.lock();
        if made.kind == ArtifactKind::Download && records.len() >= OBJECTS_MAX {
            return Ok(None);
        }
        let number = records.last().map_or(0, |last| last.number + 1);
        std::fs::rename(file, record::bytes(&self.path.join(OBJECTS), number))?;
        let record = Record { number, made, key: None, dropped: false };
        record.write(&self.path.join(OBJECTS))?;
        records.push(record);
        drop(records);
        self.added.notify_one();
        Ok(Some(number))
    }

    /// What is not at the server yet.
    fn waiting(&self) -> Vec<Record> {
        self.lock().iter().filter(|record| record.waits()).cloned().collect()
    }

    /// The server has it, or does not want it: its bytes are removed, the record stays for as long as the run.
    fn settle(&self, number: u64, key: Option<String>) -> io::Result<()> {
        let objects = self.path.join(OBJECTS);
        if let Some(record) = self.lock().iter_mut().find(|record| record.number == number) {
            record.dropped = key.is_none();
            record.key = key;
            record.write(&objects)?;
        }
        match std::fs::remove_file(record::bytes(&objects, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// All folders of this machine.
pub(crate) struct Spool {
    directory: PathBuf,
    folders: Mutex<HashMap<SessionId, Entry>>,
}

struct Entry {
    folder: Arc<Folder>,
    /// Its run goes on: what is in it grows.
    lives: bool,
}

impl Spool {
    /// Opens (makes) the directory; what lies there is of runs that are over until [`Spool::open_folder`] says otherwise.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let mut folders = HashMap::new();
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            match Folder::found(path.clone()) {
                Some(folder) => {
                    let folder = Arc::new(folder);
                    folders.insert(folder.owner.session.clone(), Entry { folder, lives: false });
                }
                None => {
                    tracing::warn!(path = %path.display(), "a folder does not say whose it is and was removed");
                    std::fs::remove_dir_all(&path)?;
                }
            }
        }
        Ok(Self { directory, folders: Mutex::new(folders) })
    }

    /// The folder of a run that goes on.
    pub(crate) fn open_folder(&self, owner: Owner) -> io::Result<Arc<Folder>> {
        let mut folders = self.lock();
        if let Some(entry) = folders.get_mut(&owner.session).filter(|entry| entry.folder.owner == owner) {
            entry.lives = true;
            return Ok(entry.folder.clone());
        }
        let path = self.directory.join(owner.session.as_str());
        if path.exists() {
            // Of an earlier start of the same session, which the server would not take any more.
            std::fs::remove_dir_all(&path)?;
        }
        let folder = Arc::new(Folder::open(path, owner.clone())?);
        folders.insert(owner.session, Entry { folder: folder.clone(), lives: true });
        Ok(folder)
    }

    /// The run is over: what is left in its folder is brought, and then the folder goes.
    pub(crate) fn close_folder(&self, session: &SessionId) {
        if let Some(entry) = self.lock().get_mut(session) {
            entry.lives = false;
        }
    }

    /// Folders of runs that are over.
    fn left(&self) -> Vec<Arc<Folder>> {
        self.lock().values().filter(|entry| !entry.lives).map(|entry| entry.folder.clone()).collect()
    }

    /// Forgets a folder and all that is in it, unless another run of its session has taken its place.
    fn remove(&self, folder: &Folder) -> io::Result<()> {
        let mut folders = self.lock();
        if folders.get(&folder.owner.session).is_some_and(|entry| entry.folder.owner == folder.owner) {
            std::fs::remove_dir_all(&folder.path)?;
            folders.remove(&folder.owner.session);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.folders.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let entropy = |buffer: &mut [u8]| buffer.fill(3);
        Owner { session: SessionId::new(1, &entropy), run: RunId::new(1, &entropy), generation: 2 }
    }

    fn made(name: &str) -> Made {
        Made {
            kind: ArtifactKind::Download,
            name: name.into(),
            content_type: "text/plain".into(),
            size: 2,
            sha256: "00".into(),
            place: None,
        }
    }

    #[test]
    fn what_waits_is_found_again_and_what_was_brought_is_not_brought_twice() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path().join("spool")).unwrap();
        let folder = spool.open_folder(owner()).unwrap();
        assert!(spool.left().is_empty());
        for name in ["a", "b", "c"] {
            std::fs::write(folder.file("draft"), "ab").unwrap();
            folder.add(made(name), &folder.file("draft")).unwrap();
        }
        folder.settle(0, Some("downloads/a".into())).unwrap();
        folder.settle(1, None).unwrap();
        std::fs::create_dir(directory.path().join("spool/stranger")).unwrap();

        let spool = Spool::open(directory.path().join("spool")).unwrap();
        let [folder] = &spool.left()[..] else { panic!("one folder is left") };
        assert_eq!(folder.owner, owner());
        let waiting: Vec<_> = folder.waiting().into_iter().map(|record| record.made.name).collect();
        assert_eq!(waiting, ["c"]);
        assert_eq!(folder.records()[0].key.as_deref(), Some("downloads/a"));
        let again = spool.open_folder(owner()).unwrap();
        assert_eq!(again.records().len(), 3, "an adopted run keeps its folder");
        spool.close_folder(&owner().session);
        spool.remove(folder).unwrap();
        assert!(spool.left().is_empty());
        assert_eq!(std::fs::read_dir(directory.path().join("spool")).unwrap().count(), 0);
    }
}
