//! `/v1/sandboxes/fs/list|mkdir|move|delete`: folders, and what changes where files are.

use super::files::{FileEntry, MODE_MAX, at, folder_of, path_in};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, Query, body};
use crate::run;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A million files may be moved or deleted at once.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(120);

/// A folder's entries.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FileList {
    #[schema(example = "/workspace")]
    pub path: String,
    /// By name.
    pub entries: Vec<FileEntry>,
    /// There are more than the 10,000 that are listed.
    pub truncated: bool,
}

/// It is done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangedFile {
    #[schema(example = true)]
    pub ok: bool,
    pub path: String,
}

/// What is deleted.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DeleteSandboxFile)]
pub struct DeleteWish {
    pub id: String,
    #[schema(max_length = 4_096)]
    pub path: String,
    /// A folder with all that is in it.
    #[schema(required = false, default = false)]
    pub recursive: bool,
}

/// What is moved.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MoveSandboxFile)]
pub struct MoveWish {
    pub id: String,
    #[schema(max_length = 4_096)]
    pub from: String,
    /// Missing folders are made.
    #[schema(max_length = 4_096)]
    pub to: String,
    /// What is there already gives way; otherwise it is a 409.
    #[schema(required = false, default = false)]
    pub overwrite: bool,
}

/// A folder to be made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MakeSandboxFolder)]
pub struct MakeWish {
    pub id: String,
    /// The folders above it are made too.
    #[schema(max_length = 4_096)]
    pub path: String,
    /// Permissions, for example 493 for `rwxr-xr-x`.
    #[schema(nullable = false, minimum = 0, maximum = 4_095)]
    pub mode: Option<u32>,
}

/// List directory contents.
#[utoipa::path(
    get, path = "/v1/sandboxes/fs/list", operation_id = "listSandboxFiles", tag = "Sandbox files",
    params(
        ("id" = String, Query, description = "The sandbox"),
        ("path" = Option<String>, Query, description = "`/workspace` when left out"),
    ),
    responses((status = 200, description = "Its entries", body = FileList))
)]
pub async fn list(State(app): State<App>, caller: Caller, query: Query) -> Answer<Response> {
    let path = at("/fs/list", folder_of(&query)?);
    let session = super::asked(&app, &caller, &query).await?;
    Ok(super::question(&app, &session, "listing files", &path, run::ANSWER_TIME_MAX).await?)
}

/// Delete a file or a folder.
#[utoipa::path(
    post, path = "/v1/sandboxes/fs/delete", operation_id = "deleteSandboxFile", tag = "Sandbox files",
    request_body = DeleteWish, responses((status = 200, description = "It is gone", body = ChangedFile))
)]
pub async fn delete(State(app): State<App>, caller: Caller, body: Body) -> Answer<Response> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let order = Delete { path: path_in(&fields, "path")?, recursive: fields.flag("recursive")?.unwrap_or(false) };
    let session = super::named(&app, &caller, &fields).await?;
    Ok(super::order(&app, &session, "deleting a file", ("/fs/delete", &order), CHANGE_TIME_MAX).await?)
}

/// Move a file or a folder.
#[utoipa::path(
    post, path = "/v1/sandboxes/fs/move", operation_id = "moveSandboxFile", tag = "Sandbox files",
    request_body = MoveWish, responses((status = 200, description = "It is there", body = ChangedFile))
)]
pub async fn rename(State(app): State<App>, caller: Caller, body: Body) -> Answer<Response> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let order = Move {
        from: path_in(&fields, "from")?,
        to: path_in(&fields, "to")?,
        overwrite: fields.flag("overwrite")?.unwrap_or(false),
    };
    let session = super::named(&app, &caller, &fields).await?;
    Ok(super::order(&app, &session, "moving a file", ("/fs/move", &order), CHANGE_TIME_MAX).await?)
}

/// Make a folder.
///
/// One that is there is no mistake.
#[utoipa::path(
    post, path = "/v1/sandboxes/fs/mkdir", operation_id = "makeSandboxFolder", tag = "Sandbox files",
    request_body = MakeWish, responses((status = 200, description = "It is there", body = ChangedFile))
)]
pub async fn make(State(app): State<App>, caller: Caller, body: Body) -> Answer<Response> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let order = Make { path: path_in(&fields, "path")?, mode: fields.integer("mode", 0..=MODE_MAX)? };
    let session = super::named(&app, &caller, &fields).await?;
    Ok(super::order(&app, &session, "making a folder", ("/fs/mkdir", &order), run::ANSWER_TIME_MAX).await?)
}

#[derive(Serialize)]
struct Delete<'a> {
    path: &'a str,
    recursive: bool,
}

#[derive(Serialize)]
struct Move<'a> {
    from: &'a str,
    to: &'a str,
    overwrite: bool,
}

#[derive(Serialize)]
struct Make<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<u64>,
}
