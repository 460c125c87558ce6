//! Which port of which sandbox a request means: by its host, or by its path.

use super::super::PublicUrl;
use http::Uri;
use http::header::HeaderMap;
use std::num::NonZeroU16;
use vitrine_model::{Error, SessionId};

/// Carries the token in a URL that was just handed out. A name that no program takes for its own.
pub(crate) const TOKEN_QUERY: &str = "vitrine-preview-token";
/// Before the path of a preview that has no host of its own.
const PATH: &str = "/p/";
/// The longest host name (RFC 1035).
const DOMAIN_CHARS_MAX: usize = 253;

/// Whether text can be a domain under which previews get their hosts: a name, without a port.
pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= DOMAIN_CHARS_MAX && text.split('.').all(is_label)
}

/// How a preview is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Host,
    Path,
}

/// What a request for a preview is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) way: Way,
    pub(super) session: SessionId,
    pub(super) port: NonZeroU16,
    /// What the URL itself carries.
    pub(super) token: Option<String>,
    /// For the program, without what is ours; empty where a path ends before its slash.
    pub(super) path_and_query: String,
    /// Scheme and host as the client has them.
    pub(super) origin: String,
    /// Where the program's own `/` is for the client, without the slash.
    pub(super) root: String,
    pub(super) is_secure: bool,
}

impl Address {
    /// `None`: it is not about a preview.
    pub(super) fn of(public: &PublicUrl, uri: &Uri, headers: &HeaderMap) -> Option<Result<Address, Error>> {
        let host = public.asked_host(headers);
        if let Some(label) = host.as_deref().and_then(label) {
            return Some(Self::of_host(public, label, host.as_deref().unwrap_or_default(), uri, headers));
        }
        let rest = uri.path().strip_prefix(PATH)?;
        Some(Self::of_path(public, rest, uri, headers))
    }

    fn of_host(
        public: &PublicUrl,
        (port, session): (&str, &str),
        host: &str,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Address, Error> {
        let is_secure = public.is_secure(headers);
        let origin = format!("http{}://{host}", if is_secure { "s" } else { "" });
        let (query, token) = without_token(uri.query().unwrap_or_default());
        Ok(Self {
            way: Way::Host,
            session: session_of(session)?,
            port: port_of(port)?,
            token,
            path_and_query: format!("{}{query}", uri.path()),
            root: origin.clone(),
            origin,
            is_secure,
        })
    }

    fn of_path(public: &PublicUrl, rest: &str, uri: &Uri, headers: &HeaderMap) -> Result<Address, Error> {
        let mut parts = rest.splitn(4, '/');
        let mut part = || parts.next().unwrap_or_default();
        let (session, port, token) = (session_of(part())?, port_of(part())?, part().to_owned());
        let path = parts.next().map(|path| format!("/{path}")).unwrap_or_default();
        let query = uri.query().filter(|_| !path.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
        let base = public.base(headers).map_err(|_| Error::invalid("Host", "the header does not name this server"))?;
        Ok(Self {
            way: Way::Path,
            path_and_query: format!("{path}{query}"),
            root: base.http(&format!("{PATH}{session}/{port}/{token}")),
            origin: base.origin(),
            is_secure: base.is_secure(),
            session,
            port,
            token: Some(token),
        })
    }
}

/// Port and session of a host name that looks like a preview's, under whichever domain.
fn label(host: &str) -> Option<(&str, &str)> {
    let (label, _) = host.split_once('.')?;
    let (port, session) = label.split_once('-')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && SessionId::parse(session).is_ok()).then_some((port, session))
}

fn session_of(text: &str) -> Result<SessionId, Error> {
    SessionId::parse(text).map_err(|_| Error::not_found("preview"))
}

fn port_of(text: &str) -> Result<NonZeroU16, Error> {
    let port = text.parse().ok().filter(|port: &NonZeroU16| port.to_string() == text);
    port.ok_or_else(|| Error::not_found("preview"))
}

/// A query, with its question mark where there is anything in it, without our token, and the token.
fn without_token(query: &str) -> (String, Option<String>) {
    let mut token = None;
    let rest: Vec<_> = query
        .split('&')
        .filter(|pair| match pair.split_once('=') {
            Some((TOKEN_QUERY, value)) => {
                token = Some(value.to_owned());
                false
            }
            _ => !pair.is_empty(),
        })
        .collect();
    let rest = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    (rest, token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a";

    fn of(host: &str, uri: &str) -> Option<Result<Address, Error>> {
        let headers = HeaderMap::from_iter([(http::header::HOST, host.parse().unwrap())]);
        Address::of(&PublicUrl::FromRequest { trust_proxy: false }, &uri.parse().unwrap(), &headers)
    }

    #[test]
    fn a_host_names_one_port_of_one_sandbox() {
        let host = format!("3000-{SESSION}.Preview.Example.org:8443");
        let address = of(&host, "/a%20b?x=1&vitrine-preview-token=T.x&y").unwrap().unwrap();
        assert_eq!((address.way, address.port.get(), address.session.as_str()), (Way::Host, 3000, SESSION));
        assert_eq!((address.path_and_query.as_str(), address.token.as_deref()), ("/a%20b?x=1&y", Some("T.x")));
        assert_eq!(address.origin, format!("http://3000-{SESSION}.preview.example.org:8443"));
        let address = of(&format!("80-{SESSION}.localhost"), "/?vitrine-preview-token=T").unwrap().unwrap();
        assert_eq!((address.path_and_query.as_str(), address.token.is_some()), ("/", true));
        for host in
            ["localhost:7070", "example.org", SESSION, "3000-short.localhost", &format!("x-{SESSION}.localhost")]
        {
            assert!(of(host, "/v1/sandboxes").is_none(), "{host}");
        }
        // Nothing of ours answers under what looks like a preview.
        for port in ["0", "65536", "007", "99999999999"] {
            assert!(of(&format!("{port}-{SESSION}.localhost"), "/v1/sandboxes").unwrap().is_err(), "{port}");
        }
    }

    #[test]
    fn a_path_names_them_too() {
        let address = of("example.org", &format!("/p/{SESSION}/8080/T.x/a/../b?q")).unwrap().unwrap();
        assert_eq!((address.way, address.port.get(), address.token.as_deref()), (Way::Path, 8080, Some("T.x")));
        assert_eq!(address.path_and_query, "/a/../b?q");
        assert_eq!(address.root, format!("http://example.org/p/{SESSION}/8080/T.x"));
        assert_eq!(of("example.org", &format!("/p/{SESSION}/8080/T?q")).unwrap().unwrap().path_and_query, "");
        for path in ["/p/", "/p/x/80/T/", &format!("/p/{SESSION}"), &format!("/p/{SESSION}/x/T/")] {
            assert!(of("example.org", path).unwrap().is_err(), "{path}");
        }
        assert!(of("example.org", "/v1/p/").is_none());
    }

    #[test]
    fn a_domain_is_a_plain_name() {
        assert!(is_domain("preview.example.org") && is_domain("localhost"));
        for wrong in ["", ".", "a..b", "Example.org", "example.org:80", "*.example.org", "a/b", "https://a"] {
            assert!(!is_domain(wrong), "{wrong}");
        }
    }
}
