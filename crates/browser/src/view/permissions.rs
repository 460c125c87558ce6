//! What sites may do. The protocol tells of no question that a site asks, so permissions are set before, or after a refusal.

use super::message::{PermissionState, Permitted};
use super::stage::Stage;
use crate::tabs::WORLD;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use vitrine_cdp::protocol::browser::{PermissionDescriptor, PermissionSetting, SetPermission};
use vitrine_cdp::protocol::page::{CreateIsolatedWorld, FrameId};
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::TargetId;

/// Those that pages ask people for, by their names in the platform.
const NAMES: [&str; 12] = [
    "geolocation",
    "notifications",
    "camera",
    "microphone",
    "clipboard-read",
    "clipboard-write",
    "display-capture",
    "idle-detection",
    "local-fonts",
    "midi",
    "persistent-storage",
    "window-management",
];
/// What was set here is kept for so many origins, to be shown for sites that no tab is at.
const ORIGINS_MAX: usize = 256;
const ORIGIN_BYTES_MAX: usize = 512;
const QUERY_LIMIT: Duration = Duration::from_secs(2);
const QUERY: &str = "async (origin, names) => location.origin === origin ? Promise.all(names.map((name) =>
    navigator.permissions.query({ name }).then(({ state }) => state, () => null))) : []";

#[derive(Default)]
pub(crate) struct Permissions {
    set: Mutex<HashMap<String, HashMap<&'static str, PermissionState>>>,
}

/// A site's address without path; none for what is no site.
fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    origin.len() <= ORIGIN_BYTES_MAX
        && host
            .is_some_and(|host| !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && !"/?#@\\".contains(c)))
}

impl Stage {
    /// Sets one permission of a site in the tab's browser context.
    pub async fn permit(
        &self,
        tab: &TargetId,
        origin: &str,
        name: &str,
        state: PermissionState,
    ) -> Result<Vec<Permitted>, String> {
        let name = *NAMES.iter().find(|known| **known == name).ok_or("there is no such permission")?;
        if !is_origin(origin) {
            return Err("that is no site".into());
        }
        let setting = match state {
            PermissionState::Granted => PermissionSetting::Granted,
            PermissionState::Denied => PermissionSetting::Denied,
            PermissionState::Prompt => PermissionSetting::Prompt,
        };
        let context = self.tabs.watch().borrow().get(tab).and_then(|tab| tab.context.clone());
        let command = SetPermission {
            permission: PermissionDescriptor {
                name: name.to_owned(),
                sysex: None,
                user_visible_only: None,
                allow_without_sanitization: None,
                allow_without_gesture: None,
                pan_tilt_zoom: None,
            },
            setting,
            origin: Some(origin.to_owned()),
            embedded_origin: None,
            browser_context_id: context,
        };
        self.tabs.connection().call(command).await.map_err(|error| error.to_string())?;
        {
            let mut set = self.permissions.set.lock().unwrap_or_else(PoisonError::into_inner);
            if set.len() < ORIGINS_MAX || set.contains_key(origin) {
                set.entry(origin.to_owned()).or_default().insert(name, state);
            }
        }
        Ok(self.permitted(tab, origin).await)
    }

    /// What a site may do: as the tab's page says when it is that site's, else as it was set here.
    pub async fn permitted(&self, tab: &TargetId, origin: &str) -> Vec<Permitted> {
        let said = self.query(tab, origin).await.unwrap_or_default();
        let set = self.permissions.set.lock().unwrap_or_else(PoisonError::into_inner);
        let set = set.get(origin);
        let state = |place: usize, name: &str| {
            let said = said.get(place).copied().flatten();
            said.or_else(|| set?.get(name).copied()).unwrap_or(PermissionState::Prompt)
        };
        let states = NAMES.iter().enumerate();
        states.map(|(place, name)| Permitted { name: (*name).to_owned(), state: state(place, name) }).collect()
    }

    async fn query(&self, tab: &TargetId, origin: &str) -> Option<Vec<Option<PermissionState>>> {
        if !is_origin(origin) {
            return None;
        }
        let page = self.tabs.session(tab)?;
        let world = CreateIsolatedWorld {
            frame_id: FrameId(tab.0.clone()),
            world_name: Some(WORLD.into()),
            ..CreateIsolatedWorld::default()
        };
        let context = page.call_within(QUERY_LIMIT, world).await.ok()?.execution_context_id;
        let command = Evaluate {
            expression: format!("({QUERY})({}, {})", serde_json::json!(origin), serde_json::json!(NAMES)),
            context_id: Some(context),
            return_by_value: Some(true),
            await_promise: Some(true),
            ..Evaluate::default()
        };
        serde_json::from_value(page.call_within(QUERY_LIMIT, command).await.ok()?.result.value?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn only_sites_have_permissions() {
        for origin in ["https://example.com", "http://localhost:8080", "http://[::1]:1"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in
            ["", "null", "https://", "https://a/b", "https://u@a", "file:///etc", "javascript:1", "https://a b"]
        {
            assert!(!is_origin(other), "{other}");
        }
    }
}
