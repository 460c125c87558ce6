//! The gateway: carries live bytes between a client and the machine that holds its session.
//!
//! It assumes a way to reach machines ([`NodeDial`]), the rows ([`Sessions`]; asked only for API keys, and once when a machine
//! does not know a run) and the key that signs connect tokens. It promises that bytes pass unchanged in both directions with
//! bounded memory, that both ends are pinged, that a client is always told why it was cut off by a close frame, and that no
//! HTTP text ever reaches a WebSocket.

mod config;
mod metrics;
mod public_url;

pub use config::GatewayConfig;
pub use metrics::GatewayMetrics;
pub use public_url::{Base, NotABase, PublicUrl};

use futures_util::future::BoxFuture;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use vitrine_model::wire::{Dial, DialError};
use vitrine_model::{EndReason, EpochMs, Error, MachineId, OrganizationId, Permissions, RunId, SessionId, Status};

/// A connection's bytes, whatever carries them.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}

/// Reaches the machine that runs a session: in one process the node itself, in a cluster an HTTP upgrade to the machine.
pub trait NodeDial: Send + Sync + 'static {
    /// A byte stream to a run's DevTools port. The gateway gives up after [`GatewayConfig::dial_ms_max`].
    fn dial<'a>(&'a self, machine: &'a MachineId, dial: Dial) -> BoxFuture<'a, Result<Connected, DialError>>;
}

/// A stream to a run's browser.
pub struct Connected {
    /// Raw bytes to the browser's DevTools HTTP port, without delay for small packets (`TCP_NODELAY`). Dropping it is the client
    /// leaving.
    pub stream: Box<dyn ByteStream>,
    /// Path of the browser's own WebSocket, `/devtools/browser/UUID`: the node knows it since the launch.
    pub browser_path: String,
    /// Resolves when the machine begins to end this run, so that the client is told why by a close frame.
    pub ending: BoxFuture<'static, EndReason>,
}

/// What the rows say about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub organization: OrganizationId,
    pub status: Status,
    /// Set once it was placed.
    pub run: Option<RunId>,
    /// Set once it was placed.
    pub machine: Option<MachineId>,
    pub end_reason: Option<EndReason>,
    /// When a token signed now for this session should stop working at the latest.
    pub token_expires_at: EpochMs,
}

/// The rows, for what a token alone does not settle.
pub trait Sessions: Send + Sync + 'static {
    /// What is known about a session now.
    fn look_up<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Known>, Error>>;

    /// Whose API key the `Authorization` header carries, and what it may do. Fails when it carries none that is good.
    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<(OrganizationId, Permissions), Error>>;
}

/// Why the gateway leaves all its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// The server goes for good: 1001.
    ServerShutdown,
    /// The server is replaced and will be back: 1012. The sessions live on; clients may connect again.
    ServiceRestart,
}
