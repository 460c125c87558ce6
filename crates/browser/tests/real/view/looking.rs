//! What viewers see, and what those without control may not do.

use super::support::{NOT_SOON, SOON, Scene, site};
use serde_json::json;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use vitrine_browser::Build;
use vitrine_browser::view::{Download, DownloadState, Left, Rights, Viewers};
use vitrine_cdp::protocol::page::Navigate;

#[tokio::test]
async fn a_viewer_is_greeted_and_shown_the_tab_at_once() {
    let scene = Scene::open(Build::HeadlessShell, "<title>Hello <b></title>x").await;
    let mut viewer = scene.connect(Rights::default()).await;
    viewer.say(json!({"type": "start", "version": 1, "codings": ["jpeg"], "width": 100, "height": 100})).await;
    let hello = viewer.hear("hello").await;
    assert_eq!(
        hello,
        json!({"type": "hello", "version": 1, "session": "abc", "mode": "view", "coding": "jpeg", "viewers": 1})
    );
    let tabs = viewer.hear_that("tabs", |told| told["tabs"][0]["title"] == "Hello <b>").await;
    assert_eq!(tabs["active"], json!(scene.tab.0));
    assert_eq!(viewer.hear("watching").await["tab"], json!(scene.tab.0));
    let picture = viewer.picture().await;
    assert_eq!(picture[..4], [1, 2, 3, 0], "a JPEG");
    assert_eq!(picture[16..20], [1280u16.to_be_bytes(), 800u16.to_be_bytes()].concat());
    assert_eq!(picture[20..22], [0xff, 0xd8]);
    let viewport = viewer.hear("viewport").await;
    assert_eq!((&viewport["width"], &viewport["height"]), (&json!(1280.0), &json!(800.0)));
    viewer.say(json!({"type": "coding", "coding": "h264"})).await;
    let picture = viewer.picture_that("H.264", |picture| picture[1] == 1).await;
    assert_eq!(picture[2] & 1, 1, "a key picture comes first");
    viewer.say(json!({"type": "refresh"})).await;
    viewer.picture_that("another key picture", |picture| picture[2] & 1 == 1).await;
    viewer.say(json!({"type": "ping", "at": 12.5})).await;
    assert_eq!(viewer.hear("pong").await["at"], json!(12.5));
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    let scene = Scene::open(Build::HeadlessShell, "<input id=i autofocus onclick='note(1)'>").await;
    let mut viewer = scene.viewer(false).await;
    let messages: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../../../web/fixtures/live-view/viewer.json")).expect("fixtures");
    let free = ["start", "ack", "refresh", "coding", "visible", "ping", "watch", "permissions"];
    let url = scene.value("location.href").await;
    for message in messages {
        let kind = message["type"].as_str().expect("a type").to_owned();
        if !free.contains(&kind.as_str()) {
            viewer.say(message).await;
            let error = viewer.hear("error").await;
            assert_eq!((&error["about"], &error["message"]), (&json!(kind), &json!("this viewer may only look")));
        }
    }
    assert_eq!(scene.value("[i.value, notes.length, location.href, innerWidth]").await, json!(["", 0, url, 1280]));
    assert_eq!(scene.tabs.watch().borrow().tabs.len(), 1);
}

#[tokio::test]
async fn a_dialog_is_no_different_with_a_viewer_that_may_only_look() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut viewer = scene.viewer(false).await;
    viewer.picture().await;
    assert_eq!(timeout(SOON, scene.value("confirm('?')")).await.expect("not held up"), json!(false));
    assert!(viewer.hears("dialog").await.is_empty());
}

#[tokio::test]
async fn viewers_are_counted_and_leave() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut first = scene.viewer(true).await;
    let second = scene.viewer(false).await;
    assert_eq!(first.hear("viewers").await["count"], json!(2));
    let mut viewers = scene.viewing.viewers();
    assert_eq!(*viewers.borrow_and_update(), Viewers { all: 2, controlling: 1 });
    drop(second);
    assert_eq!(first.hear("viewers").await["count"], json!(1));
    first.socket.close(None).await.expect("closed");
    let left = timeout(SOON, first.served).await.expect("an end").expect("joined");
    assert_eq!(left, Left::Gone);
    timeout(SOON, viewers.wait_for(|viewers| viewers.all == 0)).await.expect("left").expect("counted");
}

