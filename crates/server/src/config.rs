//! Everything that an operator may set about the server. Every figure has a default, a unit in its name and a check.

pub use crate::embed::config::{Billing, DemoConfig, EmbedConfig, Provider, RegionPoint};
pub use crate::embed::pricing::Pack;
use crate::gateway::GatewayConfig;
use crate::gateway::preview::is_domain;
use crate::upstream::EgressProfiles;
use crate::webhooks::WebhookConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use vitrine_model::api_key::KeyHash;
use vitrine_model::rate::{READ_DEFAULT, RateLimit, WRITE_DEFAULT};
use vitrine_model::{Plans, Secret, Weight, browser};

/// The server's settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Under which clients reach us, for example `https://browsers.example.org/vitrine`; none = the request's `Host`.
    pub public_url: Option<String>,
    /// Believe `X-Forwarded-For`, `-Proto` and `-Host`: only behind a proxy that sets them itself.
    pub trust_proxy: bool,
    /// Origins whose pages may call the API from a browser; none by default.
    pub cors_origins: Vec<String>,
    /// What each plan allows.
    pub plans: Plans,
    /// Other figures for a class of requests, by its name; `*` stands for all that are not named.
    pub rate_limits: BTreeMap<String, RateLimit>,
    /// Regions that clients may name besides those of the machines that have registered.
    pub regions: Vec<String>,
    /// The upstream proxies of each egress profile.
    pub egress_profiles: EgressProfiles,
    /// Names to which an operator gave an address, private ones too (`egress.hosts`): a client's proxy may be one of them.
    pub egress_hosts: BTreeMap<String, IpAddr>,
    /// Memory that placement promises to a browser of each weight.
    pub reserve_mb: ReserveMb,
    /// Memory that placement promises to a sandbox.
    pub sandbox_reserve_mb: u32,
    /// How long a paused sandbox is kept before it is ended; 0 = for ever.
    pub paused_kept_ms: u64,
    /// Memory of the browser itself; a capsule's limit is this and the weight's tier.
    pub browser_base_mb: u32,
    /// `idleTimeoutMs` where the client names none.
    pub idle_timeout_default_ms: u64,
    /// How long a session waits for room.
    pub queue_deadline_ms: u64,
    /// How long a machine may take to start a session.
    pub start_deadline_ms: u64,
    /// How often a machine says that it lives.
    pub beat_ms: u64,
    /// No new sessions for a machine that was silent this long.
    pub beat_fresh_ms: u64,
    /// A machine that was silent this long is lost.
    pub lease_ms: u64,
    /// What lets a machine register over the network; none = only the machine in this process.
    #[serde(serialize_with = "masked")]
    pub join_token: Option<Secret>,
    /// How long a session's artifacts are kept; 0 = for ever.
    pub artifacts_kept_ms: u64,
    /// Artifacts that a session may leave.
    pub artifacts_max: u32,
    /// Largest artifact.
    pub artifact_bytes_max: u64,
    /// How long a saved profile is kept that no session uses; 0 = for ever.
    pub profiles_kept_ms: u64,
    /// Largest saved profile.
    pub profile_bytes_max: u64,
    /// Largest body of a request that is no file.
    pub body_bytes_max: usize,
    /// A client must send the head of a request within this time; an idle connection is closed after it.
    pub head_timeout_ms: u64,
    /// A client must send the body of a request within this time.
    pub body_timeout_ms: u64,
    /// Open connections; the next ones wait to be accepted.
    pub connections_max: usize,
    /// How long requests may finish after the order to stop.
    pub shutdown_grace_ms: u64,
    /// Failed sessions in five minutes, by our fault, from which on `/health` says degraded.
    pub errors_degraded_min: u64,
    /// Live connections.
    pub gateway: GatewayConfig,
    /// Where events go.
    pub webhooks: WebhookConfig,
    /// The embed platform.
    pub embed: EmbedConfig,
    /// SHA-256 of the operator's key; none = `/admin/v1` answers nobody.
    #[serde(skip)]
    pub operator_key: Option<KeyHash>,
}

