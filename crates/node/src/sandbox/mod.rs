//! A sandbox session's run: a capsule in which programs run on request, until the session ends or moves to disk.

mod artifacts;
mod capsule;
mod checkpoint;
mod exec;
mod fetch;
mod life;
mod output;
mod refusals;
mod ring;
mod terminal;
mod terminals;
mod trees;

pub(crate) use capsule::{Maker, SandboxCapsule};
pub(crate) use checkpoint::NoCheckpoint;
pub(crate) use exec::{Command, ExecError, Outcome, overlay};
pub(crate) use output::{Collected, Said, Stream, Told};
pub(crate) use terminals::{Opening, TerminalError};
pub(crate) use trees::Trees;

use crate::body::{Body, Reached, Visit};
use crate::clock;
use crate::error::StartError;
use crate::interface;
use crate::node::Shared;
use crate::pool::Warm;
use crate::presence::ClientStream;
use crate::run::{End, Run};
use crate::run_file::{Kept, KeptSandbox, RunFile};
use crate::spool::Folder;
use artifacts::Brought;
use capsule::Wish;
use checkpoint::Base;
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use terminals::Terminals;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, RwLock, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use trees::Tree;
use vitrine_capsule::Capsule;
use vitrine_egress::{Mode, Policy, Rule};
use vitrine_model::wire::{DialError, EgressBytes, Purpose};
use vitrine_model::{CheckpointId, EndReason, EpochMs, NetworkMode, NetworkPolicy, SandboxSpec, SchedulingReason};

/// How long a program in the sandbox may take to accept a connection.
const DIAL_LIMIT: Duration = Duration::from_secs(5);
/// What the gateway asks of the stream to a terminal, which answers any path.
const TERMINAL_PATH: &str = "/terminal";
/// How long a checkpoint may take to be unpacked before a fork begins.
const TREE_LIMIT: Duration = Duration::from_secs(300);
/// How long the end of a session waits for its last checkpoint.
const LAST_CHECKPOINT_LIMIT: Duration = Duration::from_secs(120);
/// How long somebody waits for artifacts to be brought.
const BRING_LIMIT: Duration = Duration::from_secs(30);
/// Watches of files in one sandbox: the kernel has some for the whole machine.
const WATCHES_MAX: usize = 16;
/// Archives under way in one sandbox: its clients may be slow.
const ARCHIVES_MAX: usize = 8;
/// Checkpoints that are being made or wait for their turn because somebody asked for them.
const CHECKPOINTS_MAX: usize = 4;
/// Where programs of a sandbox find their settings.
const HOME: &str = "/root";

/// A session's sandbox.
pub(crate) struct Sandbox {
    capsule: SandboxCapsule,
    spec: SandboxSpec,
    folder: Arc<Folder>,
    /// What every program starts with.
    environment: Vec<(String, String)>,
    frozen: watch::Sender<bool>,
    /// Whoever waits for something inside waits no longer.
    closing: CancellationToken,
    terminals: Terminals,
    /// The next run of the session finds its disk.
    stored: AtomicBool,
    /// Held by who starts a program, and alone by who has it stand still or move again.
    moving: RwLock<()>,
    /// What the next checkpoint relies on; held by who makes one.
    base: tokio::sync::Mutex<Base>,
    brought: Mutex<Brought>,
    watches: Arc<Semaphore>,
    archives: Arc<Semaphore>,
    checkpoints: Arc<Semaphore>,
    /// What the workspace lies over.
    _tree: Option<Arc<Tree>>,
}

/// What a sandbox session carries before it has a capsule.
pub(crate) struct Carried {
    spec: SandboxSpec,
    folder: Arc<Folder>,
    /// What earlier runs of the session left on this machine.
    left: Option<KeptSandbox>,
    tree: OnceCell<Arc<Tree>>,
}

impl Body for Sandbox {
    type Spec = SandboxSpec;
    type Carried = Carried;
    type Claimed = SandboxCapsule;

    fn carry(run: &Run, spec: SandboxSpec, folder: Arc<Folder>) -> Carried {
        let left = run.shared.run_files.read(&run.assignment.session);
        let left = left.and_then(|left| left.sandbox().cloned());
        Carried { spec, folder, left, tree: OnceCell::new() }
    }

