//! What a caller says about a capsule that it wants.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vitrine_init::{Bind, DiskSpec, Profile};

use crate::CapsuleError;

/// The longest id, in bytes; it names a folder and a cgroup.
const ID_BYTES_MAX: usize = 64;
/// The longest host name that Linux takes, in bytes.
const HOSTNAME_BYTES_MAX: usize = 63;
/// Below this, process 1 itself does not fit.
const MEMORY_BYTES_MIN: u64 = 8 * 1024 * 1024;
const CPU_WEIGHT_MAX: u32 = 10_000;

#[derive(Clone, Debug)]
pub struct Spec {
    /// Lower-case letters, digits and hyphens.
    pub id: String,
    /// [`crate::NATIVE`] or the name of a runtime. Runtimes confine sandboxes only.
    pub driver: String,
    pub profile: Profile,
    /// An image's root file system.
    pub rootfs: PathBuf,
    pub limits: Limits,
    /// Certificate authorities to trust instead of the image's, as a host file.
    pub ca_bundle: Option<PathBuf>,
    pub hostname: String,
    pub binds: Vec<Bind>,
    /// With it, all that the capsule writes lies there and it has a `/workspace`; without, on the host's own disk, and it
    /// has a `/session`.
    pub disk: Option<DiskSpec>,
    /// The caller's own words, kept with the capsule.
    pub label: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory, with swap not beyond it.
    pub memory_bytes: u64,
    pub pids_max: u32,
    /// The share of the processors when they are short, 1 to 10000; 100 is ordinary.
    pub cpu_weight: u32,
    /// Thousandths of a processor at most; without, as many as there are.
    pub cpu_max_millis: Option<u32>,
}

impl Spec {
    pub(crate) fn validate(&self) -> Result<(), CapsuleError> {
        check_id(&self.id)?;
        self.limits.validate()?;
        let hostname = &self.hostname;
        let fits = (1..=HOSTNAME_BYTES_MAX).contains(&hostname.len())
            && hostname.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        demand(fits, || format!("the host name {hostname:?} is not one"))?;
        demand(self.driver == crate::NATIVE || self.profile == Profile::Sandbox, || {
            format!("the driver {} confines no browsers", self.driver)
        })?;
        demand(self.rootfs.is_dir(), || format!("{} is no root file system", self.rootfs.display()))?;
        for bind in &self.binds {
            demand(bind.target.is_absolute() && bind.source.is_absolute(), || {
                format!("the bind of {} to {} is not absolute", bind.source.display(), bind.target.display())
            })?;
        }
        let paths = self.disk.iter().flat_map(|disk| disk.workspace_lower.iter().chain([&disk.file]));
        for path in paths {
            demand(path.is_absolute() && path.exists(), || format!("there is no {} for a disk", path.display()))?;
        }
        Ok(())
    }
}

impl Limits {
    pub(crate) fn validate(&self) -> Result<(), CapsuleError> {
        demand(self.memory_bytes >= MEMORY_BYTES_MIN, || format!("{} bytes of memory are too few", self.memory_bytes))?;
        demand(self.pids_max > 1, || "a capsule needs more than one process".into())?;
        let weight = (1..=CPU_WEIGHT_MAX).contains(&self.cpu_weight);
        demand(weight, || format!("a processor weight is from 1 to {CPU_WEIGHT_MAX}"))?;
        demand(self.cpu_max_millis.is_none_or(|millis| millis >= 10), || {
            "a hundredth of a processor is the least".into()
        })
    }
}

/// An id names a folder: nothing but what is harmless there.
pub(crate) fn check_id(id: &str) -> Result<(), CapsuleError> {
    let fits = (1..=ID_BYTES_MAX).contains(&id.len())
        && !id.starts_with('-')
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    demand(fits, || format!("the id {id:?} has something other than a-z, 0-9 and hyphens"))
}

fn demand(fulfilled: bool, complaint: impl FnOnce() -> String) -> Result<(), CapsuleError> {
    if fulfilled { Ok(()) } else { Err(CapsuleError::Invalid(complaint())) }
}
