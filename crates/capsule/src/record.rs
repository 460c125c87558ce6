//! What is written about a capsule in its directory, before anything of it runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vitrine_init::Profile;

use crate::CapsuleError;
use crate::error::Doing;

const FILE: &str = "capsule.json";
const DRAFT: &str = "capsule.json.new";

/// One capsule of this driver, running or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    /// What confines it.
    pub driver: String,
    pub profile: Profile,
    pub rootfs: PathBuf,
    pub slot: u32,
    /// The first host id of its range.
    pub uid_base: u32,
    /// The file of its disk.
    pub disk: Option<PathBuf>,
    /// The caller's own words.
    pub label: serde_json::Value,
    /// Whether its process 1 answers; seen when the record was read.
    #[serde(skip)]
    pub alive: bool,
}

impl Record {
    /// Replace what the directory says, whole or not at all.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), CapsuleError> {
        let what = || format!("write the record of capsule {}", self.id);
        let text = serde_json::to_vec(self).map_err(std::io::Error::from).doing(what)?;
        fs::write(directory.join(DRAFT), text).doing(what)?;
        fs::rename(directory.join(DRAFT), directory.join(FILE)).doing(what)
    }

    /// Nothing when the creation did not get that far.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }
}
