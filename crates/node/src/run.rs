//! One run of a session: from its assignment to the moment when nothing of it is left.
//!
//! Promises: every run that was taken is reported ready or not started, and once ready it is reported over, with one reason
//! that its clients, the row and the log all get; its capsule is destroyed whatever the server answers.

use crate::body::Body;
use crate::error::StartError;
use crate::node::Shared;
use crate::presence::Door;
use crate::report::Reporter;
use crate::run_file::RunFile;
use crate::runs::{Live, Order};
use crate::spool::{Folder, Owner};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use vitrine_model::EndReason;
use vitrine_model::wire::{Assignment, EgressBytes, StepAnswer, StepKind};

/// How long clients may take to read their close frame and go.
const CLIENTS_LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// Why a run is over, and who knows it already.
pub(crate) enum End {
    /// The row says `ending`.
    Asked(EndReason),
    /// The node decided; the row is to be told.
    Own(EndReason),
    /// It went wrong.
    Failed { reason: EndReason, message: String },
    /// It moved to disk: the session goes on, another run will take it up.
    Stored,
    /// The row has moved on.
    Dropped,
}

impl End {
    /// What clients, the row and the log are told. Nothing where the session goes on.
    pub(crate) fn reason(&self) -> Option<EndReason> {
        match self {
            End::Asked(reason) | End::Own(reason) | End::Failed { reason, .. } => Some(*reason),
            End::Stored => None,
            End::Dropped => Some(EndReason::MachineLost),
        }
    }
}

/// A run.
pub(crate) struct Run {
    pub(crate) shared: Arc<Shared>,
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) reporter: Reporter,
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) door: Door,
    over: CancellationToken,
}

impl Run {
    pub(crate) fn new(shared: Arc<Shared>, assignment: Assignment, epoch: i64, orders: watch::Receiver<Order>) -> Self {
        let assignment = Arc::new(assignment);
        let reporter = Reporter::new(shared.clone(), assignment.clone(), epoch);
        Self { shared, assignment, reporter, orders, door: Door::default(), over: CancellationToken::new() }
    }

    /// Starts the session and lives its life.
    pub(crate) async fn start<B: Body>(self, spec: B::Spec) {
        match self.begin::<B>(spec).await {
            Ok(Some(body)) => return self.ready(Arc::new(body)).await,
            Ok(None) => {
                B::abandon(&self).await;
                let order = self.orders.borrow().end();
                if let Some(End::Asked(reason) | End::Own(reason)) = order {
                    self.reporter.step(StepKind::Finish { reason, egress: EgressBytes::default() }).await;
                }
            }
            Err(error) => self.not_started(error).await,
        }
        self.forget();
    }

    /// What the run is made of; nothing when it was ordered to end before it had begun.
    async fn begin<B: Body>(&self, spec: B::Spec) -> Result<Option<B>, StartError> {
        let folder = self.folder()?;
        let begun = self.begin_in(spec, folder.clone()).await;
        if !matches!(begun, Ok(Some(_))) {
            self.shared.publisher.discard(&folder);
        }
        begun
    }

    async fn begin_in<B: Body>(&self, spec: B::Spec, folder: Arc<Folder>) -> Result<Option<B>, StartError> {
        let carried = B::carry(self, spec, folder);
        let mut orders = self.orders.clone();
        let claimed = tokio::select! {
            claimed = B::claim(self, &carried) => claimed?,
            _ = ordered(&mut orders) => return Ok(None),
        };
        B::furnish(self, carried, claimed).await.map(Some)
    }

    /// Goes on with a run that outlived its node.
    ///
    /// It can be dialled when this returns; what is returned lives its life.
    pub(crate) async fn go_on<B: Body>(
        self,
        spec: B::Spec,
        kept: &RunFile,
    ) -> Option<impl Future<Output = ()> + Send + use<B>> {
        let adopted = match self.folder() {
            Ok(folder) => B::adopt(&self, B::carry(&self, spec, folder), kept).await,
            Err(error) => {
                self.shared.capsules.destroy(&kept.capsule).await;
                Err(error)
            }
        };
        match adopted {
            Ok(body) => {
                let body = Arc::new(body);
                self.open(&body);
                Some(self.live_on(body))
            }
            Err(error) => {
                self.lost(&error.message).await;
                None
            }
        }
    }

