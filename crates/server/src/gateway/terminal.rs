//! Terminals: tickets for the page that shows one, and their WebSockets.
//!
//! A ticket opens one connection and is used up by it. A WebSocket with a bad ticket is opened all the same, to be closed
//! with the code that says so: scripts in a browser see no HTTP status.

use super::access::{Access, Want};
use super::client::{self, Handshake};
use super::frame::{self, Sender};
use super::refusal::Refusal;
use super::{Connected, Gateway};
use crate::request::{Fields, Query, body};
use crate::run::{self, ANSWER_TIME_MAX};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use vitrine_model::end_reason::CLOSE_TOKEN_REVOKED;
use vitrine_model::wire::Purpose;
use vitrine_model::{Error, SessionId};

/// Columns, and rows.
pub const SIDE: RangeInclusive<u64> = 1..=1_000;
/// Where the client names none: what terminals have had since there were any.
pub const COLS_DEFAULT: u64 = 80;
pub const ROWS_DEFAULT: u64 = 24;
/// What a page asks for is short.
const WISH_LIMITS: body::Limits = body::Limits { bytes_max: 4_096, time_max: Duration::from_secs(10) };
/// The reason in the close frame of a connection with a bad ticket.
const WRONG_TICKET: &str = "token_wrong";

/// A terminal to be opened.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OpenTerminal {
    pub cols: u64,
    pub rows: u64,
}

impl Default for OpenTerminal {
    fn default() -> Self {
        Self { cols: COLS_DEFAULT, rows: ROWS_DEFAULT }
    }
}

/// A terminal that a run opened.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    terminal_id: u64,
}

/// A run's terminals.
#[derive(Deserialize)]
struct All {
    terminals: Vec<Opened>,
}

/// Opens a terminal; answers its id.
pub async fn open(connected: Connected, wish: OpenTerminal) -> Result<u64, Error> {
    let request = run::json_request(Method::POST, "/terminals", &wish)?;
    let opened: Opened = run::json(run::ask(connected, request, ANSWER_TIME_MAX).await?).await?;
    Ok(opened.terminal_id)
}

/// Fails when a run has no such terminal.
pub async fn check(connected: Connected, terminal: u64) -> Result<u64, Error> {
    let request = run::request(Method::GET, "/terminals", Body::empty())?;
    let all: All = run::json(run::ask(connected, request, ANSWER_TIME_MAX).await?).await?;
    match all.terminals.iter().any(|known| known.terminal_id == terminal) {
        true => Ok(terminal),
        false => Err(Error::not_found("terminal")),
    }
}

/// What a page is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    terminal_url: String,
    token: String,
    terminal_id: u64,
}

/// `POST /t/SESSION/ticket`: a page's token against a ticket.
pub(super) async fn ticket(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    gateway.told(gateway.give_ticket(&id, &headers, body).await)
}

/// `/t/SESSION/ws?token=TICKET&offset=`: a terminal. From `offset` on, output that is still remembered is sent again.
pub(super) async fn socket(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    query: Query,
    mut request: Request,
) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    gateway.told(gateway.join_terminal(&id, &query, &parts, upgrade).await)
}

impl Gateway {
    async fn give_ticket(&self, id: &str, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
        let session: SessionId = id.parse().map_err(|_| Error::not_found("session"))?;
        let (mut access, _) = self.admit_page(session, super::view::bearer(headers)?, Want::Terminal).await?;
        let body = body::object(body, WISH_LIMITS).await?;
        let fields = Fields::of(&body);
        let known = fields.integer("terminalId", 0..=u64::MAX)?;
        let wish = OpenTerminal {
            cols: fields.integer("cols", SIDE)?.unwrap_or(COLS_DEFAULT),
            rows: fields.integer("rows", SIDE)?.unwrap_or(ROWS_DEFAULT),
        };
        let connected = self.reach(&mut access, Purpose::Run).await?;
        let terminal_id = match known {
            Some(known) => check(connected, known).await?,
            None => open(connected, wish).await?,
        };
        let ticket = access.ticket(Some(terminal_id), self.sessions.token_id(), self.clock.now());
        let token = self.signing_key.sign_ticket(&ticket);
        let base = self.public.base(headers).map_err(|cause| Error::invalid("Host", cause))?;
        let terminal_url = base.terminal(&access.session, &token);
        Ok(Json(Answer { terminal_url, token, terminal_id }).into_response())
    }

    async fn join_terminal(
        &self,
        id: &str,
        query: &Query,
        parts: &Parts,
        upgrade: OnUpgrade,
    ) -> Result<Response, Refusal> {
        let handshake = Handshake::of(parts)?;
        let session: SessionId = id.parse().map_err(|_| Error::not_found("session"))?;
        let offset = query.integer("offset", 0..=u64::MAX)?;
        let text = query.text("token").unwrap_or_default();
        let Some((mut access, terminal)) = self.take_ticket(&session, text).await? else {
            return self.turn_away(handshake, upgrade);
        };
        let terminal = match terminal {
            Some(known) => known,
            None => open(self.reach(&mut access, Purpose::Run).await?, OpenTerminal::default()).await?,
        };
        self.connect(parts, upgrade, access, Purpose::Terminal { terminal, offset }, None).await
    }

    /// Uses a ticket up; `None` when it is not good, or was used before.
    async fn take_ticket(&self, session: &SessionId, text: &str) -> Result<Option<(Access, Option<u64>)>, Error> {
        let Some(ticket) = self.signing_key.verify_ticket(session, text, self.clock.now()) else { return Ok(None) };
        let expires_at = ticket.expires_s.saturating_mul(1_000);
        let is_first = self.sessions.use_up(session, &ticket.id, expires_at).await?;
        let terminal = ticket.terminal;
        Ok(is_first.then(|| (Access::of_ticket(ticket, text), terminal)))
    }

    /// Opens a WebSocket to say that its ticket is not good.
    fn turn_away(&self, handshake: Handshake, upgrade: OnUpgrade) -> Result<Response, Refusal> {
        self.metrics.refused.inc();
        let response = handshake.answer().map_err(Error::internal)?;
        let limit = self.config.farewell_time();
        self.registry.spawn(async move {
            let told = async {
                let (mut client, _) = client::take_apart(upgrade.await.map_err(io::Error::other)?);
                client.write_all(&frame::close(Sender::Browser, CLOSE_TOKEN_REVOKED, WRONG_TICKET)).await?;
                client.shutdown().await?;
                // Closing with unread bytes would destroy the frame on its way.
                let mut ignored = super::buffer::Buffer::borrow();
                while client.read(&mut ignored[..]).await? > 0 {}
                io::Result::Ok(())
            };
            // Who does not listen cannot be told.
            let _ = timeout(limit, told).await;
        });
        Ok(response)
    }
}
