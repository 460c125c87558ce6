//! Files as they are, of any size, and directories as archives: streamed both ways.
//!
//! Promises that whoever reads or writes slowly holds no thread for a file, and a bounded number of threads for archives.

use super::files::{broken, in_files};
use super::program::inside;
use super::{Interface, Unfulfilled};
use crate::aside::aside;
use crate::content_type;
use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read, SeekFrom, Write};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio_util::io::ReaderStream;
use vitrine_capsule::{FileError, TreeLimits};

/// The type of a directory's bytes.
const ARCHIVE: &str = "application/x-tar";
/// What is read of a file at once.
const PIECE_BYTES: usize = 512 * 1024;
/// Pieces of an archive that wait for a slow reader.
const PIECES_MAX: usize = 4;
/// How much of a directory goes into an archive, or comes out of one: the disk bounds the bytes that come.
const TREE: TreeLimits = TreeLimits { entries_max: 2_000_000, bytes_max: 64 * 1024 * 1024 * 1024 };
/// Archives under way on the machine: each holds a thread for as long as its reader or writer takes.
static ARCHIVES: Semaphore = Semaphore::const_new(64);

#[derive(Deserialize)]
pub(super) struct Which {
    path: String,
    mode: Option<u32>,
    #[serde(default)]
    append: bool,
}

pub(super) async fn read(
    State(interface): State<Interface>,
    headers: HeaderMap,
    Query(Which { path, .. }): Query<Which>,
) -> Result<Response, Unfulfilled> {
    let path = inside(&path)?;
    let opened = in_files(&interface.sandbox, {
        let path = path.clone();
        move |files| match files.open(&path) {
            // Links to directories are followed as links to files are.
            Err(error @ FileError::NotAFile(_)) => files.list(&path, 0).map(|_| None).map_err(|_| error),
            other => other.map(Some),
        }
    });
    match opened.await? {
        Some(file) => send(file, &path, headers.get(header::RANGE).and_then(|range| range.to_str().ok())).await,
        None => pack(&interface, path),
    }
}

async fn send(file: File, path: &str, range: Option<&str>) -> Result<Response, Unfulfilled> {
    let mut file = tokio::fs::File::from_std(file);
    let size = file.metadata().await.map_err(broken)?.len();
    let kind = (header::CONTENT_TYPE, content_type::of(path).to_owned());
    let accepts = (header::ACCEPT_RANGES, "bytes".to_owned());
    let asked = range.and_then(Range::parse);
    let Some((first, length)) = asked.map_or(Some((0, size)), |range| range.of(size)) else {
        let whole = (header::CONTENT_RANGE, format!("bytes */{size}"));
        let message = serde_json::json!({ "error": format!("Range: the file has {size} bytes") });
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [whole], Json(message)).into_response());
    };
    file.seek(SeekFrom::Start(first)).await.map_err(broken)?;
    // What is written to it meanwhile does not belong to the answer.
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), PIECE_BYTES));
    let head = [kind, accepts, (header::CONTENT_LENGTH, length.to_string())];
    Ok(match asked {
        None => (head, body).into_response(),
        Some(_) => {
            let last = (first + length).saturating_sub(1);
            let part = [(header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}"))];
            (StatusCode::PARTIAL_CONTENT, head, part, body).into_response()
        }
    })
}

/// One range of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    From { first: u64, last: Option<u64> },
    Last(u64),
}

impl Range {
    /// Several ranges, and what is no range, are as none.
    fn parse(text: &str) -> Option<Range> {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        if first.is_empty() {
            return last.parse().ok().map(Range::Last);
        }
        let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
        Some(Range::From { first: first.parse().ok()?, last })
    }

    /// Where it begins in a file of this size and how long it is, if any of it is there.
    fn of(self, size: u64) -> Option<(u64, u64)> {
        let (first, end) = match self {
            Range::From { first, last } => (first, last.map_or(size, |last| last.saturating_add(1).min(size))),
            Range::Last(length) => (size.saturating_sub(length), size),
        };
        (first < end).then(|| (first, end - first))
    }
}

/// A directory as an archive, made while it is sent.
fn pack(interface: &Interface, path: String) -> Result<Response, Unfulfilled> {
    let turns = turns(interface)?;
    let files = interface.sandbox.capsule().files().map_err(broken)?;
    let (to, from) = mpsc::channel(PIECES_MAX);
    interface.shared.serve(aside(move || {
        let _turns = turns;
        let mut sink = Pieces { to: to.clone(), piece: Vec::with_capacity(PIECE_BYTES) };
        if let Err(error) = files.pack(path, TREE, &mut sink) {
            tracing::debug!(%error, "an archive was not finished");
            // Cut off, so that it is not taken for a whole one.
            let _ = to.blocking_send(Err(io::Error::other(error.to_string())));
        }
    }));
    let pieces = stream::unfold(from, |mut from| async move { from.recv().await.map(|piece| (piece, from)) });
    Ok(([(header::CONTENT_TYPE, ARCHIVE)], Body::from_stream(pieces)).into_response())
}

