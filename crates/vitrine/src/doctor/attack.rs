//! `vitrine doctor --attack`: the escape suite, in capsules of each driver that is configured, with the way out that
//! sessions have.

use super::trial::Scratch;
use crate::cli::Attack as Options;
use crate::config::Config;
use crate::config::load::Loaded;
use crate::output;
use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use vitrine_capsule::attack::{Furnish, Furnished, Ground, Outcome, REBOUND, attacks};
use vitrine_capsule::{Capsule, Disks, NATIVE, Native, NativeConfig, REDIRECT_DNS_PORT, REDIRECT_TCP_PORT, Runtime};
use vitrine_egress::{Egress, HostExceptions, Outside, Policy, Resolve, Resolving, Sockets, Upstream};

/// Below the ids of a server that may run beside us, and above those of the trial.
const UID_BASE: u32 = 1_010_000_000;
/// An attacker and its neighbour.
const SLOTS: u32 = 4;
/// Small, since they are filled.
const DISK_BYTES: u64 = 256 * 1024 * 1024;

/// Exit code 1 when an attack gets through, or a driver that was asked for does not work.
pub async fn run(loaded: &Loaded, options: &Options, as_json: bool) -> anyhow::Result<ExitCode> {
    let config = &loaded.config;
    let rootfs = super::image::rootfs(config).ok_or_else(|| anyhow!("there is no image; `vitrine image build`"))?;
    let scratch = Scratch::make().context("could not make a temporary folder")?;
    let runtimes: Vec<Runtime> = config.isolation.runtimes.iter().map(|runtime| runtime.0.clone()).collect();
    let drivers = drivers(config, options)?;
    let native = NativeConfig {
        directory: scratch.path().join("capsules"),
        instance: format!("attack-{}", std::process::id()),
        uid_base: UID_BASE,
        slots_max: SLOTS,
    };
    let native = Native::probe_with(native, runtimes).await.map_err(could_not)?;
    let disks = Disks::open(scratch.path().join("disks"), DISK_BYTES).map_err(could_not)?;
    let outside = Outside::with_resolver(HostExceptions::default(), config.ca_bundle().as_deref(), Rebinder);
    let way_out = WayOut { outside: outside.map_err(|error| anyhow!("could not {error}"))? };
    let (mut tried, mut held) = (Vec::new(), true);
    for driver in drivers {
        let ground = Ground::new(native.clone(), disks.clone(), &driver, &rootfs, way_out.clone());
        let found = attack(&native, &ground, &driver, &rootfs, as_json).await;
        held &= found.breaches == 0;
        tried.push(found.told);
    }
    if as_json {
        output::json(&json!({ "ok": held, "drivers": tried }));
    } else {
        output::line(if held {
            "\nEvery attack was held off."
        } else {
            "\nSomething got through, or could not be tried."
        });
    }
    Ok(ExitCode::from(u8::from(!held)))
}

/// Those that were named, or all there are.
fn drivers(config: &Config, options: &Options) -> anyhow::Result<Vec<String>> {
    let known: Vec<String> = std::iter::once(NATIVE.to_owned())
        .chain(config.isolation.runtimes.iter().map(|runtime| runtime.0.name.clone()))
        .collect();
    match options.driver.iter().find(|driver| !known.contains(driver)) {
        Some(driver) => bail!("there is no driver `{driver}`; there are {}", known.join(", ")),
        None if options.driver.is_empty() => Ok(known),
        None => Ok(options.driver.clone()),
    }
}

struct Found {
    told: Value,
    breaches: usize,
}

async fn attack(native: &Native, ground: &Ground, driver: &str, rootfs: &Path, as_json: bool) -> Found {
    if !as_json {
        output::line(format_args!("{driver}"));
    }
    if let Err(error) = native.check_driver(driver, rootfs).await {
        let message = format!("could not {error}");
        if !as_json {
            output::line(format_args!("  fail  {message}"));
        }
        return Found { told: json!({ "driver": driver, "error": message, "attacks": [] }), breaches: 1 };
    }
    let (mut told, mut breaches) = (Vec::new(), 0);
    for attack in attacks() {
        let outcome = ground.carry_out(&attack).await;
        breaches += usize::from(outcome.breach.is_some());
        if !as_json {
            print(&outcome);
        }
        told.push(json!({ "attack": outcome.attack, "tries": outcome.tries, "held": outcome.breach.is_none(),
                          "breach": outcome.breach }));
    }
    Found { told: json!({ "driver": driver, "attacks": told }), breaches }
}

fn print(outcome: &Outcome) {
    let word = if outcome.breach.is_none() { "ok" } else { "fail" };
    output::line(format_args!("  {word:4}  {:20}  {}", outcome.attack, outcome.tries));
    if let Some(breach) = &outcome.breach {
        output::line(format_args!("{:30}{breach}", ""));
    }
}

fn could_not(error: vitrine_capsule::CapsuleError) -> anyhow::Error {
    anyhow!("could not {error}")
}

/// Resolves names as somebody would who wants to reach what is private.
struct Rebinder;

impl Resolve for Rebinder {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        let addresses = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(10, 0, 0, 1)];
        let found = REBOUND.iter().position(|rebound| *rebound == name).map(|index| IpAddr::V4(addresses[index]));
        Box::pin(async move { found.map(|address| vec![address]).ok_or_else(|| "no such name".to_owned()) })
    }
}

/// The egress of a session whose policy forbids nothing.
#[derive(Clone)]
struct WayOut {
    outside: Arc<Outside>,
}

impl Furnish for WayOut {
    fn furnish<'a>(
        &'a self,
        capsule: &'a Capsule,
    ) -> Pin<Box<dyn Future<Output = Result<Furnished, String>> + Send + 'a>> {
        Box::pin(async move {
            let failed = |error: vitrine_capsule::CapsuleError| format!("could not {error}");
            let sockets = Sockets {
                tcp: capsule.network().tcp_listener(REDIRECT_TCP_PORT).await.map_err(failed)?,
                dns: capsule.network().udp_socket(REDIRECT_DNS_PORT).await.map_err(failed)?,
            };
            let egress = Egress::start(self.outside.clone(), sockets, Policy::default(), Upstream::Direct);
            let egress = egress.map_err(|error| format!("could not start the egress: {error}"))?;
            Ok(Box::new(egress) as Furnished)
        })
    }
}
