//! What a node remembers of a run on disk, so that a restarted node can take it over: written before the run is told ready.

use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use vitrine_model::{RunId, SessionId};

/// A run as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    pub session: SessionId,
    pub run: RunId,
    pub generation: i64,
    /// The capsule it runs in.
    pub capsule: String,
    /// A client has been connected: from then on an absence counts as idle.
    pub had_client: bool,
}

/// The folder of run files.
#[derive(Debug, Clone)]
pub struct RunFiles {
    directory: PathBuf,
}

impl RunFiles {
    /// Opens (makes) the folder.
    pub fn open(directory: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// Writes a run's file whole or not at all.
    pub fn write(&self, run: &RunFile) -> std::io::Result<()> {
        let path = self.path(&run.session);
        let unfinished = path.with_extension("new");
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(run)?)?;
        std::fs::rename(&unfinished, &path)
    }

    /// Forgets a run.
    pub fn remove(&self, session: &SessionId) -> std::io::Result<()> {
        match std::fs::remove_file(self.path(session)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// All runs; what cannot be read is removed, for its capsule is then nobody's and is swept.
    pub fn read_all(&self) -> std::io::Result<Vec<RunFile>> {
        let mut runs = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let path = entry?.path();
            match read(&path) {
                Some(run) => runs.push(run),
                None => {
                    tracing::warn!(path = %path.display(), "a run's file could not be read and was removed");
                    std::fs::remove_file(&path)?;
                }
            }
        }
        Ok(runs)
    }

    fn path(&self, session: &SessionId) -> PathBuf {
        self.directory.join(format!("{session}.json"))
    }
}

fn read(path: &Path) -> Option<RunFile> {
    path.extension().filter(|extension| *extension == "json")?;
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back_and_garbage_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = RunFiles::open(folder.path().join("runs")).unwrap();
        let entropy = |buffer: &mut [u8]| buffer.fill(3);
        let run = RunFile {
            session: SessionId::new(1, &entropy),
            run: RunId::new(1, &entropy),
            generation: 2,
            capsule: "c".into(),
            had_client: true,
        };
        files.write(&run).unwrap();
        std::fs::write(folder.path().join("runs/half.json"), "{").unwrap();
        std::fs::write(folder.path().join("runs/half.new"), "{}").unwrap();
        assert_eq!(files.read_all().unwrap(), vec![run.clone()]);
        files.remove(&run.session).unwrap();
        files.remove(&run.session).unwrap();
        assert!(files.read_all().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("runs")).unwrap().count(), 0);
    }
}