#[tokio::test]
async fn one_viewer_more_than_there_may_be_is_turned_away() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut seated = Vec::new();
    for _ in 0..64 {
        seated.push(scene.viewer(false).await);
    }
    let mut late = scene.connect(Rights::default()).await;
    late.say(json!({"type": "start", "version": 1, "codings": ["jpeg"]})).await;
    assert_eq!(late.closed().await, (1013, "too many viewers".into(), Left::Full));
    seated.pop();
    timeout(SOON, scene.viewing.viewers().wait_for(|viewers| viewers.all < 64)).await.expect("left").expect("counted");
    scene.viewer(false).await;
}

#[tokio::test]
async fn a_viewer_that_acknowledges_nothing_holds_up_no_other() {
    let body = "<div id=d>0</div><script>setInterval(() => { d.textContent = Math.random() }, 20)</script>";
    let scene = Scene::open(Build::HeadlessShell, body).await;
    let mut slow = scene.viewer(false).await;
    slow.acknowledges = false;
    let mut quick = scene.viewer(false).await;
    for _ in 0..20 {
        quick.picture().await;
    }
    for _ in 0..6 {
        slow.picture().await;
    }
    slow.hears("none").await;
    assert_eq!(slow.pictures.len(), 6, "no more than may be in flight");
    let sequence = u32::from_be_bytes(slow.pictures[5][4..8].try_into().expect("four bytes"));
    slow.say(json!({"type": "ack", "sequence": sequence})).await;
    slow.picture().await;
    quick.say(json!({"type": "visible", "visible": false})).await;
    quick.hears("none").await;
    let before = quick.pictures.len();
    quick.hears("none").await;
    assert_eq!(quick.pictures.len(), before, "a page that is not seen gets no pictures");
    quick.say(json!({"type": "visible", "visible": true})).await;
    quick.picture().await;
}

#[tokio::test]
async fn what_is_no_start_ends_with_a_reason() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    for (message, reason) in [
        (Message::text("{}"), "start was expected"),
        (Message::text(r#"{"type":"start","version":9,"codings":[]}"#), "version 1 is spoken here"),
        (Message::binary([1u8].as_slice()), "start was expected"),
    ] {
        let mut viewer = scene.connect(Rights { control: true, calls: false }).await;
        futures_util::SinkExt::send(&mut viewer.socket, message).await.expect("sent");
        let (code, said, left) = viewer.closed().await;
        assert_eq!((code, said.as_str(), left), (1008, reason, Left::Protocol(reason.into())));
    }
    let mut viewer = scene.viewer(true).await;
    viewer.say(json!({"type": "fly"})).await;
    assert_eq!(viewer.hear("error").await["about"], json!("message"));
    viewer.say(json!({"type": "insert", "text": "x".repeat(2 << 20)})).await;
    assert_eq!(viewer.hear("error").await["message"], json!("the message is too large"));
    let message = Message::text(json!({"type": "paste", "text": "x".repeat(17 << 20)}).to_string());
    // The far end may hang up before all of it is written.
    let _ = futures_util::SinkExt::send(&mut viewer.socket, message).await;
    let left = timeout(SOON, viewer.served).await.expect("an end").expect("joined");
    assert!(matches!(left, Left::Protocol(_)), "{left}");
}

#[tokio::test]
async fn a_browser_that_is_gone_ends_the_view() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let viewer = scene.viewer(true).await;
    scene.browser.running().kill().await;
    let (code, reason, left) = viewer.closed().await;
    assert_eq!((code, reason.as_str(), left), (1001, "the browser is gone", Left::Browser));
}