const DAY_MS: u64 = 86_400_000;
const GIB: u64 = 1024 * 1024 * 1024;

/// Memory promised per weight.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReserveMb {
    pub light: u32,
    pub medium: u32,
    pub heavy: u32,
}

impl ReserveMb {
    /// One weight's figure.
    pub fn of(&self, weight: Weight) -> u32 {
        match weight {
            Weight::Light => self.light,
            Weight::Medium => self.medium,
            Weight::Heavy => self.heavy,
        }
    }
}

impl Default for ReserveMb {
    fn default() -> Self {
        Self { light: 96, medium: 192, heavy: 384 }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            trust_proxy: false,
            cors_origins: Vec::new(),
            plans: Plans::default(),
            rate_limits: BTreeMap::new(),
            regions: Vec::new(),
            egress_profiles: EgressProfiles::default(),
            egress_hosts: BTreeMap::new(),
            reserve_mb: ReserveMb::default(),
            sandbox_reserve_mb: 64,
            paused_kept_ms: 30 * DAY_MS,
            browser_base_mb: 512,
            idle_timeout_default_ms: browser::IDLE_TIMEOUT_DEFAULT_MS,
            queue_deadline_ms: 60_000,
            start_deadline_ms: 30_000,
            beat_ms: 5_000,
            beat_fresh_ms: 15_000,
            lease_ms: 45_000,
            join_token: None,
            artifacts_kept_ms: 7 * DAY_MS,
            artifacts_max: 1_000,
            artifact_bytes_max: 8 * GIB,
            profiles_kept_ms: 0,
            profile_bytes_max: GIB,
            body_bytes_max: 1024 * 1024,
            head_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            connections_max: 8_192,
            shutdown_grace_ms: 10_000,
            errors_degraded_min: 10,
            gateway: GatewayConfig::default(),
            webhooks: WebhookConfig::default(),
            embed: EmbedConfig::default(),
            operator_key: None,
        }
    }
}

