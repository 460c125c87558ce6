//! One object in a folder: its bytes in a file, and what is to be said of it in another, written after the first is whole.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use vitrine_model::ArtifactKind;
use vitrine_model::wire::Object;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) kind: ArtifactKind,
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// If it is one of the session's files.
    pub(crate) place: Option<Place>,
}

/// Where a file of the session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Among the session's files: `downloads/NAME`.
    pub(crate) path: String,
    /// In the capsule.
    pub(crate) inside: String,
}

impl Made {
    /// For the server.
    pub(crate) fn object(&self) -> Object {
        Object::Artifact {
            kind: self.kind,
            name: self.name.clone(),
            content_type: self.content_type.clone(),
            size: self.size,
            sha256: self.sha256.clone(),
        }
    }
}

/// An object of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) number: u64,
    #[serde(flatten)]
    pub(crate) made: Made,
    /// Once the server has it.
    pub(crate) key: Option<String>,
    /// The server does not want it.
    pub(crate) dropped: bool,
}

impl Record {
    pub(super) fn waits(&self) -> bool {
        self.key.is_none() && !self.dropped
    }

    pub(super) fn write(&self, objects: &Path) -> io::Result<()> {
        write_whole(&objects.join(format!("{}.json", self.number)), self)
    }
}

/// The file of an object's bytes.
pub(super) fn bytes(objects: &Path, number: u64) -> PathBuf {
    objects.join(format!("{number}.bytes"))
}

/// All records, in their order; bytes without one are not finished and are removed.
pub(super) fn read_all(objects: &Path) -> Vec<Record> {
    let entries = std::fs::read_dir(objects).into_iter().flatten().flatten().map(|entry| entry.path());
    let paths: Vec<PathBuf> = entries.collect();
    let mut records: Vec<Record> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok())
        .collect();
    records.sort_by_key(|record| record.number);
    for path in paths {
        let kept = path.extension().is_some_and(|extension| extension == "json")
            || records.iter().any(|record| bytes(objects, record.number) == path);
        if !kept && let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "could not remove an unfinished file");
        }
    }
    records
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    std::fs::rename(&unfinished, path)
}

/// Size and SHA-256 of what is read, as it is copied; fails above `bytes_max`.
pub(crate) fn copy(from: &mut impl Read, to: &mut impl Write, bytes_max: u64) -> io::Result<(u64, String)> {
    let (mut size, mut hash) = (0, Sha256::new());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        size += length as u64;
        if size > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {bytes_max} bytes")));
        }
        hash.update(&piece[..length]);
        to.write_all(&piece[..length])?;
    }
    Ok((size, hexadecimal(&hash.finalize())))
}

/// Size and SHA-256 of a file.
pub(crate) fn measure(path: &Path) -> io::Result<(u64, String)> {
    copy(&mut std::fs::File::open(path)?, &mut io::sink(), u64::MAX)
}

pub(crate) use vitrine_model::api_key::hexadecimal;

/// What is copied at once.
const PIECE_BYTES: usize = 128 * 1024;
