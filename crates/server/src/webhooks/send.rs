//! One attempt: a POST to the receiver, within its time, to no address but one that was judged, following nobody.

use super::guard::{GuardedResolver, check_target};
use super::{Message, WebhookConfig};
use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, redirect};
use std::error::Error as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use vitrine_model::EpochMs;
use vitrine_store::{Attempt, Webhook};

/// How much of an answer is read and kept.
const RESPONSE_BYTES_MAX: usize = 1_024;
/// How much of an error's text is kept.
const ERROR_CHARS_MAX: usize = 300;

/// Sends messages.
pub struct Sender {
    /// Made when it is first needed: it loads the system's certificates.
    client: OnceLock<Client>,
    config: WebhookConfig,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub at: EpochMs,
    pub duration_ms: u64,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub response: Option<String>,
}

impl Outcome {
    /// Whether the receiver took the message.
    pub fn is_delivered(&self) -> bool {
        self.error.is_none()
    }

    /// As it is kept.
    pub fn attempt(self, number: u32) -> Attempt {
        let Outcome { at, duration_ms, status, error, response } = self;
        Attempt { number, at, duration_ms, status, error, response }
    }
}

impl Sender {
    /// A sender that reaches what the operator allows.
    pub fn new(config: WebhookConfig) -> Self {
        Self { client: OnceLock::new(), config }
    }

    /// Sends a message to the webhook's receiver.
    pub async fn send(&self, webhook: &Webhook, message: &Message, now: EpochMs) -> Outcome {
        let begun = Instant::now();
        let mut outcome = Outcome { at: now, duration_ms: 0, status: None, error: None, response: None };
        match self.post(webhook, message, now).await {
            Ok(answer) => {
                let status = answer.status();
                outcome.status = Some(status.as_u16());
                outcome.error = (!status.is_success()).then(|| format!("the receiver answered {}", status.as_u16()));
                outcome.response = Some(beginning(answer).await);
            }
            Err(error) => outcome.error = Some(plain(&error).chars().take(ERROR_CHARS_MAX).collect()),
        }
        outcome.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        outcome
    }

    async fn post(&self, webhook: &Webhook, message: &Message, now: EpochMs) -> Result<reqwest::Response, String> {
        // An address that is written out is not resolved: it is judged here. So is what was allowed once and is not now.
        let url = check_target(&webhook.url, self.config.allow_private).map_err(|error| format!("the url {error}"))?;
        let mut headers = message.headers(webhook, now);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let sent = self.client()?.post(url).headers(headers).body(message.body.clone()).send().await;
        sent.map_err(|error| match error.is_timeout() {
            true => format!("no answer within {} ms", self.config.timeout_ms),
            false => root(&error),
        })
    }

    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .user_agent(concat!("vitrine/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_millis(self.config.timeout_ms))
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Each attempt resolves and judges anew.
            .pool_max_idle_per_host(0)
            .dns_resolver(GuardedResolver { allow_private: self.config.allow_private })
            .build()
            .map_err(|error| root(&error))?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// How an answer begins, as far as it came in time; what is binary becomes question marks.
async fn beginning(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    // The status alone decides: an answer that breaks off or hangs in its body is one all the same.
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(RESPONSE_BYTES_MAX - bytes.len())]);
        if bytes.len() == RESPONSE_BYTES_MAX {
            break;
        }
    }
    plain(&String::from_utf8_lossy(&bytes))
}

/// Text without control characters, which a log would obey and PostgreSQL does not take.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && char != '\n' { ' ' } else { char }).collect()
}

/// The innermost cause says what happened; the outer ones name the URL, which may hold a secret.
fn root(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else { return "the request could not be sent".to_owned() };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
