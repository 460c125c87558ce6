//! One run of a session: from its assignment to the moment when nothing of it is left.
//!
//! Promises: every run that was taken is reported ready or not started, and once ready it is reported over, with one reason
//! that its clients, the row and the log all get; its capsule is destroyed whatever the server answers.

use crate::browser_capsule::BrowserCapsule;
use crate::carried::Carried;
use crate::clock;
use crate::error::StartError;
use crate::node::Shared;
use crate::presence::Door;
use crate::report::Reporter;
use crate::run_file::RunFile;
use crate::runs::{Live, Order};
use crate::spool::Owner;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use vitrine_browser::captcha::Solve;
use vitrine_model::wire::{Assignment, EgressBytes, StepAnswer, StepKind, Workload};
use vitrine_model::{EndReason, EpochMs, Status};

/// How long clients may take to read their close frame and go.
const CLIENTS_LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// How long after the last client's leaving the browser has noticed it, and has taken back what that client said of downloads.
const CLIENT_GONE: Duration = Duration::from_millis(250);

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
    assignment: Arc<Assignment>,
    reporter: Reporter,
    orders: watch::Receiver<Order>,
    door: Door,
    over: CancellationToken,
}

/// A run's browser, and what the session carries besides.
#[derive(Clone)]
struct Body {
    browser: Arc<BrowserCapsule>,
    carried: Arc<Carried>,
}

impl Run {
    pub(crate) fn new(shared: Arc<Shared>, assignment: Assignment, epoch: i64, orders: watch::Receiver<Order>) -> Self {
        let assignment = Arc::new(assignment);
        let reporter = Reporter::new(shared.clone(), assignment.clone(), epoch);
        Self { shared, assignment, reporter, orders, door: Door::default(), over: CancellationToken::new() }
    }

