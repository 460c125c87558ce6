//! Who may reach a session's live bytes, and where it runs: by its token without a database, by an API key with one.

use super::address::Address;
use super::refusal::Refusal;
use super::{Connected, Farewell, Gateway, Known};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use vitrine_model::preview::PreviewClaims;
use vitrine_model::ticket::{TICKET_MS, Ticket};
use vitrine_model::token::{Claims, Scope};
use vitrine_model::wire::{Dial, DialError, Purpose};
use vitrine_model::{Code, EpochMs, Error, MachineId, Permission, RunId, SessionId, TokenId};

/// A session that the bearer may reach, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) session: SessionId,
    run: RunId,
    machine: MachineId,
    expires_at: EpochMs,
    /// The token it came with.
    token: Option<String>,
    /// What made the token revocable.
    token_id: Option<TokenId>,
}

/// What has to stay good while a client is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guard {
    /// The session's own token: it is good as long as its session and needs no second look.
    Session,
    Key,
    /// A token that was made by request.
    Token {
        session: SessionId,
        id: TokenId,
        expires_at: EpochMs,
    },
}

/// What a page wants of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// The picture, acting in it where the token lets.
    Picture,
    ReadFiles,
    WriteFiles,
    Terminal,
    /// The page of an embed session: the picture, acting in it, and the calls of its embedder.
    Page,
}

impl Want {
    fn is_granted_by(self, scope: Scope) -> bool {
        match self {
            Want::Picture => matches!(scope, Scope::View | Scope::Control),
            Want::ReadFiles => matches!(scope, Scope::View | Scope::Control | Scope::Files),
            Want::WriteFiles => matches!(scope, Scope::Control | Scope::Files),
            Want::Terminal => scope == Scope::Terminal,
            Want::Page => scope == Scope::Page,
        }
    }
}

impl Access {
    /// Of one connection to a terminal. What a ticket opened stays open for as long as its session.
    pub(super) fn of_ticket(ticket: Ticket, token: &str) -> Self {
        let Ticket { session, run, machine, expires_s, .. } = ticket;
        let expires_at = expires_s.saturating_mul(1_000);
        Self { session, run, machine, expires_at, token: Some(token.to_owned()), token_id: None }
    }

    /// Of one port. What its token lets in stays for as long as the token is good.
    pub(super) fn of_preview(claims: PreviewClaims) -> Self {
        let PreviewClaims { session, run, machine, expires_at, .. } = claims;
        Self { session, run, machine, expires_at, token: None, token_id: None }
    }

    /// A ticket for one connection to a terminal of the session.
    pub(super) fn ticket(&self, terminal: Option<u64>, id: TokenId, now: EpochMs) -> Ticket {
        Ticket {
            session: self.session.clone(),
            run: self.run.clone(),
            machine: self.machine.clone(),
            terminal,
            id,
            expires_s: (now + TICKET_MS) / 1_000,
        }
    }

    /// What has to stay good.
    pub(super) fn guard(&self) -> Guard {
        match (&self.token, &self.token_id) {
            (None, _) => Guard::Key,
            (Some(_), None) => Guard::Session,
            (Some(_), Some(id)) => {
                Guard::Token { session: self.session.clone(), id: id.clone(), expires_at: self.expires_at }
            }
        }
    }
}

impl Gateway {
    /// Lets in by the token in the query, or else by the API key in the header.
    pub(super) async fn admit(&self, address: &Address, headers: &HeaderMap) -> Result<Access, Refusal> {
        let session = address.session.clone();
        if let Some(token) = &address.token {
            let claims = self.signing_key.verify(&session, token, self.clock.now());
            let Some(claims) = claims.filter(|claims| claims.scope == Scope::Cdp) else {
                return Err(unauthenticated("the token is wrong or has expired").into());
            };
            let Claims { run, machine, expires_at, .. } = claims;
            return Ok(Access { session, run, machine, expires_at, token: Some(token.clone()), token_id: None });
        }
        if !headers.contains_key(AUTHORIZATION) {
            return Err(unauthenticated("expected the session's token in the query or an API key in the header").into());
        }
        let (organization, permissions) = self.sessions.authenticate(headers).await?;
        if !permissions.allow(Permission::BrowserSessionsCreate) {
            let needed = Permission::BrowserSessionsCreate.as_str();
            let text = format!("this key may not drive browsers: it lacks {needed}");
            return Err(Error::new(Code::PermissionDenied, text).with("requiredPermission", needed).into());
        }
        let known = self.sessions.look_up(&session).await?.filter(|known| known.organization == organization);
        let known = known.filter(|known| known.is_driven).ok_or_else(|| Error::not_found("session"))?;
        let (run, machine) = place(&known)?;
        Ok(Access { session, run, machine, expires_at: known.token_expires_at, token: None, token_id: None })
    }

