//! What `/metrics` shows, by the conventions of Prometheus.

use crate::gateway::GatewayMetrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use vitrine_model::{EndReason, Kind, MachineId, Status};
use vitrine_store::{Counts, Machine, MachineState, Session};

/// Seconds from the request to `ready`: from a warm pool to a cold machine.
const READY_SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// Seconds of a request.
const REQUEST_SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InStatus {
    kind: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClass {
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMachine {
    machine: String,
    /// `total` or `used`.
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUpstream {
    upstream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    method: String,
    route: String,
    status: u16,
}

/// What stands ready on a machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Warm {
    pub browsers: u32,
    pub sandboxes: u32,
}

/// Every counter of the server.
pub struct Metrics {
    registry: Registry,
    /// The gateway's share.
    pub gateway: GatewayMetrics,
    created: Family<OfKind, Counter>,
    ended: Family<Reason, Counter>,
    ready: Family<OfKind, Histogram>,
    rate_limited: Family<OfClass, Counter>,
    requests: Family<OfRequest, Counter>,
    request_seconds: Histogram,
    sessions: Family<InStatus, Gauge>,
    reserve: Family<OfMachine, Gauge>,
    slots: Family<OfMachine, Gauge>,
    upstreams: Family<OfUpstream, Gauge>,
    warm: Gauge,
    warm_sandboxes: Gauge,
    warm_by_machine: Mutex<HashMap<MachineId, Warm>>,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("vitrine");
        let metrics = Self {
            gateway: GatewayMetrics::default(),
            created: Family::default(),
            ended: Family::default(),
            ready: Family::new_with_constructor(|| Histogram::new(READY_SECONDS)),
            rate_limited: Family::default(),
            requests: Family::default(),
            request_seconds: Histogram::new(REQUEST_SECONDS),
            sessions: Family::default(),
            reserve: Family::default(),
            slots: Family::default(),
            upstreams: Family::default(),
            warm: Gauge::default(),
            warm_sandboxes: Gauge::default(),
            warm_by_machine: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("sessions_created", "Sessions that were queued, by kind", metrics.created.clone());
        registry.register("sessions_over", "Sessions that ended or failed, by reason", metrics.ended.clone());
        registry.register_with_unit(
            "ready",
            "From the request to ready, by kind",
            Unit::Seconds,
            metrics.ready.clone(),
        );
        registry.register("rate_limited", "Requests that came too soon, by class", metrics.rate_limited.clone());
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "request",
            "Requests, but for waiting ones",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        registry.register("sessions", "Sessions that are not over, by kind and status", metrics.sessions.clone());
        registry.register(
            "machine_reserve_mb",
            "Memory that placement may promise and has promised",
            metrics.reserve.clone(),
        );
        registry.register("machine_slots", "Sessions that a machine may and does hold", metrics.slots.clone());
        registry.register("upstream_answers", "Whether an upstream proxy answers: 1 or 0", metrics.upstreams.clone());
        registry.register("pool_warm", "Warm browsers of the machines that beat here", metrics.warm.clone());
        let warm = "Warm sandboxes of the machines that beat here";
        registry.register("pool_warm_sandboxes", warm, metrics.warm_sandboxes.clone());
        metrics.gateway.register(&mut registry);
        Self { registry, ..metrics }
    }

    /// A session was queued.
    pub fn created(&self, kind: Kind) {
        self.created.get_or_create(&OfKind { kind: kind.as_str() }).inc();
    }

    /// A session is ready.
    pub fn ready(&self, session: &Session) {
        if let Some(started_at) = session.started_at {
            let seconds = started_at.saturating_sub(session.created_at) as f64 / 1_000.0;
            self.ready.get_or_create(&OfKind { kind: session.kind().as_str() }).observe(seconds);
        }
    }

    /// A session is over.
    pub fn over(&self, reason: EndReason) {
        self.ended.get_or_create(&Reason { reason: reason.as_str() }).inc();
    }

    /// A request came too soon.
    pub fn rate_limited(&self, class: &'static str) {
        self.rate_limited.get_or_create(&OfClass { class }).inc();
    }

    /// A request was answered. `route` is the router's pattern, never the path: paths are without bound.
    /// `time` is `None` for requests that wait for something.
    pub fn request(&self, method: &str, route: &str, status: u16, time: Option<Duration>) {
        self.requests.get_or_create(&OfRequest { method: method.to_owned(), route: route.to_owned(), status }).inc();
        if let Some(time) = time {
            self.request_seconds.observe(time.as_secs_f64());
        }
    }

    /// An upstream proxy was tried.
    pub fn upstream(&self, address: &str, answers: bool) {
        self.upstreams.get_or_create(&OfUpstream { upstream: address.to_owned() }).set(answers.into());
    }

    /// What is in a machine's pools.
    pub fn warm(&self, machine: &MachineId, warm: Warm) {
        let mut all = self.warm_by_machine.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(machine.clone(), warm);
    }

    /// The text for Prometheus, with the gauges as they are in the rows.
    pub fn text(&self, counts: &Counts, machines: &[Machine]) -> Result<String, std::fmt::Error> {
        for (kind, status) in
            [Kind::Browser, Kind::Sandbox].into_iter().flat_map(|kind| Status::ALL.map(|status| (kind, status)))
        {
            if status.is_terminal() {
                continue;
            }
            let label = InStatus { kind: kind.as_str(), status: status.as_str() };
            self.sessions.get_or_create(&label).set(counts.sessions_of(kind, status) as i64);
        }
        let mut warm = self.warm_by_machine.lock().unwrap_or_else(PoisonError::into_inner);
        warm.retain(|known, _| {
            machines.iter().any(|machine| machine.id == *known && machine.state != MachineState::Lost)
        });
        self.warm.set(warm.values().map(|warm| i64::from(warm.browsers)).sum());
        self.warm_sandboxes.set(warm.values().map(|warm| i64::from(warm.sandboxes)).sum());
        drop(warm);
        self.reserve.clear();
        self.slots.clear();
        for machine in machines {
            let label = |what| OfMachine { machine: machine.id.to_string(), what };
            self.reserve.get_or_create(&label("total")).set(machine.reserve_total_mb.into());
            self.reserve.get_or_create(&label("used")).set(machine.reserve_used_mb.into());
            self.slots.get_or_create(&label("total")).set(machine.slots_total.into());
            self.slots.get_or_create(&label("used")).set(machine.slots_used.into());
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
