//! The live picture of a tab: one encoder, many viewers, one recorder.
//!
//! Assumes an attached page session. Promises the first picture at once, a key picture for each newcomer, bounded queues, that
//! a slow subscriber holds up nobody, and that nothing runs while nobody watches. What is overtaken is left out before it is
//! encoded, never after: Chromium is asked for the next picture only when somebody can take it.

mod audience;
mod cast;
mod encoder;
mod picture;
mod quiet;
mod seat;
mod shared;

pub use picture::{Coding, Picture};

use shared::Shared;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use vitrine_cdp::Session;

/// How a screen looks at its tab.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// More than this many pictures a second are not asked for.
    pub rate_max: u32,
    /// Pixels; what is larger is scaled down by Chromium.
    pub width_max: u16,
    pub height_max: u16,
    /// Of Chromium's JPEG, 1 to 100.
    pub quality: u8,
}

impl Default for Settings {
    /// What the figures of `bench/screen` were measured with.
    fn default() -> Settings {
        Settings { rate_max: 30, width_max: 1920, height_max: 1200, quality: 80 }
    }
}

/// What a subscriber asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wants {
    pub coding: Coding,
    /// Each picture, in a longer queue, rather than the newest ones: for a recorder.
    pub every: bool,
}

/// Where the newest picture lies in its page: what maps a point of the picture to a point of the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// The viewport, in CSS pixels of the device.
    pub width: f64,
    pub height: f64,
    /// Above the page within the picture, in the same pixels.
    pub offset_top: f64,
    /// Of a pinch zoom.
    pub page_scale: f64,
    /// In CSS pixels of the page.
    pub scroll_x: f64,
    pub scroll_y: f64,
}

/// The screen of one tab. Costs nothing until somebody subscribes; when it is dropped its subscriptions end.
pub struct Screen {
    shared: Arc<Shared>,
}

/// Pictures for one subscriber. Leaves when dropped.
pub struct Subscription {
    shared: Arc<Shared>,
    seat: u64,
    arrived: Arc<tokio::sync::Notify>,
}

impl Screen {
    /// One for each session: Chromium has one screencast in each. Must be called within a runtime. The task that it starts sleeps
    /// while nobody watches and ends with the screen or the session.
    pub fn new(page: Session, settings: Settings) -> Screen {
        let shared = Arc::new(Shared::default());
        tokio::spawn(cast::run(shared.clone(), page, settings));
        Screen { shared }
    }

    /// Joins those who look at the tab. The first picture is a key picture.
    pub fn subscribe(&self, wants: Wants) -> Subscription {
        let (seat, arrived) = self.shared.join(wants);
        Subscription { shared: self.shared.clone(), seat, arrived }
    }

    /// Changes with the pictures; none before the first one.
    pub fn geometry(&self) -> watch::Receiver<Option<Geometry>> {
        self.shared.geometry.subscribe()
    }

    /// The moment that `Picture::at` counts from; none before the first picture.
    pub fn started(&self) -> Option<Instant> {
        self.shared.audience().started
    }

    /// Asks for a key picture for everybody who takes H.264; soon, but not more often than is good for the others.
    pub fn request_key(&self) {
        self.shared.request_key();
    }

    /// How many look, recorder included.
    pub fn watched_by(&self) -> usize {
        self.shared.audience().seats.len()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Subscription {
    /// Waits for the next picture; `None` when the tab or its browser is gone. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Picture> {
        loop {
            if let Some(picture) = self.shared.take(self.seat)? {
                return Some(picture);
            }
            self.arrived.notified().await;
        }
    }

    /// As `Screen::request_key`.
    pub fn request_key(&self) {
        self.shared.request_key();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.leave(self.seat);
    }
}
