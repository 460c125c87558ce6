//! A profile that outlives its session: what is kept of a browser's folder, packed and unpacked.
//!
//! A packed profile is a tar in zstd: the files of [`KEPT`], which both builds read and write alike, and the cookies without
//! an end, which Chromium itself forgets when it closes. Caches stay behind.
//!
//! Assumes that nobody but the capsule's user writes into the folder, and nothing good of that user: no link is followed,
//! nothing but regular files and folders is read, and every size is counted. An archive is trusted as little. Both functions
//! block; call them where that is allowed.

mod cookies;
mod pack;
mod unpack;

pub use cookies::SessionCookies;
pub use pack::pack;
pub use unpack::{Owner, unpack};

use crate::host::Exit;
use std::io;
use std::path::{Component, Path};
use thiserror::Error;

/// All files of a profile together, before compression: a mailbox or a chat in IndexedDB takes some ten MiB, and the profile
/// travels at each start.
pub const PROFILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Files and folders of a profile. Each origin with a database has about ten.
pub const PROFILE_FILES_MAX: usize = 20_000;
/// Folders in folders. Chromium's own go to eight.
const DEPTH_MAX: usize = 16;
/// The member of the archive with the session's cookies, which is no file of Chromium's.
const COOKIES: &str = "session-cookies.json";

/// Beside the folder of the profile: the key that protects cookies and passwords where the password store has none.
const STATE: &str = "Local State";
/// The only profile that there is.
const FOLDER: &str = "Default";
/// What is kept in it: a file (with its journal) or a folder (with all that it holds).
const KEPT: [&str; 13] = [
    "Bookmarks",
    "Cookies",
    "File System",
    "IndexedDB",
    "Local Storage",
    "Login Data",
    "Preferences",
    "Secure Preferences",
    "Service Worker",
    "Trust Tokens",
    "Web Data",
    "WebStorage",
    "databases",
];

/// Why a profile was not packed or not unpacked. Each reads after "could not …:".
#[derive(Debug, Error)]
pub enum ProfileError {
    /// Its files may be half written: what was saved last is better.
    #[error("the browser was not closed but ended with {0}")]
    NotClosed(Exit),
    #[error("the profile is larger than {PROFILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the profile holds more than {PROFILE_FILES_MAX} files")]
    TooMany,
    #[error("the profile's folders are nested more than {DEPTH_MAX} deep")]
    TooDeep,
    #[error("the archive is not a profile: {0}")]
    Malformed(String),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
}

impl ProfileError {
    fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> ProfileError {
        let what = what.into();
        move |error| ProfileError::Io { what, error: error.into() }
    }
}

/// What a profile may hold, counted down.
struct Budget {
    bytes: u64,
    files: usize,
}

impl Budget {
    fn new() -> Budget {
        Budget { bytes: PROFILE_BYTES_MAX, files: PROFILE_FILES_MAX }
    }

    fn take(&mut self, bytes: u64) -> Result<(), ProfileError> {
        self.files = self.files.checked_sub(1).ok_or(ProfileError::TooMany)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(ProfileError::TooLarge)?;
        Ok(())
    }
}

/// Whether a file or folder of the browser's folder belongs to the profile. `path` is relative.
fn is_kept(path: &Path) -> bool {
    let mut names = path.components().map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    match (names.next().flatten(), names.next()) {
        (Some(STATE), None) | (Some(FOLDER), None) => true,
        (Some(FOLDER), Some(Some(name))) => {
            let of_journal = name.strip_suffix("-journal").or_else(|| name.strip_suffix("-wal"));
            KEPT.contains(&of_journal.unwrap_or(name)) && names.all(|rest| rest.is_some())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_logs_a_person_in_is_kept_and_caches_are_not() {
        for kept in [
            "Default",
            "Default/Cookies",
            "Default/Cookies-journal",
            "Default/Local Storage/leveldb/000003.log",
            "Default/IndexedDB/http_localhost_80.indexeddb.leveldb/MANIFEST-000001",
            "Local State",
        ] {
            assert!(is_kept(Path::new(kept)), "{kept}");
        }
        for left in [
            "",
            "/",
            "SingletonLock",
            "DevToolsActivePort",
            "Local State/x",
            "Default/Cache/Cache_Data/index",
            "Default/GPUCache",
            "Default/..",
            "Default/Cookies/../../../etc/passwd",
            "/Default/Cookies",
            "Other/Cookies",
        ] {
            assert!(!is_kept(Path::new(left)), "{left}");
        }
    }
}
