//! A capsule with a browser in it and egress around it: what a browser session is made of.
//!
//! Promises: it is made for one session and never used for a second.

use super::host::CapsuleHost;
use super::trust::{self, Authorities};
use super::wish::{PROFILE_FOLDER, Wish};
use crate::capsules::{self, CPU_WEIGHT, CPU_WEIGHT_SPARE, Capsules, MEBIBYTE, closed};
use crate::config::{Image, NodeConfig};
use crate::error::StartError;
use crate::pool::{Make, Urgency, Warm};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use vitrine_browser::downloads::{self, Downloads};
use vitrine_browser::profile::{self, Owner, SessionCookies};
use vitrine_browser::screen;
use vitrine_browser::tabs::Tabs;
use vitrine_browser::{Browser, BrowserError, DEVTOOLS_PORT, Ending, Exit, Host, Trust, gave_up};
use vitrine_capsule::{Capsule, CapsuleError, Files, Limits, NATIVE, Profile, Spec};
use vitrine_cdp::Connection;
use vitrine_egress::{Egress, Policy, Upstream};
use vitrine_model::wire::EgressBytes;
use vitrine_model::{EndReason, Weight, browser::limit_mb};

/// Processes and threads of one capsule. A page with many workers takes some hundreds.
const PIDS_MAX: u32 = 2048;
/// How long an adopted browser may take to answer.
const ADOPT_LIMIT: Duration = Duration::from_secs(5);
/// How long a session that failed may wait for what its browser said last.
const LAST_OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// The end of the browser's process.
pub(crate) struct Ended {
    /// `None`: a client closed it.
    pub(crate) failure: Option<(EndReason, String)>,
}

/// Makes and adopts browsers in capsules.
#[derive(Clone)]
pub(crate) struct Maker {
    capsules: Capsules,
    image: watch::Receiver<Image>,
    authorities: Authorities,
    base_mb: u32,
}

/// A capsule with a browser.
pub(crate) struct BrowserCapsule {
    capsule: Arc<Capsule>,
    host: Arc<CapsuleHost>,
    browser: Browser,
    egress: Egress,
    maker: Maker,
    /// Made when first needed, and again when its connection was lost.
    tabs: tokio::sync::Mutex<Option<Tabs>>,
}

impl Make for Maker {
    type Made = BrowserCapsule;
    type Wish = Wish;
    const WHAT: &'static str = "browser";

    /// A new capsule with a browser that answers. Its egress is closed until it is handed out.
    async fn make(&self, urgency: Urgency, wish: &Wish) -> Result<BrowserCapsule, StartError> {
        let (rootfs, environment) = capsules::ready(&self.image)?;
        let spare_mb = limit_mb(self.base_mb, Weight::Light);
        let database = self
            .authorities
            .database(&rootfs, |trust, kept| self.write_authorities(trust, kept, rootfs.clone()))
            .await?;
        let cpu_weight = if urgency == Urgency::Now { CPU_WEIGHT } else { CPU_WEIGHT_SPARE };
        let id = self.capsules.own();
        let made = match self.capsule(id.clone(), rootfs, limits(spare_mb, cpu_weight)).await {
            Ok(capsule) => self.furnish(Arc::new(capsule), environment, database, wish).await,
            Err(error) => Err(error),
        };
        if made.is_err() {
            self.capsules.destroy(&id).await;
        }
        made
    }

    fn tells_of_the_machine(wish: &Wish) -> bool {
        // A profile that does not unpack does not.
        wish.profile.is_none()
    }
}

impl Maker {
    pub(crate) fn new(config: &NodeConfig, capsules: Capsules) -> Self {
        Self {
            authorities: Authorities::new(config.data_dir.join("trust"), capsules.ca_bundle.clone()),
            capsules,
            image: config.image.clone(),
            base_mb: config.browser_base_mb,
        }
    }

    async fn write_authorities(&self, trust: Trust, kept: PathBuf, rootfs: PathBuf) -> Result<(), StartError> {
        let id = self.capsules.own();
        let memory_mb = limit_mb(self.base_mb, Weight::Light);
        let written = match self.capsule(id.clone(), rootfs, limits(memory_mb, CPU_WEIGHT)).await {
            Ok(capsule) => trust::write(&trust, &Arc::new(capsule), &kept).await,
            Err(error) => Err(error),
        };
        self.capsules.destroy(&id).await;
        written
    }

    async fn capsule(&self, id: String, rootfs: PathBuf, limits: Limits) -> Result<Capsule, StartError> {
        let spec = Spec {
            id,
            driver: NATIVE.into(),
            profile: Profile::Browser,
            rootfs,
            limits,
            ca_bundle: self.capsules.ca_bundle.clone(),
            hostname: "vitrine".into(),
            binds: Vec::new(),
            disk: None,
            label: serde_json::Value::Null,
        };
        self.capsules.driver.create(spec).await.map_err(|error| StartError::failed("create a capsule", error))
    }

