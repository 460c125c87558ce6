//! `/health` and `/metrics`: how the deployment is, read at most once a second however often it is asked.

use crate::answer::Answer;
use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use std::time::{Duration, Instant};
use utoipa::ToSchema;
use vitrine_model::EpochMs;
use vitrine_store::{Counts, Machine, MachineState, RecentEnds, StoreError};

/// How old an answer may be.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_millis(500);
/// Over how long errors are counted.
const ERRORS_WINDOW_MS: EpochMs = 300_000;
/// Share of the sessions that ended lately which may have failed through our fault.
const ERRORS_PERCENT_MAX: u64 = 20;
/// The database must answer within this time.
const STORE_TIME_MAX: Duration = Duration::from_secs(3);

/// What the rows said a moment ago; one reader at a time refreshes it.
#[derive(Default)]
pub struct Snapshots(tokio::sync::Mutex<Option<(Instant, Snapshot)>>);

/// What the rows say.
#[derive(Debug, Clone)]
pub struct Snapshot {
    counts: Counts,
    machines: Vec<Machine>,
    ends: RecentEnds,
}

/// How the deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It takes sessions.
    Healthy,
    /// It answers but takes no sessions, or too many fail.
    Degraded,
    /// The store does not answer.
    Unhealthy,
}

/// The system's health.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    pub status: Condition,
    /// Epoch milliseconds.
    pub timestamp: i64,
    pub machines: HealthMachines,
    pub sessions: HealthSessions,
    pub errors: HealthErrors,
    pub isolation: HealthIsolation,
    /// Why it is not healthy, for a person to read.
    pub reasons: Vec<String>,
    /// Of this server.
    pub version: &'static str,
}

/// Machines that take sessions, and all that are known.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct HealthMachines {
    pub running: u64,
    pub total: u64,
}

/// Sessions that are not over.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct HealthSessions {
    pub active: u64,
}

/// Sessions that failed through no fault of the client.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct HealthErrors {
    #[serde(rename = "last5min")]
    pub last_5_min: u64,
}

/// What separates sandboxes from each other and from the machine.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct HealthIsolation {
    /// Of all machines; a sandbox may ask for one of them.
    #[schema(example = json!(["native"]))]
    pub drivers: Vec<String>,
}

impl App {
    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut last = self.snapshot.0.lock().await;
        if let Some((at, snapshot)) = &*last
            && at.elapsed() < SNAPSHOT_AGE_MAX
        {
            return Ok(snapshot.clone());
        }
        let snapshot = Snapshot {
            counts: self.store.counts().await?,
            machines: self.store.machines().await?,
            ends: self.store.recent_ends(self.clock.now() - ERRORS_WINDOW_MS).await?,
        };
        *last = Some((Instant::now(), snapshot.clone()));
        Ok(snapshot)
    }

    /// The answer of `/health`.
    pub async fn health(&self) -> Health {
        let now = self.clock.now();
        let read = tokio::time::timeout(STORE_TIME_MAX, self.snapshot()).await;
        let (status, snapshot, reasons) = match read {
            Ok(Ok(snapshot)) => {
                let reasons = self.complaints(&snapshot, now);
                let status = if reasons.is_empty() { Condition::Healthy } else { Condition::Degraded };
                (status, Some(snapshot), reasons)
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store does not answer");
                (Condition::Unhealthy, None, vec!["the store does not answer".to_owned()])
            }
            Err(_) => (Condition::Unhealthy, None, vec!["the store does not answer in time".to_owned()]),
        };
        let machines = snapshot.as_ref().map(|snapshot| HealthMachines {
            running: snapshot.machines.iter().filter(|machine| self.is_running(machine, now)).count() as u64,
            total: snapshot.machines.len() as u64,
        });
        let live = snapshot.as_ref().map(|snapshot| snapshot.counts.live());
        Health {
            status,
            timestamp: now,
            machines: machines.unwrap_or_default(),
            sessions: HealthSessions { active: live.unwrap_or_default() },
            isolation: HealthIsolation { drivers: self.drivers() },
            errors: HealthErrors { last_5_min: snapshot.map_or(0, |snapshot| snapshot.ends.platform_errors) },
            reasons,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Whether a machine takes sessions.
    pub(crate) fn is_running(&self, machine: &Machine, now: EpochMs) -> bool {
        let fresh = now - machine.beat_at <= i64::try_from(self.config.beat_fresh_ms).unwrap_or(i64::MAX);
        machine.state == MachineState::Ready && fresh
    }

    fn complaints(&self, snapshot: &Snapshot, now: EpochMs) -> Vec<String> {
        let mut complaints = Vec::new();
        if !snapshot.machines.iter().any(|machine| self.is_running(machine, now)) {
            complaints.push("no machine takes sessions".to_owned());
            let said = snapshot.machines.iter().filter(|machine| machine.state != MachineState::Lost);
            complaints.extend(said.filter_map(|machine| machine.not_ready.as_ref()).map(|why| why.message.clone()));
        }
        let running = snapshot.machines.iter().filter(|machine| self.is_running(machine, now));
        complaints.extend(running.filter_map(|machine| {
            Some(format!("sandboxes do not start on machine {}: {}", machine.id, self.no_sandboxes(&machine.id)?))
        }));
        if self.is_draining() {
            complaints.push("the server is stopping".to_owned());
        }
        let RecentEnds { total, platform_errors } = snapshot.ends;
        if platform_errors >= self.config.errors_degraded_min && platform_errors * 100 > total * ERRORS_PERCENT_MAX {
            complaints.push(format!("{platform_errors} of {total} sessions failed in five minutes"));
        }
        complaints
    }
}

/// System health summary. No authentication required.
#[utoipa::path(
    get, path = "/health", operation_id = "readHealth", tag = "Health",
    responses(
        (status = 200, description = "Healthy", body = Health),
        (status = 503, description = "Degraded or unhealthy", body = Health),
    )
)]
pub async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let health = app.health().await;
    let status = if health.status == Condition::Healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

/// What the content type of Prometheus' text format is.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters and gauges for Prometheus. No authentication required.
#[utoipa::path(
    get, path = "/metrics", operation_id = "readMetrics", tag = "Health",
    responses(
        (status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"),
    )
)]
pub async fn metrics(State(app): State<App>) -> Answer<Response> {
    let snapshot = app.snapshot().await?;
    let text = app.metrics.text(&snapshot.counts, &snapshot.machines).map_err(vitrine_model::Error::internal)?;
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}
