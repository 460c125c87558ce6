//! What the page of an embed session may be asked to do. The server issues a policy and the machine enforces it; an embedder
//! can restrict further and never widen.

use crate::EpochMs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Capabilities that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    Tabs,
    Page,
    Act,
    Events,
    Policy,
    Modals,
    Augment,
    Capture,
    Select,
}

macro_rules! capabilities {
    ($($name:ident = $group:ident $word:literal,)+) => {
        /// One thing that an embedder can be allowed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Capability {
            $(#[serde(rename = $word)] $name,)+
        }

        impl Capability {
            /// All that are implemented.
            pub const ALL: &[Capability] = &[$(Capability::$name,)+];

            /// `group.name`, as in policies and errors.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Capability::$name => $word,)+
                }
            }

            /// What it belongs to.
            pub fn group(self) -> Group {
                match self {
                    $(Capability::$name => Group::$group,)+
                }
            }
        }
    };
}

capabilities! {
    TabsRead = Tabs "tabs.read",
    TabsWrite = Tabs "tabs.write",
    PageRead = Page "page.read",
    PageNavigate = Page "page.navigate",
    ActNavigate = Act "act.navigate",
    ActClick = Act "act.click",
    ActType = Act "act.type",
    ActEvaluate = Act "act.evaluate",
    ActWait = Act "act.wait",
    EventsRead = Events "events.read",
    PolicyRead = Policy "policy.read",
    ModalsRead = Modals "modals.read",
    ModalsRespond = Modals "modals.respond",
    AugmentRead = Augment "augment.read",
    AugmentWrite = Augment "augment.write",
    AugmentPage = Augment "augment.page",
    AugmentViewport = Augment "augment.viewport",
    AugmentChrome = Augment "augment.chrome",
    AugmentSession = Augment "augment.session",
    CaptureFrame = Capture "capture.frame",
    CaptureViewport = Capture "capture.viewport",
    SelectUse = Select "select.use",
    SelectExtract = Select "select.extract",
}

impl Capability {
    /// Reads `group.name`.
    pub fn parse(word: &str) -> Option<Capability> {
        Capability::ALL.iter().copied().find(|known| known.as_str() == word)
    }

    /// The part after the group.
    pub fn name(self) -> &'static str {
        self.as_str().split_once('.').map_or(self.as_str(), |(_, name)| name)
    }
}

/// How much of the page an embedder lets its person and itself do. Each connection says it for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InteractionMode {
    #[default]
    Full,
    /// No `tabs.write`, no `act.evaluate`.
    Limited,
    /// No `tabs.write`, `page.navigate` or `act.*`; the person's own hands do nothing either.
    ViewOnly,
}

impl InteractionMode {
    /// Whether the mode leaves a capability as the policy has it.
    pub fn allows(self, capability: Capability) -> bool {
        match self {
            InteractionMode::Full => true,
            InteractionMode::Limited => !matches!(capability, Capability::TabsWrite | Capability::ActEvaluate),
            InteractionMode::ViewOnly => {
                capability.group() != Group::Act
                    && !matches!(capability, Capability::TabsWrite | Capability::PageNavigate)
            }
        }
    }
}

/// What the server issued for one session. The default allows all that is implemented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Grows with every change.
    pub version: u32,
    pub issued_at: EpochMs,
    pub updated_at: EpochMs,
    #[serde(default)]
    pub denied: BTreeSet<Capability>,
    /// When there are any, only URLs that match one can be opened.
    #[serde(default)]
    pub allow_urls: Vec<String>,
    /// URLs that match one cannot be opened; these win.
    #[serde(default)]
    pub deny_urls: Vec<String>,
    pub downloads: bool,
    pub uploads: bool,
    pub clipboard: bool,
}

/// A policy as the page and the element see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySnapshot {
    pub schema_version: u32,
    pub policy_profile: String,
    pub policy_id: String,
    pub baseline_id: String,
    pub policy_version: u32,
    pub issued_at: EpochMs,
    pub updated_at: EpochMs,
    pub feature_controls: FeatureControls,
    pub api_capabilities: BTreeMap<Group, BTreeMap<String, bool>>,
}

/// What a person may move between the two machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FeatureControls {
    pub downloads: bool,
    pub uploads: bool,
    pub clipboard: bool,
}

impl Policy {
    /// All that is implemented.
    pub fn open(now: EpochMs) -> Self {
        Self {
            version: 1,
            issued_at: now,
            updated_at: now,
            denied: BTreeSet::new(),
            allow_urls: Vec::new(),
            deny_urls: Vec::new(),
            downloads: true,
            uploads: true,
            clipboard: true,
        }
    }

    /// Whether a connection in `mode` may use a capability.
    pub fn allows(&self, capability: Capability, mode: InteractionMode) -> bool {
        !self.denied.contains(&capability) && mode.allows(capability)
    }

    /// What a connection in `mode` is told. `session` names the policy.
    pub fn snapshot(&self, session: &str, mode: InteractionMode) -> PolicySnapshot {
        let mut api_capabilities: BTreeMap<Group, BTreeMap<String, bool>> = BTreeMap::new();
        for capability in Capability::ALL.iter().copied() {
            let group = api_capabilities.entry(capability.group()).or_default();
            group.insert(capability.name().to_owned(), self.allows(capability, mode));
        }
        let hands = mode != InteractionMode::ViewOnly;
        PolicySnapshot {
            schema_version: 1,
            policy_profile: "session".into(),
            policy_id: session.to_owned(),
            baseline_id: "default".into(),
            policy_version: self.version,
            issued_at: self.issued_at,
            updated_at: self.updated_at,
            feature_controls: FeatureControls {
                downloads: self.downloads,
                uploads: self.uploads && hands,
                clipboard: self.clipboard && hands,
            },
            api_capabilities,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_their_groups() {
        for capability in Capability::ALL.iter().copied() {
            assert_eq!(Capability::parse(capability.as_str()), Some(capability));
            let group = serde_json::to_string(&capability.group()).expect("a word");
            assert!(capability.as_str().starts_with(group.trim_matches('"')), "{}", capability.as_str());
        }
    }

    #[test]
    fn a_mode_takes_away_and_a_policy_denies() {
        let mut policy = Policy::open(1);
        policy.denied.insert(Capability::ActClick);
        assert!(policy.allows(Capability::TabsWrite, InteractionMode::Full));
        assert!(!policy.allows(Capability::ActClick, InteractionMode::Full));
        assert!(!policy.allows(Capability::ActEvaluate, InteractionMode::Limited));
        assert!(policy.allows(Capability::ActType, InteractionMode::Limited));
        let snapshot = policy.snapshot("s", InteractionMode::ViewOnly);
        assert!(snapshot.api_capabilities[&Group::Act].values().all(|allowed| !allowed));
        assert!(snapshot.api_capabilities[&Group::Page]["read"]);
        assert!(!snapshot.api_capabilities[&Group::Page]["navigate"]);
        assert!(!snapshot.feature_controls.clipboard);
    }
}