    /// A capsule that outlived its node, with the browser and the pages that are in it.
    pub(crate) async fn adopt(&self, id: &str, upstream: Upstream) -> Result<BrowserCapsule, StartError> {
        self.capsules.own_again(id);
        let adopted = self.take_up(id, upstream).await;
        if adopted.is_err() {
            self.capsules.destroy(id).await;
        }
        adopted
    }

    async fn take_up(&self, id: &str, upstream: Upstream) -> Result<BrowserCapsule, StartError> {
        let failed = |error: CapsuleError| StartError::failed("adopt a capsule", error);
        let capsule = Arc::new(self.capsules.driver.adopt(id).await.map_err(failed)?);
        let egress = self.capsules.egress(&capsule, Policy::default(), upstream).await?;
        let host = Arc::new(CapsuleHost::new(capsule.clone(), Vec::new()));
        let running = host.running().await.map_err(|error| StartError::failed("find the capsule's browser", error))?;
        let browser = Browser::attach(host.clone(), running, ADOPT_LIMIT)
            .await
            .map_err(|error| StartError::failed("attach to the capsule's browser", error))?;
        let adopted = BrowserCapsule { capsule, host, browser, egress, maker: self.clone(), tabs: Default::default() };
        // What the last node allowed went with its connection.
        adopted.permit_downloads(true).await?;
        Ok(adopted)
    }

    async fn furnish(
        &self,
        capsule: Arc<Capsule>,
        environment: Vec<(String, String)>,
        database: Option<&Path>,
        wish: &Wish,
    ) -> Result<BrowserCapsule, StartError> {
        let egress = self.capsules.egress(&capsule, closed(), Upstream::Closed).await?;
        let host = Arc::new(CapsuleHost::new(capsule.clone(), environment));
        trust::furnish(&capsule, database)?;
        let cookies = unpack(&capsule, wish.profile.clone()).await?;
        let browser = Browser::launch(host.clone(), &wish.launch())
            .await
            .map_err(|error| StartError::failed("start a browser", error))?;
        let made = BrowserCapsule { capsule, host, browser, egress, maker: self.clone(), tabs: Default::default() };
        made.permit_downloads(true).await?;
        made.restore(cookies).await?;
        Ok(made)
    }
}

/// What the kernel sends a process that it picked when memory ran out.
const SIGKILL: i32 = 9;
/// Where a client that says nothing else finds its downloads.
const DOWNLOADS: &str = "/session/downloads";

fn limits(memory_mb: u32, cpu_weight: u32) -> Limits {
    Limits { memory_bytes: u64::from(memory_mb) * MEBIBYTE, pids_max: PIDS_MAX, cpu_weight, cpu_max_millis: None }
}

/// Puts a saved profile where the browser will look for its own. Nothing has run in the capsule yet: its paths are ours.
async fn unpack(capsule: &Capsule, archive: Option<PathBuf>) -> Result<SessionCookies, StartError> {
    let Some(archive) = archive else { return Ok(SessionCookies::default()) };
    let folder = capsule.directory().join(PROFILE_FOLDER);
    let owner = capsule.uid_base() + trust::ORDINARY_USER;
    let work = move || -> Result<SessionCookies, StartError> {
        let failed = |error: String| StartError::failed("unpack the saved profile", error);
        let file = std::fs::File::open(&archive).map_err(|error| failed(error.to_string()))?;
        let unpacked = profile::unpack(file, &folder, Owner { uid: owner, gid: owner });
        let unpacked = unpacked.map_err(|error| failed(error.to_string()))?;
        std::fs::remove_file(&archive).map_err(|error| failed(error.to_string()))?;
        Ok(unpacked)
    };
    let unpacked = tokio::task::spawn_blocking(work).await;
    unpacked.unwrap_or_else(|error| Err(StartError::failed("unpack the saved profile", error)))
}

impl Warm for BrowserCapsule {
    fn id(&self) -> &str {
        self.capsule.id()
    }

    /// Whether the browser's process is still there.
    fn lives(&self) -> bool {
        use futures_util::FutureExt;
        self.browser.exited().now_or_never().is_none()
    }

    async fn destroy(&self) {
        self.maker.capsules.destroy(self.id()).await;
        self.egress.stop().await;
    }
}

