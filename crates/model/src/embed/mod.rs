//! What an embed session is beside a browser: minutes that pay for it, origins that may frame it, and a policy.

pub mod minutes;
pub mod origin;
pub mod policy;

pub use minutes::MinutesKind;
pub use origin::{EmbedOrigin, OriginError};
pub use policy::{Capability, Group, InteractionMode, Policy, PolicySnapshot};

use serde::{Deserialize, Serialize};

/// Minutes of a session where the client names no figure.
pub const MINUTES_DEFAULT: u32 = 15;
/// Most minutes of one session.
pub const MINUTES_MAX: u32 = 120;

/// The embed part of a browser session, validated. Stored with the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedSpec {
    /// What was paid for it, and how long it may run.
    pub minutes: u32,
    /// A visitor's: nobody pays.
    #[serde(default)]
    pub demo: bool,
    /// It may also be driven over the DevTools protocol.
    #[serde(default)]
    pub cdp: bool,
    /// Who may frame its page, beside ourselves and the configured ones: origins and patterns of the documented forms.
    #[serde(default)]
    pub embedding_origins: Vec<String>,
    pub policy: Policy,
}

impl EmbedSpec {
    /// What its organization pays.
    pub fn paid_minutes(&self) -> u32 {
        if self.demo { 0 } else { self.minutes }
    }
}
