//! A browser session's run: a browser in a capsule, and what the session carries besides.

mod capsule;
mod carried;
mod host;
mod solver;
mod trust;
mod wish;

pub(crate) use capsule::{BrowserCapsule, Maker};
pub(crate) use carried::{Carried, Downloaded, UPLOADS, conclude};
pub(crate) use solver::Solver;

use crate::body::{Body, Reached, Visit};
use crate::error::StartError;
use crate::interface;
use crate::pool::Warm;
use crate::presence::ClientStream;
use crate::run::{End, Run, at, ordered};
use crate::run_file::{Kept, RunFile};
use crate::spool::Folder;
use futures_util::future::BoxFuture;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use vitrine_browser::DEVTOOLS_PORT;
use vitrine_browser::captcha::Solve;
use vitrine_browser::view::Rights;
use vitrine_model::wire::{DialError, EgressBytes, Purpose, StepKind};
use vitrine_model::{BrowserSpec, EndReason, EpochMs, Status};

/// How long after the last client's leaving the browser has noticed it, and has taken back what that client said of downloads.
const CLIENT_GONE: Duration = Duration::from_millis(250);
/// How long a browser may take to accept a connection.
const DIAL_LIMIT: Duration = Duration::from_secs(2);
/// What the gateway asks of the stream to a viewing, which answers any path.
const VIEW_PATH: &str = "/view";

/// A session's browser.
pub(crate) struct BrowserRun {
    pub(crate) browser: BrowserCapsule,
    pub(crate) carried: Carried,
    had_client: AtomicBool,
}

impl Body for BrowserRun {
    type Spec = BrowserSpec;
    type Carried = Carried;
    type Claimed = BrowserCapsule;

    fn carry(run: &Run, spec: BrowserSpec, folder: Arc<Folder>) -> Carried {
        let shared = &run.shared;
        let solver = shared.solver.clone().map(|solver| solver as Arc<dyn Solve>);
        Carried::new(folder, shared.publisher.clone(), run.reporter.clone(), spec, &shared.config.carried, solver)
    }

    async fn claim(run: &Run, carried: &Carried) -> Result<BrowserCapsule, StartError> {
        let shared = &run.shared;
        crate::upstream::check(&shared.outside, &crate::upstream::of(&run.assignment.upstream)).await?;
        match carried.wish(&shared.config.carried).await? {
            None => shared.browsers.claim().await,
            Some(wish) => shared.browsers.make(wish).await,
        }
    }

    async fn furnish(run: &Run, carried: Carried, browser: BrowserCapsule) -> Result<Self, StartError> {
        let upstream = crate::upstream::of(&run.assignment.upstream);
        let furnished = match browser.hand_out(run.assignment.limit_mb, upstream) {
            Ok(()) => carried.begin(&browser).await,
            Err(error) => Err(error),
        };
        BrowserRun { browser, carried, had_client: AtomicBool::new(false) }.if_furnished(furnished).await
    }

    async fn abandon(_: &Run) {}

    async fn adopt(run: &Run, carried: Carried, kept: &RunFile) -> Result<Self, StartError> {
        let upstream = crate::upstream::of(&run.assignment.upstream);
        let browser = run.shared.browsers.maker.adopt(&kept.capsule, upstream).await?;
        let begun = carried.begin(&browser).await;
        let had_client = AtomicBool::new(kept.kept == Kept::Browser { had_client: true });
        BrowserRun { browser, carried, had_client }.if_furnished(begun).await
    }

    fn capsule_id(&self) -> &str {
        self.browser.id()
    }

    fn kept(&self) -> Kept {
        Kept::Browser { had_client: self.had_client.load(Ordering::Relaxed) }
    }

    fn refused(&self, _: &Run) -> End {
        End::Asked(EndReason::Deleted)
    }

