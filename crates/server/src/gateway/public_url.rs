//! The address by which clients reach us: configured, or read from each request.
//!
//! It may have a path prefix, under which a proxy in front of us forwards to us with the prefix taken off.

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use vitrine_model::SessionId;

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

    /// The URL of one connection to a terminal.
    pub fn terminal(&self, session: &SessionId, ticket: &str) -> String {
        self.ws(&format!("/t/{session}/ws?token={ticket}"))
    }

    /// The page with a terminal. The token stands in the fragment, which no browser sends anywhere.
    pub fn terminal_page(&self, session: &SessionId, token: &str, terminal: u64) -> String {
        self.http(&format!("/t/{session}#token={token}&terminal={terminal}"))
    }

    /// Host and prefix, without a scheme.
    pub fn address(&self) -> String {
        format!("{}{}", self.authority, self.prefix)
    }

    /// Whether clients come over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    fn s(&self) -> &'static str {
        if self.secure { "s" } else { "" }
    }
}

impl PublicUrl {
    /// The address for the answer to a request with these headers.
    pub fn base(&self, headers: &HeaderMap) -> Result<Base, NotABase> {
        let trust_proxy = match self {
            PublicUrl::Fixed(base) => return Ok(base.clone()),
            PublicUrl::FromRequest { trust_proxy } => *trust_proxy,
        };
        let forwarded = |name: &str| trust_proxy.then(|| first(headers, name)).flatten();
        let host = forwarded("x-forwarded-host").or_else(|| first(headers, HOST.as_str())).ok_or(NotABase)?;
        let authority: Authority = host.parse().map_err(|_| NotABase)?;
        if !is_host(&authority) {
            return Err(NotABase);
        }
        let secure = forwarded("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        Ok(Base { secure, authority: authority.to_string(), prefix: String::new() })
    }
}

/// A header's value up to the first comma: what the proxy closest to the client wrote.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.split(',').next().unwrap_or_default().trim())
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
