//! `/s/SESSION/files`: what the person at a session's page downloads and uploads, as far as the session's policy lets them.

use super::page::of_embed;
use crate::answer::Answer;
use crate::app::App;
use crate::files::{self, SessionFiles, WrittenFile};
use crate::request::Query;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use vitrine_model::embed::Policy;
use vitrine_model::{Code, Error, SessionId};
use vitrine_store::Session;

impl App {
    /// The session of the page that asks, when its policy allows what is asked.
    async fn page_may(
        &self,
        id: &str,
        headers: &HeaderMap,
        what: &str,
        allows: fn(&Policy) -> bool,
    ) -> Result<Session, Error> {
        let id = SessionId::parse(id).map_err(|_| Error::not_found("session"))?;
        let session = self.page_session(&self.page_claims(&id, headers)?).await?;
        match of_embed(&session).is_some_and(|spec| allows(&spec.policy)) {
            true => Ok(session),
            false => Err(Error::new(Code::PermissionDenied, format!("the session's policy allows no {what}"))),
        }
    }
}

/// `GET /s/SESSION/files`: the list.
pub async fn list(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Answer<Json<SessionFiles>> {
    let session = app.page_may(&id, &headers, "files", |policy| policy.downloads || policy.uploads).await?;
    Ok(Json(files::list(app.dial_run(&session, "listing its files").await?).await?))
}

/// `GET /s/SESSION/files/raw?path=`: a file.
pub async fn read(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    let path = files::path(query.text("path"))?;
    let session = app.page_may(&id, &headers, "downloads", |policy| policy.downloads).await?;
    let connected = app.dial_run(&session, "reading its files").await?;
    Ok(files::read(connected, path, &headers, app.config.gateway.file_pause_time()).await?)
}

/// `PUT /s/SESSION/files/raw?path=uploads/NAME`: a file that a person chose.
pub async fn write(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<WrittenFile>)> {
    let path = files::upload_path(query.text("path"))?;
    let session = app.page_may(&id, &headers, "uploads", |policy| policy.uploads).await?;
    let connected = app.dial_run(&session, "writing a file").await?;
    let written = files::write(connected, path, body, app.config.gateway.upload_limits()).await?;
    Ok((StatusCode::CREATED, Json(written)))
}
