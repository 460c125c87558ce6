//! The live view page and its assets, as `web/viewer` was built, inside the binary.
//!
//! The page knows its session by its address and its token by the fragment, so it is the same for everybody; its assets
//! carry the hash of the whole build in their address and are kept for ever.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::{Error, SessionId};

use crate::answer::Failure;

/// What `build.rs` found: empty when the page was not built.
static BUILT: Dir<'static> = include_dir!("$OUT_DIR/viewer");
/// The page itself.
const PAGE: &str = "index.html";
/// Stands in the page where the assets' hash belongs.
const HASH_MARK: &str = "__HASH__";
/// Characters of a hash: enough to tell builds apart.
const HASH_CHARS: usize = 16;
/// Everything from here, nothing from anywhere else; pictures and favicons also as data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
    worker-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a server says that was built without its page.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Live view</title>\
    <p>This server was built without its live view page. Run <code>npm ci &amp;&amp; npm run build</code> in \
    <code>web/viewer</code> and build the server again.";

/// The page with its hash, made once.
static MADE: LazyLock<(String, String)> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for file in BUILT.files() {
        hash.update(file.path().as_os_str().as_encoded_bytes());
        hash.update(file.contents());
    }
    let mut hash = hexadecimal(&hash.finalize());
    hash.truncate(HASH_CHARS);
    let page = BUILT.get_file(PAGE).and_then(|page| page.contents_utf8()).unwrap_or(NOT_BUILT);
    (page.replace(HASH_MARK, &hash), hash)
});

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        _ => "application/octet-stream",
    }
}

/// `GET /view/SESSION`: the page. Whether there is such a session, its token settles later.
pub(super) async fn page(Path(session): Path<String>) -> Response {
    if SessionId::parse(&session).is_err() {
        return Failure(Error::not_found("session")).into_response();
    }
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, MADE.0.as_str()).into_response()
}

/// `GET /view/assets/HASH/NAME`: a part of the page.
pub(super) async fn asset(Path((hash, name)): Path<(String, String)>) -> Response {
    match BUILT.get_file(&name).filter(|_| hash == MADE.1 && name != PAGE) {
        Some(file) => {
            let headers = [(CONTENT_TYPE, content_type(&name)), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, file.contents()).into_response()
        }
        None => Failure(Error::not_found("asset")).into_response(),
    }
}