    async fn live_on<B: Body>(self, body: Arc<B>) {
        // Whoever was connected was connected through the node that died.
        self.reporter.step(StepKind::Deactivate).await;
        let end = body.live(&self, self.assignment.expires_at).await;
        self.finish(body, end).await;
    }

    /// Where what the session leaves is put.
    fn folder(&self) -> Result<Arc<Folder>, StartError> {
        let folder = self.shared.publisher.spool.open_folder(Owner::of(&self.assignment));
        folder.map_err(|error| StartError::failed("make the session's folder", error))
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

    async fn ready<B: Body>(self, body: Arc<B>) {
        if let Err(error) = self.remember(&*body) {
            self.not_started(StartError::failed("write the run's file", error)).await;
            return self.finish(body, End::Dropped).await;
        }
        // Dialled before the row says ready: whoever reads the row can connect at once.
        self.open(&body);
        let end = match self.reporter.step(StepKind::Ready).await {
            StepAnswer::Taken { expires_at } => body.live(&self, expires_at).await,
            StepAnswer::NotYours => body.refused(&self),
        };
        self.finish(body, end).await;
    }

    /// Ends it: clients are told, the row is told, the capsule is destroyed, and only then is it over.
    async fn finish<B: Body>(self, body: Arc<B>, end: End) {
        let session = &self.assignment.session;
        self.shared.runs.close(session);
        let reason = end.reason();
        tracing::info!(%session, reason = reason.map_or("stored", EndReason::as_str), "a run ends");
        if let Some(reason) = reason {
            self.door.close(reason);
        }
        body.tell(&end);
        match &end {
            // Refused when the server asked for the end at the same moment: its reason stands, and the end goes on.
            End::Own(reason) => {
                self.reporter.step(StepKind::End { reason: *reason }).await;
            }
            End::Failed { reason, message } => {
                tracing::warn!(%session, reason = reason.as_str(), message, "a session failed");
                let what = StepKind::Fail { reason: *reason, message: message.clone(), egress: body.egress_bytes() };
                self.reporter.step(what).await;
            }
            End::Asked(_) | End::Stored | End::Dropped => {}
        }
        let mut presence = self.door.presence();
        let left = timeout(CLIENTS_LEAVE_LIMIT, presence.wait_for(|presence| presence.connected == 0)).await.is_ok();
        if !left {
            tracing::debug!(%session, "clients did not leave in time");
        }
        self.over.cancel();
        let egress = body.wind_up(&self, &end).await;
        match end {
            End::Asked(reason) | End::Own(reason) => {
                body.settle().await;
                self.reporter.step(StepKind::Finish { reason, egress }).await;
            }
            End::Stored => {
                self.shared.publisher.left(body.folder());
                // Its file stays: what it left on this machine's disk is still the session's.
                return self.shared.runs.forget(session);
            }
            End::Failed { .. } | End::Dropped => {}
        }
        self.shared.publisher.left(body.folder());
        self.forget();
    }

    fn open<B: Body>(&self, body: &Arc<B>) {
        let live = Live { door: self.door.clone(), body: body.clone(), over: self.over.clone() };
        self.shared.runs.open(&self.assignment.session, live);
    }

    /// Writes what the next node has to know.
    pub(crate) fn remember(&self, body: &impl Body) -> std::io::Result<()> {
        self.shared.run_files.write(&RunFile {
            session: self.assignment.session.clone(),
            run: self.assignment.run.clone(),
            generation: self.assignment.generation,
            capsule: body.capsule_id().to_owned(),
            kept: body.kept(),
        })
    }

    fn forget(&self) {
        if let Err(error) = self.shared.run_files.remove(&self.assignment.session, &self.assignment.run) {
            tracing::warn!(session = %self.assignment.session, %error, "could not remove the run's file");
        }
        self.shared.runs.forget(&self.assignment.session);
    }
}

/// Waits until the run is told to end.
pub(crate) async fn ordered(orders: &mut watch::Receiver<Order>) -> End {
    let told = orders.wait_for(|order| order.end().is_some()).await;
    // Whoever could tell it anything is gone: so is the node.
    told.ok().and_then(|order| order.end()).unwrap_or(End::Dropped)
}

/// At a time, or never.
pub(crate) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
