//! Screenshots: taken of a tab, brought to the server at once.

use super::Interface;
use crate::interface::Unfulfilled;
use crate::spool::{Setback, measure};
use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;
use vitrine_browser::BrowserError;
use vitrine_browser::tabs::Tab;
use vitrine_cdp::protocol::page::{CaptureScreenshot, CaptureScreenshotFormat, GetLayoutMetrics, Viewport};
use vitrine_cdp::protocol::target::{DetachFromTarget, TargetId};
use vitrine_cdp::{CdpError, Session};
use vitrine_model::ArtifactKind;
use vitrine_model::wire::Object;

/// How long a tab may take to be painted. One that is frozen never is.
const TAKE_LIMIT: Duration = Duration::from_secs(15);
/// How long a browser may take to say which tab is in front.
const FRONT_LIMIT: Duration = Duration::from_secs(2);
/// How long the server may take to keep it.
const BRING_LIMIT: Duration = Duration::from_secs(30);
/// CSS pixels of a full page: Chromium itself paints no further.
const PAGE_PIXELS_MAX: f64 = 16_384.0;
/// Base64 of a picture that is taken over; the browser that sends it may be hostile.
const DATA_BYTES_MAX: usize = 128 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    #[serde(default)]
    full_page: bool,
    #[serde(default)]
    format: Format,
    quality: Option<u8>,
    target_id: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Png,
    Jpeg,
    Webp,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Jpeg => "jpeg",
            Format::Webp => "webp",
        }
    }

    fn in_protocol(self) -> CaptureScreenshotFormat {
        match self {
            Format::Png => CaptureScreenshotFormat::Png,
            Format::Jpeg => CaptureScreenshotFormat::Jpeg,
            Format::Webp => CaptureScreenshotFormat::Webp,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Taken {
    key: Option<String>,
    size: u64,
    width: u32,
    height: u32,
    content_type: String,
}

pub(super) async fn take(
    State(interface): State<Interface>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Taken>, Unfulfilled> {
    let picture = timeout(TAKE_LIMIT, capture(&interface, &wanted)).await;
    let picture = picture.map_err(|_| late("the tab did not paint in time"))??;
    let (width, height) = size(&picture).ok_or_else(|| conflict("the tab gave no picture"))?;
    let carried = &interface.run.carried;
    let name = format!("screenshot.{}", wanted.format.extension());
    let content_type = format!("image/{}", wanted.format.extension());
    let file = carried.folder().file(&format!("screenshot-{}", crate::clock::unique()));
    let kept = async {
        tokio::fs::write(&file, picture).await?;
        let measured = tokio::task::spawn_blocking({
            let file = file.clone();
            move || measure(&file)
        });
        let (size, sha256) = measured.await.map_err(std::io::Error::other)??;
        let kind = ArtifactKind::Screenshot;
        let object = Object::Artifact { kind, name, content_type: content_type.clone(), size, sha256 };
        Ok::<_, Setback>((size, carried.put(object, &file).await?))
    };
    let kept = timeout(BRING_LIMIT, kept).await;
    let _ = tokio::fs::remove_file(&file).await;
    match kept {
        Ok(Ok((size, key))) => Ok(Json(Taken { key, size, width, height, content_type })),
        Ok(Err(setback @ (Setback::NotYours | Setback::Refused(_)))) => Err(conflict(&format!("could not {setback}"))),
        Ok(Err(setback)) => Err(late(&format!("could not {setback}"))),
        Err(_) => Err(late("the picture could not be kept in time")),
    }
}

async fn capture(interface: &Interface, wanted: &Wanted) -> Result<Vec<u8>, Unfulfilled> {
    let failed = |error: CdpError| conflict(&format!("could not take a picture of the tab: {error}"));
    let target = wanted.target_id.clone().map(TargetId);
    let unreachable = |error: BrowserError| conflict(&format!("could not take a picture of the tab: {error}"));
    let browser = interface.run.browser.connection().await.map_err(unreachable)?;
    let target = match target {
        Some(target) => target,
        None => front(interface).await.map_err(unreachable)?.ok_or_else(|| conflict("there is no tab"))?,
    };
    let tab = browser.attach(&target).await.map_err(failed)?;
    let taken = shoot(&tab, wanted).await;
    // The tab may be gone, and with it the session.
    let _ = browser.call(DetachFromTarget { session_id: Some(tab.id().clone()) }).await;
    let data = taken.map_err(failed)?;
    if data.len() > DATA_BYTES_MAX {
        return Err(conflict("the picture is too large"));
    }
    STANDARD.decode(data).map_err(|_| conflict("the tab gave no picture"))
}

async fn front(interface: &Interface) -> Result<Option<TargetId>, BrowserError> {
    let mut list = interface.run.browser.tabs().await?.watch();
    // A browser that was only just looked at has not told its tabs yet.
    let active = timeout(FRONT_LIMIT, list.wait_for(|list| list.active.is_some())).await;
    let Some(list) = active.ok().and_then(|list| Some(list.ok()?.clone())) else { return Ok(None) };
    // Which of several tabs came last is not known of those that were there before anybody looked. The blank one that a browser
    // starts with is seldom meant.
    let blank = |tab: &&Tab| tab.url == "about:blank";
    let active = list.active.as_ref().and_then(|id| list.get(id));
    let meant = active.filter(|tab| !blank(tab)).or_else(|| list.tabs.iter().rev().find(|tab| !blank(tab))).or(active);
    Ok(meant.map(|tab| tab.id.clone()))
}

async fn shoot(tab: &Session, wanted: &Wanted) -> Result<String, CdpError> {
    let clip = match wanted.full_page {
        false => None,
        true => {
            let page = tab.call(GetLayoutMetrics {}).await?.css_content_size;
            let (width, height) = (page.width.clamp(1.0, PAGE_PIXELS_MAX), page.height.clamp(1.0, PAGE_PIXELS_MAX));
            Some(Viewport { x: 0.0, y: 0.0, width, height, scale: 1.0 })
        }
    };
    let shot = CaptureScreenshot {
        format: Some(wanted.format.in_protocol()),
        quality: wanted.quality.filter(|_| !matches!(wanted.format, Format::Png)).map(i64::from),
        capture_beyond_viewport: Some(clip.is_some()),
        clip,
        ..CaptureScreenshot::default()
    };
    Ok(tab.call_within(TAKE_LIMIT, shot).await?.data)
}

/// Width and height, as the file itself says.
fn size(picture: &[u8]) -> Option<(u32, u32)> {
    let big = |at: usize, bytes: usize| {
        Some(picture.get(at..at + bytes)?.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    let little = |at: usize, bytes: usize| {
        Some(picture.get(at..at + bytes)?.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    if picture.starts_with(b"\x89PNG") {
        return Some((big(16, 4)?, big(20, 4)?));
    }
    if picture.starts_with(b"RIFF") {
        return match picture.get(12..16)? {
            b"VP8 " => Some((little(26, 2)? & 0x3fff, little(28, 2)? & 0x3fff)),
            b"VP8L" => Some(((little(21, 4)? & 0x3fff) + 1, (little(21, 4)? >> 14 & 0x3fff) + 1)),
            b"VP8X" => Some((little(24, 3)? + 1, little(27, 3)? + 1)),
            _ => None,
        };
    }
    // JPEG: a row of segments, of which one that starts a frame has the size.
    let mut at = picture.starts_with(b"\xff\xd8").then_some(2)?;
    loop {
        match big(at, 2)? {
            0xffc0..=0xffc2 => return Some((big(at + 7, 2)?, big(at + 5, 2)?)),
            0xff00..=0xffff => at += 2 + big(at + 2, 2)? as usize,
            _ => return None,
        }
    }
}

fn conflict(message: &str) -> Unfulfilled {
    Unfulfilled::new(StatusCode::CONFLICT, message)
}

fn late(message: &str) -> Unfulfilled {
    Unfulfilled::new(StatusCode::GATEWAY_TIMEOUT, message)
}
