//! The proof: a real capsule, then a real browser in one, made and removed.

use super::Finding;
use crate::config::Config;
use crate::serve::trial_session;
use std::path::Path;
use std::time::Instant;
use vitrine_capsule::{Disks, Native, NativeConfig};

/// Below the ids of a server that may run beside us.
const UID_BASE: u32 = 1_000_000_000;
/// Enough for a program's first steps, in bytes.
const DISK_BYTES: u64 = 64 * 1024 * 1024;

/// Makes a capsule, runs a program in it, removes it.
pub async fn capsule(rootfs: &Path) -> Finding {
    const NAME: &str = "capsule";
    let advice = "The line above is the step that failed. Inside a container, it must be privileged.";
    let scratch = match Scratch::make() {
        Ok(scratch) => scratch,
        Err(error) => return Finding::fail(NAME, format!("no temporary folder: {error}"), "Set TMPDIR to one."),
    };
    let started = Instant::now();
    let tried = async { Native::probe(driver(&scratch)).await?.check(rootfs).await };
    match tried.await {
        Ok(()) => Finding::ok(NAME, format!("made, used and removed in {} ms", started.elapsed().as_millis())),
        Err(error) => Finding::fail(NAME, format!("could not {error}"), advice),
    }
}

/// The same with a disk of its own, as sandboxes have one.
pub async fn disk(rootfs: &Path) -> Finding {
    const NAME: &str = "disk";
    let advice =
        "Browsers run, sandboxes do not: each has an ext4 in a file, over a loop device.\nmodprobe -a loop ext4";
    let scratch = match Scratch::make() {
        Ok(scratch) => scratch,
        Err(error) => return Finding::fail(NAME, format!("no temporary folder: {error}"), "Set TMPDIR to one."),
    };
    let tried = async {
        let disks = Disks::open(scratch.0.join("disks"), DISK_BYTES)?;
        let started = Instant::now();
        Native::probe(driver(&scratch)).await?.check_disk(rootfs, &disks).await.map(|()| started.elapsed())
    };
    match tried.await {
        Ok(took) => Finding::ok(NAME, format!("mounted, used and removed in {} ms", took.as_millis())),
        Err(error) => Finding::warn(NAME, format!("could not {error}"), advice),
    }
}

fn driver(scratch: &Scratch) -> NativeConfig {
    NativeConfig {
        directory: scratch.0.join("capsules"),
        instance: format!("doctor-{}", std::process::id()),
        uid_base: UID_BASE,
        slots_max: 1,
    }
}

/// Runs a whole server for one session.
pub async fn session(config: &Config) -> Finding {
    const NAME: &str = "browser";
    let advice = "The capsule works and the browser in it does not start; `vitrine serve --log-level debug` says more.";
    let scratch = match Scratch::make() {
        Ok(scratch) => scratch,
        Err(error) => return Finding::fail(NAME, format!("no temporary folder: {error}"), "Set TMPDIR to one."),
    };
    match trial_session(config, &scratch.0).await {
        Ok(took) => Finding::ok(NAME, format!("started and answered in {} ms", took.as_millis())),
        Err(error) => Finding::fail(NAME, format!("{error:#}"), advice),
    }
}

/// A folder of our own, removed at the end.
pub struct Scratch(std::path::PathBuf);

impl Scratch {
    pub fn make() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("vitrine-doctor-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Capsules are gone by now; a mount that is left would be the data of something else.
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "could not remove the trial's folder");
        }
    }
}
