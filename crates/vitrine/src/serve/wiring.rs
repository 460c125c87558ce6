//! Server and node in one process: made from the configuration, connected in memory, started and stopped in order.

use super::data_dir::DataDir;
use super::link::{ToNode, ToServer};
use super::{first_start, image};
use crate::config::Config;
use crate::config::check::BEATS_IN_A_LEASE;
use anyhow::{Context as _, anyhow};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitrine_model::{EndReason, Entropy, MachineId, Secret};
use vitrine_node::{CarriedConfig, Image, Node, NodeConfig, PoolConfig, SandboxConfig, Solver};
use vitrine_server::config::{Billing, DemoConfig, EmbedConfig, ReserveMb};
use vitrine_server::gateway::GatewayConfig;
use vitrine_server::upstream::{EgressProfiles, HeldProxy};
use vitrine_server::webhooks::WebhookConfig;
use vitrine_server::{Clock as _, Server, ServerConfig, SystemClock};
use vitrine_store::{Bucket, Location, Objects, ObjectsLocation, Store, StoreOptions};

/// The machine of a server that has only its own.
const PROVIDER: &str = "local";
/// Of the machine's memory, what sessions may be promised: the rest is for the system, the server and the warm pool.
const RESERVE_PERCENT: u64 = 75;

/// The image with LibreOffice.
const DOCUMENTS: &str = "documents";

/// Where a bucket is when nothing says so: what services other than Amazon's expect to be asked for.
const S3_REGION: &str = "us-east-1";

/// Between two looks at who is still connected.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A server and its node at work.
pub struct Running {
    pub made_keys: Option<first_start::Keys>,
    server: Server,
    node: Node,
    store: Store,
    /// Stops the listener and the reconcilers, last.
    shutdown: CancellationToken,
    /// Stops an image build, first.
    image_stop: CancellationToken,
    tasks: TaskTracker,
    listener: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Starts everything; the API answers from before the machine is ready.
    pub async fn start(config: &Config, data: &DataDir, listener: TcpListener) -> anyhow::Result<Self> {
        let entropy: Arc<dyn Entropy> = Arc::new(system_entropy);
        let machine = data.machine(entropy.as_ref())?;
        let store = Store::open(location(config, data), StoreOptions::default()).await;
        let store = store.context("could not open the database")?;
        let objects = Objects::open(objects_location(config, data)).map_err(|error| anyhow!("could not {error}"))?;
        let now = SystemClock.now();
        let (operator_key, made_keys) = first_start::prepare(data, &store, entropy.as_ref(), now).await?;
        let to_node = ToNode::new();
        let server_config = ServerConfig { operator_key: Some(operator_key), ..server_config(config) };
        let (clock, nodes) = (Arc::new(SystemClock), Arc::new(to_node.clone()));
        let server = Server::new(server_config, store.clone(), objects, clock, entropy, nodes);
        let server = server.await.map_err(|error| anyhow!("could not {error}"))?;

        let shutdown = CancellationToken::new();
        let image_stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (serving, stop) = (server.clone(), shutdown.clone());
        let listener = tokio::spawn(async move { serving.serve(listener, stop).await });
        let (reconciling, stop) = (server.clone(), shutdown.clone());
        tasks.spawn(async move { reconciling.reconcile(stop).await });
        let (image, providing) = image::provide(config, &config.image.name, config.image.build, image_stop.clone());
        tasks.spawn(providing);
        let build = config.image.build_documents;
        let (documents, providing) = image::provide(config, DOCUMENTS, build, image_stop.clone());
        tasks.spawn(providing);
        let node = Node::start(
            node_config(config, data, machine.clone(), image, documents),
            Arc::new(ToServer::new(server.internal_router())),
        );
        let node = node.await.map_err(|error| {
            anyhow!("could not {error}\n  `vitrine doctor` says what this machine lacks and how to get it.")
        })?;
        to_node.connect(machine, node.data_plane());
        Ok(Self { made_keys, server, node, store, shutdown, image_stop, tasks, listener })
    }

    /// Waits for what should not happen: the listener ends although nobody stopped it.
    pub async fn failed(&mut self) -> anyhow::Error {
        match (&mut self.listener).await {
            Ok(Ok(())) => anyhow!("the server stopped listening"),
            Ok(Err(error)) => anyhow!("the server cannot listen any more: {error}"),
            Err(error) => anyhow!("the server's listener failed: {error}"),
        }
    }

