//! The operator's endpoint that answers CAPTCHAs, asked from here and not from inside any session.
//!
//! Promises bounded time and answers, and that the bearer token is in no log and no event.

use crate::config;
use futures_util::future::BoxFuture;
use reqwest::{Client, redirect};
use std::error::Error as _;
use std::sync::OnceLock;
use vitrine_browser::captcha::{Answer, Challenge, SOLVE_LIMIT, Solve};

/// Largest answer: a token, or a handful of form fields.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The endpoint.
pub(crate) struct Solver {
    config: config::Solver,
    /// Made when it is first needed: it loads the system's certificates.
    client: OnceLock<Client>,
}

impl Solver {
    pub(crate) fn new(config: config::Solver) -> Self {
        Self { config, client: OnceLock::new() }
    }

    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .user_agent(concat!("vitrine/", env!("CARGO_PKG_VERSION")))
            .timeout(SOLVE_LIMIT)
            // The token is for the endpoint that the operator named, and for nobody whom that one names.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| root(&error))?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn ask(&self, challenge: &Challenge) -> Result<Answer, String> {
        let mut request = self.client()?.post(&self.config.url).json(challenge);
        if let Some(secret) = &self.config.secret {
            request = request.bearer_auth(secret.reveal());
        }
        let mut answer = request.send().await.map_err(|error| root(&error))?;
        if !answer.status().is_success() {
            return Err(format!("the solver answered {}", answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| root(&error))? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(format!("the solver's answer is longer than {ANSWER_BYTES_MAX} bytes"));
            }
            bytes.extend_from_slice(&piece);
        }
        serde_json::from_slice(&bytes).map_err(|_| "the solver's answer is none".to_owned())
    }
}

impl Solve for Solver {
    fn solve(&self, challenge: Challenge) -> BoxFuture<'_, Result<Answer, String>> {
        Box::pin(async move { self.ask(&challenge).await })
    }
}

/// The innermost cause says what happened; the outer ones name the URL, which may hold a secret.
fn root(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else { return "the solver could not be asked".to_owned() };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
