//! What a sandbox leaves in its folder of artifacts, copied out and made objects of the session.
//!
//! Promises that what programs do there meanwhile costs bounded time and space, and that a file which has not changed is not
//! brought twice.

use super::Sandbox;
use crate::config::CarriedConfig;
use crate::content_type;
use crate::spool::{Made, OBJECTS_MAX, copy};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use vitrine_capsule::{FileEntry, FileError, FileKind, Files};
use vitrine_model::ArtifactKind;
use vitrine_model::artifact::is_name;
use vitrine_model::sandbox::ARTIFACTS;

/// Where a file is copied to before it is an object.
const DRAFT: &str = "artifact.draft";

/// Files that were made objects, by name: how large they were, and when they had changed.
pub(super) type Brought = HashMap<String, (u64, i64)>;

impl Sandbox {
    /// Makes objects of the files that are new or have changed; what is in directories stays where it is.
    pub(super) async fn collect_artifacts(&self, limits: &CarriedConfig) -> Result<(), FileError> {
        let Ok(files) = self.capsule().files() else { return Ok(()) };
        let (folder, limits) = (self.folder.clone(), limits.clone());
        let before = self.brought.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let collect = move || {
            let mut brought = before;
            let listing = match files.list(ARTIFACTS, OBJECTS_MAX) {
                Err(FileError::NotFound(_) | FileError::NotADirectory(_)) => return Ok(brought),
                other => other?,
            };
            let mut bytes: u64 = folder.records().iter().map(|record| record.made.size).sum();
            for entry in listing.entries {
                let Some(name) = artifact(&entry) else { continue };
                let room = limits.session_bytes_max.saturating_sub(bytes).min(limits.file_bytes_max);
                let seen = (entry.size, entry.modified_ms);
                if brought.get(&name) == Some(&seen) || entry.size > room || folder.records().len() >= OBJECTS_MAX {
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

/// The name of a file that becomes an artifact.
fn artifact(entry: &FileEntry) -> Option<String> {
    let name = entry.name.to_str().filter(|name| is_name(name))?;
    (entry.kind == FileKind::File).then(|| name.to_owned())
}

fn take(files: &Files, name: &str, bytes_max: u64, draft: &Path) -> io::Result<Made> {
    let mut from = files.open(Path::new(ARTIFACTS).join(name)).map_err(io::Error::other)?;
    let (size, sha256) = copy(&mut from, &mut std::fs::File::create(draft)?, bytes_max)?;
    let content_type = content_type::of(name).into();
    Ok(Made { kind: ArtifactKind::File, name: name.into(), content_type, size, sha256, place: None })
}
