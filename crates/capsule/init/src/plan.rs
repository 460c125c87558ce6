//! The plan by which one capsule is confined, written by the host and read once by the freshly started helper.
//!
//! Assumes that the host has made the directory, its folders and the cgroups. Promises that it holds nothing secret.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a capsule's programs may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// An ordinary user without capabilities, who may make user namespaces (Chromium's own sandbox needs them) and
    /// finds loopback closed to all but the host's sockets.
    Browser,
    /// Root of its own user namespace with what package managers need, without user namespaces, loopback free.
    Sandbox,
}

/// A host file or directory that the capsule sees.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bind {
    pub source: PathBuf,
    /// Absolute, in the capsule; made when missing.
    pub target: PathBuf,
    pub read_only: bool,
}

/// A disk of its own: an ext4 in a file of the host, on which everything lies that the capsule writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiskSpec {
    /// Nobody else may have it mounted. Its owners are the capsule's plain ids, so that another capsule can have it later.
    pub file: PathBuf,
    /// A folder of the host with plain ids that the workspace begins as; it is never written, must outlive the disk, and
    /// is given again, by the same name, whenever the disk is.
    pub workspace_lower: Option<PathBuf>,
}

/// All that the helper needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The capsule's own directory on the host.
    pub directory: PathBuf,
    /// The image's root file system, owned by plain root and never written.
    pub rootfs: PathBuf,
    pub profile: Profile,
    /// The first host id of the capsule's range of [`crate::IDS`].
    pub uid_base: u32,
    pub hostname: String,
    /// The files to write `0` to, in order to join the capsule's cgroups, before anything else.
    pub groups: Vec<PathBuf>,
    pub binds: Vec<Bind>,
    pub disk: Option<DiskSpec>,
    /// The size limit of `/dev/shm`.
    pub shm_bytes: u64,
    /// Compiled seccomp programs in the order of installation, each instruction packed by [`Plan::pack`].
    pub filters: Vec<Vec<u64>>,
}

impl Plan {
    /// One BPF instruction as a number.
    pub fn pack(code: u16, jt: u8, jf: u8, k: u32) -> u64 {
        u64::from(code) << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | u64::from(k)
    }

    /// The instruction that [`Plan::pack`] made into this number: code, jump if true, jump if false, operand.
    pub fn unpack(packed: u64) -> (u16, u8, u8, u32) {
        ((packed >> 48) as u16, (packed >> 40) as u8, (packed >> 32) as u8, packed as u32)
    }
}