/// A class of requests that share one bucket per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    BrowsersCreate,
    BrowsersRead,
    BrowsersDelete,
    /// What changes a running session: its way out, its viewers.
    BrowsersWrite,
    FilesRead,
    FilesWrite,
    ProfilesRead,
    ProfilesWrite,
    SandboxesCreate,
    SandboxesRead,
    SandboxesDelete,
    /// What changes a sandbox: pause, resume, checkpoints, its network, documents.
    SandboxesWrite,
    SandboxesExec,
    SandboxesCode,
    SandboxesTerminal,
    SandboxFilesRead,
    SandboxFilesList,
    SandboxFilesWrite,
    UsageRead,
    ApiKeysRead,
    ApiKeysWrite,
    WebhooksRead,
    WebhooksWrite,
    EmbedCreate,
    EmbedRead,
    /// What ends an embed session or changes its policy.
    EmbedWrite,
    /// What anybody may read, and the way to a session's page, per address.
    EmbedPublic,
    /// Orders of minutes, per address.
    Checkout,
    /// The operator's requests.
    Admin,
    /// Requests without a good key, per address.
    Unauthenticated,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 30] = [
        Class::BrowsersCreate,
        Class::BrowsersRead,
        Class::BrowsersDelete,
        Class::BrowsersWrite,
        Class::FilesRead,
        Class::FilesWrite,
        Class::ProfilesRead,
        Class::ProfilesWrite,
        Class::SandboxesCreate,
        Class::SandboxesRead,
        Class::SandboxesDelete,
        Class::SandboxesWrite,
        Class::SandboxesExec,
        Class::SandboxesCode,
        Class::SandboxesTerminal,
        Class::SandboxFilesRead,
        Class::SandboxFilesList,
        Class::SandboxFilesWrite,
        Class::UsageRead,
        Class::ApiKeysRead,
        Class::ApiKeysWrite,
        Class::WebhooksRead,
        Class::WebhooksWrite,
        Class::EmbedCreate,
        Class::EmbedRead,
        Class::EmbedWrite,
        Class::EmbedPublic,
        Class::Checkout,
        Class::Admin,
        Class::Unauthenticated,
    ];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Class::BrowsersCreate => "browsers.create",
            Class::BrowsersRead => "browsers.read",
            Class::BrowsersDelete => "browsers.delete",
            Class::BrowsersWrite => "browsers.write",
            Class::FilesRead => "files.read",
            Class::FilesWrite => "files.write",
            Class::ProfilesRead => "profiles.read",
            Class::ProfilesWrite => "profiles.write",
            Class::SandboxesCreate => "sandboxes.create",
            Class::SandboxesRead => "sandboxes.read",
            Class::SandboxesDelete => "sandboxes.delete",
            Class::SandboxesWrite => "sandboxes.write",
            Class::SandboxesExec => "sandboxes.exec",
            Class::SandboxesCode => "sandboxes.code",
            Class::SandboxesTerminal => "sandboxes.terminal",
            Class::SandboxFilesRead => "sandbox_files.read",
            Class::SandboxFilesList => "sandbox_files.list",
            Class::SandboxFilesWrite => "sandbox_files.write",
            Class::UsageRead => "usage.read",
            Class::ApiKeysRead => "api_keys.read",
            Class::ApiKeysWrite => "api_keys.write",
            Class::WebhooksRead => "webhooks.read",
            Class::WebhooksWrite => "webhooks.write",
            Class::EmbedCreate => "embed.create",
            Class::EmbedRead => "embed.read",
            Class::EmbedWrite => "embed.write",
            Class::EmbedPublic => "embed.public",
            Class::Checkout => "checkout",
            Class::Admin => "admin",
            Class::Unauthenticated => "unauthenticated",
        }
    }

    /// The documented figures.
    pub fn documented(self) -> RateLimit {
        match self {
            Class::BrowsersCreate | Class::SandboxesCreate | Class::EmbedCreate => {
                RateLimit { per_minute: 60, burst: 20 }
            }
            Class::Checkout => RateLimit { per_minute: 20, burst: 10 },
            Class::BrowsersDelete | Class::SandboxesDelete | Class::EmbedWrite => {
                RateLimit { per_minute: 120, burst: 30 }
            }
            Class::UsageRead => RateLimit { per_minute: 30, burst: 10 },
            Class::BrowsersWrite
            | Class::FilesWrite
            | Class::ProfilesWrite
            | Class::SandboxesWrite
            | Class::SandboxesExec
            | Class::SandboxesCode
            | Class::SandboxFilesRead
            | Class::SandboxFilesList
            | Class::SandboxFilesWrite
            | Class::ApiKeysWrite
            | Class::WebhooksWrite => WRITE_DEFAULT,
            Class::BrowsersRead
            | Class::FilesRead
            | Class::ProfilesRead
            | Class::SandboxesRead
            | Class::SandboxesTerminal
            | Class::ApiKeysRead
            | Class::WebhooksRead
            | Class::EmbedRead
            | Class::EmbedPublic
            | Class::Admin
            | Class::Unauthenticated => READ_DEFAULT,
        }
    }
}

/// The name that stands for every class that is not named itself.
const EVERY_CLASS: &str = "*";

impl ServerConfig {
    /// The figures of a class: its own, else those of `*`, else the documented ones.
    pub fn rate_limit(&self, class: Class) -> RateLimit {
        let named = self.rate_limits.get(class.name()).or_else(|| self.rate_limits.get(EVERY_CLASS));
        named.copied().unwrap_or_else(|| class.documented())
    }

