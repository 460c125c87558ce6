//! What every case starts from: an empty database, a clock that stands still until it is moved, ids that never repeat.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use vitrine_model::wire::{Alive, EgressBytes, Register, Step, StepAnswer, StepKind, Workload};
use vitrine_model::*;
use vitrine_store::*;
use vitrine_testkit::postgres::Postgres;

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const LEASE: i64 = 45 * SECOND;
/// What [`World::session`] reserves.
pub const RESERVE_MB: u32 = 96;
pub const UNLIMITED: CreateLimits = CreateLimits { concurrent: 10_000, period_start: 0, hours_ms: u64::MAX };

/// Where empty databases come from.
pub enum Databases {
    Sqlite(tempfile::TempDir),
    Postgres(Box<Postgres>),
}

impl Databases {
    pub fn sqlite() -> Self {
        Databases::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Self {
        Databases::Postgres(Box::new(Postgres::start().unwrap()))
    }

    pub fn empty(&self) -> Location {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        match self {
            Databases::Sqlite(folder) => Location::Sqlite(folder.path().join(format!("{number}.sqlite"))),
            Databases::Postgres(postgres) => Location::Postgres(postgres.database().unwrap()),
        }
    }
}

#[derive(Clone)]
pub struct World {
    pub store: Store,
    pub location: Location,
    clock: Arc<AtomicI64>,
}

/// Bytes that never repeat.
pub fn entropy(buffer: &mut [u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    for chunk in buffer.chunks_mut(8) {
        // splitmix64: neighbours look nothing alike.
        let mut z = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ (u64::from(std::process::id()) << 40);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
    }
}

pub fn spec() -> BrowserSpec {
    BrowserSpec {
        weight: Weight::Light,
        isolation: Isolation::Shared,
        egress_profile: EgressProfile::SharedDc,
        proxy: None,
        max_duration_ms: 300_000,
        idle_timeout_ms: 60_000,
        region: None,
        stealth: false,
        recording: false,
        captcha: false,
        har: None,
        profile_key: None,
        embed: None,
    }
}

/// A browser that minutes pay for.
pub fn embed_spec(minutes: u32) -> BrowserSpec {
    let embed =
        EmbedSpec { minutes, demo: false, cdp: false, embedding_origins: Vec::new(), policy: embed::Policy::open(0) };
    let max_duration_ms = u64::from(minutes) * MINUTE as u64;
    BrowserSpec { max_duration_ms, idle_timeout_ms: 0, embed: Some(embed), ..spec() }
}

pub fn sandbox_spec() -> SandboxSpec {
    SandboxSpec {
        runtime: Runtime::Bun,
        size: Size::Standard,
        env: [("TOKEN".to_owned(), Secret::new("geheim"))].into(),
        checkpointed: false,
        ephemeral: true,
        max_duration_ms: 300_000,
        region: None,
        network: NetworkPolicy::default(),
        isolation_driver: None,
        documents: false,
        artifact_prefix: None,
        from: None,
    }
}

impl World {
    pub async fn new(databases: &Databases) -> Self {
        let location = databases.empty();
        let store = Store::open(location.clone(), StoreOptions { connections: 8 }).await.unwrap();
        Self { location, ..Self::with(store) }
    }

    /// A world around a store that is open already.
    pub fn with(store: Store) -> Self {
        let location = Location::Sqlite(std::path::PathBuf::new());
        Self { store, location, clock: Arc::new(AtomicI64::new(1_800_000_000_000)) }
    }

    /// Another server on the same database.
    pub async fn second_store(&self) -> Store {
        Store::open(self.location.clone(), StoreOptions::default()).await.unwrap()
    }

    pub fn now(&self) -> EpochMs {
        self.clock.load(Ordering::Relaxed)
    }

    pub fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn run(&self) -> RunId {
        RunId::new(self.now(), &entropy)
    }

    pub async fn organization(&self) -> OrganizationId {
        let id = OrganizationId::new(self.now(), &entropy);
        let organization =
            Organization { id: id.clone(), name: "Acme".to_owned(), plan: Plan::Scale, created_at: self.now() };
        self.store.create_organization(&organization).await.unwrap();
        id
    }

    pub fn new_session(&self, organization: &OrganizationId, spec: BrowserSpec) -> NewSession {
        NewSession {
            id: SessionId::new(self.now(), &entropy),
            organization: organization.clone(),
            api_key: None,
            workload: Workload::Browser(spec),
            reserve_mb: RESERVE_MB,
            limit_mb: 512,
            profile_key: None,
            queue_deadline: self.now() + MINUTE,
        }
    }

    pub fn new_sandbox(&self, organization: &OrganizationId, spec: SandboxSpec) -> NewSession {
        NewSession { workload: Workload::Sandbox(spec), ..self.new_session(organization, self::spec()) }
    }

    pub async fn create(&self, new: &NewSession) -> Session {
        self.store.create_session(new, UNLIMITED, self.now()).await.unwrap().unwrap()
    }

    /// A queued light session. A millisecond passes, so that the next one is younger.
    pub async fn session(&self, organization: &OrganizationId) -> Session {
        let session = self.create(&self.new_session(organization, spec())).await;
        self.pass(1);
        session
    }

    pub fn register(&self, slots: u32) -> Register {
        Register {
            machine: MachineId::new(&entropy),
            boot_id: "boot-1".to_owned(),
            version: "0.1.0".to_owned(),
            region_code: "iad".to_owned(),
            region_global: "na-east".to_owned(),
            provider: "local".to_owned(),
            reserve_total_mb: slots * RESERVE_MB,
            slots_total: slots,
            alive: Vec::new(),
            drivers: Vec::new(),
        }
    }

    /// Registers a machine and beats once.
    pub async fn join(&self, register: &Register) -> Registration {
        let registration = self.store.register_machine(register, self.now(), LEASE).await.unwrap();
        self.beat(&register.machine, registration.epoch).await;
        registration
    }

    pub async fn machine(&self, slots: u32) -> Node {
        let register = self.register(slots);
        let epoch = self.join(&register).await.epoch;
        Node { world: self.clone(), register, epoch }
    }

    pub async fn beat(&self, machine: &MachineId, epoch: i64) {
        self.store.beat(machine, epoch, None, &[], self.now(), LEASE).await.unwrap();
    }

    pub async fn place(&self) -> Placed {
        self.store.place_next(self.now(), PlaceOptions::default(), self.run()).await.unwrap()
    }

    /// Places the next session, which must be possible.
    pub async fn assigned(&self) -> Session {
        match self.place().await {
            Placed::Assigned(session) => *session,
            other => panic!("nothing was placed: {other:?}"),
        }
    }

    /// A session that is `ready` on the node's machine.
    pub async fn ready(&self, organization: &OrganizationId, node: &Node) -> Session {
        self.session(organization).await;
        let session = self.assigned().await;
        node.took(&session, StepKind::Ready).await
    }

    /// A sandbox that is `ready` on the node's machine.
    pub async fn sandbox(&self, organization: &OrganizationId, node: &Node) -> Session {
        self.create(&self.new_sandbox(organization, sandbox_spec())).await;
        self.pass(1);
        let session = self.assigned().await;
        node.took(&session, StepKind::Ready).await
    }

    /// A frozen sandbox.
    pub async fn frozen(&self, organization: &OrganizationId, node: &Node) -> Session {
        let session = self.sandbox(organization, node).await;
        self.store.request_pause(&session.id, None, self.now()).await.unwrap().unwrap().unwrap();
        node.took(&session, StepKind::Paused).await
    }

    /// A sandbox that moved to its machine's disk.
    pub async fn stored(&self, organization: &OrganizationId, node: &Node) -> Session {
        let session = self.frozen(organization, node).await;
        node.took(&session, StepKind::Stored { egress: EgressBytes { bytes_in: 100, bytes_out: 200 } }).await
    }

    pub async fn resume_within(
        &self,
        session: &Session,
        limits: CreateLimits,
    ) -> std::result::Result<Session, NotResumed> {
        let options = PlaceOptions::default();
        let asked = self.store.request_resume(&session.id, None, limits, options, self.run(), self.now()).await;
        asked.unwrap().unwrap()
    }

    pub async fn resume(&self, session: &Session) -> std::result::Result<Session, NotResumed> {
        self.resume_within(session, UNLIMITED).await
    }

    pub async fn read(&self, session: &Session) -> Session {
        self.store.session(&session.id).await.unwrap().unwrap()
    }

    pub async fn status(&self, session: &Session) -> Status {
        self.read(session).await.status
    }

    /// The names of everything that happened to a session.
    pub async fn happened(&self, session: &Session) -> Vec<String> {
        let events = self.store.events_after(0, 10_000).await.unwrap();
        events.into_iter().filter(|event| event.session == session.id).map(|event| event.name).collect()
    }

    /// Nothing that must hold is broken.
    pub async fn is_whole(&self) {
        assert_eq!(self.store.invariants().await.unwrap(), Vec::<String>::new());
        assert_eq!(self.store.past_invariants().await.unwrap(), Vec::<String>::new());
    }
}

/// A future that is dropped after it waited so often, as that of a program that dies.
struct Mortal<'f, T> {
    inner: Pin<&'f mut (dyn Future<Output = T> + Send)>,
    waits: u32,
}

impl<T> Future for Mortal<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match self.inner.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.waits == 0 => Poll::Ready(None),
            Poll::Pending => {
                self.waits -= 1;
                Poll::Pending
            }
        }
    }
}

