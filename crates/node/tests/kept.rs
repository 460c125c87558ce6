//! What outlives a session: its recording, its HAR file, its profile; also when nodes die.

mod support;

use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::lab::Lab;
use support::spec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vitrine_model::wire::StepKind;
use vitrine_model::{ArtifactKind, BrowserSpec, EndReason, HarSpec};
use vitrine_node::Node;

/// A page that moves all the time.
const MOVING: &str = "data:text/html,<title>moves</title><body><script>\
    setInterval(() => document.body.style.background = `hsl(${Date.now() / 10 % 360},90%25,50%25)`, 40)</script>";

/// Any page of this site says hello and sets a cookie.
async fn site() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 8192];
                while let Ok(1..) = stream.read(&mut request).await {
                    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\
                        Set-Cookie: seen=yes; HttpOnly\r\n\r\nhello";
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    format!("http://site.test:{port}/")
}

/// How long a video is, by somebody else's word.
fn duration_s(video: &[u8]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("video.mp4");
    std::fs::write(&path, video).unwrap();
    let probe = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_entries", "format=duration", "-of", "csv=p=0"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(probe.stderr.is_empty(), "{}", String::from_utf8_lossy(&probe.stderr));
    String::from_utf8_lossy(&probe.stdout).trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_and_a_har_file_are_kept_when_a_session_ends() {
    let url = site().await;
    let har = Some(HarSpec { secrets_kept: false, body_bytes_max: 1024 });
    let lab = Lab::new(BrowserSpec { recording: true, har, ..spec() }).await;
    let begun = Instant::now();
    let mut client = lab.client().await;
    client.open(&url).await;
    client.open(MOVING).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(client);
    lab.end().await;
    let lasted = begun.elapsed().as_secs_f64();
    // They are there before the session is over.
    let objects = lab.server.objects();
    let one = |kind| objects.iter().find(|kept| kept.kind == kind).unwrap();
    let recorded = duration_s(&one(ArtifactKind::Recording).bytes);
    assert!((1.8..lasted + 1.0).contains(&recorded), "{recorded} s of {lasted} s");
    let har: Value = serde_json::from_slice(&one(ArtifactKind::Har).bytes).unwrap();
    let entries = har["log"]["entries"].as_array().unwrap();
    let hello = entries.iter().find(|entry| entry["request"]["url"] == url).unwrap();
    assert_eq!(hello["response"]["content"]["text"], "hello");
    assert!(!har.to_string().contains("seen=yes"), "secrets are left out");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_on_when_the_run_is_adopted() {
    let lab = Lab::new(BrowserSpec { recording: true, ..spec() }).await;
    let begun = Instant::now();
    let mut client = lab.client().await;
    client.open(MOVING).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(client);
    let lab = lab.restart().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    lab.end().await;
    let lasted = begun.elapsed().as_secs_f64();
    let objects = lab.server.objects();
    assert_eq!(objects.len(), 1, "one file for both nodes");
    let recorded = duration_s(&objects[0].bytes);
    assert!((2.9..lasted + 1.0).contains(&recorded), "{recorded} s of {lasted} s");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_session_recorded_is_brought_by_the_next_node() {
    let har = Some(HarSpec { secrets_kept: false, body_bytes_max: 0 });
    let lab = Lab::new(BrowserSpec { recording: true, har, ..spec() }).await;
    let mut client = lab.client().await;
    client.open(MOVING).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(client);
    let Lab { server, node, config, folder, .. } = lab;
    node.stop().await;
    server.forget_all();
    let node = Node::start(config, Arc::new(server.clone())).await.unwrap();
    let recording = server.wait_for_object(ArtifactKind::Recording).await;
    assert!(duration_s(&recording.bytes) > 0.5);
    let har = server.wait_for_object(ArtifactKind::Har).await;
    assert!(serde_json::from_slice::<Value>(&har.bytes).unwrap()["log"]["entries"].is_array());
    node.drain().await;
    node.stop().await;
    assert_eq!(std::fs::read_dir(folder.path().join("spool")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_comes_back_and_only_an_orderly_end_changes_it() {
    let url = site().await;
    let with_profile = || BrowserSpec { profile_key: Some("mine".into()), ..spec() };
    let mut lab = Lab::new(with_profile()).await;
    let mut client = lab.client().await;
    let tab = client.open(&url).await;
    client
        .evaluate(
            &tab,
            "localStorage.kept = 'first'; document.cookie = 'session=1'; document.cookie = 'year=1;max-age=99999'",
        )
        .await;
    drop(client);
    lab.end().await;
    let first = lab.server.profile().expect("a profile is kept before the session is over");

    // A client that closes the browser itself ends it in order, too.
    lab.again(with_profile()).await;
    let mut client = lab.client().await;
    let tab = client.open(&url).await;
    assert_eq!(client.evaluate(&tab, "localStorage.kept").await, "first");
    let cookies = client.evaluate(&tab, "document.cookie").await.to_string();
    assert!(cookies.contains("session=1") && cookies.contains("year=1"), "{cookies}");
    client.evaluate(&tab, "localStorage.kept = 'second'").await;
    let before = lab.server.steps().len();
    client.call(None, "Browser.close", Value::Null).await;
    drop(client);
    let closed = |step: &StepKind| matches!(step, StepKind::Finish { reason: EndReason::ClosedByClient, .. });
    lab.server.wait_for_after(before, "the end", closed).await;
    let second = lab.server.profile().unwrap();
    assert_ne!(first, second);

    lab.again(with_profile()).await;
    let mut client = lab.client().await;
    let tab = client.open(&url).await;
    assert_eq!(client.evaluate(&tab, "localStorage.kept").await, "second");
    client.evaluate(&tab, "localStorage.kept = 'third'").await;
    let before = lab.server.steps().len();
    client.crash().await;
    let failed = |step: &StepKind| matches!(step, StepKind::Fail { reason: EndReason::BrowserCrashed, .. });
    lab.server.wait_for_after(before, "the crash", failed).await;
    assert_eq!(lab.server.profile().unwrap(), second, "a crash changes nothing");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stealthy_session_has_the_full_browser_and_its_story() {
    let lab = Lab::with(BrowserSpec { stealth: true, ..spec() }, |config| {
        config.carried.stealth_language = "de-CH".into();
        config.carried.stealth_timezone = Some("Europe/Zurich".into());
    })
    .await;
    let mut client = lab.client().await;
    let tab = client.open(MOVING).await;
    let told = "JSON.stringify([navigator.webdriver, navigator.userAgent.includes('Headless'), navigator.language, \
        Intl.DateTimeFormat().resolvedOptions().timeZone])";
    assert_eq!(client.evaluate(&tab, told).await, r#"[false,false,"de-CH","Europe/Zurich"]"#);
    drop(client);
    lab.finish().await;
}
