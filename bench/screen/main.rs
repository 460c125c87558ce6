//! What a screen costs by itself: pictures a second, bits, and the CPU of this process and of Chromium, for one viewer, ten, a
//! recorder, both, and for JPEG; on a page of text that scrolls at 1280x720 and on a still one.
//!
//! The peer, in the same run and browser, is the plain screencast of the DevTools protocol, acknowledged as it comes.
//! `cargo run --release -p vitrine-browser --example screen-bench`; `BENCH_SECONDS` (8) for each scene.

#[path = "../../crates/browser/tests/real/host.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod host;

use host::LocalHost;
use std::error::Error;
use std::time::{Duration, Instant};
use vitrine_browser::screen::{Coding, Screen, Settings, Subscription, Wants};
use vitrine_browser::{Browser, Build};
use vitrine_cdp::Session;
use vitrine_cdp::protocol::page::{Navigate, ScreencastFrame, ScreencastFrameAck, StartScreencast, StopScreencast};
use vitrine_cdp::protocol::target::GetTargets;

type Outcome<T> = Result<T, Box<dyn Error>>;

const SECONDS: u64 = 8;
/// What is not measured at the beginning of a scene: the first pictures are large.
const SETTLE: Duration = Duration::from_millis(1500);
const SCROLLING: &str = "<!doctype html><style>body{font:16px/1.5 sans-serif;margin:24px;width:900px}</style><script>\
    for (let n = 0; n < 4000; n++) { const words = Array.from({ length: 18 }, (_, w) => \
    ((n * 7919 + w * 104729) % 99991).toString(36)).join(' '); document.write(`<p>${n} ${words}</p>`); } let y = 0; \
    const step = () => { scrollTo(0, (y = (y + 4) % 100000)); requestAnimationFrame(step); }; step()</script>";
const STILL: &str = "<!doctype html><h1>Nothing moves here</h1>";
const VIEWER: Wants = Wants { coding: Coding::H264, every: false };
const RECORDER: Wants = Wants { coding: Coding::H264, every: true };
const JPEG: Wants = Wants { coding: Coding::Jpeg, every: false };

#[tokio::main]
async fn main() -> Outcome<()> {
    let seconds = std::env::var("BENCH_SECONDS").map_or(Ok(SECONDS), |text| text.parse())?;
    let length = Duration::from_secs(seconds);
    println!("| page | who looks | pictures/s | kbit/s each | CPU here, cores | CPU of Chromium, cores |");
    println!("|---|---|---|---|---|---|");
    let recorded = Settings { rate_max: 25, ..Settings::default() };
    for (name, body) in [("scrolling", SCROLLING), ("still", STILL)] {
        let host = LocalHost::new();
        let mut launch = host.launch(Build::HeadlessShell);
        launch.story.viewport = (1280, 720);
        let browser = Browser::launch(host.clone(), &launch).await?;
        let group = &browser.running().id();
        let connection = browser.connection().await?;
        let target = connection.call(GetTargets::default()).await?.target_infos.remove(0).target_id;
        let page = connection.attach(&target).await?;
        let url = format!("data:text/html,{}", body.replace('%', "%25"));
        page.call(Navigate { url, ..Navigate::default() }).await?;
        let scenes = [
            ("nobody", Settings::default(), vec![]),
            ("one viewer", Settings::default(), vec![VIEWER]),
            ("ten viewers", Settings::default(), vec![VIEWER; 10]),
            ("viewer and recorder", Settings::default(), vec![VIEWER, RECORDER]),
            ("recorder, 25 a second", recorded, vec![RECORDER]),
            ("one viewer of JPEG", Settings::default(), vec![JPEG]),
        ];
        for (who, settings, wants) in scenes {
            let page = connection.attach(&target).await?;
            println!("| {name} | {who} {}", scene(page, settings, &wants, length, group).await?);
        }
        println!("| {name} | peer: plain screencast {}", peer(page, length, group).await?);
        browser.close(Duration::from_secs(5)).await;
    }
    Ok(())
}

/// Pictures and bytes that came to one of those who look.
#[derive(Default)]
struct Seen {
    pictures: usize,
    bytes: usize,
}

async fn scene(page: Session, settings: Settings, wants: &[Wants], length: Duration, group: &str) -> Outcome<String> {
    let screen = Screen::new(page, settings);
    let readers: Vec<_> = wants
        .iter()
        .map(|wants| tokio::spawn(read(screen.subscribe(*wants), Instant::now() + SETTLE, length)))
        .collect();
    tokio::time::sleep(SETTLE).await;
    let before = (cpu_here()?, cpu_of_group(group)?);
    tokio::time::sleep(length).await;
    let cpu = (cpu_here()? - before.0, cpu_of_group(group)? - before.1);
    let mut seen = Seen::default();
    for reader in readers {
        seen = reader.await?;
    }
    Ok(row(&seen, length, cpu))
}

async fn read(mut subscription: Subscription, from: Instant, length: Duration) -> Seen {
    let mut seen = Seen::default();
    let until = tokio::time::Instant::from_std(from + length);
    while let Ok(Some(picture)) = tokio::time::timeout_at(until, subscription.next()).await {
        if Instant::now() >= from {
            seen.pictures += 1;
            seen.bytes += picture.data.len();
        }
    }
    seen
}

async fn peer(page: Session, length: Duration, group: &str) -> Outcome<String> {
    let mut frames = page.events::<ScreencastFrame>();
    page.call(StartScreencast::default()).await?;
    let mut seen = Seen::default();
    let before = (cpu_here()?, cpu_of_group(group)?);
    let until = tokio::time::Instant::now() + length;
    while let Ok(frame) = tokio::time::timeout_at(until, frames.next()).await {
        let frame = frame?;
        page.call(ScreencastFrameAck { session_id: frame.session_id }).await?;
        seen.pictures += 1;
        seen.bytes += frame.data.len();
    }
    let cpu = (cpu_here()? - before.0, cpu_of_group(group)? - before.1);
    page.call(StopScreencast {}).await?;
    Ok(row(&seen, length, cpu))
}

fn row(seen: &Seen, length: Duration, cpu: (Duration, Duration)) -> String {
    let seconds = length.as_secs_f64();
    format!(
        "| {:.1} | {:.0} | {:.3} | {:.2} |",
        seen.pictures as f64 / seconds,
        seen.bytes as f64 * 8e-3 / seconds,
        cpu.0.as_secs_f64() / seconds,
        cpu.1.as_secs_f64() / seconds
    )
}

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, the same on every Linux.
const TICKS_PER_SECOND: u32 = 100;

fn cpu_here() -> Outcome<Duration> {
    cpu_where(|fields| fields[0] == std::process::id().to_string())
}

/// Of all processes of a group, which is what one browser is.
fn cpu_of_group(group: &str) -> Outcome<Duration> {
    cpu_where(|fields| fields[3] == group)
}

/// Of the processes whose `stat` is wanted; its fields as in proc(5), without the name.
fn cpu_where(wanted: impl Fn(&[&str]) -> bool) -> Outcome<Duration> {
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc")? {
        // Fails for what is no process, and for one that has just ended.
        let Ok(stat) = std::fs::read_to_string(entry?.path().join("stat")) else { continue };
        let Some((process, rest)) = stat.split_once(" (") else { continue };
        let Some((_, rest)) = rest.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = std::iter::once(process).chain(rest.split(' ')).collect();
        if wanted(&fields) {
            ticks += fields[12].parse::<u64>()? + fields[13].parse::<u64>()?;
        }
    }
    Ok(Duration::from_secs(ticks) / TICKS_PER_SECOND)
}
