//! What a node is told at its start.

use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use vitrine_capsule::{NATIVE, Runtime};
use vitrine_egress::HostExceptions;
use vitrine_model::{MachineId, Secret};

/// Everything a node needs to know.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where capsules and run files live.
    pub data_dir: PathBuf,
    pub machine: MachineId,
    /// Three-letter code.
    pub region_code: String,
    /// Global code.
    pub region_global: String,
    pub provider: String,
    /// Memory that placement may promise, in MiB.
    pub reserve_total_mb: u32,
    /// Sessions at once.
    pub slots_total: u32,
    /// The image that capsules start from, as soon as there is one.
    pub image: watch::Receiver<Image>,
    pub pool: PoolConfig,
    /// Names that connect to an address of the operator's choice, past the guard.
    pub egress_hosts: HostExceptions,
    /// Certificates that capsules trust: the machine's own bundle.
    pub ca_bundle: Option<PathBuf>,
    /// Memory of a browser capsule below the weight's tier, in MiB: the browser itself.
    pub browser_base_mb: u32,
    pub carried: CarriedConfig,
    pub sandbox: SandboxConfig,
}

/// What sandboxes are.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Warm sandboxes.
    pub pool: PoolConfig,
    /// The image with LibreOffice, for those that ask for it.
    pub documents: watch::Receiver<Image>,
    /// The isolation driver of those that name none.
    pub driver: String,
    /// The drivers beside the native one.
    pub runtimes: Vec<Runtime>,
    /// What each may write, all together.
    pub disk_bytes: u64,
    /// All that is kept on this machine of checkpoints that sandboxes began as.
    pub checkpoints_bytes_max: u64,
    /// How long a paused one stays in memory.
    pub pause_disk_after: Duration,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        let message = "the image `documents` is not built: run `vitrine image build documents`".into();
        Self {
            pool: PoolConfig { size: 8, refill_pause: Duration::from_millis(20), ..PoolConfig::default() },
            documents: watch::Sender::new(Image::Missing { message }).subscribe(),
            driver: NATIVE.into(),
            runtimes: Vec::new(),
            disk_bytes: 10 * GIBIBYTE,
            checkpoints_bytes_max: 20 * GIBIBYTE,
            pause_disk_after: Duration::from_secs(600),
        }
    }
}

/// What sessions carry besides their browser.
#[derive(Debug, Clone)]
pub struct CarriedConfig {
    /// Largest file that a page may give or a client put.
    pub file_bytes_max: u64,
    /// All downloads of a session together, and all that is put into it together.
    pub session_bytes_max: u64,
    /// A larger profile is not saved; the last good one stays.
    pub profile_bytes_max: u64,
    /// What a browser with stealth says of where it is: BCP 47, and an IANA name (by default the machine's own).
    pub stealth_language: String,
    pub stealth_timezone: Option<String>,
    /// Where the page of an embed session searches: an address with `{query}` in it.
    pub search_url: String,
    pub solver: Option<Solver>,
}

/// The operator's endpoint that answers CAPTCHAs.
#[derive(Debug, Clone)]
pub struct Solver {
    /// Gets each challenge by POST.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub secret: Option<Secret>,
}

const GIBIBYTE: u64 = 1024 * 1024 * 1024;

impl Default for CarriedConfig {
    fn default() -> Self {
        Self {
            file_bytes_max: GIBIBYTE,
            session_bytes_max: 4 * GIBIBYTE,
            profile_bytes_max: GIBIBYTE / 4,
            stealth_language: "en-US".into(),
            stealth_timezone: None,
            search_url: "https://duckduckgo.com/?q={query}".into(),
            solver: None,
        }
    }
}

/// The image, or why there is none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// Not there; what is being done about it.
    Missing { message: String },
    /// A root file system, ready to be used.
    Ready { rootfs: PathBuf, environment: Vec<(String, String)> },
}

/// The pool of warm browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Warm browsers to hold.
    pub size: usize,
    /// Below this much available memory the pool is not refilled, in MiB.
    pub memory_min_mb: u64,
    /// How long a claim is followed by quiet before the pool refills, so that a refill does not slow the session just
    /// handed out.
    pub refill_pause: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { size: 4, memory_min_mb: 1024, refill_pause: Duration::from_millis(200) }
    }
}
