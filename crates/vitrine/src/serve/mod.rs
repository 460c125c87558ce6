//! `vitrine serve`: opens the data folder, starts server and node in one process, and stops them in order.
//!
//! Promises: nothing is listened on before the data folder is ours; the process ends only after every capsule of its
//! sessions is destroyed; a kill leaves sessions for the next start to take up.

mod data_dir;
mod first_start;
mod image;
mod link;
mod wiring;

use crate::client::Client;
use crate::config::{Config, Loaded, check};
use crate::{WrongConfiguration, logging, output};
use anyhow::{Context as _, anyhow};
use data_dir::DataDir;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wiring::Running;

/// A worker does little at a time; what is deep is Chromium's.
const THREAD_STACK_BYTES: usize = 1024 * 1024;
/// An idle thread of the blocking pool holds memory.
const BLOCKING_THREAD_KEEP: Duration = Duration::from_secs(5);
const BLOCKING_THREADS_MAX: usize = 32;

/// A trial session that has not started by then will not.
const TRIAL_MS: u64 = 20_000;

/// Runs until a signal ends it.
pub fn run(loaded: &Loaded) -> anyhow::Result<()> {
    let config = &loaded.config;
    let problems = check::problems(config);
    if !problems.is_empty() {
        return Err(WrongConfiguration(check::check(loaded).join("\n")).into());
    }
    logging::start(&config.log)?;
    for name in &loaded.unknown_variables {
        tracing::warn!("{name} is no setting; `vitrine config show` lists all of them");
    }
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.threads)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(BLOCKING_THREAD_KEEP)
        .thread_stack_size(THREAD_STACK_BYTES)
        .enable_all()
        .build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let data = DataDir::open(&config.data_dir)?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("could not listen on {}; is another server running there? Choose another with --listen", config.listen)
    })?;
    let address = listener.local_addr()?;
    let mut running = Running::start(config, &data, listener).await?;
    greet(address, &data, running.made_keys.take());
    let ended_by_itself = tokio::select! {
        () = signals.next() => None,
        failure = running.failed() => Some(failure),
    };
    match &ended_by_itself {
        None => tracing::info!(grace_ms = config.shutdown.grace_ms, "stopping; a second signal ends sessions at once"),
        Some(failure) => tracing::error!("stopping: {failure:#}"),
    }
    running.stop(Duration::from_millis(config.shutdown.grace_ms), signals.next()).await;
    tracing::info!("stopped");
    ended_by_itself.map_or(Ok(()), Err)
}

/// What to do next. The keys that were made now are shown this once.
fn greet(address: SocketAddr, data: &DataDir, made: Option<first_start::Keys>) {
    tracing::info!(%address, data_dir = %data.path().display(), "listening");
    let Some(keys) = made else { return };
    output::line(format_args!("Vitrine answers on http://{address}\n"));
    if let Some(key) = &keys.api {
        output::line(format_args!("  API key       {}   (kept in {})", key.reveal(), data.api_key_file().display()));
    }
    if let Some(key) = &keys.operator {
        let file = data.operator_key_file();
        output::line(format_args!("  Operator key  {}   (kept in {})", key.reveal(), file.display()));
    }
    output::line(format_args!(
        "\nCreate a browser, then drive it with Playwright or Puppeteer through its cdpUrl:\n\n  \
         KEY=$(cat {})\n  \
         curl -s -X POST http://{address}/v1/browsers -H \"Authorization: Bearer $KEY\" \
         -H 'Content-Type: application/json' -d '{{}}'\n\nAPI: http://{address}/docs\n",
        data.api_key_file().display()
    ));
}

/// Runs a server of its own for one browser session in an empty folder, and answers how long the session took to be
/// ready. Nothing of it is left.
pub async fn trial_session(config: &Config, folder: &Path) -> anyhow::Result<Duration> {
    let mut config = config.clone();
    config.store.url = None;
    config.public_url = None;
    config.pool.browsers = 0;
    config.server.queue_deadline_ms = TRIAL_MS;
    let data = DataDir::open(folder)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let mut running = Running::start(&config, &data, listener).await?;
    let key = running.made_keys.take().and_then(|keys| keys.api).context("could not make a key")?;
    let client = Client::direct(&format!("http://{address}"), key.reveal())?;
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let tried = tokio::select! {
        tried = crate::command::browser::try_one(&client) => tried,
        () = signals.next() => Err(anyhow!("stopped")),
    };
    let took = started.elapsed();
    running.stop(Duration::ZERO, std::future::pending()).await;
    tried.map(|()| took)
}

/// SIGTERM and SIGINT mean the same.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Every client connection takes several descriptors; the usual soft limit of 1024 is for programs that use `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "could not raise the limit of open files");
    }
}
