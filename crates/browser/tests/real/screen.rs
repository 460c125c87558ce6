//! The live picture of a real tab.

use crate::host::LocalHost;
use crate::{BUILDS, GRACE, evaluate, first_page, start};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use vitrine_browser::screen::{Coding, Picture, Screen, Settings, Subscription, Wants};
use vitrine_browser::{Browser, Build};
use vitrine_cdp::protocol::emulation::SetDeviceMetricsOverride;
use vitrine_cdp::protocol::page::{BringToFront, Close, Enable, Navigate, Reload, ScreencastFrame};
use vitrine_cdp::protocol::target::CreateTarget;
use vitrine_cdp::{Nothing, Session};

/// A command that only the tests need.
#[derive(serde::Serialize)]
struct CrashPage {}

impl vitrine_cdp::Command for CrashPage {
    const METHOD: &'static str = "Page.crash";
    type Response = Nothing;
}

const VIEWER: Wants = Wants { coding: Coding::H264, every: false };
const JPEG_VIEWER: Wants = Wants { coding: Coding::Jpeg, every: false };
const RECORDER: Wants = Wants { coding: Coding::H264, every: true };
const SOON: Duration = Duration::from_secs(10);
/// Longer than a picture takes, shorter than anybody's patience.
const STILLNESS: Duration = Duration::from_millis(800);

/// A browser with one page that shows `body`.
struct Shown {
    browser: Browser,
    page: Session,
    _host: Arc<LocalHost>,
}

async fn show(build: Build, body: &str) -> Shown {
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(build)).await;
    let page = first_page(&browser.connection().await.expect("connection")).await;
    let shown = Shown { browser, page, _host: host };
    shown.navigate(body).await;
    shown
}

impl Shown {
    async fn navigate(&self, body: &str) {
        let url = format!("data:text/html,<!doctype html><body style='margin:0;background:white'>{body}");
        let url = url.replace('#', "%23");
        self.page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
        // Two frames later it is painted.
        let painted = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))";
        let command = vitrine_cdp::protocol::runtime::Evaluate {
            expression: painted.into(),
            await_promise: Some(true),
            ..Default::default()
        };
        self.page.call(command).await.expect("painted");
    }

    fn screen(&self) -> Screen {
        Screen::new(self.page.clone(), Settings::default())
    }
}

async fn next(subscription: &mut Subscription) -> Picture {
    timeout(SOON, subscription.next()).await.expect("a picture in time").expect("a picture")
}

/// The next key picture, which a decoder can start with.
async fn key_first(subscription: &mut Subscription) -> Vec<Picture> {
    loop {
        let picture = next(subscription).await;
        if picture.key {
            return vec![picture];
        }
    }
}

/// All that comes until nothing comes any more.
async fn until_still(subscription: &mut Subscription) -> Vec<Picture> {
    let mut pictures = Vec::new();
    while let Ok(picture) = timeout(STILLNESS, subscription.next()).await {
        pictures.push(picture.expect("a picture"));
    }
    pictures
}

/// Reads on until the middle of the picture has this colour, as Y, U, V. `seen` came before; all that came is returned.
async fn until_colour(mut seen: Vec<Picture>, subscription: &mut Subscription, expected: (u8, u8, u8)) -> Vec<Picture> {
    let near = |a: u8, b: u8| a.abs_diff(b) <= 8;
    let mut decoder = Decoder::new().expect("a decoder");
    let mut place = 0;
    loop {
        if place == seen.len() {
            seen.push(next(subscription).await);
        }
        let picture = &seen[place];
        place += 1;
        let Some(decoded) = decoder.decode(&picture.data).expect("decodes") else { continue };
        let (width, height) = decoded.dimensions();
        assert_eq!((width, height), (picture.width.into(), picture.height.into()));
        let (row, half_row, _) = decoded.strides();
        let half = height / 4 * half_row + width / 4;
        let colour = (decoded.y()[height / 2 * row + width / 2], decoded.u()[half], decoded.v()[half]);
        if near(colour.0, expected.0) && near(colour.1, expected.1) && near(colour.2, expected.2) {
            return seen;
        }
    }
}

