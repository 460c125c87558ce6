//! Chromium's flags, each with its reason. A flag without a reason does not stand here.

use crate::launch::Build;

/// Who gets a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Both,
    Shell,
    Full,
}

use For::{Both, Full, Shell};

const FLAGS: &[(For, &str, &str)] = &[
    (Full, "--ozone-platform=headless", "a desktop without a display; `--headless` would say so in the user agent"),
    (Full, "--keep-alive-for-test", "the last window may close: a session ends when its owner says so"),
    (Full, "--use-angle=swiftshader", "WebGL without a graphics card"),
    (Full, "--enable-unsafe-swiftshader", "the same"),
    (Full, "--disable-gpu-compositing", "without a graphics card pages are drawn three times as fast directly"),
    (Full, "--no-first-run", "no welcome page, no import from other browsers"),
    (Full, "--no-default-browser-check", "nothing to ask and nobody to answer"),
    (Full, "--disable-default-apps", "no bundled applications in a fresh profile"),
    (Full, "--disable-component-update", "the updater's scratch filled 125 GB in two hours elsewhere"),
    (Full, "--disable-sync", "no account of ours or the client's"),
    (Full, "--disable-search-engine-choice-screen", "a question that nobody answers"),
    (Both, "--disable-background-networking", "only the client's own traffic leaves and is counted"),
    (Both, "--disable-breakpad", "no crash dumps written or sent"),
    (Shell, "--disable-crash-reporter", "a crash is seen by its exit"),
    (Full, "--disable-crashpad-for-testing", "the same, with two processes less; the shell's flag does nothing here"),
    (Both, "--no-proxy-server", "the capsule's network is the proxy; the environment must not name another"),
    (Both, "--disable-quic", "UDP leads nowhere in a capsule, so QUIC would only wait for its own failure"),
    (Both, "--no-pings", "no hyperlink auditing beacons"),
    (Both, "--password-store=basic", "no keyring service to ask for over D-Bus"),
    (Both, "--mute-audio", "no sound device; the audio service is not started for silence"),
    (Shell, "--hide-scrollbars", "screenshots as clients of a headless browser expect them"),
    (Both, "--disable-popup-blocking", "a window that a script opens is what the client drives"),
    (Both, "--disable-background-timer-throttling", "every page is driven, also those that are not in front"),
    (Both, "--disable-backgrounding-occluded-windows", "the same"),
    (Both, "--disable-renderer-backgrounding", "the same"),
    (Both, "--disable-ipc-flooding-protection", "a driver calls faster than a person clicks"),
    (Shell, "--site-per-process", "every site in a process of its own, as the full browser does without being told"),
    // With it the first page of the default context runs in the blank page's process, which is warm: its first
    // navigation takes half the time and 30 ms less CPU. Pages of other sites, and further pages, have their own.
    (Shell, "--renderer-process-limit=1", "the first page takes the warm process of the blank one"),
    (
        Both,
        "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
        "no mouse is plugged in, yet pages must see one, as on the desktop that the user agent names",
    ),
];

const DISABLED_FEATURES: &[(For, &str, &str)] = &[
    (Both, "BackForwardCache", "pages that were left would stay in memory, and a driver expects `back` to load"),
    (Full, "MediaRouter", "casting looks for devices on the network"),
    (Full, "OptimizationHints", "downloads models"),
    (Full, "Translate", "asks a service for each foreign page"),
    (Full, "WebUIOmniboxPopup", "a hidden page for the address bar: with the next, 60% of the start's CPU and 60 MB"),
    (Full, "WebUIOmniboxAimPopup", "the same, and both show up among the client's targets"),
];

const ENABLED_FEATURES: &[(For, &str, &str)] = &[(
    Both,
    "NetworkServiceInProcess2",
    "one process, 11 MB and a sixth of the start's CPU less; it has no sandbox either way",
)];

/// The plain flags of a build.
pub(crate) fn of(build: Build) -> impl Iterator<Item = String> {
    select(FLAGS, build).map(str::to_owned)
}

pub(crate) fn enabled_features(build: Build) -> impl Iterator<Item = &'static str> {
    select(ENABLED_FEATURES, build)
}

pub(crate) fn disabled_features(build: Build) -> impl Iterator<Item = &'static str> {
    select(DISABLED_FEATURES, build)
}

fn select(table: &'static [(For, &str, &str)], build: Build) -> impl Iterator<Item = &'static str> {
    let own = if build == Build::HeadlessShell { Shell } else { Full };
    table.iter().filter(move |(whom, ..)| *whom == Both || *whom == own).map(|(_, name, _)| *name)
}
