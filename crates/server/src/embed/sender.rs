//! Whose page sent a request that a cookie alone would let in. Browsers say so in headers that no page can write.

use crate::app::App;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};
use vitrine_model::embed::EmbedOrigin;

/// Says how the page stands to us; browsers send it where they deem the connection safe.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// A page of our own origin.
    Ours,
    /// A page of an origin that the operator trusts.
    Trusted(HeaderValue),
    /// A page of any other origin.
    Stranger,
    /// No page: a browser would have said so.
    Program,
}

impl App {
    /// Reads who sent a request.
    pub fn sender(&self, headers: &HeaderMap) -> Sender {
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        if site == Some(b"same-origin") {
            return Sender::Ours;
        }
        let Some(origin) = headers.get(ORIGIN) else {
            // A person's own step, an address typed, comes from no page.
            return if matches!(site, None | Some(b"none")) { Sender::Program } else { Sender::Stranger };
        };
        let text = origin.to_str().unwrap_or_default();
        let own = self.base(headers).is_ok_and(|base| is_same(&base.origin(), text));
        let trusted = || self.config.embed.trusted_origins.iter().filter_map(|known| EmbedOrigin::parse(known).ok());
        match site {
            None if own => Sender::Ours,
            _ if trusted().any(|known| known.matches(text)) => Sender::Trusted(origin.clone()),
            _ => Sender::Stranger,
        }
    }
}

/// Whether two origins are one, however each is written.
fn is_same(ours: &str, theirs: &str) -> bool {
    ours == theirs || matches!((EmbedOrigin::parse(ours), EmbedOrigin::parse(theirs)), (Ok(a), Ok(b)) if a == b)
}
