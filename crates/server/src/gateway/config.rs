//! What an operator may set of the gateway, each figure with its unit in its name.

use crate::files::UploadLimits;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The gateway's limits and times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Connections at once, of all sessions.
    pub connections_max: usize,
    /// Connections at once to one session.
    pub session_connections_max: usize,
    /// A machine that does not answer for so long is unreachable.
    pub dial_ms_max: u64,
    /// How often both ends of every connection are pinged.
    pub ping_ms: u64,
    /// An end that gave no sign of life for so long is dead. More than `ping_ms`, so that a ping can be answered.
    pub silence_ms_max: u64,
    /// The longest wait for each step of a goodbye: for a frame in flight to end, for the reason of an end, for the close frame
    /// to arrive.
    pub farewell_ms_max: u64,
    /// Largest file that is put into a session.
    pub upload_bytes_max: u64,
    /// Whoever sends or fetches a file may pause for so long.
    pub file_pause_ms_max: u64,
    /// The domain under which each port of a sandbox has a host name of its own, `PORT-SESSION.DOMAIN`: every name below it
    /// leads here. None: previews are below a path of our own host, except on `localhost`.
    pub preview_domain: Option<String>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            session_connections_max: 64,
            dial_ms_max: 2_000,
            ping_ms: 20_000,
            silence_ms_max: 30_000,
            farewell_ms_max: 2_000,
            upload_bytes_max: 1024 * 1024 * 1024,
            file_pause_ms_max: 30_000,
            preview_domain: None,
        }
    }
}

impl GatewayConfig {
    pub(super) fn dial_time(&self) -> Duration {
        Duration::from_millis(self.dial_ms_max)
    }

    pub(super) fn ping_time(&self) -> Duration {
        Duration::from_millis(self.ping_ms)
    }

    pub(super) fn silence_time(&self) -> Duration {
        Duration::from_millis(self.silence_ms_max)
    }

    /// What a file that is put into a session is bounded by.
    pub(crate) fn upload_limits(&self) -> UploadLimits {
        UploadLimits { bytes_max: self.upload_bytes_max, pause_max: self.file_pause_time() }
    }

    pub(crate) fn file_pause_time(&self) -> Duration {
        Duration::from_millis(self.file_pause_ms_max)
    }

    pub(super) fn farewell_time(&self) -> Duration {
        Duration::from_millis(self.farewell_ms_max)
    }
}
