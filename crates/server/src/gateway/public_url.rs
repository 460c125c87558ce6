//! The address by which clients reach us: configured, or read from each request.
//!
//! It may have a path prefix, under which a proxy in front of us forwards to us with the prefix taken off.

use super::preview::TOKEN_QUERY;
use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use std::net::IpAddr;
use std::num::NonZeroU16;
use vitrine_model::{MachineId, SessionId};

/// Where URLs that we hand out point to.
#[derive(Debug, Clone)]
pub enum PublicUrl {
    /// Always the same, for example `https://browsers.example.com/prefix`.
    Fixed(Base),
    /// The `Host` of each request, over plain HTTP. With `trust_proxy` also what `X-Forwarded-Proto` and `X-Forwarded-Host` say:
    /// only right behind a proxy that sets them itself.
    FromRequest { trust_proxy: bool },
}

/// Text that is no public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public address: expected http:// or https://, a host and at most a path")]
pub struct NotABase;

/// A scheme, a host and a path prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    secure: bool,
    authority: String,
    /// Empty, or `/…` without a slash at its end.
    prefix: String,
}

impl Base {
    /// Reads `http(s)://HOST[:PORT][/PREFIX]`.
    pub fn parse(text: &str) -> Result<Self, NotABase> {
        let uri: http::Uri = text.parse().map_err(|_| NotABase)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(NotABase),
        };
        let authority = uri.authority().filter(|authority| is_host(authority)).ok_or(NotABase)?;
        if uri.query().is_some() {
            return Err(NotABase);
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { secure, authority: authority.to_string(), prefix })
    }

    /// The URL of `path` (which starts with a slash) for HTTP.
    pub fn http(&self, path: &str) -> String {
        format!("http{}://{}{path}", self.s(), self.address())
    }

    /// The URL of `path` (which starts with a slash) for WebSockets.
    pub fn ws(&self, path: &str) -> String {
        format!("ws{}://{}{path}", self.s(), self.address())
    }

    /// The URL by which a client drives a session; everything that it needs is inside.
    pub fn cdp(&self, session: &SessionId, token: &str) -> String {
        self.ws(&format!("/cdp/{session}?token={token}"))
    }

    /// The page where a person looks at a session. The token stands in the fragment, which no browser sends anywhere.
    pub fn view(&self, session: &SessionId, token: &str) -> String {
        self.http(&format!("/view/{session}#token={token}"))
    }

    /// The link to the page of an embed session. Its token says the session, for which the path has no place.
    pub fn login(&self, session: &SessionId, token: &str, machine: &MachineId) -> String {
        self.http(&format!("/login?token={session}.{token}&mid={machine}"))
    }

    /// The URL of one connection to a terminal.
    pub fn terminal(&self, session: &SessionId, ticket: &str) -> String {
        self.ws(&format!("/t/{session}/ws?token={ticket}"))
    }

    /// The page with a terminal. The token stands in the fragment, which no browser sends anywhere.
    pub fn terminal_page(&self, session: &SessionId, token: &str, terminal: u64) -> String {
        self.http(&format!("/t/{session}#token={token}&terminal={terminal}"))
    }

    /// The URL of a port of a sandbox: under a host of its own where there is a domain for them, or where we are the client's
    /// own machine, on which every name below `localhost` is; else below a path of ours.
    pub fn preview(&self, domain: Option<&str>, session: &SessionId, port: NonZeroU16, token: &str) -> String {
        let (host, own_port) = self.host_and_port();
        let local = (is_local(host) && self.prefix.is_empty()).then_some("localhost");
        match domain.or(local) {
            Some(domain) => {
                let s = self.s();
                format!("http{s}://{port}-{session}.{domain}{own_port}/?{TOKEN_QUERY}={token}")
            }
            None => self.http(&format!("/p/{session}/{port}/{token}/")),
        }
    }

    /// Scheme and host: what a browser calls an origin.
    pub fn origin(&self) -> String {
        format!("http{}://{}", self.s(), self.authority)
    }

    /// The host, and the port with its colon where there is one.
    fn host_and_port(&self) -> (&str, &str) {
        let bracket = self.authority.rfind(']').unwrap_or(0);
        let colon = self.authority.rfind(':').filter(|at| *at > bracket);
        self.authority.split_at(colon.unwrap_or(self.authority.len()))
    }

    /// Host and prefix, without a scheme.
    pub fn address(&self) -> String {
        format!("{}{}", self.authority, self.prefix)
    }

    /// The path, as clients ask for it, of one of ours (which starts with a slash).
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Whether clients come over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether clients are on this machine, whose connections browsers trust without TLS.
    pub fn is_local(&self) -> bool {
        is_local(self.host_and_port().0)
    }

    fn s(&self) -> &'static str {
        if self.secure { "s" } else { "" }
    }
}