    async fn claim(run: &Run, carried: &Carried) -> Result<SandboxCapsule, StartError> {
        let shared = &run.shared;
        crate::upstream::check(&shared.outside, &crate::upstream::of(&run.assignment.upstream)).await?;
        let disk = carried.left.as_ref().map(|left| left.disk.clone());
        if disk.is_none() && run.assignment.expires_at.is_some() {
            // It was ready once: an empty one in its place would be a lie.
            return Err(capsule::gone());
        }
        let driver = carried.spec.isolation_driver.clone().filter(|driver| *driver != shared.config.sandbox.driver);
        let lower = carried.find_tree(shared).await?;
        let wish = Wish { documents: carried.spec.documents, driver, disk, lower };
        match wish.is_usual() {
            true => shared.sandboxes.claim().await,
            false => shared.sandboxes.make(wish).await,
        }
    }

    async fn furnish(run: &Run, carried: Carried, capsule: SandboxCapsule) -> Result<Self, StartError> {
        let upstream = crate::upstream::of(&run.assignment.upstream);
        let furnished = policy(&carried.spec.network)
            .and_then(|policy| capsule.hand_out(run.assignment.limit_mb, &carried.spec, policy, upstream));
        match furnished {
            Ok(()) => Ok(Sandbox::new(carried, capsule, false)),
            Err(error) => {
                capsule.destroy().await;
                Err(error)
            }
        }
    }

    async fn abandon(run: &Run) {
        let Some(left) = run.shared.run_files.read(&run.assignment.session) else { return };
        if let Some(kept) = left.sandbox() {
            run.shared.sandboxes.maker.remove_disk(&kept.disk).await;
        }
        if let Err(error) = run.shared.run_files.remove(&left.session, &left.run) {
            tracing::warn!(session = %left.session, %error, "could not remove the run's file");
        }
    }

    async fn adopt(run: &Run, carried: Carried, kept: &RunFile) -> Result<Self, StartError> {
        let upstream = crate::upstream::of(&run.assignment.upstream);
        let left = carried.left.clone().unwrap_or_default();
        let capsule = run.shared.sandboxes.maker.adopt(&kept.capsule, &left, &carried.spec, upstream).await?;
        if let Err(error) = carried.find_tree(&run.shared).await {
            // It is mounted, and nobody removes what a run's file names.
            tracing::warn!(capsule = capsule.id(), %error, "what an adopted sandbox lies over was not found");
        }
        let frozen = capsule.capsule.is_frozen();
        let sandbox = Sandbox::new(carried, capsule, frozen);
        sandbox.take_up(&run.shared).await;
        Ok(sandbox)
    }

    fn capsule_id(&self) -> &str {
        self.capsule.id()
    }

    fn kept(&self) -> Kept {
        let stored = self.stored.load(Ordering::Relaxed);
        let brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Whoever makes a checkpoint now has it written when it is made.
        let last = self.base.try_lock().ok().and_then(|base| base.id().cloned());
        Kept::Sandbox(KeptSandbox {
            stored,
            disk: self.capsule.disk.clone(),
            from: self.spec.from.clone(),
            last,
            brought,
        })
    }

    fn refused(&self, run: &Run) -> End {
        let told = run.orders.borrow().end();
        match (told, run.assignment.expires_at) {
            // It was on disk and goes back there, for whoever owns it now.
            (None, Some(_)) => End::Stored,
            (told, _) => told.unwrap_or(End::Asked(EndReason::Deleted)),
        }
    }

    async fn live(self: &Arc<Self>, run: &Run, expires_at: Option<EpochMs>) -> End {
        tokio::select! {
            end = self.life(run, expires_at) => end,
            never = refusals::tell(&self.capsule.egress, &run.reporter) => never,
            never = self.terminals.tidy() => never,
        }
    }

    fn tell(&self, end: &End) {
        self.closing.cancel();
        self.terminals.close(end.reason());
    }