    /// Starts the session and lives its life.
    pub(crate) async fn start(mut self) {
        let carried = match self.carry() {
            Ok(carried) => carried,
            Err(error) => {
                self.not_started(error).await;
                return self.forget();
            }
        };
        let claimed = {
            let mut orders = self.orders.clone();
            tokio::select! {
                claimed = claim(&self.shared, &self.assignment, &carried) => Some(claimed),
                _ = ordered(&mut orders) => None,
            }
        };
        let furnished = match claimed {
            Some(Ok(browser)) => Some(self.furnish(browser, &carried).await),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        if !matches!(furnished, Some(Ok(_))) {
            carried.discard();
        }
        match furnished {
            Some(Ok(body)) => self.ready(body).await,
            Some(Err(error)) => self.not_started(error).await,
            None => {
                let order = *self.orders.borrow();
                if let Order::End(reason) | Order::EndOurselves(reason) = order {
                    self.reporter.step(StepKind::Finish { reason, egress: EgressBytes::default() }).await;
                }
            }
        }
        self.forget();
    }

    /// Goes on with a run that outlived its node.
    ///
    /// It can be dialled when this returns; what is returned lives its life.
    pub(crate) async fn go_on(
        self,
        browser: BrowserCapsule,
        had_client: bool,
    ) -> Option<impl Future<Output = ()> + Send> {
        let begun = match self.carry() {
            Ok(carried) => carried.begin(&browser).await.map(|()| carried),
            Err(error) => Err(error),
        };
        match begun {
            Ok(carried) => {
                let body = Body { browser: Arc::new(browser), carried };
                self.open(&body);
                Some(self.live_on(body, had_client))
            }
            Err(error) => {
                browser.destroy().await;
                self.lost(&error.message).await;
                None
            }
        }
    }

    async fn live_on(mut self, body: Body, had_client: bool) {
        // Whoever was connected was connected through the node that died.
        self.reporter.step(StepKind::Deactivate).await;
        let end = self.live(&body, self.assignment.expires_at, had_client).await;
        self.finish(body, end).await;
        self.forget();
    }

    /// What the session carries.
    fn carry(&self) -> Result<Arc<Carried>, StartError> {
        let publisher = self.shared.publisher.clone();
        let folder = publisher.spool.open_folder(Owner::of(&self.assignment));
        let folder = folder.map_err(|error| StartError::failed("make the session's folder", error))?;
        let Workload::Browser(spec) = &self.assignment.workload else {
            return Err(StartError::failed("start a sandbox", "this machine runs browsers"));
        };
        let reporter = self.reporter.clone();
        let solver = self.shared.solver.clone().map(|solver| solver as Arc<dyn Solve>);
        Ok(Carried::new(folder, publisher, reporter, spec.clone(), &self.shared.config.carried, solver))
    }

    /// Makes a browser this session's; one that cannot be is destroyed.
    async fn furnish(&self, browser: BrowserCapsule, carried: &Arc<Carried>) -> Result<Body, StartError> {
        let upstream = crate::upstream::of(&self.assignment.upstream);
        let furnished = match browser.hand_out(self.assignment.limit_mb, upstream) {
            Ok(()) => carried.begin(&browser).await,
            Err(error) => Err(error),
        };
        match furnished {
            Ok(()) => Ok(Body { browser: Arc::new(browser), carried: carried.clone() }),
            Err(error) => {
                browser.destroy().await;
                Err(error)
            }
        }
    }

    /// The row says that it runs here, but its process is gone.
    pub(crate) async fn lost(self, message: &str) {
        let what = StepKind::Fail {
            reason: EndReason::ProcessLost,
            message: message.to_owned(),
            egress: EgressBytes::default(),
        };
        self.reporter.step(what).await;
        self.forget();
    }

    async fn not_started(&self, error: StartError) {
        tracing::warn!(session = %self.assignment.session, %error, "a session did not start");
        self.reporter.step(StepKind::NotStarted { reason: error.reason, message: error.message }).await;
    }

    async fn ready(&mut self, body: Body) {
        if let Err(error) = self.remember(&body.browser, false) {
            self.not_started(StartError::failed("write the run's file", error)).await;
            return self.finish(body, End::Dropped).await;
        }
        // Dialled before the row says ready: whoever reads the row can connect at once.
        self.open(&body);
        let end = match self.reporter.step(StepKind::Ready).await {
            StepAnswer::Taken { expires_at } => self.live(&body, expires_at, false).await,
            // Ended while it started, most often; when it is not ours at all, the report of the end is refused too.
            StepAnswer::NotYours => End::Asked(EndReason::Deleted),
        };
        self.finish(body, end).await;
    }

    /// Lives until something ends it.
    async fn live(&mut self, body: &Body, expires_at: Option<EpochMs>, mut had_client: bool) -> End {
        let browser = &body.browser;
        let mut work = pin!(body.carried.work(browser));
        let mut presence = self.door.presence();
        // A client may have come before we looked.
        presence.mark_changed();
        let mut orders = self.orders.clone();
        let expiry = expires_at.map(|at| Instant::now() + clock::until(at));
        let idle_timeout = self.idle_timeout();
        let mut idle_since = had_client.then(Instant::now);
        let mut reported_active = false;
        let mut downloads_again = None;
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
                never = &mut work => never,
                () = at(downloads_again) => {
                    downloads_again = None;
                    if let Err(error) = browser.allow_downloads().await {
                        tracing::debug!(session = %self.assignment.session, %error, "a browser was not told again where downloads go");
                    }
                }
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
                    idle_since = (had_client && now.connected == 0).then(Instant::now);
                    let active = now.acting > 0;
                    downloads_again = (had_client && !active).then(|| Instant::now() + CLIENT_GONE);
                    if active != reported_active {
                        reported_active = active;
                        let step = if active { StepKind::Activate } else { StepKind::Deactivate };
                        // Refused when the row moved on; the assignments, or the next beat, say how.
                        self.reporter.step(step).await;
                    }
                }
            }
        }
    }

    /// Ends it: clients are told, the row is told, the capsule is destroyed, and only then is it over.
    async fn finish(&mut self, body: Body, end: End) {
        let Body { browser, carried } = body;
        let session = self.assignment.session.clone();
        let reason = match &end {
            End::Asked(reason) | End::Own(reason) | End::Failed { reason, .. } => *reason,
            End::Dropped => EndReason::MachineLost,
        };
        self.shared.runs.close(&session);
        self.door.close(reason);
        tracing::info!(%session, reason = reason.as_str(), "a session ends");
        let over_later = matches!(end, End::Asked(_) | End::Own(_));
        let fenced = matches!(end, End::Dropped);
        match end {
            // Refused when the server asked for the end at the same moment: its reason stands, and the end goes on.
            End::Own(reason) => {
                self.reporter.step(StepKind::End { reason }).await;
            }
            End::Failed { reason, message } => {
                tracing::warn!(%session, reason = reason.as_str(), message, "a session failed");
                self.reporter.step(StepKind::Fail { reason, message, egress: browser.egress_bytes() }).await;
            }
            End::Asked(_) | End::Dropped => {}
        }
        let mut presence = self.door.presence();
        let left = timeout(CLIENTS_LEAVE_LIMIT, presence.wait_for(|presence| presence.connected == 0)).await.is_ok();
        if !left {
            tracing::debug!(%session, "clients did not leave in time");
        }
        self.over.cancel();
        let emptied = async {
            // What is not ours any more is killed without delay.
            if !fenced {
                carried.collect(&browser, over_later && reason.outcome() == Status::Ended).await;
            }
            let egress = browser.egress_bytes();
            browser.destroy().await;
            egress
        };
        let ((), egress) = tokio::join!(carried.conclude(), emptied);
        if over_later {
            carried.settle().await;
            self.reporter.step(StepKind::Finish { reason, egress }).await;
        }
        carried.leave();
    }

    fn open(&self, body: &Body) {
        let Body { browser, carried } = body.clone();
        let live = Live { door: self.door.clone(), browser, carried, over: self.over.clone() };
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
        let Workload::Browser(spec) = &self.assignment.workload else { return None };
        (spec.idle_timeout_ms > 0).then(|| Duration::from_millis(spec.idle_timeout_ms))
    }
}

/// Finds a browser for a session: a warm one, or one of its own.
async fn claim(shared: &Shared, assignment: &Assignment, carried: &Carried) -> Result<BrowserCapsule, StartError> {
    crate::upstream::check(&shared.outside, &crate::upstream::of(&assignment.upstream)).await?;
    match carried.wish(&shared.config.carried).await? {
        None => shared.pool.claim().await,
        Some(wish) => shared.pool.make(wish).await,
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