impl PublicUrl {
    /// The address for the answer to a request with these headers.
    pub fn base(&self, headers: &HeaderMap) -> Result<Base, NotABase> {
        if let PublicUrl::Fixed(base) = self {
            return Ok(base.clone());
        }
        let authority = self.asked(headers).ok_or(NotABase)?;
        Ok(Base { secure: self.is_secure(headers), authority: authority.to_string(), prefix: String::new() })
    }

    /// The host that a client asked for, in small letters, with its port.
    pub fn asked_host(&self, headers: &HeaderMap) -> Option<String> {
        Some(self.asked(headers)?.as_str().to_ascii_lowercase())
    }

    /// Whether the client came over TLS.
    pub fn is_secure(&self, headers: &HeaderMap) -> bool {
        match self {
            PublicUrl::Fixed(base) => base.secure,
            PublicUrl::FromRequest { .. } => {
                let scheme = self.forwarded(headers, "x-forwarded-proto");
                scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
            }
        }
    }

    fn asked(&self, headers: &HeaderMap) -> Option<Authority> {
        let host = self.forwarded(headers, "x-forwarded-host").or_else(|| first(headers, HOST.as_str()))?;
        host.parse().ok().filter(is_host)
    }

    fn forwarded<'a>(&self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        match self {
            PublicUrl::FromRequest { trust_proxy: true } => first(headers, name),
            _ => None,
        }
    }
}

/// A header's value up to the first comma: what the proxy closest to the client wrote.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.split(',').next().unwrap_or_default().trim())
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn is_host(authority: &Authority) -> bool {
    !authority.host().is_empty() && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_configured_address_keeps_its_scheme_host_and_prefix() {
        let base = Base::parse("https://browsers.example.com:8443/eu/").unwrap();
        assert_eq!(base.ws("/cdp/x"), "wss://browsers.example.com:8443/eu/cdp/x");
        assert_eq!(base.http("/v1"), "https://browsers.example.com:8443/eu/v1");
        assert_eq!(Base::parse("http://localhost:7070").unwrap().ws("/cdp"), "ws://localhost:7070/cdp");
        for wrong in ["", "localhost:80", "ftp://a", "https://", "https://user@a", "https://a/?b"] {
            assert_eq!(Base::parse(wrong), Err(NotABase), "{wrong}");
        }
    }

    #[test]
    fn a_preview_has_a_host_of_its_own_where_it_can() {
        let session = SessionId::new(1, &|buffer: &mut [u8]| buffer.fill(9));
        let port = NonZeroU16::new(3000).unwrap();
        let url = |base: &str, domain| Base::parse(base).unwrap().preview(domain, &session, port, "T");
        let of = |host: &str| format!("{host}/?vitrine-preview-token=T").replace("HOST", &format!("3000-{session}"));
        assert_eq!(url("http://localhost:7070", None), of("http://HOST.localhost:7070"));
        assert_eq!(url("http://127.0.0.1:7070", None), of("http://HOST.localhost:7070"));
        assert_eq!(url("http://[::1]", None), of("http://HOST.localhost"));
        assert_eq!(url("https://a.example:8443/x", Some("p.example")), of("https://HOST.p.example:8443"));
        assert_eq!(url("https://a.example/x", None), format!("https://a.example/x/p/{session}/3000/T/"));
        assert_eq!(url("http://localhost/x", None), format!("http://localhost/x/p/{session}/3000/T/"));
    }

    #[test]
    fn forwarded_headers_count_only_behind_a_trusted_proxy() {
        let request = headers(&[
            ("host", "10.0.0.1:7070"),
            ("x-forwarded-host", "a.example, b.example"),
            ("x-forwarded-proto", "https"),
        ]);
        let plain = PublicUrl::FromRequest { trust_proxy: false }.base(&request).unwrap();
        assert_eq!(plain.ws("/"), "ws://10.0.0.1:7070/");
        let trusted = PublicUrl::FromRequest { trust_proxy: true }.base(&request).unwrap();
        assert_eq!(trusted.ws("/"), "wss://a.example/");
        assert!(PublicUrl::FromRequest { trust_proxy: true }.base(&HeaderMap::new()).is_err());
        assert!(PublicUrl::FromRequest { trust_proxy: false }.base(&headers(&[("host", "a b")])).is_err());
    }
}
