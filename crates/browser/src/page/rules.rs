//! Which addresses a policy lets a session open. A pattern is `host`, `*.host` (below it, not itself), or has a scheme, a
//! path or a port too, with `*` for anything within the part where it stands; a path without `*` is the beginning of one.
//!
//! Assumes addresses as Chromium writes them. What is compared host by host cannot be passed by a host's name in a path.

use vitrine_model::embed::Policy;

/// Why an address may not be opened; none when it may.
pub(crate) fn refusal(policy: &Policy, url: &str) -> Option<&'static str> {
    // Without rules nothing is judged; the blank page is no place.
    if !has_rules(policy) || matches!(url, "" | "about:blank" | "about:srcdoc") {
        return None;
    }
    let Some(address) = Address::of(url) else {
        let is_open = policy.allow_urls.is_empty();
        return (!is_open).then_some("only some sites may be opened");
    };
    if policy.deny_urls.iter().any(|pattern| address.matches(pattern)) {
        return Some("this site may not be opened");
    }
    let allowed = policy.allow_urls.is_empty() || policy.allow_urls.iter().any(|pattern| address.matches(pattern));
    (!allowed).then_some("only some sites may be opened")
}

pub(super) fn has_rules(policy: &Policy) -> bool {
    !policy.allow_urls.is_empty() || !policy.deny_urls.is_empty()
}

/// The parts of an address that has a host.
struct Address<'a> {
    scheme: &'a str,
    host: String,
    port: Option<&'a str>,
    path: &'a str,
}

impl<'a> Address<'a> {
    fn of(url: &'a str) -> Option<Address<'a>> {
        let (scheme, rest) = url.split_once("://")?;
        // What a `blob:` address names belongs to the site in it.
        let scheme = scheme.strip_prefix("blob:").unwrap_or(scheme);
        // An address that has a host only in its text, as `data:,://host/`, has none.
        if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = split_port(authority);
        // What follows is for the page alone.
        let path = path.split('#').next().unwrap_or_default();
        Some(Address { scheme, host: host.trim_end_matches('.').to_ascii_lowercase(), port, path })
    }

    /// The path, with the query where the pattern speaks of one: a query is no part of what it is silent about.
    fn up_to_query(&self, pattern: &str) -> &str {
        match self.path.split_once('?') {
            Some((path, _)) if !pattern.contains('?') => path,
            _ => self.path,
        }
    }

    fn matches(&self, pattern: &str) -> bool {
        let (scheme, rest) = match pattern.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => ("*", pattern),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = split_port(authority);
        let path_fits = match path {
            "" | "/" => true,
            path if path.contains('*') => glob(path, self.up_to_query(path)),
            path => self.path.starts_with(path),
        };
        glob(&scheme.to_ascii_lowercase(), self.scheme)
            && glob(host.trim_end_matches('.').to_ascii_lowercase().as_str(), &self.host)
            && port.is_none_or(|port| {
                port == "*" || self.port == Some(port) || self.port.is_none() && is_default(self.scheme, port)
            })
            && path_fits
    }
}

/// A port after the last colon, unless that is within an address of IPv6.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && !host.is_empty() => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_default(scheme: &str, port: &str) -> bool {
    matches!((scheme, port), ("http" | "ws", "80") | ("https" | "wss", "443"))
}

/// `*` stands for any text, also none.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(allow: &[&str], deny: &[&str], url: &str) -> bool {
        let list = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let policy = Policy { allow_urls: list(allow), deny_urls: list(deny), ..Policy::open(0) };
        refusal(&policy, url).is_none()
    }

    #[test]
    fn hosts_are_compared_as_hosts() {
        assert!(opens(&["example.com"], &[], "https://example.com/a?b"));
        assert!(opens(&["example.com"], &[], "http://EXAMPLE.com.:8080/"));
        for url in [
            "https://a.example.com/",
            "https://example.com.evil.net/",
            "https://evil.net/example.com",
            "https://example.com@evil.net/",
            "https://evil.net\\example.com/",
            "https://evil.net#example.com",
            "data:text/html,x",
            "data:text/html,://example.com/",
            "data:://example.com/",
            "file:///etc/passwd",
        ] {
            assert!(!opens(&["example.com"], &[], url), "{url}");
        }
        assert!(opens(&["*.example.com"], &[], "https://a.b.example.com/"));
        assert!(!opens(&["*.example.com"], &[], "https://example.com/"));
        assert!(!opens(&["*.example.com"], &[], "https://evil.net/x.example.com/"));
        assert!(opens(&["[::1]"], &[], "http://[::1]:80/"));
    }

    #[test]
    fn schemes_ports_and_paths_narrow() {
        assert!(opens(&["https://example.com"], &[], "https://example.com/x"));
        assert!(!opens(&["https://example.com"], &[], "http://example.com/x"));
        assert!(opens(&["https://*.example.com/docs/*"], &[], "https://a.example.com/docs/b"));
        assert!(!opens(&["https://*.example.com/docs/*"], &[], "https://a.example.com/other"));
        assert!(opens(&["http://localhost:3000"], &[], "http://localhost:3000/"));
        assert!(!opens(&["http://localhost:3000"], &[], "http://localhost:4000/"));
        assert!(opens(&["https://example.com:443"], &[], "https://example.com/"));
        assert!(opens(&["*://example.com/*"], &[], "http://example.com/a"));
    }

    #[test]
    fn a_query_or_a_fragment_leads_past_no_pattern() {
        for url in ["https://a.b/x/1.php", "https://a.b/x/1.php?y", "https://a.b/x/1.php#y", "https://a.b/x/1.php?#"] {
            assert!(!opens(&[], &["a.b/x/*.php"], url), "{url}");
            assert!(opens(&["a.b/x/*.php"], &[], url), "{url}");
        }
        assert!(!opens(&["a.b/*.php"], &[], "https://a.b/y?.php") && !opens(&["a.b/*.php"], &[], "https://a.b/y#.php"));
        assert!(opens(&["a.b/*?id=*"], &[], "https://a.b/y?id=1") && !opens(&["a.b/*?id=*"], &[], "https://a.b/y"));
    }

    #[test]
    fn denials_win_and_the_blank_page_is_no_place() {
        assert!(!opens(&["example.com"], &["example.com/secret"], "https://example.com/secret/1"));
        assert!(opens(&[], &["evil.net"], "https://example.com/"));
        assert!(!opens(&[], &["evil.net"], "blob:https://evil.net/1"));
        assert!(!opens(&[], &["*"], "https://example.com/"));
        assert!(opens(&["example.com"], &[], "about:blank"));
        assert!(opens(&[], &[], "data:text/html,x"));
        assert!(opens(&[], &["evil.net"], "data:text/html,https://evil.net/"), "it names a site, it is none");
    }
}
