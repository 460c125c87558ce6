//! `/openapi.json`, and `/docs`: the same document as a page. The page is made here, whole, without scripts and without
//! asking anybody else for anything, so that its content security policy can forbid everything but its own style.

mod page;

use crate::app::App;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use utoipa::openapi::OpenApi;

/// The page's style.
const STYLE: &str = include_str!("../assets/docs.css");
/// How long a browser may keep either.
const KEEP: &str = "public, max-age=300";

/// The document as it is published.
pub fn json(document: &OpenApi) -> String {
    // The document is made of strings, numbers and maps with string keys: nothing that could not be written.
    serde_json::to_string_pretty(document).unwrap_or_default()
}

/// Both routes.
pub fn router(document: &OpenApi) -> Router<App> {
    let json = Bytes::from(json(document));
    let page = Bytes::from(page::write(document, STYLE));
    let style_hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style_hash}'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let serve_json =
        move || async move { ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, KEEP)], json).into_response() };
    let serve_page = move || async move {
        let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, KEEP)];
        (headers, [(CONTENT_SECURITY_POLICY, policy)], page).into_response()
    };
    Router::new().route("/openapi.json", get(serve_json)).route("/docs", get(serve_page))
}
