//! `/login`: from the link that a client was given to the page of its session, without a token that travels on.
//!
//! The login token is good as often as one likes for as long as the session runs; it is exchanged for a cookie, and for an
//! entry in the fragment of the page's address, which no browser sends anywhere: the page takes it out and trades it once.

use super::page::of_embed;
use super::trouble::{Trouble, Why};
use crate::app::App;
use crate::cookie;
use crate::request::Query;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use vitrine_model::token::{Claims, Scope};
use vitrine_model::{EndReason, EpochMs, Error, SessionId, TokenId};
use vitrine_store::Session;

/// The cookie with which a page that was loaded again, its fragment gone, gets its token.
pub const COOKIE: &str = "vitrine_page";
/// How long the page may take to trade its entry.
pub const ENTRY_MS: EpochMs = 60_000;

impl App {
    /// The link to the page of an embed session: always the same text, also after the end. Fails for one that never ran.
    pub fn login_url(&self, session: &Session, headers: &HeaderMap) -> Result<String, Error> {
        let claims = self.claims(session, Scope::Login, self.token_expires_at(session), None);
        let claims = claims.ok_or_else(|| Error::state(session.status, "logging in"))?;
        let token = self.signing_key.sign(&claims);
        Ok(self.base(headers)?.login(&session.id, &token, &claims.machine))
    }

    /// What a token for the latest run of a session says, whether it still runs or not.
    pub fn claims(&self, session: &Session, scope: Scope, expires_at: EpochMs, id: Option<TokenId>) -> Option<Claims> {
        let (run, machine) = (session.run.clone()?, session.machine.clone()?);
        Some(Claims { session: session.id.clone(), run, machine, scope, expires_at, id })
    }

    /// The session of a login token and what the token says, however old it is; `None` when it is none of ours.
    fn read_login(&self, text: &str) -> Option<Claims> {
        let (session, token) = text.split_once('.')?;
        let claims = self.signing_key.verify(&SessionId::parse(session).ok()?, token, EpochMs::MIN)?;
        (claims.scope == Scope::Login).then_some(claims)
    }

    async fn log_in(&self, query: &Query, headers: &HeaderMap) -> Result<Response, Trouble> {
        let token = query.text("token").filter(|token| !token.is_empty()).ok_or(Why::Missing)?;
        let claims = self.read_login(token).ok_or(Why::Invalid)?;
        let session = self.store.session(&claims.session).await.map_err(Error::internal)?.ok_or(Why::Unknown)?;
        let spec = of_embed(&session).ok_or(Why::Unknown)?;
        let ancestors = self.frame_ancestors(spec, headers)?;
        let now = self.clock.now();
        if let Some(why) = obstacle(&session, &claims, now) {
            return Err(why.framed_by(ancestors));
        }
        if query.text("mid").is_some_and(|machine| machine != claims.machine.to_string()) {
            return Err(Why::WrongMachine.framed_by(ancestors));
        }
        let id = TokenId::new(now, self.entropy.as_ref());
        let entry = Claims { scope: Scope::Entry, expires_at: now + ENTRY_MS, id: Some(id), ..claims.clone() };
        let kept = Claims { scope: Scope::Entry, ..claims };
        let (entry, kept) = (self.signing_key.sign(&entry), self.signing_key.sign(&kept));
        let options = if query.text("ui") == Some("false") { "?ui=false" } else { "" };
        // Relative: the page stays on the origin, and below the path, by which the client knows us.
        let location = format!("s/{}/{options}#entry={entry}", session.id);
        let location = HeaderValue::try_from(location).map_err(Error::internal)?;
        let mut response = (StatusCode::FOUND, [(LOCATION, location)]).into_response();
        let seconds = (self.token_expires_at(&session) - now) / 1_000;
        let cookie = cookie::written(&self.base(headers)?, COOKIE, &kept, &format!("/s/{}/", session.id), seconds);
        if let Some(cookie) = cookie {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(super::framing::framed(response, "default-src 'none'", &ancestors))
    }
}

/// Why a good token of a session leads nowhere now.
fn obstacle(session: &Session, claims: &Claims, now: EpochMs) -> Option<Why> {
    if super::page::is_over(session) || session.run.as_ref() != Some(&claims.run) {
        return Some(Why::Ended(session.end_reason));
    }
    if now >= claims.expires_at {
        return Some(Why::Ended(Some(EndReason::MaxDuration)));
    }
    (!session.status.is_running()).then_some(Why::NotReady)
}

/// `GET /login?token=&mid=`: on to the page. What an element adds when it tries again is no concern of ours.
pub async fn login(State(app): State<App>, query: Query, headers: HeaderMap) -> Response {
    app.log_in(&query, &headers).await.unwrap_or_else(|trouble| trouble.page(""))
}
