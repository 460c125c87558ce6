//! What a client can ask of a browser session.

use crate::{EmbedSpec, EpochMs, Feature, Proxy};
use serde::{Deserialize, Serialize};

/// Memory tier, on top of a fixed base for the browser itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    #[default]
    Light,
    Medium,
    Heavy,
}

impl Weight {
    /// All weights.
    pub const ALL: [Weight; 3] = [Weight::Light, Weight::Medium, Weight::Heavy];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Weight::Light => "light",
            Weight::Medium => "medium",
            Weight::Heavy => "heavy",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Weight> {
        Weight::ALL.into_iter().find(|weight| weight.as_str() == word)
    }

    /// The tier's memory in MiB.
    pub fn memory_mb(self) -> u32 {
        match self {
            Weight::Light => 256,
            Weight::Medium => 512,
            Weight::Heavy => 1024,
        }
    }
}

/// Whether the machine may hold other organizations' sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    #[default]
    Shared,
    Dedicated,
}

impl Isolation {
    /// Both.
    pub const ALL: [Isolation; 2] = [Isolation::Shared, Isolation::Dedicated];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Isolation::Shared => "shared",
            Isolation::Dedicated => "dedicated",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Isolation> {
        Isolation::ALL.into_iter().find(|isolation| isolation.as_str() == word)
    }
}

/// Which way out of the machine a session takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EgressProfile {
    /// Direct from the machine.
    SharedDc,
    /// An upstream proxy that one organization holds.
    DedicatedDc,
    /// Another upstream for each connection.
    RotatingResidential,
    /// The same upstream for the same organization and profile key.
    StaticResidential,
    /// The client's own proxy.
    ByoProxy,
}

impl EgressProfile {
    /// All profiles.
    pub const ALL: [EgressProfile; 5] = [
        EgressProfile::SharedDc,
        EgressProfile::DedicatedDc,
        EgressProfile::RotatingResidential,
        EgressProfile::StaticResidential,
        EgressProfile::ByoProxy,
    ];

    /// The word in the API, the table and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            EgressProfile::SharedDc => "shared-dc",
            EgressProfile::DedicatedDc => "dedicated-dc",
            EgressProfile::RotatingResidential => "rotating-residential",
            EgressProfile::StaticResidential => "static-residential",
            EgressProfile::ByoProxy => "byo-proxy",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<EgressProfile> {
        EgressProfile::ALL.into_iter().find(|profile| profile.as_str() == word)
    }

    /// What a plan needs for it.
    pub fn feature(self) -> Option<Feature> {
        match self {
            EgressProfile::SharedDc => None,
            EgressProfile::DedicatedDc => Some(Feature::DedicatedEgress),
            EgressProfile::RotatingResidential | EgressProfile::StaticResidential => Some(Feature::ResidentialEgress),
            EgressProfile::ByoProxy => Some(Feature::ByoProxy),
        }
    }
}

/// A browser session as it was asked for, validated, with every default filled in. Stored with the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserSpec {
    pub weight: Weight,
    pub isolation: Isolation,
    pub egress_profile: EgressProfile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    pub max_duration_ms: u64,
    /// After the last client left; 0 = never.
    pub idle_timeout_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// A full Chromium whose parts tell one story.
    #[serde(default)]
    pub stealth: bool,
    /// An MP4 of the session.
    #[serde(default)]
    pub recording: bool,
    /// CAPTCHAs are noticed, and the operator's solver is asked.
    #[serde(default)]
    pub captcha: bool,
    /// A HAR file of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub har: Option<HarSpec>,
    /// A saved profile, unique in its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_key: Option<String>,
    /// Minutes pay for it, and a page in somebody's page shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<EmbedSpec>,
}

/// What a HAR file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarSpec {
    /// Values of cookies and of headers that authenticate are left as they were; otherwise each becomes `[redacted]`.
    pub secrets_kept: bool,
    /// Longest body that is kept, in bytes; 0 = none.
    pub body_bytes_max: u64,
}

/// Longest body in a HAR file where the client names no figure.
pub const HAR_BODY_BYTES_DEFAULT: u64 = 1024 * 1024;

/// Default of `idleTimeoutMs`.
pub const IDLE_TIMEOUT_DEFAULT_MS: u64 = 60_000;
/// Shortest `maxDurationMs`: anything below would end before a client could connect.
pub const DURATION_MIN_MS: u64 = 1_000;
/// Longest `idleTimeoutMs`: a day.
pub const IDLE_TIMEOUT_MAX_MS: u64 = 86_400_000;

/// When a session that starts at `started_at` must end.
pub fn expires_at(started_at: EpochMs, max_duration_ms: u64) -> EpochMs {
    started_at.saturating_add(i64::try_from(max_duration_ms).unwrap_or(i64::MAX))
}

/// The memory limit of a browser capsule in MiB: a fixed base for the browser itself and the weight's tier on top.
pub fn limit_mb(base_mb: u32, weight: Weight) -> u32 {
    base_mb.saturating_add(weight.memory_mb())
}