/// Full range, BT.601.
const RED: (u8, u8, u8) = (76, 85, 255);
const BLUE: (u8, u8, u8) = (29, 255, 107);

fn background(colour: &str) -> String {
    format!("document.body.style.background = '{colour}', 0")
}

const SCROLLING: &str = "<script>for (let i = 0; i < 2000; i++) document.write(`<p>${i} the quick brown fox ${i * 7919} \
     jumps over the lazy dog ${i * 104729}</p>`); const step = () => { scrollBy(0, 4); requestAnimationFrame(step); }; \
     step()</script>";

#[tokio::test]
async fn a_still_page_shows_its_picture_at_once_and_sends_nothing_more() {
    for build in BUILDS {
        let shown = show(build, "").await;
        evaluate(&shown.page, &background("red")).await;
        tokio::time::sleep(STILLNESS).await;
        for wants in [VIEWER, JPEG_VIEWER] {
            let screen = shown.screen();
            let mut subscription = screen.subscribe(wants);
            let first = next(&mut subscription).await;
            assert!(first.key);
            let viewport = evaluate(&shown.page, "[innerWidth, innerHeight]").await;
            // The window of the full browser has a frame.
            let size = [0, 1].map(|index| viewport[index].as_u64().expect("a number"));
            // H.264 has even sizes only.
            let even = |length: u64| if wants.coding == Coding::H264 { length.next_multiple_of(2) } else { length };
            assert_eq!([first.width, first.height].map(u64::from), size.map(even), "{build:?}");
            if wants.coding == Coding::H264 {
                until_colour(vec![first], &mut subscription, RED).await;
            }
            until_still(&mut subscription).await;
            let geometry = screen.geometry().borrow().expect("known with the first picture");
            let seen = (Some(geometry.width), Some(geometry.height), geometry.page_scale);
            assert_eq!(seen, (viewport[0].as_f64(), viewport[1].as_f64(), 1.0));
            // Nothing more comes from a still page.
            assert!(timeout(STILLNESS, subscription.next()).await.is_err());
        }
        shown.browser.close(GRACE).await;
    }
}

#[tokio::test]
async fn a_scrolling_page_moves_at_the_rate_that_was_asked_for() {
    for build in BUILDS {
        let shown = show(build, SCROLLING).await;
        let screen = shown.screen();
        let mut subscription = screen.subscribe(VIEWER);
        next(&mut subscription).await;
        let begin = Instant::now();
        let mut pictures = Vec::new();
        while begin.elapsed() < Duration::from_secs(4) {
            pictures.push(next(&mut subscription).await);
        }
        let seconds = begin.elapsed().as_secs_f64();
        let bytes: usize = pictures.iter().map(|picture| picture.data.len()).sum();
        let rate = pictures.len() as f64 / seconds;
        println!("{build:?}: {rate:.1} fps, {:.2} Mbit/s", bytes as f64 * 8e-6 / seconds);
        assert!(pictures.windows(2).all(|two| two[1].sequence == two[0].sequence + 1), "none is left out");
        assert!(pictures.windows(2).all(|two| two[1].at >= two[0].at), "time never goes back");
        // How many of the thirty a busy machine makes is a matter of bench/screen.
        assert!((1.0..36.0).contains(&rate), "{rate}");
        shown.browser.close(GRACE).await;
    }
}

