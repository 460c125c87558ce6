//! `/s/SESSION/`: the page of an embed session, the same for everybody, and the token that makes it more than that.
//!
//! Who frames it is settled by the session's row at every request, so that it holds on every server. The page gets its token
//! against the entry in its address, the cookie or the token that it has; and the token opens its socket and its files.

use super::login::COOKIE;
use super::sender::Sender;
use super::trouble::{Trouble, Why};
use crate::answer::Answer;
use crate::app::App;
use crate::cookie;
use crate::gateway::Sessions as _;
use crate::gateway::pages::EMBED;
use crate::request::body;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vitrine_model::token::{Claims, Scope};
use vitrine_model::{Code, EmbedSpec, EpochMs, Error, SessionId, Status};
use vitrine_store::Session;

/// How long a page's token is good; a page that lives renews it in time.
pub const PAGE_TOKEN_MS: EpochMs = 5 * 60_000;
/// What a page sends for a token is short.
const WISH_LIMITS: body::Limits = body::Limits { bytes_max: 4_096, time_max: Duration::from_secs(10) };

/// What a session is beside a browser, when it is an embed session.
pub fn of_embed(session: &Session) -> Option<&EmbedSpec> {
    session.browser().and_then(|browser| browser.embed.as_ref())
}

/// Whether nobody is let in any more.
pub fn is_over(session: &Session) -> bool {
    session.status.is_terminal() || session.status == Status::Ending
}

/// `GET /s/SESSION`: to the address below which the page's parts are found.
pub async fn to_page(Path(id): Path<String>, RawQuery(query): RawQuery) -> Answer<Response> {
    let id = SessionId::parse(&id).map_err(|_| Error::not_found("session"))?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = http::HeaderValue::try_from(format!("{id}/{query}")).map_err(Error::internal)?;
    Ok((StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response())
}

/// `GET /s/SESSION/`: the page.
pub async fn page(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    app.show_page(&id, &headers).await.unwrap_or_else(|trouble| trouble.page("../../"))
}

/// What a page posts for a token; with nothing the cookie counts.
#[derive(Debug, Default, Deserialize)]
struct Wish {
    entry: Option<String>,
}

/// What a page is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    token: String,
    expires_at: EpochMs,
    session_expires_at: EpochMs,
    machine_id: String,
    /// Whose messages the page may listen to: origins and patterns as in `frame-ancestors`, our own origin first.
    embedding_origins: Vec<String>,
}

/// `POST /s/SESSION/token`: a token for the page.
pub async fn token(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Answer<Response> {
    let id = SessionId::parse(&id).map_err(|_| Error::not_found("session"))?;
    let bytes = body::bytes(body, WISH_LIMITS).await?;
    let wish = match bytes.is_empty() {
        true => Wish::default(),
        false => serde_json::from_slice(&bytes).map_err(|_| Error::invalid("body", "expected {\"entry\": TEXT}"))?,
    };
    let claims = app.credential(&id, &wish, &headers)?;
    let session = app.page_session(&claims).await?;
    if let (Scope::Entry, Some(entry)) = (claims.scope, &claims.id)
        && !app.use_up(&id, entry, claims.expires_at).await?
    {
        return Err(unauthenticated("the entry was used already").into());
    }
    let spec = of_embed(&session).ok_or_else(|| Error::not_found("session"))?;
    let expires_at = app.clock.now() + PAGE_TOKEN_MS;
    let given = Given {
        session_expires_at: app.token_expires_at(&session),
        machine_id: claims.machine.to_string(),
        embedding_origins: app.embedding_origins(spec, &headers)?,
        token: app.signing_key.sign(&Claims { scope: Scope::Page, expires_at, id: None, ..claims }),
        expires_at,
    };
    Ok(Json(given).into_response())
}

impl App {
    async fn show_page(&self, id: &str, headers: &HeaderMap) -> Result<Response, Trouble> {
        let id = SessionId::parse(id).map_err(|_| Why::Unknown)?;
        let session = self.store.session(&id).await.map_err(Error::internal)?.ok_or(Why::Unknown)?;
        let spec = of_embed(&session).ok_or(Why::Unknown)?;
        let ancestors = self.frame_ancestors(spec, headers)?;
        match is_over(&session) {
            true => Err(Why::Ended(session.end_reason).framed_by(ancestors)),
            false => Ok(EMBED.framed_by(&ancestors)),
        }
    }

    /// What the one credential that counts says: the page's token, else its entry, else the cookie.
    fn credential(&self, id: &SessionId, wish: &Wish, headers: &HeaderMap) -> Result<Claims, Error> {
        if headers.contains_key(AUTHORIZATION) {
            return self.page_claims(id, headers);
        }
        let entry = |token: &str| {
            let claims = self.signing_key.verify(id, token, self.clock.now())?;
            (claims.scope == Scope::Entry).then_some(claims)
        };
        if let Some(token) = &wish.entry {
            // The cookie's has no id and could be traded for ever: it counts as a cookie alone.
            let claims = entry(token).filter(|claims| claims.id.is_some());
            return claims.ok_or_else(|| unauthenticated("the entry is wrong or has expired"));
        }
        let claims = cookie::values(headers, COOKIE).filter_map(entry).find(|claims| claims.id.is_none());
        let claims = claims.ok_or_else(|| unauthenticated("expected an entry, the page's token or its cookie"))?;
        // A cookie comes along whoever sends the request: no other site's page may trade it.
        match self.sender(headers) {
            Sender::Ours => Ok(claims),
            _ => Err(Error::new(Code::PermissionDenied, "the cookie counts for requests of the page itself")),
        }
    }

    /// What the page's token in the header says.
    pub(super) fn page_claims(&self, id: &SessionId, headers: &HeaderMap) -> Result<Claims, Error> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let claims = token.and_then(|token| self.signing_key.verify(id, token, self.clock.now()));
        let claims = claims.filter(|claims| claims.scope == Scope::Page);
        claims.ok_or_else(|| unauthenticated("the page's token is wrong or has expired"))
    }

    /// The session of a page that shows a good token.
    pub(super) async fn page_session(&self, claims: &Claims) -> Result<Session, Error> {
        let session = self.store.session(&claims.session).await.map_err(Error::internal)?;
        let session = session.filter(|session| of_embed(session).is_some());
        let session = session.ok_or_else(|| Error::not_found("session"))?;
        match is_over(&session) || session.run.as_ref() != Some(&claims.run) {
            true => Err(Error::ended(session.end_reason)),
            false => Ok(session),
        }
    }
}

fn unauthenticated(text: &str) -> Error {
    Error::new(Code::Unauthenticated, text)
}