#[tokio::test]
async fn tabs_are_listed_with_their_icons_and_watched() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let port = site(|path| match path {
        "/favicon.ico" => Some("<svg xmlns='http://www.w3.org/2000/svg'/>".into()),
        "/" => Some("<title>Site</title>x".into()),
        _ => None,
    })
    .await;
    let mut viewer = scene.viewer(true).await;
    viewer.say(json!({"type": "newTab", "url": format!("http://127.0.0.1:{port}/")})).await;
    let tabs = viewer
        .hear_that("an icon", |told| told["tabs"][1]["favicon"].is_string() && told["tabs"][1]["title"] == "Site")
        .await;
    assert_eq!(
        tabs["tabs"][1]["favicon"],
        json!("data:image/svg+xml;base64,PHN2ZyB4bWxucz0naHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmcnLz4=")
    );
    let second = tabs["tabs"][1]["id"].clone();
    assert_eq!(tabs["active"], second);
    viewer.hear_that("the new tab is watched", |told| told["type"] == "watching" && told["tab"] == second).await;

    let mut other = scene.viewer(false).await;
    assert_eq!(other.hear("watching").await["tab"], second);
    other.say(json!({"type": "watch", "tab": scene.tab.0})).await;
    assert_eq!(other.hear("watching").await["tab"], json!(scene.tab.0));
    other.say(json!({"type": "watch"})).await;
    assert_eq!(other.hear("watching").await["tab"], second);
    viewer.say(json!({"type": "activate", "tab": scene.tab.0})).await;
    viewer.hear_that("the first again", |told| told["type"] == "watching" && told["tab"] == scene.tab.0).await;
    assert_eq!(other.hear("watching").await["tab"], json!(scene.tab.0));
    viewer.say(json!({"type": "closeTab", "tab": scene.tab.0})).await;
    viewer.hear_that("the second again", |told| told["type"] == "watching" && told["tab"] == second).await;
    viewer.say(json!({"type": "closeTab", "tab": second})).await;
    viewer.hear_that("no tab", |told| told["type"] == "tabs" && told["tabs"] == json!([])).await;
    viewer.mouse("down", 1.0, 1.0).await;
    assert_eq!(viewer.hear("error").await["message"], json!("there is no tab"));
}

#[tokio::test]
async fn downloads_are_told_to_all_and_to_those_that_come_late() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut early = scene.viewer(false).await;
    let mut download = Download {
        id: "w1".into(),
        name: "a.pdf".into(),
        url: "https://a/a.pdf".into(),
        size: Some(10),
        received: 5,
        state: DownloadState::InProgress,
        path: None,
    };
    scene.viewing.download(download.clone());
    let told = early.hear("download").await;
    assert_eq!((&told["state"], &told["received"]), (&json!("inProgress"), &json!(5)));
    (download.received, download.state, download.path) = (10, DownloadState::Completed, Some("downloads/a.pdf".into()));
    scene.viewing.download(download);
    assert_eq!(early.hear("download").await["path"], json!("downloads/a.pdf"));
    assert_eq!(scene.viewer(false).await.hear("download").await["state"], json!("completed"));
}

#[tokio::test]
async fn a_viewer_follows_a_tab_over_a_navigation_and_a_flood_of_titles() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut viewer = scene.viewer(false).await;
    viewer.picture().await;
    let port = site(|_| {
        Some("<body style='background:red'><script>setInterval(() => { document.title = 'x'.repeat(1e5) + Math.random() }, 1)</script>".into())
    })
    .await;
    let url = format!("http://127.0.0.1:{port}/");
    scene.page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
    viewer.picture().await;
    sleep(NOT_SOON).await;
    let titles = viewer.hears("tabs").await;
    assert!(titles.len() <= 12, "{} lists of tabs", titles.len());
    assert!(titles.iter().all(|tabs| tabs["tabs"][0]["title"].as_str().expect("a title").len() <= 1024));
    sleep(Duration::from_millis(1)).await;
}
