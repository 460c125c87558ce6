//! What a client can ask of a sandbox session.

use crate::{CheckpointId, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `POST /v1/sandboxes/code` runs where the client names no language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    #[default]
    Bun,
    Python,
    Base,
}

impl Runtime {
    /// All runtimes.
    pub const ALL: [Runtime; 3] = [Runtime::Bun, Runtime::Python, Runtime::Base];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Runtime::Bun => "bun",
            Runtime::Python => "python",
            Runtime::Base => "base",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Runtime> {
        Runtime::ALL.into_iter().find(|runtime| runtime.as_str() == word)
    }
}

/// The shape of a sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Two shared processors and 4 GiB.
    #[default]
    Standard,
}

impl Size {
    /// All sizes.
    pub const ALL: [Size; 1] = [Size::Standard];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Size::Standard => "standard",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Size> {
        Size::ALL.into_iter().find(|size| size.as_str() == word)
    }

    /// The capsule's memory limit in MiB.
    pub fn memory_mb(self) -> u32 {
        match self {
            Size::Standard => 4096,
        }
    }

    /// Thousandths of a processor that it may use at once.
    pub fn cpu_max_millis(self) -> u32 {
        match self {
            Size::Standard => 2000,
        }
    }
}

/// What is reachable when no rule denies it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Everything public.
    #[default]
    Open,
    /// What a rule allows.
    Allowlist,
    /// Nothing.
    None,
}

impl NetworkMode {
    /// All modes.
    pub const ALL: [NetworkMode; 3] = [NetworkMode::Open, NetworkMode::Allowlist, NetworkMode::None];

    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkMode::Open => "open",
            NetworkMode::Allowlist => "allowlist",
            NetworkMode::None => "none",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<NetworkMode> {
        NetworkMode::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// Where a sandbox may connect to: names (`example.com`, `*.example.com`) and ranges (`203.0.113.0/24`). Denying wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPolicy {
    pub mode: NetworkMode,
    #[serde(default)]
    pub allow: Vec<String>,
    #[serde(default)]
    pub deny: Vec<String>,
}

/// A sandbox session as it was asked for, validated, with every default filled in. Stored with the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    pub runtime: Runtime,
    pub size: Size,
    /// What every program in it starts with. Forgotten when the session is over.
    #[serde(default)]
    pub env: BTreeMap<String, Secret>,
    /// A checkpoint is made at every pause and at the end: `storage.workspace: "checkpointed"`, or `ephemeral: false`.
    pub checkpointed: bool,
    pub ephemeral: bool,
    pub max_duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default)]
    pub network: NetworkPolicy,
    /// Which driver confines it; the machine's default where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation_driver: Option<String>,
    /// LibreOffice: another image.
    #[serde(default)]
    pub documents: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_prefix: Option<String>,
    /// The checkpoint that `/workspace` begins as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<CheckpointId>,
}

/// Longest sandbox: two hours, whatever the plan says.
pub const DURATION_MAX_MS: u64 = 7_200_000;
/// Where programs of a sandbox start, and what a checkpoint holds.
pub const WORKSPACE: &str = "/workspace";
/// What lies here at a checkpoint or at the end becomes artifacts.
pub const ARTIFACTS: &str = "/workspace/artifacts";
