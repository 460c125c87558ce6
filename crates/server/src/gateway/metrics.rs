//! What the gateway counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The gateway's counters; clones share their values.
#[derive(Debug, Clone, Default)]
pub struct GatewayMetrics {
    /// Clients connected now.
    pub connections: Gauge,
    /// Clients that ever connected.
    pub opened: Counter,
    /// Clients turned away before the upgrade.
    pub refused: Counter,
    /// Requests that were let in to a port of a sandbox.
    pub previews: Counter,
    /// Bytes carried from clients to browsers.
    pub bytes_to_browsers: Counter,
    /// Bytes carried from browsers to clients.
    pub bytes_to_clients: Counter,
}

impl GatewayMetrics {
    /// Names the counters in `registry`; the caller's prefix stands before `gateway_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("gateway_connections", "DevTools clients connected now", self.connections.clone());
        registry.register("gateway_connections_opened", "DevTools clients that ever connected", self.opened.clone());
        registry.register("gateway_connections_refused", "DevTools clients turned away", self.refused.clone());
        let previews = "Requests that were let in to a port of a sandbox";
        registry.register("gateway_preview_requests", previews, self.previews.clone());
        let mut bytes = |name: &str, help: &str, counter: &Counter| {
            registry.register_with_unit(name, help, Unit::Bytes, counter.clone());
        };
        bytes("gateway_to_browsers", "Bytes carried from clients to browsers", &self.bytes_to_browsers);
        bytes("gateway_to_clients", "Bytes carried from browsers to clients", &self.bytes_to_clients);
    }
}
