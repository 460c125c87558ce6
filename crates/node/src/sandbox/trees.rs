//! Checkpoints unpacked on this machine: what the workspaces of forks lie over, so that one more fork costs a mount.
//!
//! Promises: a tree appears when it is whole and checked; one that a sandbox lies over, also one that moved to disk, stays; of
//! the rest the least recently used go when all together are too large.

use crate::run_file::RunFiles;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;
use vitrine_model::CheckpointId;

/// Checkpoints that wait to be unpacked although nobody asked yet.
const EXPECTED_MAX: usize = 8;

/// All trees of this machine.
pub(crate) struct Trees {
    directory: PathBuf,
    bytes_max: u64,
    all: Mutex<HashMap<CheckpointId, Entry>>,
    /// Places for checkpoints that are unpacked before anybody asks, and the turn of one of them.
    pub(crate) expected: Arc<Semaphore>,
    pub(crate) unpacking: tokio::sync::Mutex<()>,
}

struct Entry {
    cell: Arc<OnceCell<Arc<Tree>>>,
    used_at: Instant,
}

/// One that is there, for as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    bytes: u64,
}

impl Trees {
    /// Opens (makes) the directory; what is there and whole is used again.
    pub(crate) fn open(directory: PathBuf, bytes_max: u64) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let mut all = HashMap::new();
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let Some((id, tree)) = found(path.clone()) else {
                tracing::info!(path = %path.display(), "a checkpoint that was not unpacked to its end is removed");
                std::fs::remove_dir_all(&path)?;
                continue;
            };
            let cell = Arc::new(OnceCell::new_with(Some(Arc::new(tree))));
            all.insert(id, Entry { cell, used_at: Instant::now() });
        }
        let (expected, unpacking) = (Arc::new(Semaphore::new(EXPECTED_MAX)), tokio::sync::Mutex::default());
        Ok(Self { directory, bytes_max, all: Mutex::new(all), expected, unpacking })
    }

    /// The tree of a checkpoint; `unpack` makes it at a path when it is not there, and is told where once it is known how
    /// large it will be.
    pub(crate) async fn get<F, E>(&self, id: &CheckpointId, unpack: impl FnOnce(Place) -> F) -> Result<Arc<Tree>, E>
    where
        F: Future<Output = Result<Tree, E>>,
    {
        let cell = {
            let mut all = self.lock();
            let entry =
                all.entry(id.clone()).or_insert_with(|| Entry { cell: Arc::default(), used_at: Instant::now() });
            entry.used_at = Instant::now();
            entry.cell.clone()
        };
        let place = Place { directory: self.directory.clone(), id: id.clone() };
        cell.get_or_try_init(|| async { unpack(place).await.map(Arc::new) }).await.cloned()
    }

    /// Removes what nobody uses until the rest is small enough.
    pub(crate) fn trim(&self, run_files: &RunFiles) -> io::Result<()> {
        // What moved to disk lies over its tree, too.
        let kept: Vec<_> =
            run_files.read_all()?.iter().filter_map(|run| run.sandbox().and_then(|kept| kept.from.clone())).collect();
        let mut all = self.lock();
        let bytes = |entry: &Entry| entry.cell.get().map_or(0, |tree| tree.bytes);
        let mut total: u64 = all.values().map(bytes).sum();
        while total > self.bytes_max {
            // Held by nobody but the entry, and the entry by nobody but us.
            let unused = |entry: &Entry| {
                Arc::strong_count(&entry.cell) == 1 && entry.cell.get().is_some_and(|tree| Arc::strong_count(tree) == 1)
            };
            let oldest = all.iter().filter(|(id, entry)| unused(entry) && !kept.contains(id));
            let Some(id) = oldest.min_by_key(|(_, entry)| entry.used_at).map(|(id, _)| id.clone()) else { break };
            let Some(tree) = all.remove(&id).and_then(|entry| entry.cell.get().cloned()) else { break };
            total -= tree.bytes;
            std::fs::remove_dir_all(&tree.path)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CheckpointId, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a tree goes.
pub(crate) struct Place {
    directory: PathBuf,
    id: CheckpointId,
}

impl Place {
    /// The tree of so many bytes: its name says both, and is the same whenever the checkpoint is unpacked.
    pub(crate) fn tree(&self, bytes: u64) -> Tree {
        Tree { path: self.directory.join(format!("{}.{bytes}", self.id)), bytes }
    }
}

fn found(path: PathBuf) -> Option<(CheckpointId, Tree)> {
    let (id, bytes) = path.file_name()?.to_str()?.split_once('.')?;
    let (id, bytes) = (CheckpointId::parse(id).ok()?, bytes.parse().ok()?);
    Some((id, Tree { path, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn trees_are_made_once_and_the_least_used_go() {
        let folder = tempfile::tempdir().unwrap();
        let run_files = RunFiles::open(folder.path().join("runs")).unwrap();
        let ids: Vec<_> =
            (1..4).map(|byte| CheckpointId::new(1, &move |buffer: &mut [u8]| buffer.fill(byte))).collect();
        let open = || Trees::open(folder.path().join("trees"), 10).unwrap();
        let trees = open();
        let made = |place: Place| async move {
            let tree = place.tree(5);
            std::fs::create_dir(&tree.path).unwrap();
            Ok::<_, Infallible>(tree)
        };
        let Ok(held) = trees.get(&ids[0], made).await;
        for id in &ids {
            let Ok(tree) = trees.get(id, made).await;
            assert!(tree.path.is_dir());
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        trees.trim(&run_files).unwrap();
        assert!(held.path.is_dir());
        let left = |trees: &Trees| trees.lock().len();
        assert_eq!(left(&trees), 2);
        std::fs::create_dir(folder.path().join("trees/.unfinished")).unwrap();
        let trees = open();
        assert_eq!(left(&trees), 2);
        assert!(!folder.path().join("trees/.unfinished").exists());
    }
}
