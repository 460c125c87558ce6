//! What stands in a page, and what answers it.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The well-known kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    RecaptchaV2,
    RecaptchaV3,
    RecaptchaEnterprise,
    Hcaptcha,
    Turnstile,
    Arkose,
    Geetest,
    AwsWaf,
}

/// One CAPTCHA in one page, in the form in which a solver is asked. Every text is the page's own word, cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    pub kind: Kind,
    /// Of the page, not of the frame in it.
    #[serde(default)]
    pub url: String,
    /// The site's public key with the CAPTCHA's maker, where the page tells it.
    pub site_key: Option<String>,
    /// What the page calls the action that it protects.
    pub action: Option<String>,
    /// What the page passes through to the maker (`data-s`, `data-cdata`, `rqdata`, `blob`).
    pub data: Option<String>,
    /// Nobody has to click it.
    pub invisible: bool,
}

/// What a solver answers.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The response token, where the kind has one.
    #[serde(default)]
    pub token: String,
    /// Further form fields by name, for kinds that have several (GeeTest).
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// Whoever answers challenges. An error reads after "could not solve it:".
pub trait Solve: Send + Sync + 'static {
    fn solve(&self, challenge: Challenge) -> BoxFuture<'_, Result<Answer, String>>;
}

/// What became of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Detected(Challenge),
    /// The solver answered and the page took it.
    Solved(Challenge),
    Failed {
        challenge: Challenge,
        message: String,
    },
}
