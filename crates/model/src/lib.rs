//! The words and rules of Vitrine: ids, states and legal moves, plans, permissions, limits, errors, tokens, wire types.
//!
//! No I/O and no clock: times come in as epoch milliseconds and randomness as bytes. Everything else agrees on these types.
//! Randomness is handed in by [`Entropy`], so that a test can make the same ids twice.

pub mod address;
pub mod api_key;
pub mod artifact;
pub mod browser;
pub mod embed;
pub mod end_reason;
pub mod error;
pub mod event;
pub mod id;
pub mod permission;
pub mod plan;
pub mod preview;
pub mod proxy;
pub mod rate;
pub mod sandbox;
pub mod session;
pub mod ticket;
pub mod token;
pub mod webhook;
pub mod wire;

pub use api_key::ApiKeySecret;
pub use artifact::ArtifactKind;
pub use browser::{BrowserSpec, EgressProfile, HarSpec, Isolation, Weight};
pub use embed::{EmbedSpec, MinutesKind};
pub use end_reason::{EndReason, SchedulingReason};
pub use error::{Code, Context, Error};
pub use event::Happening;
pub use id::{
    ApiKeyId, CheckpointId, EventId, MachineId, OrderId, OrganizationId, RunId, SessionId, TokenId, WebhookId,
};
pub use permission::{Permission, Permissions};
pub use plan::{Feature, Plan, PlanLimits, Plans};
pub use proxy::{Proxy, ProxyProtocol, Secret};
pub use sandbox::{NetworkMode, NetworkPolicy, Runtime, SandboxSpec, Size};
pub use session::{Desired, Kind, NotNow, Status, Transition};

/// Milliseconds since the Unix epoch; the only form in which a time is stored or sent.
pub type EpochMs = i64;

/// Where random bytes come from: the operating system in the binary, a fixed sequence in tests.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
}

impl<F: Fn(&mut [u8]) + Send + Sync> Entropy for F {
    fn fill(&self, buffer: &mut [u8]) {
        self(buffer)
    }
}
