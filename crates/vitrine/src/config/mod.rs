//! The configuration: one typed value, made of defaults, `vitrine.toml`, the environment and flags, in rising precedence.
//!
//! A key `section.name` is `VITRINE_SECTION_NAME` in the environment and `--section-name` as a flag; [`setting`] lists
//! them all. What does not fit its type is refused with the place it came from; what fits but makes no sense, by
//! [`check`].

pub mod check;
pub mod load;
pub mod setting;
mod value;

pub use load::Loaded;
pub use value::{HeldProxy, NamedRuntime, RateLimits};

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use vitrine_model::{Plans, Secret};
use vitrine_server::config::{DemoConfig, EmbedConfig, Pack, Provider, RegionPoint};
use vitrine_server::upstream::ProxyUrl;

const MINUTE_MS: u64 = 60_000;
const GIBIBYTE: u64 = 1024 * 1024 * 1024;

/// Every setting of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub image_dir: PathBuf,
    /// What clients reach the server by, when that is not the address they connect to.
    pub public_url: Option<String>,
    pub store: Store,
    pub server: Server,
    pub shutdown: Shutdown,
    pub machine: Machine,
    pub browser: Browser,
    pub pool: Pool,
    pub sandboxes: Sandboxes,
    pub previews: Previews,
    pub egress: Egress,
    pub capsule: Capsule,
    pub isolation: Isolation,
    pub image: Image,
    pub objects: Objects,
    pub artifacts: Artifacts,
    pub profiles: SavedProfiles,
    pub stealth: Stealth,
    pub captcha: Captcha,
    pub webhooks: Webhooks,
    pub embed: Embed,
    pub demo: Demo,
    pub log: Log,
    pub rate_limits: RateLimits,
    pub plans: Plans,
}

/// Where state is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `postgres://…`; without it, SQLite at `DATA_DIR/vitrine.db`.
    pub url: Option<Secret>,
}

/// The server's own limits and clocks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub threads: usize,
    pub trust_proxy: bool,
    pub cors_origins: Vec<String>,
    pub connections_max: usize,
    pub body_max_bytes: usize,
    pub header_timeout_ms: u64,
    pub queue_deadline_ms: u64,
    pub lease_ms: u64,
    pub beat_ms: u64,
}

/// How a server stops.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    pub grace_ms: u64,
}

/// This host as placement sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub region: String,
    pub region_global: String,
    /// Memory that placement may promise; by default most of the machine's.
    pub reserve_total_mb: Option<u32>,
    pub slots: u32,
}

/// What a browser gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Browser {
    pub base_mb: u32,
    pub reserve_light_mb: u32,
    pub reserve_medium_mb: u32,
    pub reserve_heavy_mb: u32,
    pub idle_timeout_ms: u64,
}

/// Browsers that wait, started, for a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    pub browsers: u32,
    /// Below this much available memory the pool is not refilled.
    pub memory_min_mb: u64,
}

/// What a sandbox gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandboxes {
    /// Sandboxes that wait, started, for a session.
    pub pool: u32,
    /// Memory that placement counts for one.
    pub reserve_mb: u32,
    /// All that one may write.
    pub disk_bytes: u64,
    /// All that a machine keeps of checkpoints that sandboxes began as.
    pub checkpoints_bytes_max: u64,
    /// Frozen for so long, a paused one moves to disk.
    pub pause_disk_after_ms: u64,
    /// Paused for so long, one is ended; 0 = never.
    pub kept_paused_ms: u64,
}

/// How ports of sandboxes are seen from outside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previews {
    /// Each port gets a host name below it; without one, a path below the server's own address.
    pub domain: Option<String>,
}

/// The way out of the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Names that go to an address of the operator's choice, past the guard.
    #[serde(deserialize_with = "value::hosts")]
    pub hosts: String,
    pub profiles: Profiles,
}

