//! `/v1/sandboxes/fs/raw`: files of any size and whole folders, streamed.

use super::files::{ARCHIVE, MODE_MAX, WrittenSandboxFile, at, path_of};
use crate::answer::Answer;
use crate::app::App;
use crate::deliver::{bytes_of, contained};
use crate::files;
use crate::gate::Caller;
use crate::request::Query;
use crate::run;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};
use vitrine_model::Error;

/// Get a file's bytes, or a folder as an archive.
///
/// `Range` is understood for files. A folder comes as `application/x-tar`.
#[utoipa::path(
    get, path = "/v1/sandboxes/fs/raw", operation_id = "downloadSandboxFile", tag = "Sandbox files",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("path" = String, Query, description = "Relative ones are under `/workspace`"),
    ),
    responses(
        (status = 200, description = "The bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 416, description = "There is no such part"),
    )
)]
pub async fn read(State(app): State<App>, caller: Caller, query: Query, headers: HeaderMap) -> Answer<Response> {
    let path = path_of(&query)?;
    let session = super::asked(&app, &caller, &query).await?;
    let mut request = run::request(Method::GET, &at("/fs/raw", path), Body::empty())?;
    for name in [RANGE, IF_RANGE] {
        if let Some(value) = headers.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    let connected = app.dial_run(&session, "reading a file").await?;
    let (head, body) = run::ask_for_part(connected, request, run::ANSWER_TIME_MAX).await?.into_parts();
    let name = path.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("root");
    let is_archive = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == ARCHIVE)
        && !head.headers.contains_key(CONTENT_LENGTH);
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let name = if is_archive { format!("{name}.tar") } else { name.to_owned() };
    let mut response = contained(&name, kind, false).status(head.status);
    for header in [ACCEPT_RANGES, CONTENT_RANGE, CONTENT_LENGTH] {
        if let Some(value) = head.headers.get(&header) {
            response = response.header(header, value.clone());
        }
    }
    let bytes = bytes_of(body, app.config.gateway.file_pause_time());
    Ok(response.body(Body::from_stream(bytes)).map_err(Error::internal)?)
}

/// Put a file, or unpack an archive.
///
/// Missing folders are made. With `Content-Type: application/x-tar` the body is unpacked into the folder `path`.
#[utoipa::path(
    put, path = "/v1/sandboxes/fs/raw", operation_id = "uploadSandboxFile", tag = "Sandbox files",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("path" = String, Query, description = "Relative ones are under `/workspace`"),
        ("mode" = Option<u32>, Query, minimum = 0, maximum = 4_095,
            description = "Permissions, for example 493 for `rwxr-xr-x`"),
        ("append" = Option<bool>, Query, description = "Add to what is there instead of replacing it"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The bytes, streamed"),
    responses(
        (status = 200, description = "It is there", body = WrittenSandboxFile),
        (status = 507, description = "`DISK_FULL`: the sandbox's disk has no room", body = crate::cloud::ErrorBody),
    )
)]
pub async fn write(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    let mut path = at("/fs/raw", path_of(&query)?);
    if let Some(mode) = query.integer("mode", 0..=MODE_MAX)? {
        path += &format!("&mode={mode}");
    }
    match query.text("append") {
        None | Some("false") => {}
        Some("true") => path += "&append=true",
        Some(_) => return Err(Error::invalid("append", "expected true or false").into()),
    }
    let session = super::asked(&app, &caller, &query).await?;
    let mut request = run::request(Method::PUT, &path, Body::empty())?;
    let kind = match headers.get(CONTENT_TYPE).is_some_and(|kind| kind == ARCHIVE) {
        true => ARCHIVE,
        false => "application/octet-stream",
    };
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let connected = app.dial_run(&session, "writing a file").await?;
    Ok(run::pass(files::put(connected, request, body, app.config.gateway.upload_limits()).await?))
}
