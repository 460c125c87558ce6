//! What a node remembers of a run on disk, so that a restarted node can take it over: written before the run is told ready.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use vitrine_model::{CheckpointId, RunId, SessionId};

/// A run as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    pub session: SessionId,
    pub run: RunId,
    pub generation: i64,
    /// The capsule it runs in.
    pub capsule: String,
    #[serde(flatten)]
    pub kept: Kept,
}

impl RunFile {
    /// What is remembered, if it is of a sandbox.
    pub fn sandbox(&self) -> Option<&KeptSandbox> {
        match &self.kept {
            Kept::Sandbox(kept) => Some(kept),
            Kept::Browser { .. } => None,
        }
    }
}

/// What else is remembered, by what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kept {
    Browser {
        /// A client has been connected: from then on an absence counts as idle.
        had_client: bool,
    },
    Sandbox(KeptSandbox),
}

/// What is remembered of a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSandbox {
    /// Its processes have ended, its disk is kept: there is no capsule any more.
    pub stored: bool,
    /// The name of its disk.
    pub disk: String,
    /// The checkpoint that its workspace began as, whose files lie below its own.
    pub from: Option<CheckpointId>,
    /// The last checkpoint that is known to be kept.
    pub last: Option<CheckpointId>,
    /// Its artifacts: how large they were, and when they had changed.
    pub brought: HashMap<String, (u64, i64)>,
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

    /// Forgets a run. A file that another run of its session wrote stays: what that one left is still the session's.
    pub fn remove(&self, session: &SessionId, run: &RunId) -> std::io::Result<()> {
        if self.read(session).is_some_and(|file| file.run != *run) {
            return Ok(());
        }
        match std::fs::remove_file(self.path(session)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// What the last run of a session wrote.
    pub fn read(&self, session: &SessionId) -> Option<RunFile> {
        read(&self.path(session))
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
            kept: Kept::Sandbox(KeptSandbox { stored: true, ..KeptSandbox::default() }),
        };
        files.write(&run).unwrap();
        let browser =
            RunFile { session: SessionId::new(2, &entropy), kept: Kept::Browser { had_client: true }, ..run.clone() };
        files.write(&browser).unwrap();
        std::fs::write(folder.path().join("runs/half.json"), "{").unwrap();
        std::fs::write(folder.path().join("runs/half.new"), "{}").unwrap();
        let mut read = files.read_all().unwrap();
        read.sort_by_key(|run| run.session.to_string());
        assert_eq!(read, vec![run.clone(), browser.clone()]);
        files.remove(&browser.session, &browser.run).unwrap();
        files.remove(&run.session, &RunId::new(9, &entropy)).unwrap();
        assert_eq!(files.read(&run.session), Some(run.clone()), "another run's file stays");
        files.remove(&run.session, &run.run).unwrap();
        files.remove(&run.session, &run.run).unwrap();
        assert!(files.read_all().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("runs")).unwrap().count(), 0);
    }
}
