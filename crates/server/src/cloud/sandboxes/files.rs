//! `/v1/sandboxes/fs/read|write|stat`: one file as text, or what is known of it.

use super::program::{self, BODY_BYTES_MAX, PATH_BYTES_MAX};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::files;
use crate::gate::Caller;
use crate::percent;
use crate::request::{Fields, Query, body};
use crate::run;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};
use utoipa::ToSchema;
use vitrine_model::sandbox::WORKSPACE;
use vitrine_model::{Code, Error};

/// The type under which a run brings a folder.
pub const ARCHIVE: &str = "application/x-tar";
/// Largest mode: the permissions with the three special bits.
pub const MODE_MAX: u64 = 0o7777;
/// How a file's content stands in JSON.
const ENCODINGS: [&str; 2] = ["utf-8", "base64"];

pub fn encodings() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("How `content` is written", ENCODINGS)
}

/// A file's content.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FileContent {
    #[schema(example = "/workspace/notes.txt")]
    pub path: String,
    pub content: String,
    /// `base64` when the file is not UTF-8.
    #[schema(schema_with = encodings)]
    pub encoding: &'static str,
    /// Bytes of the file.
    pub size: u64,
}

/// A file to be written.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WriteSandboxFile)]
pub struct Wish {
    pub id: String,
    /// Relative ones are under `/workspace`; missing folders are made.
    #[schema(max_length = 4_096, example = "notes.txt")]
    pub path: String,
    pub content: String,
    #[schema(required = false, schema_with = encodings, default = "utf-8")]
    pub encoding: String,
    /// Permissions, for example 493 for `rwxr-xr-x`.
    #[schema(nullable = false, minimum = 0, maximum = 4_095)]
    pub mode: Option<u32>,
}

/// A file that was written.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WrittenSandboxFile {
    #[schema(example = true)]
    pub ok: bool,
    #[schema(example = "/workspace/notes.txt")]
    pub path: String,
    pub size: u64,
}

/// What is known of a file.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    #[schema(example = "notes.txt")]
    pub name: String,
    #[schema(example = "/workspace/notes.txt")]
    pub path: String,
    #[schema(schema_with = kinds)]
    pub r#type: String,
    /// Bytes.
    pub size: u64,
    /// Epoch milliseconds.
    pub modified_at: i64,
    /// Permissions, for example 420 for `rw-r--r--`.
    #[schema(example = 420)]
    pub mode: u32,
    /// Where a symbolic link leads.
    #[schema(nullable = false)]
    pub target: Option<String>,
}

fn kinds() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("What it is", ["file", "directory", "symlink", "other"])
}

/// `path` of a query.
pub fn path_of(query: &Query) -> Result<&str, Error> {
    let path =
        query.text("path").filter(|path| !path.is_empty()).ok_or_else(|| Error::invalid("path", "is missing"))?;
    match path.len() <= PATH_BYTES_MAX && !path.contains('\0') {
        true => Ok(path),
        false => Err(Error::invalid("path", format!("expected at most {PATH_BYTES_MAX} bytes without NUL"))),
    }
}

/// `path` of a query, the workspace where it names none.
pub fn folder_of(query: &Query) -> Result<&str, Error> {
    if query.text("path").is_some() { path_of(query) } else { Ok(WORKSPACE) }
}

/// A field with a path.
pub fn path_in<'a>(fields: &Fields<'a>, field: &str) -> Result<&'a str, Error> {
    fields.required(field, fields.argument(field, 1..=PATH_BYTES_MAX)?)
}

/// A path behind a route of the run.
pub fn at(route: &str, path: &str) -> String {
    format!("{route}?path={}", percent::encoded(path, b"/"))
}

