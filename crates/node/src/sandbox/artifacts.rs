//! What a sandbox leaves in its folder of artifacts, copied out and made objects of the session.
//!
//! Promises that what programs do there meanwhile costs bounded time and space, and that a file which has not changed is not
//! brought twice.

use super::Sandbox;
use crate::config::CarriedConfig;
use crate::content_type;
use crate::spool::{Made, OBJECTS_MAX, copy};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use vitrine_capsule::{FileError, FileKind, Files};
use vitrine_model::ArtifactKind;
use vitrine_model::artifact::is_path;
use vitrine_model::sandbox::ARTIFACTS;

/// Where a file is copied to before it is an object.
const DRAFT: &str = "artifact.draft";
/// Folders that are looked into.
const FOLDERS_MAX: usize = 256;

/// How large a file was, and when it had changed.
type Seen = (u64, i64);
/// Files that were made objects, by their paths below the folder.
pub(super) type Brought = HashMap<String, Seen>;

impl Sandbox {
    /// Makes objects of the files that are new or have changed.
    pub(super) async fn collect_artifacts(&self, limits: &CarriedConfig) -> Result<(), FileError> {
        let Ok(files) = self.capsule().files() else { return Ok(()) };
        let (folder, limits) = (self.folder.clone(), limits.clone());
        let before = self.brought.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let collect = move || {
            let mut brought = before;
            let mut bytes: u64 = folder.records().iter().map(|record| record.made.size).sum();
            for (name, seen) in found(&files)? {
                let room = limits.session_bytes_max.saturating_sub(bytes).min(limits.file_bytes_max);
                if brought.get(&name) == Some(&seen) || seen.0 > room || folder.records().len() >= OBJECTS_MAX {
                    continue;
                }
                match take(&files, &name, room, &folder.file(DRAFT)) {
                    Ok(made) => {
                        bytes += made.size;
                        folder
                            .add(made, &folder.file(DRAFT))
                            .map_err(|error| FileError::from_io(ARTIFACTS.as_ref(), error))?;
                        brought.insert(name, seen);
                    }
                    Err(error) => tracing::debug!(name, %error, "a file was not made an artifact"),
                }
            }
            Ok(brought)
        };
        let collected = tokio::task::spawn_blocking(collect).await;
        let collected = collected.map_err(|error| FileError::from_io(ARTIFACTS.as_ref(), io::Error::other(error)))?;
        *self.brought.lock().unwrap_or_else(PoisonError::into_inner) = collected?;
        Ok(())
    }
}

/// The files below the folder, by their paths there, those near its top first, as far as they are not too many.
fn found(files: &Files) -> Result<Vec<(String, Seen)>, FileError> {
    let (mut all, mut folders, mut looked) = (Vec::new(), VecDeque::from([String::new()]), 0);
    while let Some(folder) = folders.pop_front().filter(|_| looked < FOLDERS_MAX && all.len() < OBJECTS_MAX) {
        looked += 1;
        let listing = match files.list(Path::new(ARTIFACTS).join(&folder), OBJECTS_MAX) {
            Err(FileError::NotFound(_) | FileError::NotADirectory(_)) => continue,
            other => other?,
        };
        for entry in listing.entries {
            let Some(name) = entry.name.to_str() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            match entry.kind {
                _ if !is_path(&path) => {}
                FileKind::File => all.push((path, (entry.size, entry.modified_ms))),
                FileKind::Directory => folders.push_back(path),
                FileKind::Link | FileKind::Other => {}
            }
        }
    }
    Ok(all)
}

fn take(files: &Files, name: &str, bytes_max: u64, draft: &Path) -> io::Result<Made> {
    let mut from = files.open(Path::new(ARTIFACTS).join(name)).map_err(io::Error::other)?;
    let (size, sha256) = copy(&mut from, &mut std::fs::File::create(draft)?, bytes_max)?;
    let content_type = content_type::of(name).into();
    Ok(Made { kind: ArtifactKind::File, name: name.into(), content_type, size, sha256, place: None })
}
