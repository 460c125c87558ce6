//! The task that listens to Chromium: starts its screencast when somebody looks, stops it when nobody does, and acknowledges
//! a frame when the next one is wanted. Chromium holds the newest frame back until then, so what is overtaken is never even
//! compressed.

use super::audience::Frame;
use super::encoder::pixels;
use super::shared::Shared;
use super::{Geometry, Settings};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use vitrine_cdp::protocol::page::{
    CaptureScreenshot, CaptureScreenshotFormat, GetLayoutMetrics, ScreencastFrame, ScreencastFrameAck,
    ScreencastFrameMetadata, StartScreencast, StartScreencastFormat, StopScreencast, Viewport,
};
use vitrine_cdp::{CdpError, Missed, Session};

/// Pictures a second that a recording has while nobody watches.
const RECORDED_RATE_MAX: u32 = 25;
/// A page that paints sends its first frame sooner; a still one is asked for a picture then.
const FIRST_FRAME_LIMIT: Duration = Duration::from_millis(120);
/// A page that is busy or shows a dialog may take its time for a screenshot.
const SCREENSHOT_LIMIT: Duration = Duration::from_secs(5);
const SCREENSHOT_PAUSE: Duration = Duration::from_secs(1);
/// A page that sent nothing for so long is looked at once more. Longer than a caret's blink.
const STILL_AFTER: Duration = Duration::from_millis(700);
/// Before a tab that refused is asked again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Serves the screen until it or its session ends.
pub async fn run(shared: Arc<Shared>, page: Session, settings: Settings) {
    loop {
        let (watched, ended) = {
            let audience = shared.audience();
            (audience.is_watched(), audience.ended)
        };
        if ended {
            return;
        }
        if !watched {
            shared.turn.notified().await;
            continue;
        }
        match Cast::new(&shared, &page, settings).serve().await {
            Ok(()) => {}
            // A crashed tab refuses; it may be loaded again.
            Err(CastError::Call(error @ (CdpError::Refused { .. } | CdpError::TimedOut { .. }))) => {
                tracing::debug!(%error, "a tab does not show itself");
                sleep(REFUSED_PAUSE).await;
            }
            Err(error) => {
                tracing::debug!(%error, "a screen has ended");
                return shared.end();
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CastError {
    #[error("{0}")]
    Call(#[from] CdpError),
    #[error("{0}")]
    Missed(#[from] Missed),
    #[error("a picture is not readable: {0}")]
    Picture(String),
}

/// One stretch of being watched.
struct Cast<'a> {
    shared: &'a Shared,
    page: &'a Session,
    settings: Settings,
    clock: Clock,
    pace: Pace,
    /// The frame that Chromium waits for us to acknowledge, and whether it showed anything new.
    owed: Option<(ScreencastFrameAck, bool)>,
    /// When a page that seems still is looked at once more.
    confirm: Option<Instant>,
}

impl<'a> Cast<'a> {
    fn new(shared: &'a Shared, page: &'a Session, settings: Settings) -> Cast<'a> {
        let pace = Pace::new();
        Cast { shared, page, settings, clock: Clock::default(), pace, owed: None, confirm: None }
    }

    async fn serve(mut self) -> Result<(), CastError> {
        let mut frames = self.page.events::<ScreencastFrame>();
        self.page.call(start(self.settings)).await?;
        let mut screenshot = pin!(still_picture(self.page, self.settings, FIRST_FRAME_LIMIT));
        while let Some(Room { for_another, blank }) = self.room() {
            let confirm = self.confirm.unwrap_or(self.pace.due);
            tokio::select! {
                frame = frames.next() => self.hear(&frame?)?,
                () = sleep_until(self.pace.due), if self.owed.is_some() && for_another => self.acknowledge().await?,
                () = sleep_until(confirm), if self.confirm.is_some() => self.look_again().await?,
                taken = &mut screenshot, if blank => match taken {
                    Ok((data, geometry)) => {
                        self.shared.show(geometry);
                        self.shared.paint(picture(&data, self.clock.at(self.shared, None))?);
                    }
                    Err(error @ (CdpError::Closed(_) | CdpError::Detached)) => return Err(error.into()),
                    Err(error) => {
                        tracing::debug!(%error, "no screenshot of a still page");
                        screenshot.set(still_picture(self.page, self.settings, SCREENSHOT_PAUSE));
                    }
                },
                () = self.shared.turn.notified() => {}
            }
        }
        self.page.call(StopScreencast {}).await?;
        Ok(())
    }

    /// None when nobody watches any more; then what was painted is forgotten.
    fn room(&self) -> Option<Room> {
        let mut audience = self.shared.audience();
        if !audience.is_watched() {
            audience.clear();
            return None;
        }
        Some(Room { for_another: audience.has_room(), blank: !audience.has_frame() })
    }

    fn hear(&mut self, frame: &ScreencastFrame) -> Result<(), CastError> {
        let slower = if self.shared.audience().is_only_recorded() { RECORDED_RATE_MAX } else { u32::MAX };
        self.pace.arrived(self.settings.rate_max.min(slower));
        let at = self.clock.at(self.shared, frame.metadata.monotonic_timestamp);
        self.shared.show(Geometry::of(&frame.metadata));
        let new = self.shared.paint(picture(&frame.data, at)?);
        self.owed = Some((ScreencastFrameAck { session_id: frame.session_id }, new));
        self.confirm = None;
        Ok(())
    }

    async fn acknowledge(&mut self) -> Result<(), CastError> {
        if let Some((ack, new)) = self.owed.take() {
            self.page.call(ack).await?;
            self.confirm = new.then(|| Instant::now() + STILL_AFTER);
        }
        Ok(())
    }

    /// Chromium sometimes loses the frame after a change of size, for good when the page is still then. A new screencast begins
    /// with a frame; when it shows nothing new it goes nowhere.
    async fn look_again(&mut self) -> Result<(), CastError> {
        self.confirm = None;
        self.page.call(StopScreencast {}).await?;
        self.page.call(start(self.settings)).await?;
        Ok(())
    }
}

struct Room {
    /// Somebody waits for a picture.
    for_another: bool,
    /// There has been none yet.
    blank: bool,
}

fn start(settings: Settings) -> StartScreencast {
    StartScreencast {
        format: Some(StartScreencastFormat::Jpeg),
        quality: Some(settings.quality.into()),
        max_width: Some(settings.width_max.into()),
        max_height: Some(settings.height_max.into()),
        max_frames_in_flight: Some(1),
        send_last_frame: Some(true),
        ..StartScreencast::default()
    }
}

/// A picture of a page that does not repaint, as the screencast would have sent it.
async fn still_picture(page: &Session, settings: Settings, wait: Duration) -> Result<(String, Geometry), CdpError> {
    sleep(wait).await;
    let metrics = page.call_within(SCREENSHOT_LIMIT, GetLayoutMetrics {}).await?;
    let (view, visual) = (metrics.css_layout_viewport, metrics.css_visual_viewport);
    let geometry = Geometry {
        width: view.client_width as f64,
        height: view.client_height as f64,
        offset_top: 0.0,
        page_scale: visual.scale,
        scroll_x: visual.page_x,
        scroll_y: visual.page_y,
    };
    let scale = (f64::from(settings.width_max) / geometry.width).min(f64::from(settings.height_max) / geometry.height);
    let clip =
        Viewport { x: geometry.scroll_x, y: geometry.scroll_y, width: geometry.width, height: geometry.height, scale };
    let command = CaptureScreenshot {
        format: Some(CaptureScreenshotFormat::Jpeg),
        quality: Some(settings.quality.into()),
        clip: (scale < 1.0).then_some(clip),
        optimize_for_speed: Some(true),
        ..CaptureScreenshot::default()
    };
    Ok((page.call_within(SCREENSHOT_LIMIT, command).await?.data, geometry))
}

fn picture(base64: &str, at: Duration) -> Result<Frame, CastError> {
    let unreadable = |error: &dyn Display| CastError::Picture(error.to_string());
    let jpeg = BASE64_STANDARD.decode(base64).map_err(|error| unreadable(&error))?;
    let header = turbojpeg::read_header(&jpeg).map_err(|error| unreadable(&error))?;
    Ok(Frame { jpeg: jpeg.into(), at, width: pixels(header.width), height: pixels(header.height) })
}

impl Geometry {
    fn of(metadata: &ScreencastFrameMetadata) -> Geometry {
        Geometry {
            width: metadata.device_width,
            height: metadata.device_height,
            offset_top: metadata.offset_top,
            page_scale: metadata.page_scale_factor,
            scroll_x: metadata.scroll_offset_x,
            scroll_y: metadata.scroll_offset_y,
        }
    }
}

/// Turns Chromium's clock into time since the screen's first picture. It never goes back.
#[derive(Default)]
struct Clock {
    /// What Chromium's clock showed at the screen's first picture.
    zero: Option<f64>,
    latest: Duration,
}

impl Clock {
    fn at(&mut self, shared: &Shared, painted_seconds: Option<f64>) -> Duration {
        let now = std::time::Instant::now();
        let elapsed = now - *shared.audience().started.get_or_insert(now);
        let painted = painted_seconds.and_then(|painted| {
            let zero = *self.zero.get_or_insert(painted - elapsed.as_secs_f64());
            Duration::try_from_secs_f64(painted - zero).ok()
        });
        self.latest = self.latest.max(painted.unwrap_or(elapsed));
        self.latest
    }
}

/// When the next frame may be asked for.
struct Pace {
    due: Instant,
}

impl Pace {
    fn new() -> Pace {
        Pace { due: Instant::now() }
    }

    /// Counts from when this frame was due, so that delays do not add up, but from no longer ago than one frame lasts: after a
    /// still stretch frames would come in a burst.
    fn arrived(&mut self, rate_max: u32) {
        let (now, interval) = (Instant::now(), Duration::from_secs(1) / rate_max.max(1));
        self.due = (self.due + interval).max(now - interval);
    }
}
