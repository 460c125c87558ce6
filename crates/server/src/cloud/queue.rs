//! Queueing a session of either kind: what could never be placed is refused at once, limits are counted with the insert.

use crate::app::App;
use crate::clock::month_start;
use crate::gate::Caller;
use vitrine_model::wire::Workload;
use vitrine_model::{Code, EpochMs, Error, Kind, Plan, SchedulingReason, SessionId};
use vitrine_store::{CreateLimits, Fit, NewSession, PlaceOptions, Refused, Session};

const HOUR_MS: u64 = 3_600_000;

/// A session to be queued.
pub struct Order {
    pub workload: Workload,
    pub reserve_mb: u32,
    pub limit_mb: u32,
    pub profile_key: Option<String>,
}

impl App {
    /// Queues a session for the caller's organization, or says why it cannot be.
    pub async fn queue(&self, caller: &Caller, order: Order) -> Result<Session, Error> {
        let id = SessionId::new(self.clock.now(), self.entropy.as_ref());
        self.queue_as(caller, id, order, self.config.queue_deadline_ms).await
    }

    /// The same with an id that was chosen before; it waits for room for `wait_ms`.
    pub async fn queue_as(&self, caller: &Caller, id: SessionId, order: Order, wait_ms: u64) -> Result<Session, Error> {
        self.check_placeable(&order).await?;
        let now = self.clock.now();
        let (plan, kind) = (caller.organization.plan, order.workload.kind());
        let new = NewSession {
            id,
            organization: caller.organization.id.clone(),
            api_key: Some(caller.key.id.clone()),
            reserve_mb: order.reserve_mb,
            limit_mb: order.limit_mb,
            profile_key: order.profile_key,
            workload: order.workload,
            queue_deadline: now.saturating_add_unsigned(wait_ms),
        };
        let made = self.store.create_session(&new, self.limits(plan, kind, now), now).await.map_err(Error::internal)?;
        let session = made.map_err(|refused| self.refusal(refused, plan, kind))?;
        self.metrics.created(kind);
        self.moved(&session);
        Ok(session)
    }

    /// Fails for what could never be placed, now that the client is still there to hear it.
    async fn check_placeable(&self, order: &Order) -> Result<(), Error> {
        self.check_open()?;
        let wished = order.workload.region();
        let configured = |region: &&str| self.config.regions.iter().any(|known| known == region);
        let region = wished.filter(|region| !configured(region));
        let fit = self.store.fit(region, order.reserve_mb, self.clock.now(), self.place_options()).await;
        match fit.map_err(Error::internal)? {
            Fit::Now | Fit::Later => Ok(()),
            Fit::NeverRegion => {
                let message = format!("no region {} is configured", wished.unwrap_or_default());
                Err(Error::scheduling(SchedulingReason::RegionUnavailable, message))
            }
            Fit::NeverCapacity => {
                Err(Error::scheduling(SchedulingReason::NoCapacity, "no machine is large enough for it"))
            }
        }
    }

    /// Fails while the server takes no new sessions.
    pub fn check_open(&self) -> Result<(), Error> {
        match self.is_draining() {
            true => {
                Err(Error::scheduling(SchedulingReason::NoCapacity, "the server is stopping; try again in a moment"))
            }
            false => Ok(()),
        }
    }

    /// What a plan allows of a kind.
    pub fn limits(&self, plan: Plan, kind: Kind, now: EpochMs) -> CreateLimits {
        let limits = self.config.plans.get(plan);
        CreateLimits {
            concurrent: limits.concurrent(kind),
            period_start: month_start(now),
            hours_ms: u64::from(limits.hours_per_month(kind)) * HOUR_MS,
        }
    }

    /// Which limit forbids a session.
    pub fn refusal(&self, refused: Refused, plan: Plan, kind: Kind) -> Error {
        let limits = self.config.plans.get(plan);
        let (several, one) = match kind {
            Kind::Browser => ("concurrent browsers", "browser hours a month"),
            Kind::Sandbox => ("concurrent sandboxes", "sandbox hours a month"),
        };
        match refused {
            Refused::Concurrency => Error::plan_limit(several, limits.concurrent(kind), plan),
            Refused::Hours => Error::plan_limit(one, limits.hours_per_month(kind), plan),
            Refused::Minutes { balance } => {
                let text = format!("the balance is {balance} minutes, which is too few for this session");
                Error::new(Code::InsufficientMinutes, text).with("balance_minutes", balance)
            }
            Refused::UnknownCheckpoint => Error::not_found("checkpoint"),
            Refused::ProfileInUse => Error::new(Code::ProfileInUse, "another session uses this profileKey"),
        }
    }

    /// Placement's figures, as configured.
    pub fn place_options(&self) -> PlaceOptions {
        let figure = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        PlaceOptions {
            fresh_beat_ms: figure(self.config.beat_fresh_ms),
            start_ms: figure(self.config.start_deadline_ms),
            ..Default::default()
        }
    }
}