    async fn live(self: &Arc<Self>, run: &Run, expires_at: Option<EpochMs>) -> End {
        let browser = &self.browser;
        let mut work = pin!(self.carried.work(browser));
        let mut presence = run.door.presence();
        // A client may have come before we looked.
        presence.mark_changed();
        let mut orders = run.orders.clone();
        let expiry = expires_at.map(|at| Instant::now() + crate::clock::until(at));
        let idle_timeout = self.carried.idle_timeout();
        let mut had_client = self.had_client.load(Ordering::Relaxed);
        let mut idle_since = had_client.then(Instant::now);
        let mut reported_active = false;
        let mut downloads_again = None;
        loop {
            let idle = idle_since.zip(idle_timeout).map(|(since, limit)| since + limit);
            tokio::select! {
                end = ordered(&mut orders) => return end,
                ended = browser.ended() => return match ended.failure {
                    None => End::Own(EndReason::ClosedByClient),
                    Some((reason, message)) => End::Failed { reason, message },
                },
                never = &mut work => never,
                () = at(downloads_again) => {
                    downloads_again = None;
                    if let Err(error) = self.carried.permit_downloads(browser).await {
                        tracing::debug!(session = %run.assignment.session, %error, "a browser was not told again where downloads go");
                    }
                }
                () = at(expiry) => return End::Own(EndReason::MaxDuration),
                () = at(idle) => return End::Own(EndReason::Idle),
                _ = presence.changed() => {
                    let now = *presence.borrow_and_update();
                    if now.came > 0 && !had_client {
                        had_client = true;
                        self.had_client.store(true, Ordering::Relaxed);
                        if let Err(error) = run.remember(&**self) {
                            tracing::warn!(session = %run.assignment.session, %error, "could not write the run's file");
                        }
                    }
                    idle_since = (had_client && now.connected == 0).then(Instant::now);
                    let active = now.acting > 0;
                    downloads_again = (had_client && !active).then(|| Instant::now() + CLIENT_GONE);
                    if active != reported_active {
                        reported_active = active;
                        let step = if active { StepKind::Activate } else { StepKind::Deactivate };
                        // Refused when the row moved on; the assignments, or the next beat, say how.
                        run.reporter.step(step).await;
                    }
                }
            }
        }
    }

    fn tell(&self, _: &End) {}

    async fn wind_up(self: &Arc<Self>, _: &Run, end: &End) -> EgressBytes {
        let orderly = match end {
            End::Asked(reason) | End::Own(reason) => reason.outcome() == Status::Ended,
            _ => false,
        };
        let emptied = async {
            // What is not ours any more is killed without delay.
            if !matches!(end, End::Dropped) {
                self.carried.collect(&self.browser, orderly).await;
            }
            let egress = self.browser.egress_bytes();
            self.browser.destroy().await;
            egress
        };
        let ((), egress) = tokio::join!(self.carried.conclude(), emptied);
        egress
    }

    async fn settle(&self) {
        self.carried.settle().await;
    }

    fn folder(&self) -> &Arc<Folder> {
        self.carried.folder()
    }
}

impl BrowserRun {
    async fn if_furnished(self, furnished: Result<(), StartError>) -> Result<Self, StartError> {
        match furnished {
            Ok(()) => Ok(self),
            Err(error) => {
                self.browser.destroy().await;
                Err(error)
            }
        }
    }

    async fn view(self: Arc<Self>, visit: Visit, rights: Rights) -> Result<ClientStream, DialError> {
        let guard = visit.door.enter(rights.control);
        let unreachable = |error: String| DialError::Unreachable(format!("the browser cannot be looked at: {error}"));
        let viewing = timeout(DIAL_LIMIT, self.carried.viewing(&self.browser)).await;
        let viewing = viewing.map_err(|late| unreachable(late.to_string()))?;
        let viewing = viewing.map_err(|error| unreachable(error.to_string()))?;
        Ok(visit.answer(Some(guard), |stream| async move {
            let left = viewing.serve(stream, rights).await;
            tracing::debug!(%left, "a viewer is no longer served");
        }))
    }

    async fn devtools(&self, visit: Visit) -> Result<(ClientStream, String), DialError> {
        // The client counts from here, so that the idle time does not run out while it connects.
        let guard = (visit.purpose == Purpose::Client).then(|| visit.door.enter(true));
        match timeout(DIAL_LIMIT, self.browser.dial(DEVTOOLS_PORT)).await {
            Ok(Ok(stream)) => Ok((ClientStream::new(stream, guard), self.browser.websocket_path().to_owned())),
            Ok(Err(error)) => Err(DialError::Unreachable(format!("the browser refused: {error}"))),
            Err(_) => Err(DialError::Unreachable("the browser did not accept the connection in time".into())),
        }
    }
}

impl Reached for BrowserRun {
    fn egress_bytes(&self) -> EgressBytes {
        self.browser.egress_bytes()
    }

    fn dial(self: Arc<Self>, visit: Visit) -> BoxFuture<'static, Result<(ClientStream, String), DialError>> {
        Box::pin(async move {
            match visit.purpose {
                Purpose::Client | Purpose::Discovery => self.devtools(visit).await,
                Purpose::View { control, calls } => {
                    Ok((self.view(visit, Rights { control, calls }).await?, VIEW_PATH.into()))
                }
                Purpose::Run => {
                    let router = interface::browser::router(visit.shared.clone(), self);
                    Ok((visit.answer(None, |stream| interface::serve(router, stream)), String::new()))
                }
                Purpose::Terminal { .. } | Purpose::Port { .. } => {
                    Err(DialError::Unreachable("a browser has no such thing".into()))
                }
            }
        })
    }
}