    async fn wind_up(self: &Arc<Self>, run: &Run, end: &End) -> EgressBytes {
        let shared = &run.shared;
        if !matches!(end, End::Dropped) {
            self.keep_artifacts(shared).await;
        }
        if self.spec.checkpointed && matches!(end, End::Asked(_) | End::Own(_)) {
            let underway = self.begin_checkpoint(shared, CheckpointId::new(clock::now(), &clock::entropy));
            // What went wrong is told where it goes wrong.
            let _ = timeout(LAST_CHECKPOINT_LIMIT, underway.kept).await;
        }
        let egress = self.capsule.egress_bytes();
        match end {
            End::Stored => {
                self.mark_stored(run);
                self.capsule.store().await;
            }
            _ => self.capsule.end().await,
        }
        egress
    }

    async fn settle(&self) {}

    fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }
}

impl Reached for Sandbox {
    fn egress_bytes(&self) -> EgressBytes {
        self.capsule.egress_bytes()
    }

    fn dial(self: Arc<Self>, visit: Visit) -> BoxFuture<'static, Result<(ClientStream, String), DialError>> {
        Box::pin(async move {
            let refused = |what: &str| Err(DialError::Unreachable(what.to_owned()));
            match visit.purpose {
                Purpose::Run => {
                    let router = interface::sandbox::router(visit.shared.clone(), visit.door.clone(), self);
                    Ok((visit.answer(None, |stream| interface::serve(router, stream)), String::new()))
                }
                Purpose::Terminal { terminal, offset } => {
                    let Some(terminal) = self.terminals.find(terminal) else {
                        return refused("there is no such terminal");
                    };
                    let guard = visit.door.enter(true);
                    let stream = visit.answer(Some(guard), |stream| terminal.serve(stream, offset));
                    Ok((stream, TERMINAL_PATH.into()))
                }
                // What is frozen accepts, and never answers.
                Purpose::Port { .. } if self.is_frozen() => refused("the sandbox is paused"),
                Purpose::Port { port } => match timeout(DIAL_LIMIT, self.connect(port)).await {
                    Ok(Ok(stream)) => Ok((ClientStream::new(stream, None), String::new())),
                    Ok(Err(_)) => refused(&format!("nothing listens on port {port}")),
                    Err(_) => refused(&format!("what listens on port {port} did not accept the connection in time")),
                },
                Purpose::Client | Purpose::Discovery | Purpose::View { .. } => refused("a sandbox is no browser"),
            }
        })
    }
}

impl Carried {
    /// The folder of the checkpoint that the workspace lies over.
    async fn find_tree(&self, shared: &Shared) -> Result<Option<PathBuf>, StartError> {
        let Some(from) = &self.spec.from else { return Ok(None) };
        let find = || async {
            let tree = timeout(TREE_LIMIT, fetch::tree(shared, &self.folder, from)).await;
            let tree = tree.map_err(|late| StartError::failed("unpack the checkpoint", late))?;
            tree.map_err(|error| StartError::failed("unpack the checkpoint", error))
        };
        Ok(Some(self.tree.get_or_try_init(find).await?.path.clone()))
    }
}

impl Sandbox {
    fn new(carried: Carried, capsule: SandboxCapsule, frozen: bool) -> Self {
        let mut environment = capsule.environment.clone();
        overlay(&mut environment, vec![("HOME".into(), HOME.into())]);
        let own = carried.spec.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        overlay(&mut environment, own.collect());
        let left = carried.left.unwrap_or_default();
        let base = left.last.or_else(|| carried.spec.from.clone()).map_or(Base::Nothing, Base::Kept);
        Self {
            capsule,
            spec: carried.spec,
            folder: carried.folder,
            environment,
            frozen: watch::Sender::new(frozen),
            closing: CancellationToken::new(),
            terminals: Terminals::default(),
            stored: AtomicBool::new(false),
            moving: RwLock::default(),
            base: tokio::sync::Mutex::new(base),
            brought: Mutex::new(left.brought),
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
            archives: Arc::new(Semaphore::new(ARCHIVES_MAX)),
            checkpoints: Arc::new(Semaphore::new(CHECKPOINTS_MAX)),
            _tree: carried.tree.into_inner(),
        }
    }