/// Upstream proxies of each egress profile; an empty list is an unconfigured profile.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profiles {
    /// Each with the organization that holds it.
    pub dedicated_dc: Vec<HeldProxy>,
    pub rotating_residential: Vec<ProxyUrl>,
    pub static_residential: Vec<ProxyUrl>,
}

/// What every capsule gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capsule {
    /// Certificates that capsules trust; by default the machine's own bundle.
    pub ca_bundle: Option<PathBuf>,
}

/// Which image capsules run, and how it is built.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub name: String,
    /// Builds it at start when it is missing.
    pub build: bool,
    /// Builds the image with LibreOffice too.
    pub build_documents: bool,
    /// Lines of a `sources.list`, in place of the machine's own.
    pub apt_sources: Vec<String>,
}

/// Where recordings, downloads, profiles and the like are kept: a folder, or a bucket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// A folder; by default `DATA_DIR/objects`.
    pub dir: Option<PathBuf>,
    /// A bucket of S3 or of what speaks like it, instead of a folder.
    pub s3_bucket: Option<String>,
    /// By default Amazon's own of the region.
    pub s3_endpoint: Option<String>,
    pub s3_region: Option<String>,
    pub s3_access_key: Option<String>,
    pub s3_secret_key: Option<Secret>,
    /// The bucket stands in the path and not in the host name.
    pub s3_path_style: bool,
}

/// What sessions leave behind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifacts {
    /// How long they are kept; 0 = for ever.
    pub kept_ms: u64,
    /// Largest file that a page may give, or a client put.
    pub file_bytes_max: u64,
    /// All downloads of a session together.
    pub session_bytes_max: u64,
}

/// Saved browser profiles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedProfiles {
    /// A larger one is not saved; the last good one stays.
    pub bytes_max: u64,
}

/// What a browser with `stealth` says of where it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stealth {
    /// BCP 47.
    pub language: String,
    /// IANA name; by default the machine's own.
    pub timezone: Option<String>,
}

/// What confines sandboxes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isolation {
    /// The driver of sandboxes that name none.
    pub driver: String,
    /// OCI runtimes beside the native driver.
    pub runtimes: Vec<NamedRuntime>,
}

/// Who answers CAPTCHAs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captcha {
    /// Gets each challenge by POST; without it, they are only reported.
    pub solver_url: Option<String>,
    /// Sent to it as `Authorization: Bearer`.
    pub solver_secret: Option<Secret>,
}

/// Where webhooks may go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Plain http, and private, loopback and link-local addresses.
    pub allow_private: bool,
}

/// Browsers for whoever visits `/demo`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    /// By default where only this machine reaches the server.
    pub enabled: Option<bool>,
    pub sessions_max: u32,
    pub address_sessions_max: u32,
}

/// Embed sessions: where they run, and what their minutes cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// Where sessions go whose `clientIP` says nothing.
    pub default_region: Option<String>,
    /// Where regions are that nobody else knows.
    pub regions: Vec<RegionPoint>,
    /// In MaxMind's format; without it, `clientIP` says nothing.
    pub geoip_database: Option<PathBuf>,
    /// ISO 4217, in small letters.
    pub currency: String,
    pub packs: Vec<Pack>,
    /// Who takes the money.
    pub billing: Provider,
    pub stripe_secret_key: Option<Secret>,
    pub stripe_webhook_secret: Option<Secret>,
    pub stripe_url: String,
    /// Who may frame every session's page.
    pub frame_ancestors: Vec<String>,
    /// Whose pages may ask for demo sessions.
    pub trusted_origins: Vec<String>,
    /// Where words that a person types instead of an address are searched for.
    pub search_url: String,
}

/// What the log looks like.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

