//! What an operator may set of visitors' sessions.

use serde::{Deserialize, Serialize};

/// The settings of demo sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoConfig {
    /// Whether visitors get sessions.
    pub enabled: bool,
    /// Sessions of visitors at once.
    pub sessions_max: u32,
    /// Sessions that one address gets in an hour.
    pub address_sessions_max: u32,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self { enabled: true, sessions_max: 8, address_sessions_max: 6 }
    }
}
