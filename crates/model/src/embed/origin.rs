//! Origins that may frame a session's page: what a client names, read strictly, because it travels in a header.
//!
//! Accepted are `https://host[:port]`, `https://*.host`, `https://*.host:*` and `http://host[:port]`. What was read is kept in
//! one form: small letters, no default port, international names as punycode. So no text of a client's reaches a header.

use std::fmt;
use std::net::Ipv4Addr;

/// Longest text that is looked at: a name has at most 253 characters, and punycode is never shorter than what it stands for
/// by more than the four bytes that UTF-8 gives a character.
const TEXT_BYTES_MAX: usize = 1_100;
/// Longest host name, and longest part of one: DNS has no longer ones.
const HOST_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// Why a text is no origin that may frame a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("expected https:// or http://, a host and at most a port, such as https://app.example.com")]
    Scheme,
    #[error("is too long to be an origin")]
    TooLong,
    #[error("expected an origin without a user name or password")]
    Credentials,
    #[error("expected an origin without a path; leave out what follows the host, a slash too")]
    Path,
    #[error("expected an origin without a query")]
    Query,
    #[error("expected an origin without a fragment")]
    Fragment,
    #[error("a * stands for every site; name a host, such as https://app.example.com or https://*.example.com")]
    BareWildcard,
    #[error(
        "expected a * only as the first part of an https host, or as the port of such a pattern: https://*.example.com:*"
    )]
    Wildcard,
    #[error("expected a host of letters, digits and hyphens in parts between single dots")]
    Host,
    #[error("an IPv6 address cannot be named as a framing origin; use a host name")]
    Ipv6,
    #[error("expected an IPv4 address as four decimal numbers")]
    Ipv4,
    #[error("expected a port from 1 to 65535")]
    Port,
}

/// Which ports of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// The scheme's own.
    Default,
    Number(u16),
    Any,
}

/// An origin, or the pattern of several, that may frame a session's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedOrigin {
    secure: bool,
    /// Every name below the host, the host itself not.
    subdomains: bool,
    host: String,
    port: Port,
}

impl EmbedOrigin {
    /// Reads an origin or a pattern.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(OriginError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(match text {
            "*" => OriginError::BareWildcard,
            _ => OriginError::Scheme,
        })?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(OriginError::Scheme),
        };
        check_extent(rest)?;
        if matches!(rest, "*" | "*:*") {
            return Err(OriginError::BareWildcard);
        }
        let (subdomains, address) = match rest.strip_prefix("*.") {
            Some(below) if secure => (true, below),
            Some(_) => return Err(OriginError::Wildcard),
            None => (false, rest),
        };
        let (host, port) = match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        };
        let port = match (port, subdomains) {
            (None, _) => Port::Default,
            (Some("*"), true) => Port::Any,
            // The documented patterns have the scheme's port, or any.
            (Some(_), true) => return Err(OriginError::Wildcard),
            (Some(port), false) => read_port(port, secure)?,
        };
        let host = read_host(host)?;
        if subdomains && host.parse::<Ipv4Addr>().is_ok() {
            return Err(OriginError::Wildcard);
        }
        Ok(Self { secure, subdomains, host, port })
    }

    /// Whether a page of this origin, as browsers write it, is meant. As in a browser's own rule, what may come over plain
    /// HTTP may come over TLS too.
    pub fn matches(&self, origin: &str) -> bool {
        let Ok(other) = EmbedOrigin::parse(origin) else { return false };
        let host = match self.subdomains {
            true => other.host.strip_suffix(&self.host).is_some_and(|below| below.ends_with('.')),
            false => other.host == self.host,
        };
        host && !other.subdomains
            && (other.secure || !self.secure)
            && (self.port == Port::Any || self.port == other.port)
    }

    /// As a source of `frame-ancestors`; [`EmbedOrigin::parse`] reads it back.
    pub fn source(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for EmbedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        let wildcard = if self.subdomains { "*." } else { "" };
        write!(f, "{scheme}://{wildcard}{}", self.host)?;
        match self.port {
            Port::Default => Ok(()),
            Port::Number(port) => write!(f, ":{port}"),
            Port::Any => f.write_str(":*"),
        }
    }
}

/// Fails for what is more than a host and a port.
fn check_extent(rest: &str) -> Result<(), OriginError> {
    match rest.find(['/', '\\', '?', '#', '@']).and_then(|at| rest[at..].chars().next()) {
        None if rest.starts_with('[') => Err(OriginError::Ipv6),
        None => Ok(()),
        Some('?') => Err(OriginError::Query),
        Some('#') => Err(OriginError::Fragment),
        Some('@') => Err(OriginError::Credentials),
        Some(_) => Err(OriginError::Path),
    }
}

