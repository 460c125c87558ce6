//! One run of a session: from its assignment to the moment when nothing of it is left.
//!
//! Promises: every run that was taken is reported ready or not started, and once ready it is reported over, with one reason
//! that its clients, the row and the log all get; its capsule is destroyed whatever the server answers.

use crate::browser_capsule::BrowserCapsule;
use crate::clock;
use crate::error::StartError;
use crate::link::Link;
use crate::node::Shared;
use crate::presence::Door;
use crate::run_file::RunFile;
use crate::runs::{Live, Order};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use vitrine_model::wire::{Assignment, EgressBytes, Step, StepAnswer, StepKind, Workload};
use vitrine_model::{EndReason, EpochMs};

/// How long clients may take to read their close frame and go.
const CLIENTS_LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// Between two tries to report a step.
const REPORT_AGAIN: Duration = Duration::from_millis(500);

/// Why a run is over, and who knows it already.
enum End {
    /// The row says `ending`.
    Asked(EndReason),
    /// The node decided; the row is to be told.
    Own(EndReason),
    /// It went wrong.
    Failed { reason: EndReason, message: String },
    /// The row has moved on.
    Dropped,
}

/// A run.
pub(crate) struct Run {
    shared: Arc<Shared>,
    assignment: Assignment,
    epoch: i64,
    orders: watch::Receiver<Order>,
    door: Door,
}

impl Run {
    pub(crate) fn new(shared: Arc<Shared>, assignment: Assignment, epoch: i64, orders: watch::Receiver<Order>) -> Self {
        Self { shared, assignment, epoch, orders, door: Door::default() }
    }

    /// Starts the session and lives its life.
    pub(crate) async fn start(mut self) {
        let started = {
            let mut orders = self.orders.clone();
            tokio::select! {
                started = prepare(&self.shared, &self.assignment) => Some(started),
                _ = ordered(&mut orders) => None,
            }
        };
        match started {
            Some(Ok(browser)) => self.ready(browser).await,
            Some(Err(error)) => {
                tracing::warn!(session = %self.assignment.session, %error, "a session did not start");
                self.report(StepKind::NotStarted { reason: error.reason, message: error.message }).await;
            }
            None => {
                let order = *self.orders.borrow();
                if let Order::End(reason) | Order::EndOurselves(reason) = order {
                    self.report(StepKind::Finish { reason, egress: EgressBytes::default() }).await;
                }
            }
        }
        self.forget();
    }

    /// Goes on with a run that outlived its node.
    ///
    /// It can be dialled when this returns; what is returned lives its life.
    pub(crate) fn go_on(self, browser: BrowserCapsule, had_client: bool) -> impl Future<Output = ()> + Send {
        let browser = Arc::new(browser);
        self.open(&browser);
        self.live_on(browser, had_client)
    }

    async fn live_on(mut self, browser: Arc<BrowserCapsule>, had_client: bool) {
        // Whoever was connected was connected through the node that died.
        self.report(StepKind::Deactivate).await;
        let end = self.live(&browser, self.assignment.expires_at, had_client).await;
        self.finish(browser, end).await;
        self.forget();
    }

    /// The row says that it runs here, but its process is gone.
    pub(crate) async fn lost(self, message: &str) {
        let what = StepKind::Fail {
            reason: EndReason::ProcessLost,
            message: message.to_owned(),
            egress: EgressBytes::default(),
        };
        self.report(what).await;
        self.forget();
    }

    async fn ready(&mut self, browser: BrowserCapsule) {
        let browser = Arc::new(browser);
        if let Err(error) = self.remember(&browser, false) {
            let error = StartError::failed("write the run's file", error);
            self.report(StepKind::NotStarted { reason: error.reason, message: error.message }).await;
            return self.finish(browser, End::Dropped).await;
        }
        // Dialled before the row says ready: whoever reads the row can connect at once.
        self.open(&browser);
        let end = match self.report(StepKind::Ready).await {
            StepAnswer::Taken { expires_at } => self.live(&browser, expires_at, false).await,
            // Ended while it started, most often; when it is not ours at all, the report of the end is refused too.
            StepAnswer::NotYours => End::Asked(EndReason::Deleted),
        };
        self.finish(browser, end).await;
    }

