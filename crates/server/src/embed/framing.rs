//! Who may frame a session's page: ourselves, whom the operator names, and whom the session was made for.

use crate::app::App;
use axum::response::Response;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue};
use vitrine_model::embed::EmbedOrigin;
use vitrine_model::{EmbedSpec, Error};

/// Everybody: for what tells nothing.
pub const ANYBODY: &str = "*";

/// Marks an answer that says itself who may frame it.
#[derive(Debug, Clone, Copy)]
pub struct Framed;

impl App {
    /// The origins that may frame the page of a session, our own first.
    pub fn embedding_origins(&self, spec: &EmbedSpec, headers: &HeaderMap) -> Result<Vec<String>, Error> {
        let others = self.config.embed.frame_ancestors.iter().chain(&spec.embedding_origins);
        // They travel in a header: what was kept is read again, whoever kept it.
        let others = others.filter_map(|origin| EmbedOrigin::parse(origin).ok()).map(|origin| origin.source());
        Ok(std::iter::once(self.base(headers)?.origin()).chain(others).collect())
    }

    /// The same as sources of a header.
    pub fn frame_ancestors(&self, spec: &EmbedSpec, headers: &HeaderMap) -> Result<String, Error> {
        let mut origins = self.embedding_origins(spec, headers)?;
        // Right under every name by which a proxy passes requests to us.
        "'self'".clone_into(&mut origins[0]);
        Ok(origins.join(" "))
    }
}

/// Gives an answer its policy; `rest` is what else it says, `ancestors` the sources of who may frame it.
pub fn framed(mut response: Response, rest: &str, ancestors: &str) -> Response {
    let policy = HeaderValue::try_from(format!("{rest}; frame-ancestors {ancestors}"));
    // What does not fit a header frames nowhere.
    let policy = policy.unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response.extensions_mut().insert(Framed);
    response
}
