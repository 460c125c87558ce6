//! How a session's browser differs from those in the warm pool, and how each is started.

use crate::browser::trust;
use crate::config::CarriedConfig;
use std::path::PathBuf;
use vitrine_browser::stealth::Story;
use vitrine_browser::{Build, Launch};

/// The browser's window until somebody asks for another.
const VIEWPORT: (u32, u32) = (1280, 720);
/// The user-data folder: in the capsule, and below the folder that the host sees as the session's.
const PROFILE: &str = "/session/profile";
pub(crate) const PROFILE_FOLDER: &str = "profile";

/// What a browser is started with. The default is what the pool holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// The full browser, telling this story of language and time zone.
    pub(crate) stealth: Option<(String, Option<String>)>,
    /// A saved profile, packed, on the host.
    pub(crate) profile: Option<PathBuf>,
}

impl Wish {
    /// What `stealth` means on this machine.
    pub(crate) fn stealthy(config: &CarriedConfig) -> (String, Option<String>) {
        (config.stealth_language.clone(), config.stealth_timezone.clone().or_else(machine_timezone))
    }

    pub(crate) fn launch(&self) -> Launch {
        let (build, executable) = match self.stealth {
            None => (Build::HeadlessShell, "/usr/lib/chromium/chromium-headless-shell"),
            Some(_) => (Build::Chromium, "/usr/lib/chromium/chromium"),
        };
        let (language, timezone) = match self.stealth.clone() {
            None => (None, None),
            Some((language, timezone)) => (Some(language), timezone),
        };
        Launch {
            build,
            executable: executable.into(),
            user_data_dir: PROFILE.into(),
            home_dir: trust::HOME.into(),
            temporary_dir: "/session/tmp".into(),
            story: Story { language, timezone, viewport: VIEWPORT },
            enabled_features: Vec::new(),
            disabled_features: Vec::new(),
        }
    }
}

/// The name of the machine's own time zone, if it has one.
fn machine_timezone() -> Option<String> {
    let link = std::fs::read_link("/etc/localtime").ok()?;
    let (_, name) = link.to_str()?.rsplit_once("/zoneinfo/")?;
    Some(name.to_owned())
}