#[tokio::test]
async fn a_newcomer_gets_a_key_picture_at_once_while_others_go_on() {
    let shown = show(Build::HeadlessShell, "").await;
    evaluate(&shown.page, &background("blue")).await;
    let screen = shown.screen();
    let mut early = screen.subscribe(VIEWER);
    next(&mut early).await;
    until_still(&mut early).await;
    for wants in [VIEWER, RECORDER] {
        let mut late = screen.subscribe(wants);
        let first = next(&mut late).await;
        assert!(first.key);
        until_colour(vec![first], &mut late, BLUE).await;
    }
    let mut jpeg = screen.subscribe(JPEG_VIEWER);
    assert_eq!(next(&mut jpeg).await.coding, Coding::Jpeg);
    // What is asked for by those who had pictures comes too, though nothing is painted.
    until_still(&mut early).await;
    screen.request_key();
    assert!(next(&mut early).await.key);
}

#[tokio::test]
async fn ten_viewers_and_a_recorder_share_one_encoder() {
    let shown = show(Build::HeadlessShell, SCROLLING).await;
    let screen = shown.screen();
    let mut viewers: Vec<_> = (0..10).map(|_| screen.subscribe(VIEWER)).collect();
    viewers.push(screen.subscribe(RECORDER));
    assert_eq!(screen.watched_by(), 11);
    let mut lists = Vec::new();
    for viewer in viewers {
        lists.push(tokio::spawn(async move {
            let mut viewer = viewer;
            let mut pictures = Vec::new();
            for _ in 0..20 {
                pictures.push(next(&mut viewer).await);
            }
            pictures
        }));
    }
    let mut seen = std::collections::HashMap::new();
    for list in lists {
        for picture in list.await.expect("pictures") {
            let place = picture.data.as_ptr() as usize;
            assert_eq!(*seen.entry(picture.sequence).or_insert(place), place, "one copy of a picture");
        }
    }
    assert_eq!(screen.watched_by(), 0);
}

#[tokio::test]
async fn a_viewer_that_does_not_read_holds_up_nobody_and_ends_up_with_what_is_there() {
    let shown = show(Build::HeadlessShell, SCROLLING).await;
    let screen = shown.screen();
    let (mut quick, mut slow, mut recorder) =
        (screen.subscribe(VIEWER), screen.subscribe(VIEWER), screen.subscribe(RECORDER));
    let first = next(&mut slow).await;
    let mut quick_ones = Vec::new();
    while quick_ones.len() < 40 {
        quick_ones.push(next(&mut quick).await);
    }
    assert!(quick_ones.windows(2).all(|two| two[1].sequence == two[0].sequence + 1), "none is left out");
    shown.navigate("<style>body { background: red !important }</style>").await;
    let all = until_colour(Vec::new(), &mut recorder, RED).await;
    assert!(all.windows(2).all(|two| two[1].sequence == two[0].sequence + 1), "the recorder gets every one");
    let kept = until_colour(Vec::new(), &mut slow, RED).await;
    assert!(kept[0].key && kept[0].sequence > first.sequence + 1, "it skipped to a key picture");
    assert!(kept.len() < all.len() / 2, "{} of {}", kept.len(), all.len());
}

#[tokio::test]
async fn nothing_runs_when_nobody_looks() {
    let shown = show(Build::HeadlessShell, SCROLLING).await;
    let screen = shown.screen();
    for wants in [VIEWER, JPEG_VIEWER] {
        let mut subscription = screen.subscribe(wants);
        next(&mut subscription).await;
        next(&mut subscription).await;
        drop(subscription);
        // What was under way may still come.
        tokio::time::sleep(STILLNESS).await;
        let mut frames = shown.page.events::<ScreencastFrame>();
        assert!(timeout(STILLNESS, frames.next()).await.is_err(), "Chromium still sends pictures");
    }
    // And it starts again.
    next(&mut screen.subscribe(VIEWER)).await;
}

