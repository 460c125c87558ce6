//! What pages of others load from us: the element's script and its types; and our own page that shows the element.
//!
//! A module's script is fetched with CORS, and a page that isolates itself takes only what says that it may: the script says
//! both. At its plain address it is asked for each time and rarely sent; at the address with its hash it is kept for ever.

use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::gateway::pages::{DEMO, EMBED};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use vitrine_model::Error;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::embed::EmbedOrigin;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const CHECKED: &str = "no-cache";
const KEPT: &str = "public, max-age=31536000, immutable";
/// Characters of a script's hash: enough to tell versions apart.
const HASH_CHARS: usize = 16;

/// A file for pages of others.
struct Offered {
    content_type: &'static str,
    bytes: Option<&'static [u8]>,
    hash: String,
}

static SCRIPT: LazyLock<Offered> = LazyLock::new(|| Offered::of("webview.js", "text/javascript; charset=utf-8"));
static TYPES: LazyLock<Offered> = LazyLock::new(|| Offered::of("webview.d.ts", "text/plain; charset=utf-8"));

impl Offered {
    fn of(name: &str, content_type: &'static str) -> Self {
        let bytes = DEMO.file(name);
        let mut hash = hexadecimal(&Sha256::digest(bytes.unwrap_or_default()));
        hash.truncate(HASH_CHARS);
        Self { content_type, bytes, hash }
    }

    fn answer(&self, headers: &HeaderMap, kept: &'static str) -> Answer<Response> {
        let absent = "file: this server was built without web/element";
        let bytes = self.bytes.ok_or_else(|| Failure(Error::not_found(absent)))?;
        let tag = HeaderValue::try_from(format!("\"{}\"", self.hash)).map_err(Error::internal)?;
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known.flat_map(|tags| tags.split(',')).any(|known| {
            let known = known.trim();
            known == "*" || known.trim_start_matches("W/").as_bytes() == tag.as_bytes()
        });
        let headers = [
            (ETAG, tag),
            (CACHE_CONTROL, HeaderValue::from_static(kept)),
            (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            (RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
        ];
        match is_known {
            true => Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
            false => Ok((headers, [(CONTENT_TYPE, self.content_type)], bytes).into_response()),
        }
    }
}

/// `GET /browserbox-webview.js` and `/vitrine-webview.js`: the element, always the newest.
pub async fn script(headers: HeaderMap) -> Answer<Response> {
    SCRIPT.answer(&headers, CHECKED)
}

/// `GET /browserbox-webview.d.ts` and `/vitrine-webview.d.ts`: its types.
pub async fn types(headers: HeaderMap) -> Answer<Response> {
    TYPES.answer(&headers, CHECKED)
}

/// `GET /assets/webview-HASH.js`: one version of the element.
pub async fn version(Path(name): Path<String>, headers: HeaderMap) -> Answer<Response> {
    let hash = name.strip_prefix("webview-").and_then(|name| name.strip_suffix(".js"));
    match hash == Some(SCRIPT.hash.as_str()) {
        true => SCRIPT.answer(&headers, KEPT),
        false => Err(Error::not_found("version of the element").into()),
    }
}

/// `GET /demo`: the element at work.
pub async fn demo(State(app): State<App>, headers: HeaderMap) -> Response {
    // Its links name us as the operator does, which need not be as the visitor did.
    let base = app.base(&headers).ok().and_then(|base| EmbedOrigin::parse(&base.origin()).ok());
    DEMO.framing(&base.map_or("'self'".to_owned(), |origin| format!("'self' {}", origin.source())))
}

/// `GET /demo/assets/HASH/NAME`: a part of it.
pub async fn demo_part(Path((hash, name)): Path<(String, String)>) -> Response {
    DEMO.asset(&hash, &name)
}

/// `GET /s/assets/HASH/NAME`: a part of the page of a session.
pub async fn page_part(Path((hash, name)): Path<(String, String)>) -> Response {
    EMBED.asset(&hash, &name)
}
