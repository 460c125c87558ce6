//! What a machine does: registers, beats, takes assignments, adopts what outlived a restart, sweeps what nobody owns.

use crate::browser::{self, BrowserRun, Solver};
use crate::capsules::Capsules;
use crate::config::{Image, NodeConfig};
use crate::data_plane::DataPlane;
use crate::error::NodeError;
use crate::lease::{BootTime, Held, Lease};
use crate::link::{Link, Transport};
use crate::pool::Pool;
use crate::run::Run;
use crate::run_file::{RunFile, RunFiles};
use crate::runs::{Order, Runs};
use crate::sandbox::{self, Sandbox, Trees};
use crate::spool::{Publisher, Spool};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitrine_capsule::Native;
use vitrine_egress::Outside;
use vitrine_model::wire::{
    Alive, Assignment, Assignments, AssignmentsRequest, Beat, BeatAnswer, NotReady, Register, Registered, Workload,
};
use vitrine_model::{EndReason, SchedulingReason, SessionId};

/// How long one question after assignments waits on the server's side.
const ASSIGNMENTS_WAIT_MS: u64 = 20_000;
/// Between two tries when the server does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// After an answer of which nothing could be taken: the server will say it again at once.
const IGNORED_PAUSE: Duration = Duration::from_millis(50);
/// Between two sweeps of what no run owns.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long all runs may take to end at a stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What the parts of a node share.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) link: Link,
    pub(crate) capsules: Capsules,
    pub(crate) outside: Arc<Outside>,
    pub(crate) browsers: Arc<Pool<browser::Maker>>,
    pub(crate) sandboxes: Arc<Pool<sandbox::Maker>>,
    pub(crate) trees: Trees,
    pub(crate) runs: Runs,
    pub(crate) run_files: RunFiles,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) solver: Option<Arc<Solver>>,
    epoch: Arc<AtomicI64>,
    lease: Lease,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Shared {
    /// Carries a run until the node stops: then it is let go as it is, for the next node to adopt.
    fn carry(&self, run: impl Future<Output = ()> + Send + 'static) {
        let until_stopped = self.stop.clone().run_until_cancelled_owned(run);
        self.tasks.spawn(async move { until_stopped.await.unwrap_or_default() });
    }

    /// Serves one stream until it ends, its run is over, or the node stops.
    pub(crate) fn serve<T: Send + 'static>(&self, serving: impl Future<Output = T> + Send + 'static) {
        let until_stopped = self.stop.clone().run_until_cancelled_owned(serving);
        self.tasks.spawn(async move { drop(until_stopped.await) });
    }

    /// The lease has been gone for so long that nobody waits for our word.
    pub(crate) fn is_lost(&self) -> bool {
        self.lease.held(BootTime::now()) == Held::Lost
    }
}

/// A machine's node.
pub struct Node {
    shared: Arc<Shared>,
}

impl Node {
    /// Prepares the machine, registers it, takes over what outlived the last node, and goes to work.
    pub async fn start(config: NodeConfig, transport: Arc<dyn Transport>) -> Result<Node, NodeError> {
        let shared = prepare(config, Link::new(transport)).await?;
        let registered = register(&shared).await?;
        let every = Duration::from_millis(registered.beat_ms);
        let stored = registered.stored.clone();
        let adopted = adopt(&shared, registered).await;
        forget_strangers(&shared, &stored);
        sweep(&shared).await;
        tracing::info!(machine = %shared.config.machine, adopted, "the machine is registered");
        shared.tasks.spawn(shared.browsers.clone().keep_full(shared.stop.clone()));
        shared.tasks.spawn(shared.sandboxes.clone().keep_full(shared.stop.clone()));
        shared.tasks.spawn(shared.sandboxes.maker.clone().keep_disks(shared.stop.clone()));
        shared.tasks.spawn(beat(shared.clone(), every));
        shared.tasks.spawn(assignments(shared.clone()));
        shared.tasks.spawn(sweeper(shared.clone()));
        shared.tasks.spawn(shared.publisher.clone().keep_empty(shared.stop.clone()));
        Ok(Node { shared })
    }

    /// Where live bytes go in and out.
    pub fn data_plane(&self) -> DataPlane {
        DataPlane(self.shared.clone())
    }