/// Sends what is written in pieces.
struct Pieces {
    to: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.to.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

pub(super) async fn write(
    State(interface): State<Interface>,
    headers: HeaderMap,
    Query(which): Query<Which>,
    body: Body,
) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let path = inside(&which.path)?;
    let is_archive = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == ARCHIVE);
    let size = match (is_archive, which.append) {
        (true, _) => unpack(&interface, path.clone(), body).await?,
        (false, true) => append(&interface, path.clone(), body).await?,
        (false, false) => replace(&interface, path.clone(), which.mode, body).await?,
    };
    Ok(Json(serde_json::json!({ "ok": true, "path": path, "size": size })))
}

async fn replace(interface: &Interface, path: String, mode: Option<u32>, body: Body) -> Result<u64, Unfulfilled> {
    let created = in_files(&interface.sandbox, {
        let path = path.clone();
        move |files| files.create(path)
    });
    let mut draft = created.await?;
    if let Some(mode) = mode {
        draft.set_mode(mode);
    }
    let size = receive(draft.file().try_clone().map_err(broken)?, path, body).await?;
    in_files(&interface.sandbox, |_| draft.keep()).await?;
    Ok(size)
}

async fn append(interface: &Interface, path: String, body: Body) -> Result<u64, Unfulfilled> {
    let file = in_files(&interface.sandbox, {
        let path = path.clone();
        move |files| files.append(path)
    });
    receive(file.await?, path, body).await
}

/// Writes a body to a file, and says how large it was.
async fn receive(file: File, path: String, body: Body) -> Result<u64, Unfulfilled> {
    let failed = |error: io::Error| Unfulfilled::from(FileError::from_io(&PathBuf::from(&path), error));
    let mut file = tokio::fs::File::from_std(file);
    let (mut size, mut pieces) = (0, body.into_data_stream());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Unfulfilled::field("body", error))?;
        size += piece.len() as u64;
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(size)
}

/// Takes an archive apart while it comes, and says how many bytes of files were in it.
async fn unpack(interface: &Interface, path: String, body: Body) -> Result<u64, Unfulfilled> {
    let turns = turns(interface)?;
    let files = interface.sandbox.capsule().files().map_err(broken)?;
    let (to, from) = mpsc::channel(PIECES_MAX);
    let unpacked = aside(move || {
        let _turns = turns;
        files.unpack(path, TREE, &mut Fed { from, piece: Bytes::new() })
    });
    let fed = async {
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| io::Error::other(error.to_string()));
            if to.send(piece).await.is_err() {
                // What is wrong with it is in the other answer.
                return;
            }
        }
        drop(to);
    };
    let (unpacked, ()) = tokio::join!(unpacked, fed);
    Ok(unpacked.map_err(broken)??.bytes)
}

/// Reads what comes in pieces.
struct Fed {
    from: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// A place among the archives of the sandbox, and among those of the machine.
fn turns(interface: &Interface) -> Result<(OwnedSemaphorePermit, SemaphorePermit<'static>), Unfulfilled> {
    let busy =
        |whose| Unfulfilled::new(StatusCode::CONFLICT, format!("too many archives of the {whose} are under way"));
    let own = interface.sandbox.enter_archives().ok_or_else(|| busy("sandbox"))?;
    Ok((own, ARCHIVES.try_acquire().map_err(|_| busy("machine"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_what_is_none_is_as_none() {
        let of = |text: &str| Range::parse(text).map(|range| range.of(10));
        assert_eq!(of("bytes=2-5"), Some(Some((2, 4))));
        assert_eq!(of("bytes=2-"), Some(Some((2, 8))));
        assert_eq!(of("bytes=-3"), Some(Some((7, 3))));
        assert_eq!(of("bytes=-99"), Some(Some((0, 10))));
        assert_eq!(of("bytes=9-99"), Some(Some((9, 1))));
        assert_eq!(of("bytes=10-"), Some(None));
        assert_eq!(of("bytes=5-2"), Some(None));
        assert_eq!(of("bytes=1-2,4-5"), None);
        assert_eq!(of("lines=1-2"), None);
    }
}
