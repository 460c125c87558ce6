//! `GET /api/session/status`: whether the visitor has a session. Whoever asks is back.

use super::visitor::Visitor;
use crate::answer::Answer;
use crate::app::App;
use crate::embed::sessions::SessionView;
use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;

/// The visitor's session, if there is one.
#[derive(Serialize)]
pub struct Visit {
    active: bool,
    #[serde(flatten)]
    session: Option<SessionView>,
}

/// Answers it.
pub async fn read(State(app): State<App>, headers: HeaderMap) -> Answer<Json<Visit>> {
    const NONE: Visit = Visit { active: false, session: None };
    app.check_sender(&headers)?;
    let Some(visitor) = Visitor::of(&headers) else { return Ok(Json(NONE)) };
    let hash = visitor.hash(&app);
    let Some(visit) = app.store.demo_session(&hash).await? else { return Ok(Json(NONE)) };
    if !visit.session.status.is_running() {
        return Ok(Json(NONE));
    }
    app.store.demo_returned(&hash).await?;
    Ok(Json(Visit { active: true, session: Some(app.demo_view(&visit.session, &headers).await?) }))
}
