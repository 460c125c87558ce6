//! What is done with the names of a sandbox's files.

use super::program::inside;
use super::{Interface, Unfulfilled};
use crate::interface::Request;
use crate::sandbox::Sandbox;
use axum::Json;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::path::Path;
use vitrine_capsule::{FileEntry, FileError, FileKind, Files};

/// Names of one directory that are answered.
const ENTRIES_MAX: usize = 10_000;

#[derive(Deserialize)]
pub(super) struct Which {
    pub(super) path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    name: String,
    path: String,
    r#type: &'static str,
    size: u64,
    modified_at: i64,
    mode: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

impl Entry {
    /// Names that are no UTF-8 are shown as far as they can be; nothing is found by such a showing.
    fn of(entry: FileEntry, path: &Path) -> Self {
        Self {
            name: entry.name.to_string_lossy().into_owned(),
            path: path.to_string_lossy().into_owned(),
            r#type: match entry.kind {
                FileKind::File => "file",
                FileKind::Directory => "directory",
                FileKind::Link => "symlink",
                FileKind::Other => "other",
            },
            size: entry.size,
            modified_at: entry.modified_ms,
            mode: entry.mode,
            target: entry.target.map(|target| target.to_string_lossy().into_owned()),
        }
    }
}

pub(super) async fn stat(
    State(interface): State<Interface>,
    Query(Which { path }): Query<Which>,
) -> Result<Json<Entry>, Unfulfilled> {
    let path = inside(&path)?;
    let entry = in_files(&interface.sandbox, {
        let path = path.clone();
        move |files| files.stat(path)
    });
    Ok(Json(Entry::of(entry.await?, Path::new(&path))))
}

pub(super) async fn list(
    State(interface): State<Interface>,
    Query(Which { path }): Query<Which>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let path = inside(&path)?;
    let listing = in_files(&interface.sandbox, {
        let path = path.clone();
        move |files| files.list(path, ENTRIES_MAX)
    });
    let listing = listing.await?;
    let below = |entry: FileEntry| {
        let path = Path::new(&path).join(&entry.name);
        Entry::of(entry, &path)
    };
    let entries: Vec<Entry> = listing.entries.into_iter().map(below).collect();
    Ok(Json(serde_json::json!({ "path": path, "entries": entries, "truncated": listing.truncated })))
}

#[derive(Deserialize)]
pub(super) struct Deletion {
    path: String,
    #[serde(default)]
    recursive: bool,
}

pub(super) async fn delete(
    State(interface): State<Interface>,
    Request(Deletion { path, recursive }): Request<Deletion>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let path = inside(&path)?;
    done(&interface, path.clone(), move |files| files.delete(path, recursive)).await
}

#[derive(Deserialize)]
pub(super) struct Move {
    from: String,
    to: String,
    #[serde(default)]
    overwrite: bool,
}

pub(super) async fn rename(
    State(interface): State<Interface>,
    Request(Move { from, to, overwrite }): Request<Move>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let (from, to) = (inside(&from)?, inside(&to)?);
    done(&interface, to.clone(), move |files| files.rename(from, to, overwrite)).await
}

#[derive(Deserialize)]
pub(super) struct Making {
    path: String,
    mode: Option<u32>,
}

pub(super) async fn make(
    State(interface): State<Interface>,
    Request(Making { path, mode }): Request<Making>,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let path = inside(&path)?;
    done(&interface, path.clone(), move |files| files.make_directory(path, mode)).await
}

async fn done(
    interface: &Interface,
    path: String,
    work: impl FnOnce(Files) -> Result<(), FileError> + Send + 'static,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    in_files(&interface.sandbox, work).await?;
    Ok(Json(serde_json::json!({ "ok": true, "path": path })))
}

/// Whether programs can be started there.
pub(super) async fn is_directory(sandbox: &Sandbox, path: String) -> bool {
    in_files(sandbox, |files| files.list(path, 0)).await.is_ok()
}

/// Works with a sandbox's files, away from the threads that everything else runs on.
pub(super) async fn in_files<T: Send + 'static>(
    sandbox: &Sandbox,
    work: impl FnOnce(Files) -> Result<T, FileError> + Send + 'static,
) -> Result<T, Unfulfilled> {
    let files = sandbox.capsule().files().map_err(broken)?;
    tokio::task::spawn_blocking(move || work(files)).await.map_err(broken)?.map_err(Unfulfilled::from)
}

impl From<FileError> for Unfulfilled {
    fn from(error: FileError) -> Self {
        let status = match error {
            FileError::NotFound(_) => StatusCode::NOT_FOUND,
            FileError::NotAPath(_) | FileError::NotAFile(_) | FileError::NotADirectory(_) | FileError::Archive(_) => {
                StatusCode::BAD_REQUEST
            }
            FileError::Exists(_)
            | FileError::NotEmpty(_)
            | FileError::Busy(_)
            | FileError::Across(_)
            | FileError::TooManyWatches(_) => StatusCode::CONFLICT,
            FileError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            FileError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            FileError::System { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let field = if status == StatusCode::BAD_REQUEST { "path: " } else { "" };
        Unfulfilled::new(status, format!("{field}could not {error}"))
    }
}

pub(super) fn broken(error: impl std::fmt::Display) -> Unfulfilled {
    Unfulfilled::new(StatusCode::CONFLICT, format!("could not use the sandbox's files: {error}"))
}