    /// Clients that are connected to this machine's sessions now.
    pub fn clients(&self) -> usize {
        self.shared.runs.clients()
    }

    /// Ends every session with `server_shutdown`.
    pub async fn drain(&self) {
        self.shared.runs.tell_all(Order::EndOurselves(EndReason::ServerShutdown));
        if timeout(STOP_LIMIT, self.shared.runs.emptied()).await.is_err() {
            tracing::error!(
                left = self.shared.runs.len(),
                "sessions did not end in time and are left to the next start's sweep"
            );
        }
        if timeout(STOP_LIMIT, self.shared.publisher.empty()).await.is_err() {
            tracing::warn!("not all that sessions left is at the server; the next start brings it");
        }
    }

    /// Stops the node's work and ends the warm pool. Sessions that still run are left for the next node to adopt.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if timeout(STOP_LIMIT, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.shared.tasks.len(), "tasks did not stop in time");
        }
        self.shared.runs.let_go();
    }
}

async fn prepare(config: NodeConfig, link: Link) -> Result<Arc<Shared>, NodeError> {
    let in_data = |name: &str| config.data_dir.join(name);
    let runs_dir = in_data("runs");
    let run_files = RunFiles::open(runs_dir.clone()).map_err(|cause| NodeError::Directory { path: runs_dir, cause })?;
    let spool_dir = in_data("spool");
    let spool = Spool::open(spool_dir.clone()).map_err(|cause| NodeError::Directory { path: spool_dir, cause })?;
    let trees_dir = in_data("checkpoints");
    let trees = Trees::open(trees_dir.clone(), config.sandbox.checkpoints_bytes_max)
        .map_err(|cause| NodeError::Directory { path: trees_dir, cause })?;
    let epoch = Arc::new(AtomicI64::new(0));
    let publisher = Arc::new(Publisher::new(spool, link.clone(), config.machine.clone(), epoch.clone()));
    let pooled = u32::try_from(config.pool.size + config.sandbox.pool.size).unwrap_or(u32::MAX);
    let native = vitrine_capsule::NativeConfig {
        directory: in_data("capsules"),
        instance: config.machine.to_string(),
        uid_base: UID_BASE,
        slots_max: config.slots_total.saturating_add(pooled).saturating_add(SPARE_SLOTS),
    };
    let driver = Native::probe_with(native, config.sandbox.runtimes.clone()).await?;
    let outside = Outside::new(config.egress_hosts.clone(), config.ca_bundle.as_deref())?;
    let capsules = Capsules::new(&config, driver, outside.clone());
    let solver = config.carried.solver.clone().map(|solver| Arc::new(Solver::new(solver)));
    let tasks = TaskTracker::new();
    let browsers = Pool::new(config.pool, browser::Maker::new(&config, capsules.clone()), tasks.clone());
    let sandboxes = sandbox::Maker::new(&config, capsules.clone())?;
    let sandboxes = Pool::new(config.sandbox.pool, sandboxes, tasks.clone());
    Ok(Arc::new(Shared {
        config,
        link,
        capsules,
        outside,
        browsers,
        sandboxes,
        trees,
        runs: Runs::default(),
        run_files,
        publisher,
        solver,
        epoch,
        lease: Lease::default(),
        tasks,
        stop: CancellationToken::new(),
    }))
}

/// First user id of capsules: above what distributions give to people, services and other container tools; from here 4,096
/// ranges of 65,536 ids fit.
const UID_BASE: u32 = 0x7000_0000;
/// Capsules beyond sessions and pool: those that are being started or destroyed.
const SPARE_SLOTS: u32 = 64;

async fn register(shared: &Arc<Shared>) -> Result<Registered, NodeError> {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(NodeError::BootId)?;
    let config = &shared.config;
    let register = Register {
        machine: config.machine.clone(),
        boot_id: boot_id.trim().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        region_code: config.region_code.clone(),
        region_global: config.region_global.clone(),
        provider: config.provider.clone(),
        reserve_total_mb: config.reserve_total_mb,
        slots_total: config.slots_total,
        alive: survivors(shared).await.into_iter().map(|run| alive(&run)).collect(),
        drivers: shared.capsules.working_drivers(&shared.config).await,
    };
    let sent = BootTime::now();
    let registered = shared.link.register(&register).await?;
    shared.epoch.store(registered.epoch, Ordering::Release);
    shared.lease.begin(sent, Duration::from_millis(registered.lease_ms));
    Ok(registered)
}