    /// Everything that is wrong, each with the key and what would be right.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(url) = &self.public_url
            && let Err(problem) = crate::gateway::Base::parse(url)
        {
            problems.push(format!("public_url: {problem}"));
        }
        if let Some(domain) = self.gateway.preview_domain.as_deref().filter(|domain| !is_domain(domain)) {
            problems.push(format!("gateway.preview_domain: {domain:?} is not a domain such as preview.example.org"));
        }
        for name in self.rate_limits.keys().filter(|name| *name != EVERY_CLASS) {
            if !Class::ALL.iter().any(|class| class.name() == name) {
                let names: Vec<_> = Class::ALL.iter().map(|class| class.name()).collect();
                problems.push(format!("rate_limits.{name}: no such class; one of *, {}", names.join(", ")));
            }
        }
        for (name, limit) in &self.rate_limits {
            if limit.per_minute == 0 || limit.burst == 0 {
                problems.push(format!("rate_limits.{name}: per_minute and burst must be at least 1"));
            }
        }
        for region in self.regions.iter().filter(|region| !is_region(region)) {
            problems.push(format!("regions: {region:?} is not three letters of a-z"));
        }
        for origin in &self.cors_origins {
            if http::HeaderValue::from_str(origin).is_err() || !origin.contains("://") {
                problems.push(format!("cors_origins: {origin:?} is not an origin such as https://app.example.org"));
            }
        }
        problems.extend(self.embed.problems());
        let positive = [
            ("queue_deadline_ms", self.queue_deadline_ms),
            ("start_deadline_ms", self.start_deadline_ms),
            ("beat_ms", self.beat_ms),
            ("body_bytes_max", self.body_bytes_max as u64),
            ("head_timeout_ms", self.head_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("connections_max", self.connections_max as u64),
        ];
        problems.extend(
            positive.iter().filter(|(_, value)| *value == 0).map(|(name, _)| format!("{name}: must be at least 1")),
        );
        if self.beat_fresh_ms < 2 * self.beat_ms || self.lease_ms < self.beat_fresh_ms {
            problems.push("lease_ms: needs lease_ms >= beat_fresh_ms >= 2 * beat_ms".to_owned());
        }
        problems
    }
}

/// Whether it looks like a region's code.
pub fn is_region(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn masked<S: serde::Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| "***").serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_figures_and_have_no_problems() {
        let config = ServerConfig::default();
        assert_eq!(config.problems(), Vec::<String>::new());
        assert_eq!(config.rate_limit(Class::BrowsersCreate), RateLimit { per_minute: 60, burst: 20 });
        assert_eq!(config.rate_limit(Class::BrowsersRead), RateLimit { per_minute: 600, burst: 100 });
        assert_eq!(config.rate_limit(Class::BrowsersDelete), RateLimit { per_minute: 120, burst: 30 });
        assert_eq!(config.rate_limit(Class::UsageRead), RateLimit { per_minute: 30, burst: 10 });
    }

    #[test]
    fn a_star_raises_what_is_not_named_and_a_typo_is_told() {
        let mut config = ServerConfig::default();
        let raised = RateLimit { per_minute: 6_000, burst: 2_000 };
        config.rate_limits.insert("*".into(), raised);
        config.rate_limits.insert("usage.read".into(), RateLimit { per_minute: 1, burst: 1 });
        assert_eq!(config.rate_limit(Class::BrowsersCreate), raised);
        assert_eq!(config.rate_limit(Class::UsageRead).burst, 1);
        config.rate_limits.insert("browser.create".into(), raised);
        config.regions.push("IAD".into());
        config.lease_ms = 1;
        assert_eq!(config.problems().len(), 3, "{:?}", config.problems());
    }

    #[test]
    fn a_join_token_is_never_written_out() {
        let config = ServerConfig { join_token: Some(Secret::new("let-me-in")), ..Default::default() };
        let text = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
        assert!(!text.contains("let-me-in"));
    }
}