    /// What an earlier node left running: terminals are found again; what nobody waits for any more is killed.
    async fn take_up(&self, shared: &Shared) {
        let programs = self.capsule().execs().await.unwrap_or_else(|error| {
            tracing::warn!(capsule = self.capsule.id(), %error, "could not ask what runs in an adopted sandbox");
            Vec::new()
        });
        for program in programs.into_iter().filter(|program| program.ended.is_none()) {
            if program.terminal {
                self.terminals.attach(self.capsule(), program, shared).await;
            } else if program.name == exec::EXEC
                && let Ok(process) = self.capsule().attach(program.exec).await
            {
                self.kill(&process).await;
            }
        }
    }

    pub(crate) fn capsule(&self) -> &Capsule {
        &self.capsule.capsule
    }

    pub(crate) fn spec(&self) -> &SandboxSpec {
        &self.spec
    }

    pub(crate) fn terminals(&self) -> &Terminals {
        &self.terminals
    }

    /// Whether its programs stand still.
    pub(crate) fn is_frozen(&self) -> bool {
        *self.frozen.borrow()
    }

    /// Brings what lies in the folder of artifacts, as far as it goes in time.
    pub(crate) async fn keep_artifacts(&self, shared: &Shared) {
        let session = &self.folder.owner.session;
        if let Err(error) = self.collect_artifacts(&shared.config.carried).await {
            tracing::warn!(%session, %error, "a sandbox's artifacts could not be copied");
        }
        match timeout(BRING_LIMIT, shared.publisher.bring(&self.folder)).await {
            Ok(Ok(_)) => {}
            Ok(Err(setback)) => tracing::warn!(%session, %setback, "a sandbox's artifacts are not at the server yet"),
            Err(_) => tracing::info!(%session, "a sandbox's artifacts are brought after its end"),
        }
    }

    /// From now on its disk is the session's, whatever becomes of the capsule.
    fn mark_stored(&self, run: &Run) {
        self.stored.store(true, Ordering::Relaxed);
        if let Err(error) = run.remember(self) {
            tracing::error!(session = %run.assignment.session, %error, "could not write the file of a sandbox that moves to disk");
        }
    }

    /// A place among those who watch files; nothing when all are taken.
    pub(crate) fn enter_watches(&self) -> Option<OwnedSemaphorePermit> {
        self.watches.clone().try_acquire_owned().ok()
    }

    /// The same for archives.
    pub(crate) fn enter_archives(&self) -> Option<OwnedSemaphorePermit> {
        self.archives.clone().try_acquire_owned().ok()
    }

    /// Resolves when it begins to end.
    pub(crate) async fn ends(&self) {
        self.closing.cancelled().await;
    }

    /// Replaces what may be reached; connections that are not allowed any more are reset.
    pub(crate) fn set_network(&self, network: &NetworkPolicy) -> Result<(), StartError> {
        self.capsule.egress.set_policy(policy(network)?);
        Ok(())
    }

    /// Resolves when the sandbox has run for so long; while it is frozen no time passes.
    async fn awake_for(&self, limit: Duration) {
        let mut frozen = self.frozen.subscribe();
        let mut left = limit;
        loop {
            // The sender is ours.
            let _ = frozen.wait_for(|frozen| !frozen).await;
            let since = Instant::now();
            tokio::select! {
                () = sleep(left) => return,
                _ = frozen.wait_for(|frozen| *frozen) => left = left.saturating_sub(since.elapsed()),
            }
        }
    }

    /// A connection to a port on the sandbox's loopback.
    async fn connect(&self, port: u16) -> std::io::Result<tokio::net::TcpStream> {
        let stream = self.capsule().network().connect(port).await.map_err(std::io::Error::other)?;
        tokio::net::TcpStream::from_std(stream)
    }
}

/// The same policy in egress's words.
fn policy(network: &NetworkPolicy) -> Result<Policy, StartError> {
    let rules = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Rule>, _>>();
    let refused = |error: vitrine_egress::EgressError| StartError {
        reason: SchedulingReason::StartFailed,
        message: format!("the network policy cannot be used: could not {error}"),
    };
    Ok(Policy {
        mode: match network.mode {
            NetworkMode::Open => Mode::Open,
            NetworkMode::Allowlist => Mode::Allowlist,
            NetworkMode::None => Mode::None,
        },
        allow: rules(&network.allow).map_err(refused)?,
        deny: rules(&network.deny).map_err(refused)?,
    })
}