fn alive(run: &RunFile) -> Alive {
    Alive { session: run.session.clone(), run: run.run.clone(), generation: run.generation }
}

/// Runs whose capsule is still alive.
async fn survivors(shared: &Shared) -> Vec<RunFile> {
    let capsules: HashSet<String> = match shared.capsules.driver.list().await {
        Ok(records) => records.into_iter().filter(|record| record.alive).map(|record| record.id).collect(),
        Err(error) => {
            tracing::warn!(%error, "could not list the capsules of the last node");
            HashSet::new()
        }
    };
    let runs = shared.run_files.read_all().unwrap_or_else(|error| {
        tracing::warn!(%error, "could not read the runs of the last node");
        Vec::new()
    });
    runs.into_iter().filter(|run| capsules.contains(&run.capsule)).collect()
}

/// Takes over what the server says is still ours; what is not is swept afterwards.
async fn adopt(shared: &Arc<Shared>, registered: Registered) -> usize {
    let survivors = survivors(shared).await;
    let mut adopted = 0;
    for assignment in registered.adopted {
        let kept = survivors.iter().find(|run| run.session == assignment.session);
        let Some(orders) = shared.runs.begin(&assignment) else { continue };
        let workload = assignment.workload.clone();
        let run = Run::new(shared.clone(), assignment, registered.epoch, orders);
        // It may have died since the server was told that it lives.
        let Some(kept) = kept else {
            run.lost("its processes ended while nobody watched").await;
            continue;
        };
        adopted += usize::from(match workload {
            Workload::Browser(spec) => carry_on(shared, run.go_on::<BrowserRun>(spec, kept).await),
            Workload::Sandbox(spec) => carry_on(shared, run.go_on::<Sandbox>(spec, kept).await),
        });
    }
    adopted
}

fn carry_on(shared: &Shared, life: Option<impl Future<Output = ()> + Send + 'static>) -> bool {
    let lives = life.is_some();
    if let Some(life) = life {
        shared.carry(life);
    }
    lives
}

/// Removes the files of runs that died with nobody watching: the server was told by their absence. What moved to disk is
/// still its session's, as long as the server says so.
fn forget_strangers(shared: &Shared, stored: &[SessionId]) {
    let strangers = shared.run_files.read_all().unwrap_or_default().into_iter();
    for run in strangers.filter(|run| !stored.contains(&run.session) && !shared.runs.knows(&run.session)) {
        if let Err(error) = shared.run_files.remove(&run.session, &run.run) {
            tracing::warn!(session = %run.session, %error, "could not remove the file of a run that is gone");
        }
    }
}

/// Beats until stopped; registers again when another epoch holds the machine.
async fn beat(shared: Arc<Shared>, every: Duration) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut browsers = shared.browsers.last_start.subscribe();
    let mut sandboxes = shared.sandboxes.last_start.subscribe();
    let mut images = shared.config.image.clone();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            // Whether the machine takes sessions may just have changed: the server should not wait for the next beat.
            Ok(()) = browsers.changed() => {}
            Ok(()) = sandboxes.changed() => {}
            Ok(()) = images.changed() => {}
            () = shared.stop.cancelled() => return,
        }
        if let Err(error) = beat_once(&shared).await {
            tracing::warn!(%error, "the server did not take a beat");
        }
        match shared.lease.held(BootTime::now()) {
            Held::Yes => {}
            Held::Expired => shared.runs.tell_unready(Order::Drop),
            Held::Lost => shared.runs.tell_all(Order::Drop),
        }
    }
}

async fn beat_once(shared: &Arc<Shared>) -> Result<(), crate::link::LinkError> {
    let sent = BootTime::now();
    let beat = Beat {
        machine: shared.config.machine.clone(),
        epoch: shared.epoch.load(Ordering::Acquire),
        not_ready: not_ready(shared),
        traffic: shared.runs.traffic(),
        warm: u32::try_from(shared.browsers.len()).unwrap_or(u32::MAX),
        warm_sandboxes: u32::try_from(shared.sandboxes.len()).unwrap_or(u32::MAX),
        no_sandboxes: shared.sandboxes.complaint().map(|error| error.message),
    };
    match shared.link.beat(&beat).await? {
        BeatAnswer::Extended { .. } => shared.lease.extend(sent),
        BeatAnswer::NotYours => give_up(shared).await,
    }
    Ok(())
}