impl BrowserCapsule {
    /// Makes it one session's: its memory limit, its way out.
    pub(crate) fn hand_out(&self, limit_mb: u32, upstream: Upstream) -> Result<(), StartError> {
        let limits = limits(limit_mb, CPU_WEIGHT);
        self.capsule.set_limits(&limits).map_err(|error| StartError::failed("set a capsule's limits", error))?;
        self.egress.set_upstream(upstream);
        self.egress.set_policy(Policy::default());
        Ok(())
    }

    /// `/devtools/browser/UUID`.
    pub(crate) fn websocket_path(&self) -> &str {
        self.browser.websocket_path()
    }

    /// A connection to a port of the capsule's loopback.
    pub(crate) async fn dial(&self, port: u16) -> std::io::Result<TcpStream> {
        self.host.dial(port).await
    }

    /// Our own connection to the browser.
    pub(crate) async fn connection(&self) -> Result<Connection, BrowserError> {
        self.browser.connection().await
    }

    /// One more connection, for what needs one for itself.
    pub(crate) async fn own_connection(&self) -> Result<Connection, BrowserError> {
        let stream = self.dial(DEVTOOLS_PORT).await.map_err(|error| BrowserError::Unreachable(error.to_string()))?;
        Ok(Connection::new(stream, self.websocket_path()).await?)
    }

    /// The browser's tabs, the same for all who ask.
    pub(crate) async fn tabs(&self) -> Result<Tabs, BrowserError> {
        let mut kept = self.tabs.lock().await;
        if let Some(tabs) = kept.as_ref().filter(|tabs| tabs.connection().is_open()) {
            return Ok(tabs.clone());
        }
        let tabs = Tabs::open(self.connection().await?, screen::Settings::default()).await?;
        Ok(kept.insert(tabs).clone())
    }

    /// Asks the browser to end, so that it writes its profile; waits for its end when it has been asked by a client.
    pub(crate) async fn close(&self, grace: Duration) -> Exit {
        self.browser.close(grace).await
    }

    /// The user-data folder, on the host. Not to be touched while the browser lives.
    pub(crate) fn profile_folder(&self) -> PathBuf {
        self.capsule.directory().join(PROFILE_FOLDER)
    }

    async fn restore(&self, cookies: SessionCookies) -> Result<(), StartError> {
        let failed = |error: String| StartError::failed("give a saved profile's cookies to the browser", error);
        let connection = self.connection().await.map_err(|error| failed(error.to_string()))?;
        cookies.restore(&connection).await.map_err(|error| failed(error.to_string()))
    }

    /// Lets pages download for clients that say nothing of it, or keeps them from it: before the first client comes and when the last has left, so that
    /// no client's own choice is taken back.
    pub(crate) async fn permit_downloads(&self, allowed: bool) -> Result<(), StartError> {
        let failed = |error: String| StartError::failed("say whether pages may download", error);
        let connection = self.connection().await.map_err(|error| failed(error.to_string()))?;
        let folder = allowed.then_some(DOWNLOADS);
        downloads::permit(&connection, None, folder).await.map_err(|error| failed(error.to_string()))
    }

    /// The browser's downloads from now on.
    pub(crate) async fn downloads(&self) -> Result<Downloads, BrowserError> {
        Ok(Downloads::watch(&self.connection().await?))
    }

    /// The capsule's files, as they are now.
    pub(crate) fn files(&self) -> Result<Files, CapsuleError> {
        self.capsule.files()
    }

    /// Another way out; connections of the old one are reset.
    pub(crate) fn set_upstream(&self, upstream: Upstream) {
        self.egress.set_upstream(upstream);
    }

    /// What went through the capsule's egress so far.
    pub(crate) fn egress_bytes(&self) -> EgressBytes {
        capsules::bytes(&self.egress)
    }

    /// Waits for the end of the browser's process, and says what it means.
    pub(crate) async fn ended(&self) -> Ended {
        let exit = self.browser.exited().await;
        let failure = match Ending::from(exit) {
            Ending::ClosedByClient => None,
            Ending::Crashed(exit) => Some(self.crashed(exit).await),
        };
        Ended { failure }
    }

    async fn crashed(&self, exit: Exit) -> (EndReason, String) {
        let out_of_memory = self.capsule.oom_kills().unwrap_or(0) > 0;
        // The kernel takes the browser itself, or its graphics process until the browser gives up.
        if out_of_memory && (exit == Exit::Signal(SIGKILL) || gave_up(&self.last_output().await)) {
            return (EndReason::OutOfMemory, "the session reached its memory limit".into());
        }
        (EndReason::BrowserCrashed, format!("the browser ended with {exit}"))
    }

    async fn last_output(&self) -> String {
        tokio::time::timeout(LAST_OUTPUT_LIMIT, self.browser.running().tail()).await.unwrap_or_default()
    }
}