fn read_port(text: &str, secure: bool) -> Result<Port, OriginError> {
    if text == "*" {
        return Err(OriginError::Wildcard);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u16 = text.parse().ok().filter(|number| digits && *number > 0).ok_or(OriginError::Port)?;
    let default = if secure { HTTPS_PORT } else { HTTP_PORT };
    Ok(if number == default { Port::Default } else { Port::Number(number) })
}

fn read_host(text: &str) -> Result<String, OriginError> {
    if text.contains('*') {
        return Err(OriginError::Wildcard);
    }
    // What the conversion makes of odd characters is judged like what a client wrote itself.
    let host = match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => idna::domain_to_ascii(text).map_err(|_| OriginError::Host)?,
    };
    let labels_are_good = host.split('.').all(is_label);
    if host.len() > HOST_CHARS_MAX || !labels_are_good {
        return Err(OriginError::Host);
    }
    // A browser reads a host that ends in a number as an address, in any of many forms.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(OriginError::Ipv4);
    }
    Ok(host)
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> String {
        EmbedOrigin::parse(text).map(|origin| origin.source()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_documented_forms_are_read_and_written_in_one_form() {
        for (text, expected) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.COM:443", "https://app.example.com"),
            ("https://app.example.com:08443", "https://app.example.com:8443"),
            ("https://*.customer.example", "https://*.customer.example"),
            ("https://*.customer.example:*", "https://*.customer.example:*"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://*.BÜCHER.example", "https://*.xn--bcher-kva.example"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(source(text), expected);
            assert_eq!(source(expected), expected);
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use OriginError::*;
        let long_label = format!("https://{}.example", "a".repeat(64));
        let long_host = format!("https://{}example", "a.".repeat(130));
        let very_long = format!("https://{}", "ü".repeat(600));
        for (text, expected) in [
            ("", Scheme),
            ("*", BareWildcard),
            ("https://*", BareWildcard),
            ("https://*:*", BareWildcard),
            ("http://*", BareWildcard),
            ("null", Scheme),
            ("app.example.com", Scheme),
            ("//app.example.com", Scheme),
            ("ftp://a.example", Scheme),
            ("javascript://a.example", Scheme),
            (" https://a.example", Scheme),
            ("*://a.example", Scheme),
            ("https://a.example/", Path),
            ("https://a.example/path", Path),
            ("https://a.example\\path", Path),
            ("https://a.example?x=1", Query),
            ("https://a.example#x", Fragment),
            ("https://user@a.example", Credentials),
            ("https://user:password@a.example", Credentials),
            ("http://*.a.example", Wildcard),
            ("https://a.*.example", Wildcard),
            ("https://a*.example", Wildcard),
            ("https://*a.example", Wildcard),
            ("https://**.example", Wildcard),
            ("https://*.*.example", Wildcard),
            ("https://a.example.*", Wildcard),
            ("https://a.example:*", Wildcard),
            ("http://a.example:*", Wildcard),
            ("https://*.a.example:8443", Wildcard),
            ("https://*.127.0.0.1", Wildcard),
            ("https://", Host),
            ("https://.", Host),
            ("https://*.", Host),
            ("https://.example", Host),
            ("https://a..example", Host),
            ("https://a.example.", Host),
            ("https://-a.example", Host),
            ("https://a-.example", Host),
            ("https://a_b.example", Host),
            ("https://a.example b.example", Host),
            ("https://a.example;script-src *", Wildcard),
            ("https://a.example;sandbox", Host),
            ("https://a.example,b.example", Host),
            ("https://a.example\r\nX-Header:1", Host),
            ("https://a.example\n", Host),
            ("https://a.example\0", Host),
            ("https://a.example'self'", Host),
            ("https://a%2eexample", Host),
            ("https://℀.example", Host),
            ("https://\u{202e}a.example", Host),
            ("https://[::1]", Ipv6),
            ("https://[::1]:8080", Ipv6),
            ("https://127.1", Ipv4),
            ("https://2130706433", Ipv4),
            ("https://0x7f.0.0.0x1", Ipv4),
            ("https://256.0.0.1", Ipv4),
            ("https://a.example:", Port),
            ("https://a.example:0", Port),
            ("https://a.example:65536", Port),
            ("https://a.example:+80", Port),
            ("https://a.example:-1", Port),
            ("https://a.example:80:80", Port),
            (&long_label, Host),
            (&long_host, Host),
            (&very_long, TooLong),
        ] {
            assert_eq!(EmbedOrigin::parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_matches_what_a_browser_would_let_frame() {
        let matches = |pattern, origin| EmbedOrigin::parse(pattern).unwrap().matches(origin);
        assert!(matches("https://a.example", "https://a.example"));
        assert!(!matches("https://a.example", "http://a.example"));
        assert!(!matches("https://a.example", "https://a.example:8443"));
        assert!(!matches("https://a.example", "https://b.a.example"));
        assert!(!matches("https://a.example", "null"));
        assert!(matches("http://a.example", "https://a.example"), "an upgrade is the same site");
        assert!(matches("https://*.a.example", "https://b.c.a.example"));
        assert!(!matches("https://*.a.example", "https://a.example"));
        assert!(!matches("https://*.a.example", "https://ba.example"));
        assert!(!matches("https://*.a.example", "https://b.a.example:8443"));
        assert!(!matches("https://*.a.example:*", "https://*.a.example"), "no origin is a pattern");
        assert!(matches("https://*.a.example:*", "https://b.a.example:8443"));
    }
}
