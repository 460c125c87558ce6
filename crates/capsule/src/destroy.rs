//! The end of a capsule: its processes, then its mounts, its directory, its cgroups, its slot; each verified.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{WaitId, WaitIdOptions};

use crate::error::Doing;
use crate::{CapsuleError, Native, delete, spec};

/// How often removal is tried before somebody else has to look; the last mounts go shortly after the last process.
const ATTEMPTS: u32 = 8;
const PAUSE_MIN: Duration = Duration::from_millis(2);

impl Native {
    /// Remove all of a capsule, whatever state it is in. What is gone already is no error; what stays is named.
    pub async fn destroy(&self, id: &str) -> Result<(), CapsuleError> {
        spec::check_id(id)?;
        let lock = self.lock(id);
        let _held = lock.lock().await;
        self.remove(id).await
    }

    /// As [`Self::destroy`]; the caller holds the lock.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), CapsuleError> {
        let mut pause = PAUSE_MIN;
        for attempt in 1.. {
            // Every time anew: a helper that was just starting may have joined after the last look.
            self.kill(id).await?;
            self.forget(id).await?;
            let left = self.remove_remains(id).await?;
            if left.is_empty() {
                break;
            }
            if attempt == ATTEMPTS {
                return Err(CapsuleError::Remains { id: id.to_owned(), left });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.release_slot(id);
        Ok(())
    }

    /// End every process of a capsule and bury those that are our children.
    async fn kill(&self, id: &str) -> Result<(), CapsuleError> {
        let group = self.group(id);
        let Some(mut dead) = group.kill().await else {
            let left = group.members().iter().map(|pid| format!("process {}", pid.as_raw_nonzero())).collect();
            return Err(CapsuleError::Remains { id: id.to_owned(), left });
        };
        dead.extend(self.forget_init(id));
        let buried = tokio::task::spawn_blocking(move || dead.iter().for_each(bury)).await;
        buried.map_err(std::io::Error::other).doing(|| format!("bury the processes of capsule {id}"))
    }

    /// What could not be removed.
    async fn remove_remains(&self, id: &str) -> Result<Vec<String>, CapsuleError> {
        let directory = self.directory(id);
        let group = self.group(id);
        let work = move || {
            let mut left = mounts_below(&directory)?;
            if left.is_empty()
                && let Err(error) = delete::delete(&directory)
            {
                left.push(format!("{} ({error})", directory.display()));
            }
            left.extend(group.remove());
            Ok(left)
        };
        // Unlinking what a session wrote can take long.
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(std::io::Error::other(error)).doing(|| format!("remove capsule {id}")))
    }
}

/// Wait for a process that was killed, if it is our child; others have other parents.
fn bury(process: &OwnedFd) {
    let _ = rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
}

/// Mounts of this process's namespace below a directory: nothing may be deleted through them.
fn mounts_below(directory: &Path) -> Result<Vec<String>, CapsuleError> {
    let mounts = fs::read("/proc/self/mountinfo").doing(|| "read the mount table".into())?;
    let escaped: Vec<u8> = directory.as_os_str().as_bytes().iter().flat_map(|byte| escape(*byte)).collect();
    let below = |line: &[u8]| {
        let point = line.split(|byte| *byte == b' ').nth(4)?.to_vec();
        let rest = point.strip_prefix(escaped.as_slice())?;
        (rest.is_empty() || rest.starts_with(b"/")).then(|| format!("mount {}", String::from_utf8_lossy(&point)))
    };
    Ok(mounts.split(|byte| *byte == b'\n').filter_map(below).collect())
}

/// As the kernel writes it in its table.
fn escape(byte: u8) -> Vec<u8> {
    match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
        _ => vec![byte],
    }
}
