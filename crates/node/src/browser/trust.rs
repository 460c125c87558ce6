//! What a capsule holds before its browser starts: a home, and in it the machine's own certificate authorities in the form that
//! Chromium reads.
//!
//! The database of authorities is made once per set, in a capsule of its own, and kept in the data directory; each session gets
//! a copy, since Chromium opens it for writing. Everything here is written from the host's side into a capsule in which nothing
//! has run yet, so that no path can have been tampered with.

use crate::browser::host::CapsuleHost;
use crate::error::StartError;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OnceCell;
use vitrine_browser::{DATABASE, Trust};
use vitrine_capsule::Capsule;

/// `$HOME` in a capsule: below the folder that the driver gives each session.
pub(crate) const HOME: &str = "/session/home";
/// The files of the database.
const FILES: [&str; 3] = ["cert9.db", "key4.db", "pkcs11.txt"];
/// The image's ordinary user, within the capsule's range of ids.
pub(crate) const ORDINARY_USER: u32 = 1000;
/// Where the image keeps the public authorities.
const PUBLIC_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// The authorities that capsules trust beyond the public ones.
#[derive(Clone)]
pub(crate) struct Authorities {
    cache: PathBuf,
    bundle: Option<PathBuf>,
    /// The folder with the finished database; `None` when there is nothing to add.
    database: Arc<OnceCell<Option<PathBuf>>>,
}

impl Authorities {
    pub(crate) fn new(cache: PathBuf, bundle: Option<PathBuf>) -> Self {
        Self { cache, bundle, database: Arc::default() }
    }

    /// The database for capsules from this image; `make` makes one in a capsule of its own and keeps it at the path given.
    pub(crate) async fn database<F>(
        &self,
        rootfs: &Path,
        make: impl FnOnce(Trust, PathBuf) -> F,
    ) -> Result<Option<&Path>, StartError>
    where
        F: Future<Output = Result<(), StartError>>,
    {
        let find = || async {
            let Some(bundle) = &self.bundle else { return Ok(None) };
            let failed = |error| StartError::failed("read the certificates that capsules are to trust", error);
            let machine = read(bundle).map_err(failed)?;
            let public = read(&rootfs.join(PUBLIC_BUNDLE)).map_err(failed)?;
            let trust = Trust::beyond(&machine, &public);
            if trust.is_empty() {
                return Ok(None);
            }
            let kept = self.cache.join(trust.key());
            if !kept.is_dir() {
                make(trust, kept.clone()).await?;
            }
            Ok(Some(kept))
        };
        Ok(self.database.get_or_try_init(find).await?.as_deref())
    }
}

/// Makes the database in a fresh capsule and keeps it at `kept`.
pub(crate) async fn write(trust: &Trust, capsule: &Arc<Capsule>, kept: &Path) -> Result<(), StartError> {
    furnish(capsule, None)?;
    let host = CapsuleHost::new(capsule.clone(), Vec::new());
    let written = trust.write(&host, &format!("{HOME}/{DATABASE}")).await;
    written.map_err(|error| StartError::failed("write the certificates that browsers are to trust", error))?;
    keep(&capsule.directory().join("home").join(DATABASE), kept)
        .map_err(|error| StartError::failed("keep the certificates that browsers are to trust", error))
}

/// Makes a fresh capsule's home, with a copy of the database.
pub(crate) fn furnish(capsule: &Capsule, database: Option<&Path>) -> Result<(), StartError> {
    let owner = capsule.uid_base() + ORDINARY_USER;
    let session = capsule.directory();
    let made = || -> std::io::Result<()> {
        let mut folder = session.join("home");
        make_folder(&folder, owner)?;
        let Some(database) = database else { return Ok(()) };
        for part in Path::new(DATABASE) {
            folder.push(part);
            make_folder(&folder, owner)?;
        }
        for file in FILES {
            let copy = folder.join(file);
            std::fs::copy(database.join(file), &copy)?;
            chown(&copy, Some(owner), Some(owner))?;
        }
        Ok(())
    };
    made().map_err(|error| StartError::failed("make a session's home", error))
}

fn make_folder(path: &Path, owner: u32) -> std::io::Result<()> {
    std::fs::create_dir(path)?;
    chown(path, Some(owner), Some(owner))
}

/// Keeps the finished database, whole or not at all.
fn keep(made: &Path, kept: &Path) -> std::io::Result<()> {
    let unfinished = kept.with_extension("new");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    std::fs::create_dir_all(&unfinished)?;
    for file in FILES {
        std::fs::copy(made.join(file), unfinished.join(file))?;
    }
    std::fs::rename(&unfinished, kept)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