/// Another epoch holds the machine: kill what it no longer owns, and register as what is left.
async fn give_up(shared: &Arc<Shared>) {
    tracing::error!(machine = %shared.config.machine, "the server gave this machine's sessions up; ending them and registering anew");
    shared.runs.tell_all(Order::Drop);
    shared.runs.emptied().await;
    match register(shared).await {
        Ok(registered) => {
            forget_strangers(shared, &registered.stored);
            tracing::info!(epoch = registered.epoch, "the machine is registered anew");
        }
        Err(error) => tracing::error!(%error, "could not register the machine anew"),
    }
}

/// Why sessions cannot be started yet: no image, or browsers that do not start.
fn not_ready(shared: &Shared) -> Option<NotReady> {
    if let Image::Missing { message } = &*shared.config.image.borrow() {
        return Some(NotReady { reason: SchedulingReason::ImageMissing, message: message.clone() });
    }
    match &*shared.browsers.last_start.borrow() {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(NotReady { reason: error.reason, message: error.message.clone() }),
        // Without a pool the first session is the first start.
        None if shared.config.pool.size == 0 => None,
        None => Some(NotReady {
            reason: SchedulingReason::StartFailed,
            message: "the first browser is being started".into(),
        }),
    }
}

/// Asks for assignments until stopped.
async fn assignments(shared: Arc<Shared>) {
    while !shared.stop.is_cancelled() {
        let epoch = shared.epoch.load(Ordering::Acquire);
        let request = AssignmentsRequest {
            machine: shared.config.machine.clone(),
            epoch,
            wait_ms: ASSIGNMENTS_WAIT_MS,
            known: shared.runs.known(),
        };
        let answer = tokio::select! {
            answer = shared.link.assignments(&request) => answer,
            () = shared.stop.cancelled() => return,
        };
        match answer {
            Ok(Assignments { not_yours: false, items }) => {
                let some = !items.is_empty();
                let taken = items.into_iter().filter(|item| take(&shared, item, epoch)).count();
                if some && taken == 0 {
                    sleep(IGNORED_PAUSE).await;
                }
            }
            Ok(_) => sleep(TRY_AGAIN).await,
            Err(error) => {
                tracing::warn!(%error, "could not ask for assignments");
                sleep(TRY_AGAIN).await;
            }
        }
    }
}

/// Whether something could be made of it now.
fn take(shared: &Arc<Shared>, assignment: &Assignment, epoch: i64) -> bool {
    if shared.runs.hear(assignment) {
        return true;
    }
    if shared.lease.held(BootTime::now()) != Held::Yes {
        return false;
    }
    // One that is to end already finds that order first, and only reports.
    let Some(orders) = shared.runs.begin(assignment) else { return false };
    let run = Run::new(shared.clone(), assignment.clone(), epoch, orders);
    match &assignment.workload {
        Workload::Browser(spec) => shared.carry(run.start::<BrowserRun>(spec.clone())),
        Workload::Sandbox(spec) => shared.carry(run.start::<Sandbox>(spec.clone())),
    }
    true
}

async fn sweeper(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = sleep(SWEEP_EVERY) => sweep(&shared).await,
            () = shared.stop.cancelled() => return,
        }
    }
}

/// Removes every disk and every capsule that neither a run nor a pool owns.
async fn sweep(shared: &Shared) {
    match shared.capsules.driver.sweep(&shared.capsules.owned()).await {
        Ok(report) if report.destroyed.is_empty() => {}
        Ok(report) => tracing::info!(capsules = ?report.destroyed, "swept capsules that nobody owned"),
        Err(error) => {
            tracing::error!(%error, "could not sweep everything that nobody owns; it is tried again in a minute")
        }
    }
    // Afterwards: a disk that a capsule still has stays.
    shared.sandboxes.maker.sweep(&shared.run_files).await;
}
