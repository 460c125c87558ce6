//! `POST /v1/sandboxes/documents/convert`: one kind of document made from another.

use super::files::{WrittenSandboxFile, path_in};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, body};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::{Code, Error};

/// A document of a thousand pages takes minutes.
const CONVERT_TIME_MAX: Duration = Duration::from_secs(300);
/// Longest name of a kind of document: what follows a file's last dot.
const KIND_BYTES_MAX: usize = 16;

/// A document, and what it is to become.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConvertDocument)]
pub struct Wish {
    pub id: String,
    #[schema(max_length = 4_096, example = "report.docx")]
    pub path: String,
    /// The ending of what it becomes.
    #[schema(max_length = 16, example = "pdf")]
    pub to: String,
    /// Left out: beside it, with the other ending.
    #[schema(nullable = false, max_length = 4_096)]
    pub output_path: Option<String>,
}

/// The order as the run reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Convert<'a> {
    path: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_path: Option<&'a str>,
}

/// Convert a document.
///
/// docx, xlsx, pptx, odt, csv, html and md to pdf, and between them where LibreOffice can. Needs
/// `capabilities.documents.libreofficeHeadless`; without it 403 `CAPABILITY_DISABLED`.
#[utoipa::path(
    post, path = "/v1/sandboxes/documents/convert", operation_id = "convertDocument", tag = "Sandbox files",
    request_body = Wish, responses((status = 200, description = "It is there", body = WrittenSandboxFile))
)]
pub async fn convert(State(app): State<App>, caller: Caller, body: Body) -> Answer<Response> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let to = fields.required("to", fields.text("to", 1..=KIND_BYTES_MAX)?)?;
    if !to.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(fields.wrong("to", "expected an ending, for example pdf").into());
    }
    let output_path = match fields.value("outputPath") {
        Some(_) => Some(path_in(&fields, "outputPath")?),
        None => None,
    };
    let order = Convert { path: path_in(&fields, "path")?, to, output_path };
    let session = super::named(&app, &caller, &fields).await?;
    if !super::spec_of(&session)?.documents {
        let message = "the sandbox was made without capabilities.documents.libreofficeHeadless";
        return Err(Error::new(Code::CapabilityDisabled, message).into());
    }
    Ok(super::order(&app, &session, "converting a document", ("/documents/convert", &order), CONVERT_TIME_MAX).await?)
}
