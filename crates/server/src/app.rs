//! What every request and every reconciler shares.

use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::embed::checkout::stripe::Stripe;
use crate::embed::geo::Geo;
use crate::gateway::{Base, NodeDial, PublicUrl};
use crate::limits::Limiter;
use crate::metrics::Metrics;
use crate::request::body;
use crate::server::StartError;
use crate::upstream::health::UpstreamHealth;
use crate::wake::Wakes;
use crate::webhooks::Sender;
use http::HeaderMap;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use vitrine_model::token::{Claims, Scope, SigningKey};
use vitrine_model::{EndReason, Entropy, EpochMs, Error, MachineId, OrganizationId, SessionId, Status, TokenId};
use vitrine_store::{Machine, Objects, Session, Store, StoreError};

/// The shared parts; clones are the same.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts themselves.
pub struct Parts {
    pub config: ServerConfig,
    pub store: Store,
    pub objects: Objects,
    /// Reaches the machines.
    pub nodes: Arc<dyn NodeDial>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub limiter: Limiter,
    pub metrics: Metrics,
    pub wakes: Wakes,
    /// Placement looks at once: something was queued or freed.
    pub placement: Notify,
    /// Webhooks are looked after at once: something happened.
    pub webhooks: Notify,
    /// Sends their messages.
    pub sender: Sender,
    pub signing_key: SigningKey,
    /// Signs the tokens of nodes.
    pub node_key: [u8; 32],
    /// Signs the URLs of artifacts.
    pub artifact_key: [u8; 32],
    /// Hashes what is kept of visitors.
    pub visitor_key: [u8; 32],
    pub public_url: PublicUrl,
    pub upstream_health: UpstreamHealth,
    /// Room for bodies that are large and held in memory, in MiB.
    pub large: Semaphore,
    /// Long polls and waits answer at once: the server stops.
    pub closing: CancellationToken,
    pub snapshot: crate::health::Snapshots,
    draining: AtomicBool,
    /// Says where addresses are.
    pub geo: Geo,
    /// Takes money, where the operator has such a provider.
    pub stripe: Stripe,
    places: Mutex<HashMap<MachineId, Place>>,
    drivers: Mutex<BTreeMap<MachineId, Vec<String>>>,
    /// Machines on which no sandbox starts, and why.
    no_sandboxes: Mutex<BTreeMap<MachineId, String>>,
}

/// Where a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub provider: String,
    /// Three letters, for example `iad`.
    pub code: String,
    /// For example `na-east`.
    pub global: String,
}

