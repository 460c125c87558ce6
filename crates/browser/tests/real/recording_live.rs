//! Recordings of a session as it happens.

use crate::host::LocalHost;
use crate::recording::{decode, duration_s, probe};
use crate::{first_page, start};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vitrine_browser::recording::{Recording, finalise};
use vitrine_browser::screen::Settings;
use vitrine_browser::tabs::{Place, Tabs};
use vitrine_browser::{Browser, Build};
use vitrine_cdp::protocol::page::Navigate;

/// The time of day where a recording begins.
const NOON_MS: i64 = 1_795_348_800_000;
/// Text that scrolls as fast as the screen can show.
const MOTION: &str = "data:text/html,<title>Motion</title><body style='font:16px monospace'><script>
    for (let line = 0; line < 2000; line++)
        document.body.append('line ' + line + ' of what moves without end over the screen', document.createElement('br'));
    const step = () => { scrollBy(0, 3); requestAnimationFrame(step); };
    requestAnimationFrame(step);
</script>";
const STILL: &str = "data:text/html,<title>Still</title><h1>nothing happens here</h1>";

async fn record(host: &Arc<LocalHost>, path: &Path, now: i64) -> (Browser, Tabs, Recording) {
    let browser = start(host, &host.launch(Build::HeadlessShell)).await;
    let tabs = Tabs::open(browser.connection().await.expect("connection"), Settings::default()).await.expect("tabs");
    let recording = Recording::start(tabs.clone(), path, now).await.expect("started");
    (browser, tabs, recording)
}

async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Seconds of processor time that this process has taken.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
    let after_name = stat.rsplit_once(')').expect("a name").1;
    // User and system, in hundredths of a second.
    after_name.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_recorded_from_tab_to_tab_in_true_time() {
    let host = LocalHost::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("session.mp4");
    let (browser, tabs, recording) = record(&host, &path, NOON_MS).await;
    let begun = Instant::now();
    let page = first_page(tabs.connection()).await;
    page.call(Navigate { url: MOTION.into(), ..Navigate::default() }).await.expect("a page");
    let before = processor_s();
    pass(4.0).await;
    let core = (processor_s() - before) / 4.0;
    println!("{core:.2} of a core while it moves");
    tabs.create(STILL, Place::Front).await.expect("a tab");
    // A screen that seems still is looked at once more.
    pass(3.0).await;
    let bytes = || std::fs::metadata(&path).expect("a file").len();
    let (before, calm) = (bytes(), processor_s());
    pass(4.0).await;
    println!("{:.3} of a core while it is still", (processor_s() - calm) / 4.0);
    assert!(bytes() - before < 10_000, "stillness costs nothing: {}", bytes() - before);
    let elapsed = begun.elapsed().as_secs_f64();
    let running = duration_s(&probe(&path));
    assert!(elapsed - running < 1.5, "{running} of {elapsed} while it runs");
    let elapsed = begun.elapsed().as_secs_f64();
    let finished = recording.finish().await.expect("finished");
    let probed = probe(&path);
    assert!((duration_s(&probed) / elapsed - 1.0).abs() < 0.02, "{} of {elapsed}", duration_s(&probed));
    assert_eq!(duration_s(&probed), finished.duration.as_secs_f64());
    let titles: Vec<_> =
        probed["chapters"].as_array().expect("chapters").iter().map(|it| &it["tags"]["title"]).collect();
    assert_eq!(titles, [&json!("Motion"), &json!("Still")]);
    let frames: u32 = probed["streams"][0]["nb_read_frames"].as_str().expect("a count").parse().expect("a number");
    println!("{frames} pictures, {} bytes", finished.bytes);
    // How many it takes to fill a second is a matter of the machine; more than 25 are never asked for.
    assert!((5..=130).contains(&frames), "{frames}");
    decode(&path);
    browser.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_goes_on_after_its_process_and_keeps_the_time_between() {
    let host = LocalHost::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("session.mp4");
    let (browser, tabs, recording) = record(&host, &path, NOON_MS).await;
    let page = first_page(tabs.connection()).await;
    page.call(Navigate { url: MOTION.into(), ..Navigate::default() }).await.expect("a page");
    pass(3.0).await;
    drop(recording);
    pass(0.5).await;
    let whole = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &whole[..whole.len() - 7]).expect("torn");
    let again = Recording::start(tabs.clone(), &path, NOON_MS + 60_000).await.expect("started");
    pass(2.5).await;
    drop(again);
    drop(tabs);
    pass(0.5).await;
    let finished = finalise(&path).expect("finished");
    assert!((finished.duration.as_secs_f64() - 62.5).abs() < 1.2, "{finished:?}");
    assert_eq!(duration_s(&probe(&path)), finished.duration.as_secs_f64());
    decode(&path);
    browser.close(Duration::from_secs(5)).await;
}
