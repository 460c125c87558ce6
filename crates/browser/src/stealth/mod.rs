//! One consistent browser: user agent, client hints, languages, time zone and screen that agree, in every frame, worker,
//! window and context, whoever attaches.
//!
//! Nothing is invented and nothing is patched in: the full Chromium is started so that what it says of itself is true. It
//! runs as on a desktop (`--ozone-platform=headless`: a display that nobody sees) and not with `--headless`, which calls
//! itself "HeadlessChrome"; overwriting that by `--user-agent` would empty the architecture and the full versions among the
//! client hints. What a page can find out by being drawn (SwiftShader as the graphics card) and by asking (Chromium, not
//! Chrome; no sound, no camera) it may.
//!
//! Assumes for a language other than English that the image holds Debian's `chromium-l10n`: without it `Intl` speaks American
//! English, as it does for a person who has installed no other.

/// What a browser tells of the person in front of it. To agree with the way out, it comes from whoever knows that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// BCP 47, for `navigator.languages` and `Accept-Language`; `None` is Chromium's own, American English.
    pub language: Option<String>,
    /// A name of the IANA's time zones; `None` is the capsule's own, UTC.
    pub timezone: Option<String>,
    /// What a page measures as `innerWidth` and `innerHeight`, in CSS pixels.
    pub viewport: (u32, u32),
}

/// Tabs and address field of the full browser, above the page.
const BARS_HEIGHT: u32 = 87;
/// Where the full browser puts its window, from the left and from the top.
const WINDOW_OFFSET: u32 = 10;
/// Screens that people have, in pixels.
const SCREENS: [(u32, u32); 3] = [(1920, 1080), (2560, 1440), (3840, 2160)];

impl Story {
    /// The full browser's window, so that the page has its viewport.
    pub(crate) fn window(&self) -> (u32, u32) {
        (self.viewport.0, self.viewport.1 + BARS_HEIGHT)
    }

    /// The smallest screen of a real size with room for the window.
    pub(crate) fn screen(&self) -> (u32, u32) {
        let window = self.window();
        let needed = (window.0 + WINDOW_OFFSET, window.1 + WINDOW_OFFSET);
        SCREENS.into_iter().find(|screen| screen.0 >= needed.0 && screen.1 >= needed.1).unwrap_or(needed)
    }

    /// `de-CH,de`: as the full browser's settings have it, where a region brings its language along.
    pub(crate) fn languages(&self) -> Option<String> {
        let language = self.language.as_deref()?;
        Some(match language.split_once('-') {
            Some((general, _)) => format!("{language},{general}"),
            None => language.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(viewport: (u32, u32), language: &str) -> Story {
        Story { language: Some(language.into()), timezone: None, viewport }
    }

    #[test]
    fn the_screen_has_room_for_the_window() {
        assert_eq!(story((1280, 720), "de").screen(), (1920, 1080));
        assert_eq!(story((1920, 1080), "de").screen(), (2560, 1440));
        assert_eq!(story((5000, 1000), "de").screen(), (5010, 1097));
    }

    #[test]
    fn a_region_brings_its_language_along() {
        assert_eq!(story((1, 1), "de-CH").languages().as_deref(), Some("de-CH,de"));
        assert_eq!(story((1, 1), "fr").languages().as_deref(), Some("fr"));
        assert_eq!(Story { language: None, timezone: None, viewport: (1, 1) }.languages(), None);
    }
}
