//! `Idempotency-Key`: a client that does not know whether its request arrived sends it again and gets the first one's
//! answer.

use crate::app::App;
use crate::gate::Caller;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use vitrine_model::{ApiKeyId, Code, EpochMs, Error};
use vitrine_store::Claim;

/// The header.
const HEADER: &str = "idempotency-key";
/// Longest key.
const KEY_BYTES_MAX: usize = 255;
/// How long a request may take before another one with its key is the first.
const CLAIM_MS: EpochMs = 60_000;
/// How long an answer is kept: a day.
const ANSWER_MS: EpochMs = 86_400_000;

/// What a request with a key, or without one, is to do.
pub enum Once {
    /// It has no key: do it.
    Unkeyed,
    /// It is the first with its key: do it and keep the answer.
    First { api_key: ApiKeyId, key: String },
    /// It was done; this was the answer.
    Answered(Value),
}

impl Once {
    /// Reads the header and claims its key for this body.
    pub async fn begin(
        app: &App,
        caller: &Caller,
        headers: &HeaderMap,
        body: &Map<String, Value>,
    ) -> Result<Once, Error> {
        let Some(key) = key(headers)? else { return Ok(Once::Unkeyed) };
        let wrong = |expected| Error::invalid("Idempotency-Key", expected);
        // Maps are sorted by name: the order in which a client wrote its fields makes no other request.
        let hash: [u8; 32] = Sha256::digest(serde_json::to_vec(body).map_err(Error::internal)?).into();
        let (api_key, now) = (&caller.key.id, app.clock.now());
        let claim = app.store.idempotency_claim(api_key, key, hash, now, now + CLAIM_MS).await;
        match claim.map_err(Error::internal)? {
            Claim::First => Ok(Once::First { api_key: api_key.clone(), key: key.to_owned() }),
            Claim::Taken(saved) if saved.request_hash != hash => Err(wrong("was used with another body")),
            Claim::Taken(saved) => match saved.answer {
                Some(answer) => Ok(Once::Answered(serde_json::from_str(&answer).map_err(Error::internal)?)),
                None => Err(Error::new(Code::InvalidState, "the first request with this Idempotency-Key is under way")
                    .with("status", "under_way")),
            },
        }
    }

    /// Keeps what was answered; a failure is not kept, so that it can be tried again.
    pub async fn end(self, app: &App, answer: &Result<impl Serialize, Error>) -> Result<(), Error> {
        let Once::First { api_key, key } = self else { return Ok(()) };
        let kept = match answer {
            Ok(answer) => {
                let text = serde_json::to_string(answer).map_err(Error::internal)?;
                app.store.idempotency_put(&api_key, &key, &text, app.clock.now() + ANSWER_MS).await
            }
            Err(_) => app.store.idempotency_release(&api_key, &key).await,
        };
        kept.map_err(Error::internal)
    }
}

/// A request's key, when it has one.
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    key.map(Some).ok_or_else(|| Error::invalid("Idempotency-Key", "expected 1 to 255 visible ASCII characters"))
}