/// One line for a person, or one JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            data_dir: default_data_dir(),
            image_dir: vitrine_capsule::image::Store::default_directory(),
            public_url: None,
            store: Store { url: None },
            server: Server::default(),
            shutdown: Shutdown { grace_ms: 10_000 },
            machine: Machine {
                region: "loc".to_owned(),
                region_global: "local".to_owned(),
                reserve_total_mb: None,
                slots: 200,
            },
            browser: Browser {
                base_mb: 512,
                reserve_light_mb: 96,
                reserve_medium_mb: 192,
                reserve_heavy_mb: 384,
                idle_timeout_ms: MINUTE_MS,
            },
            pool: Pool { browsers: 4, memory_min_mb: 1024 },
            sandboxes: Sandboxes {
                pool: 8,
                reserve_mb: 64,
                disk_bytes: 10 * GIBIBYTE,
                checkpoints_bytes_max: 20 * GIBIBYTE,
                pause_disk_after_ms: 10 * MINUTE_MS,
                kept_paused_ms: 30 * 24 * 60 * MINUTE_MS,
            },
            previews: Previews::default(),
            egress: Egress { hosts: String::new(), profiles: Profiles::default() },
            capsule: Capsule { ca_bundle: None },
            isolation: Isolation { driver: vitrine_capsule::NATIVE.to_owned(), runtimes: Vec::new() },
            objects: Objects::default(),
            artifacts: Artifacts {
                kept_ms: 7 * 24 * 60 * MINUTE_MS,
                file_bytes_max: GIBIBYTE,
                session_bytes_max: 4 * GIBIBYTE,
            },
            profiles: SavedProfiles { bytes_max: GIBIBYTE / 4 },
            stealth: Stealth { language: "en-US".to_owned(), timezone: None },
            captcha: Captcha::default(),
            webhooks: Webhooks::default(),
            embed: Embed::default(),
            demo: Demo::default(),
            image: Image { name: "standard".to_owned(), build: true, build_documents: false, apt_sources: Vec::new() },
            log: Log { format: LogFormat::Text, level: "info".to_owned() },
            rate_limits: RateLimits::default(),
            plans: Plans::default(),
        }
    }
}

impl Default for Embed {
    fn default() -> Self {
        let EmbedConfig { currency, packs, billing, .. } = EmbedConfig::default();
        Self {
            default_region: None,
            regions: Vec::new(),
            geoip_database: None,
            currency,
            packs,
            billing: billing.provider,
            stripe_secret_key: None,
            stripe_webhook_secret: None,
            stripe_url: billing.stripe_url,
            frame_ancestors: Vec::new(),
            trusted_origins: Vec::new(),
            search_url: vitrine_node::CarriedConfig::default().search_url,
        }
    }
}

impl Default for Demo {
    fn default() -> Self {
        let DemoConfig { sessions_max, address_sessions_max, .. } = DemoConfig::default();
        Self { enabled: None, sessions_max, address_sessions_max }
    }
}

impl Default for Server {
    fn default() -> Self {
        /// More threads than this wait for SQLite's one writer, not for a core.
        const THREADS_MAX: usize = 4;
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX),
            trust_proxy: false,
            cors_origins: Vec::new(),
            connections_max: 8_192,
            body_max_bytes: 1024 * 1024,
            header_timeout_ms: 10_000,
            queue_deadline_ms: MINUTE_MS,
            lease_ms: 45_000,
            beat_ms: 5_000,
        }
    }
}

impl Config {
    /// The certificates that capsules trust: what is configured, else `SSL_CERT_FILE`, else Debian's bundle if there is one.
    pub fn ca_bundle(&self) -> Option<PathBuf> {
        const DEBIAN_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
        let named = std::env::var_os("SSL_CERT_FILE").filter(|value| !value.is_empty()).map(PathBuf::from);
        let chosen = self.capsule.ca_bundle.clone().or(named).unwrap_or_else(|| PathBuf::from(DEBIAN_BUNDLE));
        (self.capsule.ca_bundle.is_some() || chosen.is_file()).then_some(chosen)
    }
}

/// The system's place for root, the user's own otherwise.
fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/vitrine");
    }
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let share = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    share.unwrap_or_else(|| PathBuf::from(".")).join("vitrine")
}
