//! The files of a session: what its pages gave, and what was put for them.

use super::Interface;
use crate::browser::{Downloaded, UPLOADS};
use crate::content_type;
use crate::interface::Unfulfilled;
use crate::spool::OBJECTS_MAX;
use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use vitrine_capsule::{FileEntry, FileError, FileKind, Files};
use vitrine_model::api_key::hexadecimal;
use vitrine_model::artifact::is_name;

/// What is read of a file at once.
const PIECE_BYTES: usize = 128 * 1024;

#[derive(Deserialize)]
pub(super) struct Which {
    path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    path: String,
    name: String,
    size: u64,
    modified_at: i64,
    source: Source,
    state: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Source {
    Download,
    Upload,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Stage {
    Completed,
    InProgress,
}

pub(super) async fn list(State(interface): State<Interface>) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let downloads = interface.run.carried.downloads().into_iter().map(downloaded);
    let uploads = in_capsule(&interface, |files| uploads(&files)).await?;
    let files: Vec<File> = downloads.chain(uploads.into_iter().filter_map(uploaded)).collect();
    Ok(Json(serde_json::json!({ "files": files })))
}

fn downloaded(download: Downloaded) -> File {
    File {
        name: download.path.rsplit('/').next().unwrap_or_default().to_owned(),
        path: download.path,
        size: download.size,
        modified_at: download.at,
        source: Source::Download,
        state: if download.whole { Stage::Completed } else { Stage::InProgress },
        key: download.key,
    }
}

fn uploads(files: &Files) -> Result<Vec<FileEntry>, FileError> {
    let entries = files.list(format!("/session/{UPLOADS}"), OBJECTS_MAX)?.entries;
    Ok(entries.into_iter().filter(|entry| entry.kind == FileKind::File).collect())
}

fn uploaded(entry: FileEntry) -> Option<File> {
    let name = entry.name.into_string().ok().filter(|name| is_name(name))?;
    Some(File {
        path: format!("{UPLOADS}/{name}"),
        name,
        size: entry.size,
        modified_at: entry.modified_ms,
        source: Source::Upload,
        state: Stage::Completed,
        key: None,
    })
}

pub(super) async fn read(
    State(interface): State<Interface>,
    Query(Which { path }): Query<Which>,
) -> Result<Response, Unfulfilled> {
    let inside = match upload_name(&path) {
        Some(_) => format!("/session/{path}"),
        None if !interface.run.carried.policy().downloads => return Err(denied("downloads")),
        None => interface.run.carried.find(&path).ok_or_else(|| not_found(&path))?,
    };
    let file = in_capsule(&interface, move |files| files.open(inside)).await?;
    let file = tokio::fs::File::from_std(file);
    let size = file.metadata().await.map_err(broken)?.len();
    // What is written to it meanwhile does not belong to the answer.
    let bytes = ReaderStream::with_capacity(file.take(size), PIECE_BYTES);
    let head = [(header::CONTENT_LENGTH, size.to_string()), (header::CONTENT_TYPE, content_type::of(&path).to_owned())];
    Ok((head, Body::from_stream(bytes)).into_response())
}

pub(super) async fn write(
    State(interface): State<Interface>,
    Query(Which { path }): Query<Which>,
    body: Body,
) -> Result<Response, Unfulfilled> {
    let name = upload_name(&path)
        .ok_or_else(|| Unfulfilled::new(StatusCode::BAD_REQUEST, "path: expected uploads/NAME"))?
        .to_owned();
    if !interface.run.carried.policy().uploads {
        return Err(denied("uploads"));
    }
    let inside = format!("/session/{path}");
    let limits = &interface.shared.config.carried;
    let there = in_capsule(&interface, |files| uploads(&files)).await?;
    let others = there.iter().filter(|entry| entry.name != *name);
    let (count, bytes) = others.fold((0, 0_u64), |(count, bytes), entry| (count + 1, bytes.saturating_add(entry.size)));
    let room = limits.file_bytes_max.min(limits.session_bytes_max.saturating_sub(bytes));
    if count >= OBJECTS_MAX || room == 0 {
        return Err(too_large("the session holds as many files as it may"));
    }
    let draft = in_capsule(&interface, {
        let inside = inside.clone();
        move |files| files.create(inside)
    })
    .await?;
    let mut file = tokio::fs::File::from_std(draft.file().try_clone().map_err(broken)?);
    let (mut size, mut hash, mut bytes) = (0_u64, Sha256::new(), body.into_data_stream());
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| Unfulfilled::new(StatusCode::BAD_REQUEST, format!("body: {error}")))?;
        size += piece.len() as u64;
        if size > room {
            return Err(too_large(&format!("the file is larger than {room} bytes")));
        }
        hash.update(&piece);
        file.write_all(&piece).await.map_err(broken)?;
    }
    file.flush().await.map_err(broken)?;
    drop(file);
    tokio::task::spawn_blocking(move || draft.keep()).await.map_err(broken)?.map_err(refused)?;
    let sha256 = hexadecimal(&hash.finalize());
    let answer = serde_json::json!({ "path": path, "size": size, "sha256": sha256, "capsulePath": inside });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The name in `uploads/NAME`.
fn upload_name(path: &str) -> Option<&str> {
    path.strip_prefix(UPLOADS)?.strip_prefix('/').filter(|name| is_name(name))
}

async fn in_capsule<T: Send + 'static>(
    interface: &Interface,
    work: impl FnOnce(Files) -> Result<T, FileError> + Send + 'static,
) -> Result<T, Unfulfilled> {
    let files = interface.run.browser.files().map_err(broken)?;
    tokio::task::spawn_blocking(move || work(files)).await.map_err(broken)?.map_err(refused)
}

fn refused(error: FileError) -> Unfulfilled {
    let status = match error {
        FileError::NotFound(_) | FileError::NotAFile(_) | FileError::NotADirectory(_) => StatusCode::NOT_FOUND,
        FileError::NotAPath(_) => StatusCode::BAD_REQUEST,
        FileError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
        FileError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        FileError::Archive(_) => StatusCode::BAD_REQUEST,
        FileError::Exists(_)
        | FileError::NotEmpty(_)
        | FileError::Busy(_)
        | FileError::Across(_)
        | FileError::TooManyWatches(_) => StatusCode::CONFLICT,
        FileError::System { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Unfulfilled::new(status, format!("could not {error}"))
}

fn denied(what: &str) -> Unfulfilled {
    Unfulfilled::new(StatusCode::FORBIDDEN, format!("the session's policy does not allow {what}"))
}

fn not_found(path: &str) -> Unfulfilled {
    Unfulfilled::new(StatusCode::NOT_FOUND, format!("could not find {path:?}"))
}

fn too_large(message: &str) -> Unfulfilled {
    Unfulfilled::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn broken(error: impl std::fmt::Display) -> Unfulfilled {
    Unfulfilled::new(StatusCode::INTERNAL_SERVER_ERROR, format!("could not use the session's files: {error}"))
}