/// Does something, unless the program dies after so many waits.
pub async fn perhaps<T>(
    crash: Option<u32>,
    operation: impl Future<Output = vitrine_store::Result<T>> + Send,
) -> Option<T> {
    let inner = pin!(operation);
    let waits = crash.unwrap_or(u32::MAX);
    Mortal { inner, waits }.await.map(|done| done.unwrap())
}

/// A machine's node, as the store hears it.
#[derive(Clone)]
pub struct Node {
    pub world: World,
    pub register: Register,
    pub epoch: i64,
}

impl Node {
    pub fn step_for(&self, session: &Session, what: StepKind) -> Step {
        Step {
            machine: self.register.machine.clone(),
            epoch: self.epoch,
            session: session.id.clone(),
            generation: session.generation,
            run: session.run.clone().unwrap(),
            what,
        }
    }

    pub async fn step(&self, session: &Session, what: StepKind) -> (StepAnswer, Option<Session>) {
        self.world.store.step(&self.step_for(session, what), self.world.now()).await.unwrap()
    }

    /// A step that must be taken; the session after it.
    pub async fn took(&self, session: &Session, what: StepKind) -> Session {
        match self.step(session, what).await {
            (StepAnswer::Taken { .. }, Some(session)) => session,
            other => panic!("the step was refused: {other:?}"),
        }
    }

    pub async fn refused(&self, session: &Session, what: StepKind) {
        let (answer, session) = self.step(session, what).await;
        assert_eq!(answer, StepAnswer::NotYours);
        assert!(session.is_none());
    }

    pub async fn finish(&self, session: &Session, reason: EndReason) -> Session {
        self.took(session, StepKind::Finish { reason, egress: EgressBytes { bytes_in: 10, bytes_out: 20 } }).await
    }

    pub fn alive(&self, session: &Session) -> Alive {
        Alive { session: session.id.clone(), run: session.run.clone().unwrap(), generation: session.generation }
    }

    /// The node's process starts again on the same host, and finds these runs.
    pub async fn restart(&mut self, boot_id: &str, alive: &[&Session]) -> Registration {
        self.register.boot_id = boot_id.to_owned();
        self.register.alive = alive.iter().map(|session| self.alive(session)).collect();
        let registration = self.world.join(&self.register).await;
        self.epoch = registration.epoch;
        registration
    }

    pub async fn seen(&self) -> Machine {
        let machines = self.world.store.machines().await.unwrap();
        machines.into_iter().find(|machine| machine.id == self.register.machine).unwrap()
    }
}
