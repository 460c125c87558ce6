//! What a session's egress did: totals, and events for whoever listens.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast;

use crate::{Refusal, UpstreamError};

/// Events kept for a slow listener; older ones are lost, and the listener is told how many.
const EVENTS_MAX: usize = 256;

/// Totals since the session's egress started. Payload bytes only; DNS and proxy handshakes do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Towards the capsule.
    pub bytes_in: u64,
    /// From the capsule.
    pub bytes_out: u64,
    /// Connections that reached their destination.
    pub connections: u64,
    /// Connections that policy, guard or limits refused or cut.
    pub refused: u64,
}

/// Something worth telling about one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressEvent {
    /// `address` is what the target's name stood for, where that was what is refused.
    Refused {
        target: String,
        address: Option<IpAddr>,
        reason: Refusal,
    },
    UpstreamFailed {
        target: String,
        error: UpstreamError,
    },
}

/// The living counterpart of [`Counters`].
pub(crate) struct Meter {
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    connections: AtomicU64,
    refused: AtomicU64,
    events: broadcast::Sender<EgressEvent>,
}

impl Meter {
    pub fn new() -> Meter {
        Meter {
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            events: broadcast::Sender::new(EVENTS_MAX),
        }
    }

    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub fn refused(&self, target: String, reason: Refusal) {
        self.refused_at(target, None, reason);
    }

    pub fn refused_at(&self, target: String, address: Option<IpAddr>, reason: Refusal) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%target, %reason, "connection refused");
        self.tell(EgressEvent::Refused { target, address, reason });
    }

    pub fn failed(&self, target: String, error: UpstreamError) {
        tracing::debug!(%target, "could not {error}");
        self.tell(EgressEvent::UpstreamFailed { target, error });
    }

    /// Nobody listening is not an error: events are for those who want them.
    fn tell(&self, event: EgressEvent) {
        let _ = self.events.send(event);
    }

    pub fn events(&self) -> broadcast::Receiver<EgressEvent> {
        self.events.subscribe()
    }

    pub fn counters(&self) -> Counters {
        Counters {
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
