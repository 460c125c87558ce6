//! A capsule's disk while it is mounted, seen from the host.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use vitrine_init::WORKSPACE;

use crate::error::Doing;
use crate::files::root_of;
use crate::{Capsule, CapsuleError};

/// How full a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    pub used_bytes: u64,
    /// What fits, without what the file system itself needs.
    pub limit_bytes: u64,
    pub files: u64,
    pub files_max: u64,
}

impl Capsule {
    /// Nothing for a capsule without a disk.
    pub fn disk_usage(&self) -> Result<Option<DiskUsage>, CapsuleError> {
        let Some(workspace) = self.workspace()? else { return Ok(None) };
        let status = rustix::fs::fstatvfs(&workspace).doing(|| format!("measure the disk of capsule {}", self.id()))?;
        Ok(Some(DiskUsage {
            used_bytes: status.f_blocks.saturating_sub(status.f_bfree).saturating_mul(status.f_frsize),
            limit_bytes: status.f_blocks.saturating_mul(status.f_frsize),
            files: status.f_files.saturating_sub(status.f_ffree),
            files_max: status.f_files,
        }))
    }

    /// Write all that the capsule has written to the file of its disk, so that its end has less to do. Nothing happens
    /// without a disk.
    pub async fn sync_disk(&self) -> Result<(), CapsuleError> {
        let Some(workspace) = self.workspace()? else { return Ok(()) };
        let what = || format!("write the disk of capsule {}", self.id());
        let work = move || rustix::fs::syncfs(&workspace);
        tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).doing(what)?.doing(what)
    }

    /// The workspace's mount, which programs of the capsule can neither remove nor replace.
    fn workspace(&self) -> Result<Option<OwnedFd>, CapsuleError> {
        if self.record().disk.is_none() {
            return Ok(None);
        }
        let open = || {
            let root = root_of(self.init())?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
            std::io::Result::Ok(rustix::fs::openat2(&root, WORKSPACE, flags, Mode::empty(), resolve)?)
        };
        open().doing(|| format!("reach the disk of capsule {}", self.id())).map(Some)
    }
}