#[tokio::test]
async fn a_page_of_another_size_starts_another_stream_and_what_is_too_large_is_scaled_down() {
    let shown = show(Build::HeadlessShell, "").await;
    evaluate(&shown.page, &background("red")).await;
    let screen = shown.screen();
    let mut subscription = screen.subscribe(VIEWER);
    next(&mut subscription).await;
    for (asked, expected) in [((801, 601), (802, 602)), ((64, 48), (64, 48)), ((2560, 1600), (1920, 1200))] {
        let size = SetDeviceMetricsOverride { width: asked.0, height: asked.1, ..Default::default() };
        shown.page.call(size).await.expect("resized");
        let mut first = next(&mut subscription).await;
        while (first.width, first.height) != expected {
            first = next(&mut subscription).await;
        }
        assert!(first.key);
        until_colour(vec![first], &mut subscription, RED).await;
        let geometry = screen.geometry().borrow().expect("known");
        assert_eq!((geometry.width, geometry.height), (asked.0 as f64, asked.1 as f64));
    }
}

#[tokio::test]
async fn a_screen_outlives_pages_and_crashes_and_ends_with_its_tab() {
    for build in BUILDS {
        let shown = show(build, "").await;
        evaluate(&shown.page, &background("red")).await;
        let screen = shown.screen();
        let mut subscription = screen.subscribe(VIEWER);
        until_colour(Vec::new(), &mut subscription, RED).await;
        // Another page is another process; its pictures may belong to the stream that is under way.
        screen.request_key();
        shown.navigate("<style>body { background: blue !important }</style>").await;
        until_colour(key_first(&mut subscription).await, &mut subscription, BLUE).await;
        let _ = timeout(Duration::from_millis(500), shown.page.call(CrashPage {})).await;
        shown.page.call(Reload::default()).await.expect("loaded again");
        screen.request_key();
        shown.navigate("<style>body { background: red !important }</style>").await;
        until_colour(key_first(&mut subscription).await, &mut subscription, RED).await;
        shown.page.call(Close {}).await.expect("closed");
        while let Some(_late) = timeout(SOON, subscription.next()).await.expect("told in time") {}
        assert!(screen.subscribe(VIEWER).next().await.is_none());
        shown.browser.close(GRACE).await;
    }
}

#[tokio::test]
async fn a_screen_ends_with_its_browser_and_with_its_owner() {
    let shown = show(Build::HeadlessShell, "").await;
    let connection = shown.browser.connection().await.expect("connection");
    let (screen, other) = (shown.screen(), Screen::new(first_page(&connection).await, Settings::default()));
    let (mut ours, mut others) = (screen.subscribe(VIEWER), other.subscribe(JPEG_VIEWER));
    next(&mut ours).await;
    next(&mut others).await;
    drop(other);
    assert!(timeout(SOON, others.next()).await.expect("told in time").is_none());
    shown.browser.close(GRACE).await;
    while let Some(_late) = timeout(SOON, ours.next()).await.expect("told in time") {}
}

#[tokio::test]
async fn a_hidden_tab_shows_one_picture_and_moves_when_it_is_in_front() {
    let shown = show(Build::Chromium, SCROLLING).await;
    let connection = shown.browser.connection().await.expect("connection");
    let front = CreateTarget { url: "about:blank".into(), ..CreateTarget::default() };
    connection.call(front).await.expect("a tab in front");
    tokio::time::sleep(STILLNESS).await;
    assert_eq!(evaluate(&shown.page, "document.visibilityState").await, "hidden");
    let screen = shown.screen();
    let mut subscription = screen.subscribe(VIEWER);
    assert!(next(&mut subscription).await.key);
    assert!(timeout(STILLNESS, subscription.next()).await.is_err(), "nobody sees it move");
    shown.page.call(BringToFront {}).await.expect("in front");
    for _ in 0..5 {
        next(&mut subscription).await;
    }
}

#[tokio::test]
async fn a_page_that_shows_a_dialog_shows_its_picture_too() {
    for build in BUILDS {
        let shown = show(build, "").await;
        shown.page.call(Enable::default()).await.expect("enabled");
        evaluate(&shown.page, "setTimeout(() => alert('hello')), 0").await;
        tokio::time::sleep(STILLNESS).await;
        let screen = shown.screen();
        assert!(next(&mut screen.subscribe(VIEWER)).await.key);
    }
}