/// Large bodies in memory at once, in MiB: what a small machine can spare.
const LARGE_MIB_MAX: usize = 512;
/// Names of the deployment's secrets.
const CONNECT_TOKENS: &str = "connect-tokens";
const NODE_TOKENS: &str = "node-tokens";
const ARTIFACT_URLS: &str = "artifact-urls";
const VISITORS: &str = "visitors";

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Reads or makes the deployment's secrets.
    pub async fn new(
        config: ServerConfig,
        store: Store,
        objects: Objects,
        nodes: Arc<dyn NodeDial>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        public_url: PublicUrl,
    ) -> Result<Self, StartError> {
        let fresh = || {
            let mut bytes = [0; 32];
            entropy.fill(&mut bytes);
            bytes
        };
        let signing_key = SigningKey::new(store.secret(CONNECT_TOKENS, fresh()).await?);
        let node_key = store.secret(NODE_TOKENS, fresh()).await?;
        let artifact_key = store.secret(ARTIFACT_URLS, fresh()).await?;
        let visitor_key = store.secret(VISITORS, fresh()).await?;
        Ok(Self(Arc::new(Parts {
            limiter: Limiter::new(),
            metrics: Metrics::new(),
            wakes: Wakes::default(),
            placement: Notify::new(),
            webhooks: Notify::new(),
            sender: Sender::new(config.webhooks.clone()),
            closing: CancellationToken::new(),
            snapshot: Default::default(),
            draining: AtomicBool::new(false),
            geo: Geo::open(config.embed.geoip_database.as_deref())
                .map_err(|error| StartError::Config(vec![format!("embed.geoip_database: {error}")]))?,
            stripe: Stripe::default(),
            places: Mutex::default(),
            drivers: Mutex::default(),
            no_sandboxes: Mutex::default(),
            config,
            store,
            objects,
            nodes,
            clock,
            entropy,
            signing_key,
            node_key,
            artifact_key,
            visitor_key,
            upstream_health: UpstreamHealth::default(),
            large: Semaphore::new(LARGE_MIB_MAX),
            public_url,
        })))
    }

    /// No new sessions from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether new sessions are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Asks a session to end; says so to everybody who cares if that changed anything. `None`: no such session.
    pub async fn end(
        &self,
        id: &SessionId,
        organization: Option<&OrganizationId>,
        reason: EndReason,
    ) -> Result<Option<Session>, StoreError> {
        let now = self.clock.now();
        let session = self.store.request_end(id, organization, reason, now).await?;
        if let Some(session) = session.as_ref().filter(|session| session.updated_at == now) {
            self.moved(session);
        }
        Ok(session)
    }

    /// How much of a body is read.
    pub fn body_limits(&self) -> body::Limits {
        body::Limits {
            bytes_max: self.config.body_bytes_max,
            time_max: Duration::from_millis(self.config.body_timeout_ms),
        }
    }

    /// Tells everybody who cares that this process moved a session, and writes it down.
    pub fn moved(&self, session: &Session) {
        let status = session.status.as_str();
        match (session.status, session.end_reason) {
            (Status::Failed, Some(reason)) => {
                let error = session.error.as_ref();
                let (why, message) = error.map_or(("", ""), |error| (error.reason.as_str(), error.message.as_str()));
                tracing::warn!(session = %session.id, end_reason = reason.as_str(), why, message, "session failed");
            }
            (Status::Ended, Some(reason)) => {
                tracing::info!(session = %session.id, end_reason = reason.as_str(), "session ended");
            }
            _ => tracing::debug!(session = %session.id, status, generation = session.generation, "session moved"),
        }
        if session.status.is_terminal() {
            self.metrics.over(session.end_reason.unwrap_or(EndReason::ProcessLost));
        }
        self.wakes.sessions.wake(&session.id);
        self.webhooks.notify_one();
        if let Some(machine) = &session.machine {
            self.wakes.machines.wake(machine);
        }
        if !session.status.holds_machine() || session.stored {
            self.placement.notify_one();
        }
    }

    /// Where a client drives a session that runs; `None` while there is nothing to connect to.
    pub fn cdp_url(&self, session: &Session, headers: &HeaderMap) -> Result<Option<String>, Error> {
        let expires_at = self.token_expires_at(session);
        let Some(token) = self.connect_token(session, Scope::Cdp, expires_at, None) else { return Ok(None) };
        Ok(Some(self.base(headers)?.cdp(&session.id, &token)))
    }

    /// The page where a person looks at a session that runs; `None` while there is nothing to see.
    pub fn live_view_url(
        &self,
        session: &Session,
        scope: Scope,
        expires_at: EpochMs,
        id: Option<&TokenId>,
        headers: &HeaderMap,
    ) -> Result<Option<String>, Error> {
        let Some(token) = self.connect_token(session, scope, expires_at, id) else { return Ok(None) };
        Ok(Some(self.base(headers)?.view(&session.id, &token)))
    }

    /// A token for the run of a session; `None` while it does not run.
    pub fn connect_token(
        &self,
        session: &Session,
        scope: Scope,
        expires_at: EpochMs,
        id: Option<&TokenId>,
    ) -> Option<String> {
        let (true, Some(run), Some(machine)) = (session.status.is_running(), &session.run, &session.machine) else {
            return None;
        };
        Some(self.signing_key.sign(&Claims {
            session: session.id.clone(),
            run: run.clone(),
            machine: machine.clone(),
            scope,
            expires_at,
            id: id.cloned(),
        }))
    }

    /// The address under which the request's client knows us.
    pub fn base(&self, headers: &HeaderMap) -> Result<Base, Error> {
        let base = self.public_url.base(headers);
        base.map_err(|_| Error::invalid("Host", "the header does not name this server"))
    }

    /// A token lives as long as its session may.
    pub fn token_expires_at(&self, session: &Session) -> EpochMs {
        let longest = session.workload.max_duration_ms();
        session.expires_at.unwrap_or_else(|| vitrine_model::browser::expires_at(self.clock.now(), longest))
    }

    /// A machine's place, remembered once it was read: a machine keeps it while it runs.
    pub async fn place_of(&self, machine: &MachineId) -> Result<Option<Place>, Error> {
        if let Some(place) = self.places().get(machine) {
            return Ok(Some(place.clone()));
        }
        let machines = self.store.machines().await.map_err(Error::internal)?;
        let mut places = self.places();
        *places = machines.into_iter().map(|machine| (machine.id.clone(), Place::from(machine))).collect();
        Ok(places.get(machine).cloned())
    }

    /// The three letters of a machine's region.
    pub async fn region_of(&self, machine: &MachineId) -> Result<Option<String>, Error> {
        Ok(self.place_of(machine).await?.map(|place| place.code))
    }

    /// A machine said where it is.
    pub fn note_place(&self, machine: &MachineId, place: Place) {
        self.places().insert(machine.clone(), place);
    }

    /// A machine said which isolation drivers work on it, its default first.
    pub fn note_drivers(&self, machine: &MachineId, drivers: &[String]) {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner).insert(machine.clone(), drivers.to_vec());
    }

    /// A machine said why no sandbox starts on it, or that they do.
    pub fn note_sandboxes(&self, machine: &MachineId, complaint: Option<String>) {
        let mut complaints = self.no_sandboxes.lock().unwrap_or_else(PoisonError::into_inner);
        match complaint {
            Some(complaint) => drop(complaints.insert(machine.clone(), complaint)),
            None => drop(complaints.remove(machine)),
        }
    }

    /// Why no sandbox starts on a machine.
    pub fn no_sandboxes(&self, machine: &MachineId) -> Option<String> {
        self.no_sandboxes.lock().unwrap_or_else(PoisonError::into_inner).get(machine).cloned()
    }

    /// The isolation drivers of a machine, its default first.
    pub fn drivers_of(&self, machine: &MachineId) -> Vec<String> {
        let drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        drivers.get(machine).cloned().unwrap_or_default()
    }

    /// The isolation drivers of all machines.
    pub fn drivers(&self) -> Vec<String> {
        let drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<&String> = drivers.values().flatten().collect();
        all.into_iter().cloned().collect()
    }

    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<MachineId, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Machine> for Place {
    fn from(machine: Machine) -> Self {
        Self { provider: machine.provider, code: machine.region_code, global: machine.region_global }
    }
}
