//! Pictures of a tab as it is now, as `data:` addresses.

use super::call::Call;
use super::failure::Failure;
use super::memory::Answer;
use serde_json::Value;
use std::time::Duration;
use vitrine_cdp::protocol::page::{CaptureScreenshot, CaptureScreenshotFormat};
use vitrine_model::embed::Capability;

/// How long a tab may take to be painted. One that hangs never is.
const PAINT_LIMIT: Duration = Duration::from_secs(15);
/// In base64: more than the largest window's picture takes.
const PICTURE_BYTES_MAX: usize = 24 * 1024 * 1024;
const QUALITY: f64 = 80.0;

impl Call<'_> {
    /// `frame` and `viewport` are the same picture: what the tab's window shows.
    pub async fn capture_frame(&self) -> Answer {
        let options = self.arguments.options(0);
        let capability = match options.text("scope") {
            Some("viewport") => Capability::CaptureViewport,
            _ => Capability::CaptureFrame,
        };
        if !self.caller.allows(capability) {
            return Err(Failure::denied(capability.as_str()));
        }
        let (format, kind) = match options.text("format").map(|format| format.trim_start_matches("image/")) {
            Some("jpeg" | "jpg") => (CaptureScreenshotFormat::Jpeg, "jpeg"),
            Some("webp") => (CaptureScreenshotFormat::Webp, "webp"),
            _ => (CaptureScreenshotFormat::Png, "png"),
        };
        let tab = self.tab(0)?;
        let attended = self.attended(&tab.id).await?;
        let shot = CaptureScreenshot {
            format: Some(format),
            quality: (kind != "png").then(|| quality(options.number("quality"))),
            optimize_for_speed: Some(true),
            ..CaptureScreenshot::default()
        };
        let data = attended.page.call_within(PAINT_LIMIT.min(self.left()), shot).await?.data;
        if data.len() > PICTURE_BYTES_MAX {
            return Err(Failure::internal("the picture is too large"));
        }
        Ok(Value::String(format!("data:image/{kind};base64,{data}")))
    }
}

/// Given as 0 to 1, as canvases take it, or as 1 to 100.
fn quality(wish: Option<f64>) -> i64 {
    let wish = wish.map_or(QUALITY, |wish| if wish <= 1.0 { wish * 100.0 } else { wish });
    wish.clamp(1.0, 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_taken_both_ways() {
        assert_eq!(
            [None, Some(0.5), Some(1.0), Some(70.0), Some(-3.0), Some(1e9)].map(quality),
            [80, 50, 100, 70, 1, 100]
        );
    }
}