    /// Lets a page in by its token; answers also whether it may act.
    pub(super) async fn admit_page(
        &self,
        session: SessionId,
        token: &str,
        want: Want,
    ) -> Result<(Access, bool), Refusal> {
        let wrong = || unauthenticated("the token is wrong, has expired or was revoked");
        let claims = self.signing_key.verify(&session, token, self.clock.now()).ok_or_else(wrong)?;
        if let Some(id) = &claims.id
            && self.sessions.is_revoked(&session, id).await?
        {
            return Err(wrong().into());
        }
        let Claims { run, machine, expires_at, scope, id, .. } = claims;
        match want.is_granted_by(scope) {
            true => {
                let token = Some(token.to_owned());
                let access = Access { session, run, machine, expires_at, token, token_id: id };
                Ok((access, scope == Scope::Control))
            }
            // A good token for something else opens nothing here, like a bad one.
            false if want != Want::WriteFiles => Err(wrong().into()),
            false => Err(Error::new(Code::PermissionDenied, "this page may look, not act").into()),
        }
    }

    /// Resolves once a token was revoked or has expired. It is looked at as often as the client is pinged.
    pub(super) fn end_of_token(
        &self,
        session: SessionId,
        id: TokenId,
        expires_at: EpochMs,
    ) -> BoxFuture<'static, Farewell> {
        let (sessions, clock) = (Arc::clone(&self.sessions), Arc::clone(&self.clock));
        let every = self.config.ping_time();
        async move {
            loop {
                let left = u64::try_from(expires_at.saturating_sub(clock.now())).unwrap_or(0);
                if left == 0 {
                    return Farewell::TokenRevoked;
                }
                tokio::time::sleep(every.min(Duration::from_millis(left))).await;
                // A database that does not answer says nothing about the token.
                if sessions.is_revoked(&session, &id).await.unwrap_or(false) {
                    return Farewell::TokenRevoked;
                }
            }
        }
        .boxed()
    }

    /// Resolves once a token that nobody can revoke has expired.
    pub(super) fn expiry(&self, expires_at: EpochMs) -> impl Future<Output = Farewell> + Send + 'static {
        let left = u64::try_from(expires_at.saturating_sub(self.clock.now())).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left)).map(|()| Farewell::TokenRevoked)
    }

    /// Resolves once the API key in the header is good no more. It is looked at as often as the client is pinged: another server
    /// may have revoked it.
    pub(super) fn refusal_of_key(&self, headers: &HeaderMap) -> BoxFuture<'static, Farewell> {
        let key = headers.get(AUTHORIZATION).map(|value| (AUTHORIZATION, value.clone()));
        let (key, sessions) = (HeaderMap::from_iter(key), Arc::clone(&self.sessions));
        let every = self.config.ping_time();
        async move {
            loop {
                tokio::time::sleep(every).await;
                match sessions.authenticate(&key).await {
                    Err(error) if error.code == Code::Unauthenticated => return Farewell::TokenRevoked,
                    // A database that does not answer says nothing about the key.
                    Ok(_) | Err(_) => {}
                }
            }
        }
        .boxed()
    }

    /// A stream to the browser. A machine that does not have the run makes the row be read once: the session may have moved.
    pub(super) async fn reach(&self, access: &mut Access, purpose: Purpose) -> Result<Connected, Refusal> {
        match self.dial(access, purpose).await {
            Err(DialError::Gone) => {}
            answer => return Ok(answer?),
        }
        let known = self.sessions.look_up(&access.session).await?.ok_or_else(|| Error::not_found("session"))?;
        let (run, machine) = place(&known)?;
        if (&run, &machine) == (&access.run, &access.machine) {
            return Err(DialError::Gone.into());
        }
        (access.run, access.machine, access.token) = (run, machine, None);
        Ok(self.dial(access, purpose).await?)
    }

    /// The token for URLs in an answer: the one that the client came with, or a new one.
    pub(super) fn token_for(&self, access: &Access) -> String {
        access.token.clone().unwrap_or_else(|| {
            self.signing_key.sign(&Claims {
                session: access.session.clone(),
                run: access.run.clone(),
                machine: access.machine.clone(),
                scope: Scope::Cdp,
                expires_at: access.expires_at,
                id: None,
            })
        })
    }

    async fn dial(&self, access: &Access, purpose: Purpose) -> Result<Connected, DialError> {
        let dial = Dial { session: access.session.clone(), run: access.run.clone(), purpose };
        let limit = self.config.dial_time();
        timeout(limit, self.nodes.dial(&access.machine, dial))
            .await
            .unwrap_or_else(|_| Err(DialError::Unreachable(format!("no answer within {} ms", limit.as_millis()))))
    }
}

/// Where a session runs, or why it cannot be reached.
pub(super) fn place(known: &Known) -> Result<(RunId, MachineId), Error> {
    if known.status.is_terminal() || known.status == vitrine_model::Status::Ending {
        return Err(Error::ended(known.end_reason));
    }
    match (&known.run, &known.machine) {
        (Some(run), Some(machine)) if known.status.is_running() => Ok((run.clone(), machine.clone())),
        _ => Err(Error::state(known.status, "connecting")),
    }
}

fn unauthenticated(text: &str) -> Error {
    Error::new(Code::Unauthenticated, text)
}
