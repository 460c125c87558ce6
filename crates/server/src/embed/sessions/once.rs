//! `Idempotency-Key` of a session: what is kept under a key is the id of the session that it makes, before the session is
//! made. So whoever has the key makes that one or finds it made, also after a crash in between, and the answer is read from
//! the row; no link to a session is stored beside it.

use super::wish::Wish;
use crate::app::App;
use crate::gate::Caller;
use crate::once;
use http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;
use vitrine_model::{Code, EpochMs, Error, SessionId};
use vitrine_store::Claim;

/// How long the first request may take to say which session it makes.
const CLAIM_MS: EpochMs = 10_000;
/// How long a key is kept: a day.
const KEPT_MS: EpochMs = 86_400_000;
/// The pause before a key is looked at again that has been claimed and names no session yet.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for that.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Which session a request is about.
pub struct Which {
    pub session: SessionId,
    /// Whether an earlier request named it.
    pub is_known: bool,
    key: Option<String>,
}

impl Which {
    /// The session of the request's key, or a new one.
    pub async fn begin(app: &App, caller: &Caller, headers: &HeaderMap, wish: &Wish) -> Result<Self, Error> {
        let new = || SessionId::new(app.clock.now(), app.entropy.as_ref());
        let Some(key) = once::key(headers)? else { return Ok(Self { session: new(), is_known: false, key: None }) };
        let (api_key, hash) = (&caller.key.id, wish.hash()?);
        let conflict = || {
            Error::new(Code::IdempotencyConflict, "this Idempotency-Key was used with another request; use a new one")
        };
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let now = app.clock.now();
            let claim = app.store.idempotency_claim(api_key, key, hash, now, now + CLAIM_MS).await;
            match claim.map_err(Error::internal)? {
                Claim::First => {
                    let session = new();
                    let put = app.store.idempotency_put(api_key, key, session.as_str(), now + KEPT_MS).await;
                    put.map_err(Error::internal)?;
                    return Ok(Self { session, is_known: false, key: Some(key.to_owned()) });
                }
                Claim::Taken(saved) if saved.request_hash != hash => return Err(conflict()),
                Claim::Taken(saved) => match saved.answer {
                    Some(session) => {
                        let session = SessionId::parse(&session).map_err(|_| conflict())?;
                        return Ok(Self { session, is_known: true, key: Some(key.to_owned()) });
                    }
                    None if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                    None => {
                        let text = "the first request with this Idempotency-Key is under way; try again in a moment";
                        return Err(Error::new(Code::Unavailable, text));
                    }
                },
            }
        }
    }

    /// It came to nothing: the next request with the key begins anew.
    pub async fn forget(&self, app: &App, caller: &Caller) -> Result<(), Error> {
        let Some(key) = &self.key else { return Ok(()) };
        // One who waited with it for the same session may come late: then the key names the next one's already.
        let forgotten = app.store.idempotency_forget(&caller.key.id, key, self.session.as_str()).await;
        forgotten.map_err(Error::internal)
    }
}
