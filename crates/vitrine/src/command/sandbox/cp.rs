//! `vitrine sandbox cp`: files and directories between this machine and a sandbox, streamed; directories travel as tar.
//!
//! Promises: what a sandbox sends is written below the destination and nowhere else, whatever its names and links say.

use super::PATH;
use crate::cli::Place;
use crate::client::{Client, ClientError};
use crate::output;
use anyhow::{Context as _, bail};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::io::AsyncRead;
use tokio::net::unix::pipe;
use tokio_util::io::ReaderStream;

const TAR: &str = "application/x-tar";
/// Large enough that the number of pieces does not matter, small enough to wait in memory.
const PIECE_BYTES: usize = 256 * 1024;
/// What of a file's mode a copy has.
const MODE_BITS: u32 = 0o777;

pub async fn run(client: &Client, source: Place, destination: Place, as_json: bool) -> anyhow::Result<()> {
    let copied = match (source, destination) {
        (Place::Sandbox { id, path }, Place::Standard) => {
            return save(client, &id, &path, Path::new("-")).await.map(drop);
        }
        (Place::Sandbox { id, path }, Place::Local(target)) => down(client, &id, &path, target).await?,
        (Place::Local(source), Place::Sandbox { id, path }) => up(client, &source, &id, &path).await?,
        (Place::Standard, Place::Sandbox { id, path }) => {
            let input = std::io::stdin().as_fd().try_clone_to_owned().context("could not open standard input")?;
            let input = tokio::fs::File::from_std(input.into());
            client.upload(raw(client, Method::PUT, &id, &path)?, streamed(input)).await?
        }
        _ => bail!("one of the two must be in a sandbox, as ID:PATH, and the other on this machine"),
    };
    if as_json {
        output::json(&copied)
    } else {
        output::line(output::cell(&copied, "path"))
    }
    Ok(())
}

async fn up(client: &Client, source: &Path, id: &str, path: &str) -> anyhow::Result<Value> {
    let doing = || format!("could not read {}", source.display());
    let there = stat(client, id, path).await?;
    let path = match there.as_ref().is_some_and(is_directory) || path.ends_with('/') {
        true => below(path, &name(&std::path::absolute(source).with_context(doing)?)),
        false => path.to_owned(),
    };
    let about = tokio::fs::metadata(source).await.with_context(doing)?;
    if !about.is_dir() {
        let mode = (about.permissions().mode() & MODE_BITS).to_string();
        let file = tokio::fs::File::open(source).await.with_context(doing)?;
        let query = [("id", id), ("path", &path), ("mode", &mode)];
        return Ok(client
            .upload(client.request(Method::PUT, &format!("{PATH}/fs/raw"), &query)?, streamed(file))
            .await?);
    }
    let (reader, writer) = std::io::pipe().context("could not make a pipe")?;
    let folder = source.to_owned();
    // It ends when everything is packed, or nobody reads any more.
    let packing = tokio::task::spawn_blocking(move || {
        let mut archive = tar::Builder::new(std::io::BufWriter::with_capacity(PIECE_BYTES, writer));
        archive.follow_symlinks(false);
        archive.sparse(false);
        archive.append_dir_all("", &folder)?;
        archive.into_inner()?.into_inner().map(drop).map_err(std::io::IntoInnerError::into_error)
    });
    let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).context("could not read from a pipe")?;
    let request = raw(client, Method::PUT, id, &path)?;
    let sent = client.upload(request.header(CONTENT_TYPE, TAR), streamed(reader)).await;
    let packed = packing.await?;
    let sent = sent?;
    packed.with_context(doing)?;
    Ok(sent)
}

async fn down(client: &Client, id: &str, path: &str, target: PathBuf) -> anyhow::Result<Value> {
    let entry = stat(client, id, path).await?.with_context(|| format!("there is no {path} in the sandbox"))?;
    let target = match name(Path::new(&output::cell(&entry, "path"))) {
        name if target.is_dir() && !name.is_empty() => target.join(name),
        _ => target,
    };
    let size = match is_directory(&entry) {
        true => unpack(client, id, path, &target).await?,
        false => save(client, id, path, &target).await?,
    };
    Ok(json!({ "ok": true, "path": target, "size": size }))
}

/// Writes a file of the sandbox to a file here, or to standard output.
async fn save(client: &Client, id: &str, path: &str, target: &Path) -> anyhow::Result<u64> {
    client.save_as(client.open(raw(client, Method::GET, id, path)?).await?, target).await
}

/// Writes a directory of the sandbox into a directory here. Names that would lead out of it are left out, links that do are
/// never followed, and what is no file, directory or link becomes an empty file.
async fn unpack(client: &Client, id: &str, path: &str, target: &Path) -> anyhow::Result<u64> {
    let answer = client.open(raw(client, Method::GET, id, path)?).await?;
    let (reader, writer) = std::io::pipe().context("could not make a pipe")?;
    let doing = || format!("could not write into {}", target.display());
    std::fs::create_dir_all(target).with_context(doing)?;
    let folder = target.to_owned();
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut reader = std::io::BufReader::with_capacity(PIECE_BYTES, reader);
        tar::Archive::new(&mut reader).unpack(&folder)?;
        // What pads the archive is read too, or its sender would find nobody.
        std::io::copy(&mut reader, &mut std::io::sink())
    });
    let mut writer = pipe::Sender::from_owned_fd(OwnedFd::from(writer)).context("could not write to a pipe")?;
    let saved = client.save(answer, &mut writer).await;
    drop(writer);
    unpacking.await?.with_context(doing)?;
    saved
}

/// What is at a path of a sandbox; none when nothing is.
async fn stat(client: &Client, id: &str, path: &str) -> Result<Option<Value>, ClientError> {
    match client.get(&format!("{PATH}/fs/stat"), &[("id", id), ("path", path)]).await {
        Ok(entry) => Ok(Some(entry)),
        Err(ClientError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_directory(entry: &Value) -> bool {
    entry["type"].as_str() == Some("directory")
}

fn raw(client: &Client, method: Method, id: &str, path: &str) -> Result<RequestBuilder, ClientError> {
    client.request(method, &format!("{PATH}/fs/raw"), &[("id", id), ("path", path)])
}

/// The last part of a path; empty for a root.
fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn below(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.strip_suffix('/').unwrap_or(folder))
}

fn streamed(source: impl AsyncRead + Send + 'static) -> Body {
    Body::wrap_stream(ReaderStream::with_capacity(source, PIECE_BYTES))
}
