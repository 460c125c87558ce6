//! What the live view page asks for: its WebSocket, and the session's files. The page's token is all the authority it has.

use super::Gateway;
use super::access::Want;
use super::refusal::Refusal;
use crate::files;
use crate::request::Query;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use vitrine_model::wire::Purpose;
use vitrine_model::{Code, Error, SessionId};

impl Gateway {
    /// Answers, and counts those who are turned away.
    pub(super) fn told(&self, answer: Result<Response, Refusal>) -> Response {
        answer.unwrap_or_else(|refusal| {
            self.metrics.refused.inc();
            refusal.into_response()
        })
    }
}

fn session(text: &str) -> Result<SessionId, Error> {
    text.parse().map_err(|_| Error::not_found("session"))
}

/// The token of a page, in its requests' header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    token.ok_or_else(|| Error::new(Code::Unauthenticated, "expected Authorization: Bearer TOKEN"))
}

/// `/view/SESSION/ws?token=`: the live view protocol.
pub(super) async fn socket(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    query: Query,
    request: Request,
) -> Response {
    gateway.show(&id, &query, request, Want::Picture).await
}

/// `/s/SESSION/ws?token=`: the same for the page of an embed session, with its embedder's calls. What a page's token opened stays
/// open for as long as the session: the token is renewed for the next connection alone.
pub(super) async fn page_socket(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    query: Query,
    request: Request,
) -> Response {
    gateway.show(&id, &query, request, Want::Page).await
}

impl Gateway {
    async fn show(&self, id: &str, query: &Query, mut request: Request, want: Want) -> Response {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let joined = async {
            let token = query.text("token").unwrap_or_default();
            let (access, may_act) = self.admit_page(session(id)?, token, want).await?;
            let calls = want == Want::Page;
            let purpose = Purpose::View { control: may_act || calls, calls };
            self.connect(&parts, upgrade, access, purpose, None).await
        };
        self.told(joined.await)
    }
}

/// `GET /view/SESSION/files`: the list.
pub(super) async fn files(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let listed = async {
        let (mut access, _) = gateway.admit_page(session(&id)?, bearer(&headers)?, Want::ReadFiles).await?;
        let connected = gateway.reach(&mut access, Purpose::Run).await?;
        Ok(Json(files::list(connected).await?).into_response())
    };
    gateway.told(listed.await)
}

/// `GET /view/SESSION/files/raw?path=`: a file.
pub(super) async fn read(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Response {
    let read = async {
        let (mut access, _) = gateway.admit_page(session(&id)?, bearer(&headers)?, Want::ReadFiles).await?;
        let path = files::path(query.text("path"))?;
        let connected = gateway.reach(&mut access, Purpose::Run).await?;
        Ok(files::read(connected, path, &headers, gateway.config.file_pause_time()).await?)
    };
    gateway.told(read.await)
}

/// `PUT /view/SESSION/files/raw?path=uploads/NAME`: a file that a person chose.
pub(super) async fn write(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let written = async {
        let (mut access, _) = gateway.admit_page(session(&id)?, bearer(&headers)?, Want::WriteFiles).await?;
        let path = files::upload_path(query.text("path"))?;
        let connected = gateway.reach(&mut access, Purpose::Run).await?;
        let written = files::write(connected, path, body, gateway.config.upload_limits()).await?;
        Ok((StatusCode::CREATED, Json(written)).into_response())
    };
    gateway.told(written.await)
}
