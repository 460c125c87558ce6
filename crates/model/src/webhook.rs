//! Webhooks: which events they can ask for, how a message is signed (Standard Webhooks, <https://www.standardwebhooks.com>),
//! when one is tried again.

use crate::Entropy;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 86_400_000;

/// Webhooks of one organization.
pub const WEBHOOKS_MAX: u32 = 20;
/// How long a replaced secret goes on signing beside the new one.
pub const OLD_SECRET_MS: i64 = DAY_MS;
/// How long one message is tried, and how long a webhook fails before it is disabled.
pub const TRY_FOR_MS: i64 = DAY_MS;
/// How long deliveries and their attempts are kept.
pub const KEPT_MS: i64 = 30 * DAY_MS;
/// Pauses after the first, second… failed attempt; the last one repeats.
pub const PAUSES_MS: [u64; 7] =
    [5 * SECOND_MS, 15 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS];

/// The event that is sent by request, to try a webhook.
pub const TEST_EVENT: &str = "webhook.test";

/// What every session announces, browser or sandbox.
const COMMON: [&str; 17] = [
    "created",
    "assigned",
    "requeued",
    "ready",
    "active",
    "ending",
    "ended",
    "failed",
    "artifacts.updated",
    "download.completed",
    "captcha.detected",
    "captcha.solved",
    "captcha.failed",
    "egress.changed",
    "handoff.requested",
    "handoff.accepted",
    "handoff.completed",
];

/// What only sandboxes announce.
const SANDBOX: [&str; 8] = [
    "pausing",
    "paused",
    "resumed",
    "checkpoint.created",
    "network.changed",
    "network.refused",
    "agent.task.completed",
    "agent.task.failed",
];

/// Every event that a webhook can ask for.
pub fn events() -> impl Iterator<Item = String> {
    let sessions = COMMON.iter().map(|word| format!("session.{word}"));
    sessions.chain(COMMON.iter().chain(&SANDBOX).map(|word| format!("sandbox.{word}")))
}

/// Which events a webhook wants: names, beginnings of names such as `session.*`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventFilter(Vec<String>);

impl Default for EventFilter {
    /// Everything.
    fn default() -> Self {
        Self(vec!["*".to_owned()])
    }
}

impl EventFilter {
    /// The filter of these entries; the first that no event could ever match is the error. An entry counts once.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut kept: Vec<String> = Vec::new();
        for entry in entries {
            if !events().any(|name| matches(entry, &name)) {
                return Err(entry);
            }
            if !kept.iter().any(|known| known == entry) {
                kept.push(entry.to_owned());
            }
        }
        Ok(Self(kept))
    }

    /// Whether it asks for this event.
    pub fn wants(&self, name: &str) -> bool {
        self.0.iter().any(|entry| matches(entry, name))
    }
}

fn matches(entry: &str, name: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(beginning) => (beginning.is_empty() || beginning.ends_with('.')) && name.starts_with(beginning),
        None => entry == name,
    }
}

/// Prefix of a secret's text.
const SECRET_PREFIX: &str = "whsec_";
/// The specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// What a webhook's messages are signed with. `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; SECRET_BYTES]);

impl WebhookSecret {
    /// A new random secret.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// Reads `whsec_…`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The secret as `whsec_` and base64, to be shown once and to be stored.
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(self.0))
    }

    /// One signature of a message, `v1,…`, as it stands in `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        // HMAC takes a key of any length; the error type exists for other MACs.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It will be tried, now or later.
    Waiting,
    /// The receiver answered 2xx.
    Delivered,
    /// Tried for a day in vain.
    Failed,
    /// The webhook was disabled first.
    Abandoned,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [DeliveryState; 4] =
        [DeliveryState::Waiting, DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Abandoned];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Failed => "failed",
            DeliveryState::Abandoned => "abandoned",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<DeliveryState> {
        DeliveryState::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Why a webhook is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disabled {
    /// A client asked for it.
    Requested,
    /// Nothing but failures for a day.
    Failing,
    /// The receiver answered 410 Gone.
    Gone,
}

impl Disabled {
    /// All of them.
    pub const ALL: [Disabled; 3] = [Disabled::Requested, Disabled::Failing, Disabled::Gone];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Disabled::Requested => "requested",
            Disabled::Failing => "failing",
            Disabled::Gone => "gone",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Disabled> {
        Disabled::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Happening, Kind, Status, event};

    #[test]
    fn what_the_outbox_holds_can_be_asked_for() {
        let known: Vec<_> = events().collect();
        for status in Status::ALL.into_iter().filter(|status| !matches!(status, Status::Pausing)) {
            let kinds = if status == Status::Paused { &[Kind::Sandbox][..] } else { &[Kind::Browser, Kind::Sandbox] };
            for kind in kinds {
                let name = event::name(*kind, status);
                assert!(known.contains(&name), "{name}");
            }
        }
        for what in [Happening::ArtifactsUpdated, Happening::DownloadCompleted, Happening::CaptchaDetected] {
            assert!(known.contains(&format!("session.{}", what.as_str())));
        }
    }

    #[test]
    fn a_filter_takes_names_beginnings_and_everything() {
        let filter = EventFilter::new(["session.ready", "sandbox.agent.*", "session.ready"]).unwrap();
        assert_eq!(serde_json::to_string(&filter).unwrap(), r#"["session.ready","sandbox.agent.*"]"#);
        assert!(filter.wants("session.ready") && filter.wants("sandbox.agent.task.failed"));
        assert!(!filter.wants("session.ended") && !filter.wants("sandbox.ready"));
        assert!(EventFilter::new(["*"]).unwrap().wants("session.anything"));
        for wrong in ["", "session", "session.", "session.re*", "sessions.*", "session.paused", "**", "*.ready", ".*"] {
            assert_eq!(EventFilter::new(["*", wrong]), Err(wrong));
        }
    }

    #[test]
    fn a_signature_is_the_specifications() {
        // Computed by Python's hmac; an independent library checks whole messages in tests/clients.
        let secret = WebhookSecret::new(&|buffer: &mut [u8]| buffer.fill(7));
        assert_eq!(WebhookSecret::parse(&secret.reveal()), Some(secret.clone()));
        assert!(secret.reveal().starts_with("whsec_BwcH") && format!("{secret:?}") == "WebhookSecret");
        let signature = secret.sign("msg_1", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,4tb+MnkCTqymlrGQQ6f66PPeMjMas7AHx6XI40qL5MA=");
        assert_ne!(signature, secret.sign("msg_1", 1_614_265_331, br#"{"test": 2432232314}"#));
        for wrong in ["", "whsec_", "whsec_!", "BwcH", "whsec_BwcH"] {
            assert_eq!(WebhookSecret::parse(wrong), None, "{wrong}");
        }
    }
}
