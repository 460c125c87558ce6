//! `POST /api/session/disconnect`: the visitor's page is left, or the visitor is done.

use super::visitor::Visitor;
use crate::answer::Answer;
use crate::app::App;
use crate::request::{Fields, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use vitrine_model::{EndReason, Error, SessionId};

/// What becomes of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// It ends unless the visitor comes back in time.
    Defer,
    /// It ends.
    Hard,
}

impl Mode {
    const ALL: [Mode; 2] = [Mode::Defer, Mode::Hard];

    fn as_str(self) -> &'static str {
        match self {
            Mode::Defer => "defer",
            Mode::Hard => "hard",
        }
    }
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Left {
    ok: bool,
    mode: Mode,
    ended: u64,
    marked: u64,
}

/// Marks the visitor's session, or ends it. The body may be a beacon's: JSON whatever its type says, or nothing.
pub async fn disconnect(State(app): State<App>, headers: HeaderMap, body: Body) -> Answer<Json<Left>> {
    app.check_sender(&headers)?;
    let bytes = body::bytes(body, app.body_limits()).await?;
    let body = if bytes.is_empty() { Default::default() } else { body::parse(&bytes)? };
    let fields = Fields::of(&body);
    let mode = fields.word("mode", &Mode::ALL, Mode::as_str)?.unwrap_or(Mode::Defer);
    let session = match fields.value("sessionId") {
        None => None,
        // What is no id is nobody's session: there is nothing to leave.
        Some(_) => match fields.id("sessionId", "session") {
            Ok(id) => Some(id),
            Err(error) if error.code == vitrine_model::Code::NotFound => return Ok(Json(left(mode, 0, 0))),
            Err(error) => return Err(error.into()),
        },
    };
    let Some(visitor) = Visitor::of(&headers) else { return Ok(Json(left(mode, 0, 0))) };
    let hash = visitor.hash(&app);
    Ok(Json(match mode {
        Mode::Defer => left(mode, 0, app.store.mark_demo_disconnected(&hash, session.as_ref(), app.clock.now()).await?),
        Mode::Hard => left(mode, app.leave(&hash, session.as_ref()).await?, 0),
    }))
}

fn left(mode: Mode, ended: u64, marked: u64) -> Left {
    Left { ok: true, mode, ended, marked }
}

impl App {
    /// Ends the visitor's session, when it is the one that is meant; answers how many that were.
    async fn leave(&self, visitor: &[u8; 32], meant: Option<&SessionId>) -> Result<u64, Error> {
        let visit = self.store.demo_session(visitor).await.map_err(Error::internal)?;
        let session = visit.map(|visit| visit.session).filter(|session| meant.is_none_or(|meant| *meant == session.id));
        let Some(session) = session else { return Ok(0) };
        self.end(&session.id, None, EndReason::Deleted).await.map_err(Error::internal)?;
        Ok(1)
    }
}
