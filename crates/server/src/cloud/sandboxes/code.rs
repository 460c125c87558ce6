//! `POST /v1/sandboxes/code`: run a piece of code.

use super::program::{self, ProgramResult, Surroundings};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::gate::Caller;
use crate::request::Fields;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use vitrine_model::Runtime;

/// Longest code.
const CODE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What code can be written in.
const LANGUAGES: [&str; 4] = ["typescript", "javascript", "python", "sh"];

fn languages() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("What it is written in; left out: the runtime's own", LANGUAGES)
}

/// What a runtime's code is written in. Bun reads JavaScript as TypeScript.
fn language_of(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Bun => "typescript",
        Runtime::Python => "python",
        Runtime::Base => "sh",
    }
}

/// A piece of code.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RunCode, example = json!({"id": "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a", "code": "console.log(6 * 7)"}))]
pub struct Wish {
    pub id: String,
    #[schema(max_length = 4_194_304)]
    pub code: String,
    #[schema(required = false, schema_with = languages)]
    pub language: String,
    /// Milliseconds after which it is killed with every process that it started; at most the sandbox's remaining time.
    #[schema(required = false, minimum = 1, default = 30_000)]
    pub timeout: u64,
    /// On top of the sandbox's own.
    #[schema(required = false)]
    pub env: BTreeMap<String, String>,
    /// Where it starts; relative to `/workspace`, which is the default.
    #[schema(nullable = false, max_length = 4_096)]
    pub cwd: Option<String>,
    /// What it reads; without, it reads nothing.
    #[schema(nullable = false)]
    pub stdin: Option<String>,
}

/// The code as the run reads it.
#[derive(Serialize)]
struct Code<'a> {
    language: &'a str,
    code: &'a str,
}

/// Execute a code snippet.
///
/// Answers as `exec` does. It sees what is installed in `/workspace`: `bun add zod`, then `import { z } from "zod"`.
#[utoipa::path(
    post, path = "/v1/sandboxes/code", operation_id = "runCodeInSandbox", tag = "Sandbox programs", request_body = Wish,
    responses((status = 200, description = "It ended", content((ProgramResult = "application/json"), (String = "text/event-stream"))))
)]
pub async fn run(State(app): State<App>, caller: Caller, headers: HeaderMap, body: Body) -> Answer<Response> {
    let (body, room) = program::object(&app, body).await?;
    let fields = Fields::of(&body);
    let code = fields.required("code", fields.content("code", 0..=CODE_BYTES_MAX)?)?;
    let language = fields.word("language", &LANGUAGES, |language| language)?;
    let surroundings = Surroundings::read(&fields)?;
    let session = super::named(&app, &caller, &fields).await?;
    let language = language.unwrap_or(language_of(super::spec_of(&session)?.runtime));
    let program = surroundings.order(&app, &session, ("/code", Code { language, code }))?;
    drop((body, room));
    Ok(program.run(&app, &session, &headers).await?)
}
