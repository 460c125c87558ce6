//! `GET /v1/sandboxes/terminal`: an address of a terminal, for one connection.

use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::gateway::terminal::{self, OpenTerminal};
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::ticket::{TICKET_MS, Ticket};
use vitrine_model::token::Scope;
use vitrine_model::{Error, TokenId};
use vitrine_store::Session;

/// Where a terminal is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Terminal {
    /// A WebSocket, good for one connection within a minute.
    #[schema(example = "wss://browsers.example.org/t/mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a/ws?token=eyJ…")]
    pub terminal_url: String,
    /// The JSON Web Token in it.
    pub token: String,
    /// To come back to it.
    pub terminal_id: u64,
    /// A page with the terminal for a person, good as long as the sandbox.
    #[schema(example = "https://browsers.example.org/t/mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a#token=terminal.…&terminal=1")]
    pub terminal_page_url: String,
}

/// An address of a terminal.
pub struct Link {
    pub url: String,
    pub token: String,
}

/// Get WebSocket URL and token for an interactive terminal.
///
/// Opens a terminal, unless `terminalId` names one. It outlives its clients for a minute, and several may share it.
#[utoipa::path(
    get, path = "/v1/sandboxes/terminal", operation_id = "openTerminal", tag = "Sandbox programs",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("terminalId" = Option<u64>, Query, description = "A terminal that is open"),
        ("offset" = Option<u64>, Query, description = "With `terminalId`: output from this byte on is sent again, as far as it is remembered"),
        ("cols" = Option<u16>, Query, minimum = 1, maximum = 1_000, description = "Of a new one; 80 when left out"),
        ("rows" = Option<u16>, Query, minimum = 1, maximum = 1_000, description = "Of a new one; 24 when left out"),
    ),
    responses((status = 200, description = "Where it is", body = Terminal))
)]
pub async fn open(State(app): State<App>, caller: Caller, query: Query, headers: HeaderMap) -> Answer<Json<Terminal>> {
    let terminal = query.integer("terminalId", 0..=u64::MAX)?;
    let offset = query.integer("offset", 0..=u64::MAX)?;
    let wish = OpenTerminal {
        cols: query.integer("cols", terminal::SIDE)?.unwrap_or(terminal::COLS_DEFAULT),
        rows: query.integer("rows", terminal::SIDE)?.unwrap_or(terminal::ROWS_DEFAULT),
    };
    let session = super::asked(&app, &caller, &query).await?;
    let connected = app.dial_run(&session, "opening a terminal").await?;
    let terminal_id = match terminal {
        Some(known) => terminal::check(connected, known).await?,
        None => terminal::open(connected, wish).await?,
    };
    let not_running = || Error::state(session.status, "opening a terminal");
    let link = app.terminal_url(&session, Some(terminal_id), offset, &headers)?.ok_or_else(not_running)?;
    let page = app.terminal_page_url(&session, terminal_id, &headers)?.ok_or_else(not_running)?;
    Ok(Json(Terminal { terminal_url: link.url, token: link.token, terminal_id, terminal_page_url: page }))
}

impl App {
    /// An address for one connection to a terminal, a new one where none is named; `None` while the session does not run.
    pub fn terminal_url(
        &self,
        session: &Session,
        terminal: Option<u64>,
        offset: Option<u64>,
        headers: &HeaderMap,
    ) -> Result<Option<Link>, Error> {
        let (true, Some(run), Some(machine)) = (session.status.is_running(), &session.run, &session.machine) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let token = self.signing_key.sign_ticket(&Ticket {
            session: session.id.clone(),
            run: run.clone(),
            machine: machine.clone(),
            terminal,
            id: TokenId::new(now, self.entropy.as_ref()),
            expires_s: (now + TICKET_MS) / 1_000,
        });
        let from = offset.map(|offset| format!("&offset={offset}")).unwrap_or_default();
        Ok(Some(Link { url: self.base(headers)?.terminal(&session.id, &token) + &from, token }))
    }

    /// The page with a terminal; `None` while the session does not run.
    fn terminal_page_url(
        &self,
        session: &Session,
        terminal: u64,
        headers: &HeaderMap,
    ) -> Result<Option<String>, Error> {
        let expires_at = self.token_expires_at(session);
        let Some(token) = self.connect_token(session, Scope::Terminal, expires_at, None) else { return Ok(None) };
        Ok(Some(self.base(headers)?.terminal_page(&session.id, &token, terminal)))
    }
}
