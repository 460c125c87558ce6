//! The pages for people and their assets, as they were built in `web/`, inside the binary.
//!
//! A page knows its session by its address and its token by the fragment, so it is the same for everybody; its assets
//! carry the hash of the whole build in their address and are kept for ever.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::{Error, SessionId};

use crate::answer::Failure;
use crate::embed::framing::framed;

/// What `build.rs` found: empty when a page was not built.
static VIEWER_BUILT: Dir<'static> = include_dir!("$OUT_DIR/viewer");
static TERMINAL_BUILT: Dir<'static> = include_dir!("$OUT_DIR/terminal");
static ELEMENT_BUILT: Dir<'static> = include_dir!("$OUT_DIR/element");
/// The page itself.
const PAGE: &str = "index.html";
/// The page of an embed session, built with the live view; and the page that shows the element, built with it.
const EMBED_PAGE: &str = "embed.html";
const DEMO_PAGE: &str = "demo.html";
/// How a page's file ends. Pages have addresses of their own.
const PAGE_END: &str = ".html";
/// Stands in the page where the assets' hash belongs.
const HASH_MARK: &str = "__HASH__";
/// Characters of a hash: enough to tell builds apart.
const HASH_CHARS: usize = 16;
/// Everything from here, nothing from anywhere else; pictures and favicons also as data.
/// Who may frame it follows.
const VIEWER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    media-src 'self' blob:; worker-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";
/// The same; a terminal makes its style sheet while it runs, from sizes and colours.
const TERMINAL_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";
/// What the page that shows the element may frame follows.
const DEMO_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'";

/// A page with its hash, made once.
pub(crate) struct Page {
    built: &'static Dir<'static>,
    policy: &'static str,
    html: String,
    hash: String,
}

static VIEWER: LazyLock<Page> = LazyLock::new(|| Page::of(&VIEWER_BUILT, PAGE, VIEWER_POLICY, "viewer"));
static TERMINAL: LazyLock<Page> = LazyLock::new(|| Page::of(&TERMINAL_BUILT, PAGE, TERMINAL_POLICY, "terminal"));
pub(crate) static EMBED: LazyLock<Page> =
    LazyLock::new(|| Page::of(&VIEWER_BUILT, EMBED_PAGE, VIEWER_POLICY, "viewer"));
pub(crate) static DEMO: LazyLock<Page> = LazyLock::new(|| Page::of(&ELEMENT_BUILT, DEMO_PAGE, DEMO_POLICY, "element"));

impl Page {
    fn of(built: &'static Dir<'static>, page: &str, policy: &'static str, folder: &str) -> Self {
        let mut hash = Sha256::new();
        for file in built.files() {
            hash.update(file.path().as_os_str().as_encoded_bytes());
            hash.update(file.contents());
        }
        let mut hash = hexadecimal(&hash.finalize());
        hash.truncate(HASH_CHARS);
        let page = built.get_file(page).and_then(|page| page.contents_utf8());
        let html = page.map_or_else(|| not_built(folder), |page| page.replace(HASH_MARK, &hash));
        Self { built, policy, html, hash }
    }

    /// Whether there is such a session, the token settles later.
    fn answer(&self, session: &str) -> Response {
        match SessionId::parse(session) {
            Ok(_) => self.framed_by("'none'"),
            Err(_) => Failure(Error::not_found("session")).into_response(),
        }
    }

    /// The page, for frames of these sources.
    pub(crate) fn framed_by(&self, ancestors: &str) -> Response {
        framed(self.html(), self.policy, ancestors)
    }

    /// The page, for no frames, which itself frames these sources.
    pub(crate) fn framing(&self, sources: &str) -> Response {
        framed(self.html(), &format!("{}; frame-src {sources}", self.policy), "'none'")
    }

    fn html(&self) -> Response {
        let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
        (headers, self.html.clone()).into_response()
    }

    /// A file of its build.
    pub(crate) fn file(&self, name: &str) -> Option<&'static [u8]> {
        self.built.get_file(name).map(|file| file.contents())
    }

    /// A file of its build at an address with the build's hash.
    pub(crate) fn asset(&self, hash: &str, name: &str) -> Response {
        match self.built.get_file(name).filter(|_| hash == self.hash && !name.ends_with(PAGE_END)) {
            Some(file) => {
                let headers =
                    [(CONTENT_TYPE, content_type(name)), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
                (headers, file.contents()).into_response()
            }
            None => Failure(Error::not_found("asset")).into_response(),
        }
    }
}

/// What a server says that was built without a page.
fn not_built(folder: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not built</title>\
         <p>This server was built without this page. Run <code>npm ci &amp;&amp; npm run build</code> in \
         <code>web/{folder}</code> and build the server again."
    )
}

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

/// `GET /view/SESSION`: the live view.
pub(super) async fn viewer(Path(session): Path<String>) -> Response {
    VIEWER.answer(&session)
}

/// `GET /view/assets/HASH/NAME`: a part of it.
pub(super) async fn viewer_asset(Path((hash, name)): Path<(String, String)>) -> Response {
    VIEWER.asset(&hash, &name)
}

/// `GET /t/SESSION`: a terminal.
pub(super) async fn terminal(Path(session): Path<String>) -> Response {
    TERMINAL.answer(&session)
}

/// `GET /t/assets/HASH/NAME`: a part of it.
pub(super) async fn terminal_asset(Path((hash, name)): Path<(String, String)>) -> Response {
    TERMINAL.asset(&hash, &name)
}