    /// Lives until something ends it.
    async fn live(&mut self, browser: &Arc<BrowserCapsule>, expires_at: Option<EpochMs>, mut had_client: bool) -> End {
        let mut presence = self.door.presence();
        // A client may have come before we looked.
        presence.mark_changed();
        let mut orders = self.orders.clone();
        let expiry = expires_at.map(|at| Instant::now() + clock::until(at));
        let idle_timeout = self.idle_timeout();
        let mut idle_since = had_client.then(Instant::now);
        let mut reported_active = false;
        loop {
            let idle = idle_since.zip(idle_timeout).map(|(since, limit)| since + limit);
            tokio::select! {
                order = ordered(&mut orders) => return match order {
                    Order::End(reason) => End::Asked(reason),
                    Order::EndOurselves(reason) => End::Own(reason),
                    Order::Live | Order::Drop => End::Dropped,
                },
                ended = browser.ended() => return match ended.failure {
                    None => End::Own(EndReason::ClosedByClient),
                    Some((reason, message)) => End::Failed { reason, message },
                },
                () = at(expiry) => return End::Own(EndReason::MaxDuration),
                () = at(idle) => return End::Own(EndReason::Idle),
                _ = presence.changed() => {
                    let now = *presence.borrow_and_update();
                    if now.came > 0 && !had_client {
                        had_client = true;
                        if let Err(error) = self.remember(browser, true) {
                            tracing::warn!(session = %self.assignment.session, %error, "could not write the run's file");
                        }
                    }
                    let active = now.connected > 0;
                    idle_since = (had_client && !active).then(Instant::now);
                    if active != reported_active {
                        reported_active = active;
                        let step = if active { StepKind::Activate } else { StepKind::Deactivate };
                        // Refused when the row moved on; the assignments, or the next beat, say how.
                        self.report(step).await;
                    }
                }
            }
        }
    }

    /// Ends it: clients are told, the row is told, the capsule is destroyed, and only then is it over.
    async fn finish(&mut self, browser: Arc<BrowserCapsule>, end: End) {
        let session = self.assignment.session.clone();
        let reason = match &end {
            End::Asked(reason) | End::Own(reason) | End::Failed { reason, .. } => *reason,
            End::Dropped => EndReason::MachineLost,
        };
        self.shared.runs.close(&session);
        self.door.close(reason);
        tracing::info!(%session, reason = reason.as_str(), "a session ends");
        let over_later = matches!(end, End::Asked(_) | End::Own(_));
        match end {
            // Refused when the server asked for the end at the same moment: its reason stands, and the end goes on.
            End::Own(reason) => {
                self.report(StepKind::End { reason }).await;
            }
            End::Failed { reason, message } => {
                tracing::warn!(%session, reason = reason.as_str(), message, "a session failed");
                self.report(StepKind::Fail { reason, message, egress: browser.egress_bytes() }).await;
            }
            End::Asked(_) | End::Dropped => {}
        }
        let mut presence = self.door.presence();
        let left = timeout(CLIENTS_LEAVE_LIMIT, presence.wait_for(|presence| presence.connected == 0)).await.is_ok();
        if !left {
            tracing::debug!(%session, "clients did not leave in time");
        }
        let egress = browser.egress_bytes();
        browser.destroy().await;
        if over_later {
            self.report(StepKind::Finish { reason, egress }).await;
        }
    }

    fn open(&self, browser: &Arc<BrowserCapsule>) {
        let live = Live { door: self.door.clone(), browser: browser.clone() };
        self.shared.runs.open(&self.assignment.session, live);
    }

    fn remember(&self, browser: &BrowserCapsule, had_client: bool) -> std::io::Result<()> {
        self.shared.run_files.write(&RunFile {
            session: self.assignment.session.clone(),
            run: self.assignment.run.clone(),
            generation: self.assignment.generation,
            capsule: browser.id().to_owned(),
            had_client,
        })
    }

    fn forget(&self) {
        if let Err(error) = self.shared.run_files.remove(&self.assignment.session) {
            tracing::warn!(session = %self.assignment.session, %error, "could not remove the run's file");
        }
        self.shared.runs.forget(&self.assignment.session);
    }

    fn idle_timeout(&self) -> Option<Duration> {
        let Workload::Browser(spec) = &self.assignment.workload;
        (spec.idle_timeout_ms > 0).then(|| Duration::from_millis(spec.idle_timeout_ms))
    }

    async fn report(&self, what: StepKind) -> StepAnswer {
        let step = Step {
            machine: self.shared.config.machine.clone(),
            epoch: self.epoch,
            session: self.assignment.session.clone(),
            generation: self.assignment.generation,
            run: self.assignment.run.clone(),
            what,
        };
        report(&self.shared.link, &step, &self.shared).await
    }
}

/// Reports until the server answers or the machine is lost.
async fn report(link: &Link, step: &Step, shared: &Shared) -> StepAnswer {
    loop {
        match link.step(step).await {
            Ok(answer) => return answer,
            Err(error) => {
                tracing::warn!(session = %step.session, %error, "a step could not be reported yet");
                if shared.is_lost() {
                    return StepAnswer::NotYours;
                }
                sleep(REPORT_AGAIN).await;
            }
        }
    }
}

/// Takes a browser and makes it this session's.
async fn prepare(shared: &Shared, assignment: &Assignment) -> Result<BrowserCapsule, StartError> {
    let upstream = crate::upstream::of(&assignment.upstream);
    crate::upstream::check(&shared.outside, &upstream).await?;
    let browser = shared.pool.claim().await?;
    match browser.hand_out(assignment.limit_mb, upstream) {
        Ok(()) => Ok(browser),
        Err(error) => {
            browser.destroy().await;
            Err(error)
        }
    }
}

/// Waits until the run is told something.
async fn ordered(orders: &mut watch::Receiver<Order>) -> Order {
    // Whoever could tell it anything is gone: so is the node.
    orders.wait_for(|order| *order != Order::Live).await.map_or(Order::Drop, |order| *order)
}

/// At a time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
