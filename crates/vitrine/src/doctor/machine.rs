//! The machine itself: who we are, memory, disk, open files, clock, and whether the port is free.

use super::Finding;
use crate::config::Config;
use crate::output;
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use vitrine_model::EpochMs;
use vitrine_server::{Clock as _, SystemClock};

const MIB: u64 = 1024 * 1024;
/// A handful of sessions beside the rest of the machine.
const MEMORY_WANTED_MB: u64 = 2048;
/// One session and its server.
const MEMORY_NEEDED_MB: u64 = 768;
/// Databases, profiles and downloads of a few sessions.
const DISK_WANTED_MB: u64 = 5 * 1024;
const DISK_NEEDED_MB: u64 = 512;
/// A connected client takes four descriptors.
const FILES_WANTED: u64 = 65_536;
/// Before this version existed, 2026-01-01: a clock that says so is not set.
const CLOCK_EARLIEST: EpochMs = 1_767_225_600_000;

pub fn look(config: &Config) -> Vec<Finding> {
    let folders = [("data folder", &config.data_dir), ("image folder", &config.image_dir)];
    let mut findings = vec![root(), memory(), open_files(), clock(), port(config), certificates(config)];
    findings.extend(folders.map(|(name, path)| disk(name, path)));
    findings
}

fn root() -> Finding {
    const NAME: &str = "user";
    if rustix::process::geteuid().is_root() {
        return Finding::ok(NAME, "root");
    }
    Finding::fail(
        NAME,
        "not root",
        "Capsules are set up by root and run as nobody.\nRun this and `vitrine serve` with sudo.",
    )
}

fn memory() -> Finding {
    const NAME: &str = "memory";
    let available = available_mb();
    let found = format!("{} available", output::bytes(available * MIB));
    let advice = "A light browser takes about 100 MiB, up to 768. Free some, or lower pool.browsers.";
    match available {
        enough if enough >= MEMORY_WANTED_MB => Finding::ok(NAME, found),
        some if some >= MEMORY_NEEDED_MB => Finding::warn(NAME, found, advice),
        _ => Finding::fail(NAME, found, advice),
    }
}

/// What `/proc/meminfo` says could be taken without swapping.
fn available_mb() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn disk(name: &'static str, path: &Path) -> Finding {
    let existing = path.ancestors().find(|folder| folder.exists()).map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let free_mb = match rustix::fs::statvfs(&existing) {
        Ok(state) => state.f_bavail.saturating_mul(state.f_frsize) / MIB,
        Err(error) => {
            return Finding::fail(name, format!("{}: {error}", path.display()), "Choose a folder that can be read.");
        }
    };
    let found = format!("{}: {} free", path.display(), output::bytes(free_mb * MIB));
    let flag = if name == "data folder" { "--data-dir" } else { "--image-dir" };
    let advice = format!("Free some, or choose a folder on a larger disk with {flag}.");
    match free_mb {
        enough if enough >= DISK_WANTED_MB => Finding::ok(name, found),
        some if some >= DISK_NEEDED_MB => Finding::warn(name, found, advice),
        _ => Finding::fail(name, found, advice),
    }
}

fn open_files() -> Finding {
    const NAME: &str = "open files";
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < FILES_WANTED => {
            let advice = "Every connected client takes several. In a systemd unit: LimitNOFILE=1048576; in a shell: ulimit -Hn 1048576";
            Finding::warn(NAME, format!("at most {limit}"), advice)
        }
        Some(limit) => Finding::ok(NAME, format!("at most {limit}")),
        None => Finding::ok(NAME, "no limit"),
    }
}

fn clock() -> Finding {
    const NAME: &str = "clock";
    let now = SystemClock.now();
    let found = output::time(now);
    if now >= CLOCK_EARLIEST {
        return Finding::ok(NAME, found);
    }
    let advice = "Keys, tokens and certificates expire by the clock.\nOn Debian: apt-get install systemd-timesyncd";
    Finding::fail(NAME, found, advice)
}

fn port(config: &Config) -> Finding {
    const NAME: &str = "address";
    let address = config.listen;
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(NAME, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warn(
            NAME,
            format!("{address} is taken"),
            "When that is not this server running already, choose another with --listen.\nss -ltnp shows who has it.",
        ),
        Err(error) => {
            Finding::fail(NAME, format!("{address}: {error}"), "Choose an address of this machine with --listen.")
        }
    }
}

fn certificates(config: &Config) -> Finding {
    const NAME: &str = "certificates";
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let Some(path) = config.ca_bundle() else {
        let advice = "Capsules trust what this machine trusts.\nOn Debian: apt-get install ca-certificates";
        return Finding::warn(NAME, "no bundle found", advice);
    };
    let count = fs::read_to_string(&path).unwrap_or_default().matches(BEGIN).count();
    let found = format!("{}: {count}", path.display());
    if count > 0 {
        return Finding::ok(NAME, found);
    }
    Finding::fail(NAME, found, "It holds no certificate in PEM form; set capsule.ca_bundle to one that does.")
}
