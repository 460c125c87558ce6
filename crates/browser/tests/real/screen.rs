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
use vitrine_cdp::Session;
use vitrine_cdp::protocol::page::Navigate;

const VIEWER: Wants = Wants { coding: Coding::H264, every: false };
const JPEG_VIEWER: Wants = Wants { coding: Coding::Jpeg, every: false };
const SOON: Duration = Duration::from_secs(5);
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

/// All that comes until nothing comes any more.
async fn until_still(subscription: &mut Subscription) -> Vec<Picture> {
    let mut pictures = Vec::new();
    while let Ok(picture) = timeout(STILLNESS, subscription.next()).await {
        pictures.push(picture.expect("a picture"));
    }
    pictures
}

/// The colour in the middle of what the pictures show, as Y, U, V.
fn middle(pictures: &[Picture]) -> (u8, u8, u8) {
    let mut decoder = Decoder::new().expect("a decoder");
    let mut colour = None;
    for picture in pictures {
        let Some(decoded) = decoder.decode(&picture.data).expect("decodes") else { continue };
        let (width, height) = decoded.dimensions();
        assert_eq!((width, height), (picture.width.into(), picture.height.into()));
        let (row, half_row, _) = decoded.strides();
        let half = height / 4 * half_row + width / 4;
        colour = Some((decoded.y()[height / 2 * row + width / 2], decoded.u()[half], decoded.v()[half]));
    }
    colour.expect("a decoded picture")
}

/// Full range, BT.601.
const RED: (u8, u8, u8) = (76, 85, 255);

fn assert_colour(pictures: &[Picture], expected: (u8, u8, u8)) {
    let seen = middle(pictures);
    let near = |a: u8, b: u8| a.abs_diff(b) <= 8;
    assert!(near(seen.0, expected.0) && near(seen.1, expected.1) && near(seen.2, expected.2), "{seen:?} {expected:?}");
}

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
            let asked = Instant::now();
            let mut subscription = screen.subscribe(wants);
            let first = next(&mut subscription).await;
            println!(
                "{build:?} {:?}: first picture after {:?}, {} bytes",
                wants.coding,
                asked.elapsed(),
                first.data.len()
            );
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
            assert!(first.key);
            let viewport = evaluate(&shown.page, "[innerWidth, innerHeight]").await;
            // The window of the full browser has a frame.
            let size = [0, 1].map(|index| viewport[index].as_u64().expect("a number"));
            // H.264 has even sizes only.
            let even = |length: u64| if wants.coding == Coding::H264 { length.next_multiple_of(2) } else { length };
            assert_eq!([first.width, first.height].map(u64::from), size.map(even), "{build:?}");
            let mut pictures = vec![first];
            pictures.extend(until_still(&mut subscription).await);
            println!("{build:?} {:?}: {} pictures", wants.coding, pictures.len());
            if wants.coding == Coding::H264 {
                assert_colour(&pictures, RED);
            }
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
