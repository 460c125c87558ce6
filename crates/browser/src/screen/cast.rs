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
use std::time::{Duration, Instant};
use tokio::time::{sleep, sleep_until};
use vitrine_cdp::protocol::page::{
    CaptureScreenshot, CaptureScreenshotFormat, GetLayoutMetrics, ScreencastFrame, ScreencastFrameAck,
    ScreencastFrameMetadata, StartScreencast, StartScreencastFormat, StopScreencast, Viewport,
};
use vitrine_cdp::{CdpError, Missed, Session};

/// A page that paints sends its first frame sooner; a still one is asked for a picture then.
const FIRST_FRAME_LIMIT: Duration = Duration::from_millis(120);
/// A page that is busy or shows a dialog may take its time for a screenshot.
const SCREENSHOT_LIMIT: Duration = Duration::from_secs(5);
const SCREENSHOT_PAUSE: Duration = Duration::from_secs(1);
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
        match cast(&shared, &page, settings).await {
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
async fn cast(shared: &Shared, page: &Session, settings: Settings) -> Result<(), CastError> {
    let mut frames = page.events::<ScreencastFrame>();
    page.call(start(settings)).await?;
    let mut clock = Clock::default();
    let mut pace = Pace::new(settings.rate_max);
    let mut owed: Option<ScreencastFrameAck> = None;
    let mut screenshot = pin!(still_picture(page, settings, FIRST_FRAME_LIMIT));
    loop {
        let (watched, room, blank) = {
            let mut audience = shared.audience();
            let watched = audience.is_watched();
            if !watched {
                audience.clear();
            }
            (watched, audience.has_room(), !audience.has_frame())
        };
        if !watched {
            break;
        }
        tokio::select! {
            frame = frames.next() => {
                let frame = frame?;
                pace.arrived();
                owed = Some(ScreencastFrameAck { session_id: frame.session_id });
                let at = clock.at(shared, frame.metadata.monotonic_timestamp);
                shared.show(Geometry::of(&frame.metadata));
                shared.paint(picture(&frame.data, at)?);
            }
            () = sleep_until(pace.due), if owed.is_some() && room => {
                if let Some(ack) = owed.take() {
                    page.call(ack).await?;
                }
            }
            taken = &mut screenshot, if blank => match taken {
                Ok((data, geometry)) => {
                    shared.show(geometry);
                    shared.paint(picture(&data, clock.at(shared, None))?);
                }
                Err(error @ (CdpError::Closed(_) | CdpError::Detached)) => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(%error, "no screenshot of a still page");
                    screenshot.set(still_picture(page, settings, SCREENSHOT_PAUSE));
                }
            },
            () = shared.turn.notified() => {}
        }
    }
    page.call(StopScreencast {}).await?;
    Ok(())
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
        let now = Instant::now();
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
    interval: Duration,
    due: tokio::time::Instant,
}

impl Pace {
    fn new(rate_max: u32) -> Pace {
        Pace { interval: Duration::from_secs(1) / rate_max.max(1), due: tokio::time::Instant::now() }
    }

    /// Counts from when this frame was due, so that delays do not add up, but not from long before it came: after a still
    /// stretch frames would come in a burst.
    fn arrived(&mut self) {
        let now = tokio::time::Instant::now();
        self.due = (self.due + self.interval).max(now - self.interval / 2);
    }
}
