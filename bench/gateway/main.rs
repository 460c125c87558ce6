//! What the gateway adds to a DevTools call: round trip, CPU, payload speed and memory, against a direct connection to the same
//! browser in the same run.
//!
//! The gateway runs in a process of its own, so that its CPU and memory are its own. The ways take turns within each round, so that
//! a noisy moment hits both. `cargo run --release -p vitrine-server --example gateway-bench`; `BENCH_ROUNDS` (50) sets how long.

#[path = "../../crates/server/tests/gateway_support/chromium.rs"]
mod chromium;
mod client;
mod serve;

use chromium::Chromium;
use client::Client;
use serve::{Served, serve};
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const CALLS_A_ROUND: usize = 400;
const ROUNDS: usize = 50;
const PAYLOAD_BYTES: usize = 20_000_000;
const PAYLOADS: usize = 15;
const IDLE_CONNECTIONS: usize = 500;
/// A fast call, so that what the gateway adds is not lost in what it does.
const CALL: &str = r#"{"id":1,"method":"Runtime.evaluate","params":{"expression":"1"}}"#;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, address, path] = arguments.as_slice()
        && word == "serve"
    {
        return serve(address.parse()?, path.clone());
    }
    let rounds = std::env::var("BENCH_ROUNDS").map_or(Ok(ROUNDS), |text| text.parse())?;
    let chromium = Chromium::start();
    let served = Served::start(chromium.address, &chromium.path)?;
    let page = client::first_page(chromium.address)?;
    let mut direct = Client::connect(chromium.address, &page)?;
    let mut through = Client::connect(served.address, &served.path(&page))?;
    round_trips(&mut direct, &mut through, &served, rounds)?;
    payloads(&mut direct, &mut through)?;
    idle_memory()
}

/// The time at `percent` of sorted times, in microseconds.
fn at(times: &[Duration], percent: usize) -> f64 {
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}

fn round_trips(direct: &mut Client, through: &mut Client, served: &Served, rounds: usize) -> Outcome<()> {
    let mut times = [Vec::new(), Vec::new()];
    let mut cpu = Duration::ZERO;
    // The first calls compile the expression and warm both ways.
    for way in [&mut *direct, &mut *through] {
        (0..CALLS_A_ROUND).try_for_each(|_| way.call(CALL).map(drop))?;
    }
    for _ in 0..rounds {
        for (way, times) in [&mut *direct, &mut *through].into_iter().zip(&mut times) {
            let before = served.cpu()?;
            for _ in 0..CALLS_A_ROUND {
                let started = Instant::now();
                way.call(CALL)?;
                times.push(started.elapsed());
            }
            cpu += served.cpu()? - before;
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let calls = rounds * CALLS_A_ROUND;
    println!("Runtime.evaluate, {calls} calls each way, in µs\n");
    println!("| | p10 | p50 | p95 |\n|---|---|---|---|");
    for (name, times) in ["direct", "gateway"].iter().zip(&times) {
        println!("| {name} | {:.1} | {:.1} | {:.1} |", at(times, 10), at(times, 50), at(times, 95));
    }
    let added = |percent| at(&times[1], percent) - at(&times[0], percent);
    println!("| added | {:.1} | {:.1} | {:.1} |", added(10), added(50), added(95));
    println!("\nCPU of the gateway's process: {:.1} µs a call\n", cpu.as_secs_f64() * 1e6 / calls as f64);
    Ok(())
}

fn payloads(direct: &mut Client, through: &mut Client) -> Outcome<()> {
    let down =
        format!(r#"{{"id":1,"method":"Runtime.evaluate","params":{{"expression":"'x'.repeat({PAYLOAD_BYTES})"}}}}"#);
    let text = "y".repeat(PAYLOAD_BYTES);
    let up = format!(r#"{{"id":1,"method":"Runtime.evaluate","params":{{"expression":"'{text}'.length"}}}}"#);
    println!("20 MB payloads, {PAYLOADS} each way, median MB/s\n");
    println!("| | direct | gateway | ratio |\n|---|---|---|---|");
    for (name, message) in [("from the browser", &down), ("to the browser", &up)] {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..PAYLOADS {
            for (way, times) in [&mut *direct, &mut *through].into_iter().zip(&mut times) {
                let started = Instant::now();
                way.call(message)?;
                times.push(started.elapsed());
            }
        }
        times.iter_mut().for_each(|times| times.sort_unstable());
        let [direct, through] = times.map(|times| PAYLOAD_BYTES as f64 / at(&times, 50));
        println!("| {name} | {direct:.0} | {through:.0} | {:.2} |", through / direct);
    }
    Ok(())
}

/// Memory of idle connections, before a browser that costs nothing.
fn idle_memory() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address: SocketAddr = listener.local_addr()?;
    let browser = std::thread::spawn(move || client::answer_handshakes(&listener, IDLE_CONNECTIONS));
    let served = Served::start(address, "/devtools/browser/idle")?;
    let at_rest = served.resident_kib()?;
    let mut open = Vec::new();
    for _ in 0..IDLE_CONNECTIONS {
        open.push(Client::connect(served.address, &served.path(""))?);
    }
    let held = browser.join().map_err(|_| "the idle browser failed")?;
    let grown = served.resident_kib()? - at_rest;
    println!(
        "\nIdle: {at_rest} KiB resident before, {:.1} KiB a connection ({IDLE_CONNECTIONS} of them)",
        grown as f64 / IDLE_CONNECTIONS as f64
    );
    drop((open, held));
    Ok(())
}