    /// Takes no new sessions, lets those that are in use finish for `grace` or until `hurry`, ends the rest, and returns
    /// when nothing of them is left.
    pub async fn stop(mut self, grace: Duration, hurry: impl Future<Output = ()>) {
        self.image_stop.cancel();
        self.server.drain();
        tokio::select! {
            () = self.clients_leave() => {}
            () = tokio::time::sleep(grace) => {}
            () = hurry => tracing::info!("ending the sessions at once"),
        }
        // The rows first: what is queued would be placed while the machine empties.
        if let Err(error) = self.server.end_all(None, EndReason::ServerShutdown).await {
            tracing::warn!(?error, "could not end the sessions' rows; the machine ends what it runs");
        }
        self.node.drain().await;
        self.node.stop().await;
        self.shutdown.cancel();
        if !self.listener.is_finished() {
            let _ = (&mut self.listener).await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}

impl Running {
    /// Waits until no session has a client.
    async fn clients_leave(&self) {
        while self.node.clients() > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The operating system's randomness. Without it nothing may go on: keys would be guessable.
#[allow(clippy::expect_used)]
fn system_entropy(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

fn location(config: &Config, data: &DataDir) -> Location {
    match &config.store.url {
        Some(url) => Location::Postgres(url.reveal().to_owned()),
        None => Location::Sqlite(data.database()),
    }
}

fn objects_location(config: &Config, data: &DataDir) -> ObjectsLocation {
    let objects = &config.objects;
    let Some(name) = objects.s3_bucket.clone() else {
        return ObjectsLocation::Folder(objects.dir.clone().unwrap_or_else(|| data.objects()));
    };
    ObjectsLocation::S3(Bucket {
        allow_http: objects.s3_endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")),
        endpoint: objects.s3_endpoint.clone(),
        name,
        region: objects.s3_region.clone().unwrap_or_else(|| S3_REGION.to_owned()),
        access_key: objects.s3_access_key.clone().unwrap_or_default(),
        // Checked before: a bucket without keys is no configuration that starts.
        secret_key: objects.s3_secret_key.clone().unwrap_or_else(|| Secret::new("")),
        path_style: objects.s3_path_style,
    })
}

fn server_config(config: &Config) -> ServerConfig {
    let hosts = config.egress.hosts.split(',').filter_map(|entry| entry.split_once('='));
    let profiles = &config.egress.profiles;
    ServerConfig {
        public_url: config.public_url.clone(),
        trust_proxy: config.server.trust_proxy,
        cors_origins: config.server.cors_origins.clone(),
        plans: config.plans.clone(),
        rate_limits: config.rate_limits.0.clone(),
        // Checked before: what does not parse is no configuration that starts.
        egress_hosts: hosts
            .filter_map(|(name, address)| Some((name.trim().to_owned(), address.trim().parse().ok()?)))
            .collect(),
        egress_profiles: EgressProfiles {
            dedicated_dc: profiles.dedicated_dc.iter().map(held).collect(),
            rotating_residential: profiles.rotating_residential.clone(),
            static_residential: profiles.static_residential.clone(),
        },
        reserve_mb: ReserveMb {
            light: config.browser.reserve_light_mb,
            medium: config.browser.reserve_medium_mb,
            heavy: config.browser.reserve_heavy_mb,
        },
        sandbox_reserve_mb: config.sandboxes.reserve_mb,
        paused_kept_ms: config.sandboxes.kept_paused_ms,
        browser_base_mb: config.browser.base_mb,
        idle_timeout_default_ms: config.browser.idle_timeout_ms,
        queue_deadline_ms: config.server.queue_deadline_ms,
        lease_ms: config.server.lease_ms,
        beat_ms: config.server.beat_ms,
        beat_fresh_ms: config.server.beat_ms.saturating_mul(BEATS_IN_A_LEASE),
        body_bytes_max: config.server.body_max_bytes,
        head_timeout_ms: config.server.header_timeout_ms,
        connections_max: config.server.connections_max,
        artifacts_kept_ms: config.artifacts.kept_ms,
        artifact_bytes_max: ServerConfig::default().artifact_bytes_max.max(config.artifacts.file_bytes_max),
        profile_bytes_max: config.profiles.bytes_max,
        gateway: GatewayConfig {
            upload_bytes_max: config.artifacts.file_bytes_max,
            preview_domain: config.previews.domain.clone(),
            ..GatewayConfig::default()
        },
        embed: embed(config),
        webhooks: WebhookConfig { allow_private: config.webhooks.allow_private, ..WebhookConfig::default() },
        ..ServerConfig::default()
    }
}

fn embed(config: &Config) -> EmbedConfig {
    let (embed, demo) = (&config.embed, &config.demo);
    EmbedConfig {
        default_region: embed.default_region.clone(),
        regions: embed.regions.clone(),
        geoip_database: embed.geoip_database.clone(),
        currency: embed.currency.clone(),
        packs: embed.packs.clone(),
        billing: Billing {
            provider: embed.billing,
            stripe_secret_key: embed.stripe_secret_key.clone(),
            stripe_webhook_secret: embed.stripe_webhook_secret.clone(),
            stripe_url: embed.stripe_url.clone(),
        },
        frame_ancestors: embed.frame_ancestors.clone(),
        trusted_origins: embed.trusted_origins.clone(),
        demo: DemoConfig {
            enabled: demo.enabled.unwrap_or(is_for_this_machine(config)),
            sessions_max: demo.sessions_max,
            address_sessions_max: demo.address_sessions_max,
        },
    }
}

/// Whether nobody reaches the server but from this machine: nothing says that a proxy stands before it.
fn is_for_this_machine(config: &Config) -> bool {
    config.listen.ip().is_loopback() && config.public_url.is_none() && !config.server.trust_proxy
}

fn held(held: &crate::config::HeldProxy) -> HeldProxy {
    HeldProxy { organization: held.organization.clone(), proxy: held.proxy.clone() }
}

fn node_config(
    config: &Config,
    data: &DataDir,
    machine: MachineId,
    image: watch::Receiver<Image>,
    documents: watch::Receiver<Image>,
) -> NodeConfig {
    let pool = PoolConfig {
        size: usize::try_from(config.pool.browsers).unwrap_or(usize::MAX),
        memory_min_mb: config.pool.memory_min_mb,
        ..PoolConfig::default()
    };
    NodeConfig {
        data_dir: data.path().to_owned(),
        machine,
        region_code: config.machine.region.clone(),
        region_global: config.machine.region_global.clone(),
        provider: PROVIDER.to_owned(),
        reserve_total_mb: config.machine.reserve_total_mb.unwrap_or_else(reserve_mb),
        slots_total: config.machine.slots,
        image,
        pool,
        // Checked before: what does not parse is no configuration that starts.
        egress_hosts: config.egress.hosts.parse().unwrap_or_default(),
        ca_bundle: config.ca_bundle(),
        browser_base_mb: config.browser.base_mb,
        carried: carried(config),
        sandbox: SandboxConfig {
            pool: PoolConfig {
                size: usize::try_from(config.sandboxes.pool).unwrap_or(usize::MAX),
                memory_min_mb: config.pool.memory_min_mb,
                ..SandboxConfig::default().pool
            },
            documents,
            disk_bytes: config.sandboxes.disk_bytes,
            checkpoints_bytes_max: config.sandboxes.checkpoints_bytes_max,
            pause_disk_after: Duration::from_millis(config.sandboxes.pause_disk_after_ms),
            driver: config.isolation.driver.clone(),
            runtimes: config.isolation.runtimes.iter().map(|runtime| runtime.0.clone()).collect(),
        },
    }
}

fn carried(config: &Config) -> CarriedConfig {
    let solver = config.captcha.solver_url.clone();
    CarriedConfig {
        file_bytes_max: config.artifacts.file_bytes_max,
        session_bytes_max: config.artifacts.session_bytes_max,
        profile_bytes_max: config.profiles.bytes_max,
        stealth_language: config.stealth.language.clone(),
        stealth_timezone: config.stealth.timezone.clone(),
        solver: solver.map(|url| Solver { url, secret: config.captcha.solver_secret.clone() }),
        search_url: config.embed.search_url.clone(),
    }
}

/// Most of the machine's memory, in MiB.
fn reserve_mb() -> u32 {
    let info = rustix::system::sysinfo();
    let total_mb = u64::from(info.mem_unit).saturating_mul(info.totalram) / (1024 * 1024);
    u32::try_from(total_mb * RESERVE_PERCENT / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    #[test]
    fn server_and_egress_refuse_the_same_addresses() {
        let agree = |address: IpAddr| {
            let (ours, theirs) = (vitrine_model::address::refusal(address), vitrine_egress::refusal(address));
            assert_eq!(ours.is_some(), theirs.is_some(), "{address}");
        };
        // Of every first two bytes what stands out behind them.
        for high in 0..=u16::MAX {
            for low in [0, 0x6301, 0x8110, 0xffff] {
                agree(Ipv4Addr::from_bits((u32::from(high) << 16) | low).into());
            }
            for second in [0, 0x1ff, 0x200, 0x7f00, 0xff9b] {
                agree(Ipv6Addr::from([high, second, 0, 0, 0, 0, 0x7f00, 1]).into());
            }
        }
        for special in
            ["::", "::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "168.63.129.16"]
        {
            agree(special.parse().unwrap());
        }
    }
}