/// Read a file from the sandbox.
#[utoipa::path(
    get, path = "/v1/sandboxes/fs/read", operation_id = "readSandboxFile", tag = "Sandbox files",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("path" = String, Query, description = "Relative ones are under `/workspace`"),
    ),
    responses(
        (status = 200, description = "Its content", body = FileContent),
        (status = 413, description = "It is larger than 32 MiB: `GET /v1/sandboxes/fs/raw` streams it", body = crate::cloud::ErrorBody),
    )
)]
pub async fn read(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<FileContent>> {
    let path = path_of(&query)?;
    let session = super::asked(&app, &caller, &query).await?;
    let request = run::request(Method::GET, &at("/fs/raw", path), Body::empty())?;
    let response = app.ask_run(&session, "reading a file", request, run::ANSWER_TIME_MAX).await?;
    let is_archive = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == ARCHIVE);
    if is_archive && !response.headers().contains_key(CONTENT_LENGTH) {
        let hint = "is a directory: fs/list lists it, fs/raw brings it as an archive";
        return Err(Error::invalid("path", hint).into());
    }
    let limits = body::Limits { bytes_max: BODY_BYTES_MAX, time_max: app.body_limits().time_max };
    let bytes = body::bytes(response.into_body(), limits).await.map_err(|error| match error.code {
        Code::PayloadTooLarge => too_large("the file"),
        _ => Error::new(Code::Unavailable, "the file broke off on its way").because(format!("{error:?}")),
    })?;
    let size = bytes.len() as u64;
    let (content, encoding) = match String::from_utf8(bytes.into()) {
        Ok(text) => (text, ENCODINGS[0]),
        Err(other) => (STANDARD.encode(other.into_bytes()), ENCODINGS[1]),
    };
    Ok(Json(FileContent { path: whole(path), content, encoding, size }))
}

/// Write a file to the sandbox.
///
/// It replaces what is there.
#[utoipa::path(
    post, path = "/v1/sandboxes/fs/write", operation_id = "writeSandboxFile", tag = "Sandbox files", request_body = Wish,
    responses(
        (status = 200, description = "It is there", body = WrittenSandboxFile),
        (status = 507, description = "`DISK_FULL`: the sandbox's disk has no room", body = crate::cloud::ErrorBody),
    )
)]
pub async fn write(State(app): State<App>, caller: Caller, body: Body) -> Answer<Response> {
    let (body, _room) = program::object(&app, body).await.map_err(|error| match error.code {
        Code::PayloadTooLarge => too_large("the body"),
        _ => error,
    })?;
    let fields = Fields::of(&body);
    let path = path_in(&fields, "path")?;
    let content = fields.required("content", fields.content("content", 0..=BODY_BYTES_MAX)?)?;
    let encoding = fields.word("encoding", &ENCODINGS, |word| word)?;
    let bytes = match encoding == Some(ENCODINGS[1]) {
        true => STANDARD.decode(content).map_err(|_| fields.wrong("content", "expected base64"))?,
        false => content.as_bytes().to_vec(),
    };
    let mode = fields.integer("mode", 0..=MODE_MAX)?.map(|mode| format!("&mode={mode}")).unwrap_or_default();
    let session = super::named(&app, &caller, &fields).await?;
    let request = run::request(Method::PUT, &format!("{}{mode}", at("/fs/raw", path)), Body::empty())?;
    let connected = app.dial_run(&session, "writing a file").await?;
    let limits = app.config.gateway.upload_limits();
    Ok(run::pass(files::put(connected, request, Body::from(bytes), limits).await?))
}

/// Get what is known of a file.
///
/// Of a symbolic link itself, not of what it leads to.
#[utoipa::path(
    get, path = "/v1/sandboxes/fs/stat", operation_id = "statSandboxFile", tag = "Sandbox files",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("path" = String, Query, description = "Relative ones are under `/workspace`"),
    ),
    responses((status = 200, description = "What is known", body = FileEntry))
)]
pub async fn stat(State(app): State<App>, caller: Caller, query: Query) -> Answer<Response> {
    let path = at("/fs/stat", path_of(&query)?);
    let session = super::asked(&app, &caller, &query).await?;
    Ok(super::question(&app, &session, "reading a file", &path, run::ANSWER_TIME_MAX).await?)
}

/// A path from the root on, as the run names it too.
fn whole(path: &str) -> String {
    let path = Path::new(WORKSPACE).join(path);
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.collect::<PathBuf>().to_string_lossy().into_owned()
}

fn too_large(what: &str) -> Error {
    let message =
        format!("{what} is larger than {BODY_BYTES_MAX} bytes; /v1/sandboxes/fs/raw takes and brings any size");
    Error::new(Code::PayloadTooLarge, message).with("limit", BODY_BYTES_MAX)
}
