//! What passes between a client and a program in a sandbox, and what does not.
//!
//! The program is talked to as if by a browser on its own machine: `Host: localhost:PORT`, and an `Origin` that fits it,
//! because servers for development refuse other names. Our own cookie, and keys of ours that a client shows by mistake, stay
//! here; so does what only concerns one connection.

use super::address::{Address, TOKEN_QUERY, Way};
use crate::cookie;
use axum::http::request::Parts;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ALT_SVC,
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, COOKIE, EXPECT, FORWARDED, HOST, LOCATION,
    ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, REFERER, REFERRER_POLICY, SEC_WEBSOCKET_EXTENSIONS, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use vitrine_model::ApiKeySecret;

/// Of the cookie that carries the token. Browsers let nobody but the host itself set one of the first name; it needs TLS.
const COOKIE_SECURE: &str = "__Host-vitrine-preview";
const COOKIE_PLAIN: &str = "vitrine-preview";
/// What a page without an origin of its own may do.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox allow-scripts allow-forms allow-popups");
/// What concerns one connection only (RFC 9110, 7.6.1), besides what `Connection` names.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
];
/// What would change how browsers treat our whole host, in an answer below a path of it.
const OF_THE_HOST: [HeaderName; 8] = [
    SET_COOKIE,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("origin-agent-cluster"),
];

/// Whether a page without an origin asks if it may talk to its own server.
pub(super) fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The tokens in a client's cookies. There may be several: a page of another preview can set one, which opens nothing.
pub(super) fn cookies<'a>(address: &Address, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> + use<'a> {
    let ours = (address.way == Way::Host).then(|| name(address));
    cookie::pairs(headers)
        .filter_map(move |pair| pair.split_once('=').filter(|(name, _)| Some(*name) == ours))
        .map(|(_, v)| v)
}

/// The cookie that takes the place of the token in the address; `None` where there is none to take.
pub(super) fn cookie(address: &Address, seconds: i64) -> Option<String> {
    let (name, token) = (name(address), address.token.as_deref()?);
    // Of each site that shows the preview in a frame, browsers keep it apart; without TLS they keep it to its own site.
    let kept = if address.is_secure { "SameSite=None; Secure; Partitioned" } else { "SameSite=Lax" };
    Some(format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; {kept}"))
}

fn name(address: &Address) -> &'static str {
    if address.is_secure { COOKIE_SECURE } else { COOKIE_PLAIN }
}

/// A client's headers as the program gets them.
pub(super) fn to_port(address: &Address, headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    drop_hop_by_hop(&mut passed);
    for name in [COOKIE, EXPECT, FORWARDED] {
        passed.remove(name);
    }
    let of_proxies: Vec<_> = passed
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-") || *name == "x-real-ip")
        .cloned()
        .collect();
    of_proxies.into_iter().for_each(|name| drop(passed.remove(name)));
    if passed.get_all(AUTHORIZATION).into_iter().any(is_ours) {
        passed.remove(AUTHORIZATION);
    }
    let theirs: Vec<_> = match address.way {
        Way::Host => cookie::pairs(headers)
            .filter(|pair| pair.split_once('=').is_none_or(|(key, _)| key != name(address)))
            .collect(),
        // Cookies of our own host are not for a program below a path of it.
        Way::Path => Vec::new(),
    };
    if let Ok(cookies) = HeaderValue::from_str(&theirs.join("; "))
        && !cookies.is_empty()
    {
        passed.insert(COOKIE, cookies);
    }
    let local = format!("localhost:{}", address.port);
    if let Some(origin) = passed.get(ORIGIN)
        && (origin == address.origin.as_str() || (address.way == Way::Path && origin == "null"))
    {
        insert(&mut passed, ORIGIN, &format!("http://{local}"));
    }
    let referrer = passed.remove(REFERER);
    if let Some(path) = referrer.as_ref().and_then(|from| from.to_str().ok()?.strip_prefix(address.root.as_str()))
        && !path.contains(TOKEN_QUERY)
    {
        insert(&mut passed, REFERER, &format!("http://{local}{path}"));
    }
    insert(&mut passed, HOST, &local);
    passed
}

/// The same for a WebSocket. Extensions stay away: frames pass through us, and we put in some of our own.
pub(super) fn to_socket(address: &Address, headers: &HeaderMap) -> HeaderMap {
    let mut passed = to_port(address, headers);
    passed.remove(SEC_WEBSOCKET_EXTENSIONS);
    becomes_a_socket(&mut passed);
    passed
}

/// Makes of a program's headers what the client gets.
pub(super) fn from_port(address: &Address, headers: &mut HeaderMap) {
    drop_hop_by_hop(headers);
    for name in [STRICT_TRANSPORT_SECURITY, ALT_SVC] {
        headers.remove(name);
    }
    let location = headers.get(LOCATION).and_then(|to| to.to_str().ok());
    if let Some(to) = location.and_then(|to| for_client(address, to)) {
        insert(headers, LOCATION, &to);
    }
    // What only who has a token may see is not for caches that serve everybody.
    headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    match address.way {
        Way::Host => keep_cookies_home(address, headers),
        Way::Path => {
            OF_THE_HOST.iter().for_each(|name| drop(headers.remove(name)));
            headers.append(CONTENT_SECURITY_POLICY, SANDBOX);
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
    }
}

/// The same for a WebSocket's answer.
pub(super) fn from_socket(address: &Address, headers: &mut HeaderMap) {
    from_port(address, headers);
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    becomes_a_socket(headers);
}

fn becomes_a_socket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Whether a client shows a key of ours. Programs have keys of their own, which pass.
fn is_ours(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    text.split_ascii_whitespace().any(|word| ApiKeySecret::from_client(word).is_some())
}

/// Where a program sends the client, in the client's addresses; `None`: as it is.
fn for_client(address: &Address, to: &str) -> Option<String> {
    let port = address.port;
    let own = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]"].into_iter().find_map(|host| {
        let rest = to.strip_prefix(&format!("http://{host}:{port}"))?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
    });
    match own {
        Some(path) => Some(format!("{}{path}", address.root)),
        None if address.way == Way::Path && to.starts_with('/') && !to.starts_with("//") => {
            Some(format!("{}{to}", address.root))
        }
        None => None,
    }
}

/// A program sets cookies for its own host: for the whole domain they would be sent to other sandboxes.
fn keep_cookies_home(address: &Address, headers: &mut HeaderMap) {
    let set: Vec<_> = headers.get_all(SET_COOKIE).into_iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in set {
        let Ok(text) = cookie.to_str() else { continue };
        let mut parts = text.split(';');
        let pair = parts.next().unwrap_or_default();
        if pair.split('=').next().is_some_and(|key| key.trim() == name(address)) {
            continue;
        }
        let is_domain =
            |part: &&str| part.split('=').next().is_some_and(|key| key.trim().eq_ignore_ascii_case("domain"));
        let kept: Vec<_> = std::iter::once(pair).chain(parts.filter(|part| !is_domain(part))).collect();
        if let Ok(value) = HeaderValue::from_str(&kept.join(";")) {
            headers.append(SET_COOKIE, value);
        }
    }
}

/// Writes what was read from a header, or made of plain characters.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vitrine_model::SessionId;

    fn address(way: Way, is_secure: bool) -> Address {
        let session = SessionId::new(1, &|buffer: &mut [u8]| buffer.fill(9));
        let root = match way {
            Way::Host => "https://3000-x.example.org".to_owned(),
            Way::Path => "https://example.org/p/x/3000/T".to_owned(),
        };
        let origin = if way == Way::Host { root.clone() } else { "https://example.org".to_owned() };
        let (port, token) = (3000.try_into().unwrap(), Some("T".to_owned()));
        Address { way, session, port, token, path_and_query: "/".to_owned(), origin, root, is_secure }
    }

    fn map(list: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.fold(HeaderMap::new(), |mut map, (name, value): (HeaderName, HeaderValue)| {
            map.append(name, value);
            map
        })
    }

    #[test]
    fn a_program_gets_nothing_of_ours() {
        let sent = map(&[
            ("host", "3000-x.example.org"),
            ("cookie", "a=1; __Host-vitrine-preview=T; vitrine=2"),
            ("authorization", "Bearer br_live_0123456789abcdefghijklmnopqrstuv"),
            ("origin", "https://3000-x.example.org"),
            ("referer", "https://3000-x.example.org/page?q"),
            ("connection", "keep-alive, x-secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("x-forwarded-for", "203.0.113.1"),
            ("x-own", "passes"),
        ]);
        let passed = to_port(&address(Way::Host, true), &sent);
        let expected = map(&[
            ("host", "localhost:3000"),
            ("cookie", "a=1; vitrine=2"),
            ("origin", "http://localhost:3000"),
            ("referer", "http://localhost:3000/page?q"),
            ("x-own", "passes"),
        ]);
        assert_eq!(passed, expected);
        let own =
            map(&[("authorization", "Bearer of-the-program"), ("origin", "https://evil.example"), ("cookie", "a=1")]);
        let passed = to_port(&address(Way::Path, true), &own);
        assert_eq!(passed["authorization"], "Bearer of-the-program");
        assert_eq!(
            (&passed["origin"], passed.get("cookie")),
            (&HeaderValue::from_static("https://evil.example"), None)
        );
        let sandboxed = to_port(&address(Way::Path, true), &map(&[("origin", "null")]));
        assert_eq!(sandboxed["origin"], "http://localhost:3000");
    }

    #[test]
    fn an_answer_stays_in_its_own_origin() {
        let answered = [
            ("set-cookie", "sid=1; Path=/; domain=example.org; HttpOnly"),
            ("set-cookie", "__Host-vitrine-preview=mine"),
            ("location", "http://localhost:3000/login?next=/"),
            ("strict-transport-security", "max-age=1; includeSubDomains"),
            ("clear-site-data", "\"*\""),
            ("transfer-encoding", "chunked"),
            ("content-type", "text/html"),
        ];
        let mut headers = map(&answered);
        from_port(&address(Way::Host, true), &mut headers);
        let expected = map(&[
            ("set-cookie", "sid=1; Path=/; HttpOnly"),
            ("location", "https://3000-x.example.org/login?next=/"),
            ("clear-site-data", "\"*\""),
            ("content-type", "text/html"),
            ("cache-control", "private"),
        ]);
        assert_eq!(headers, expected);
        let mut headers = map(&answered);
        headers.append("content-security-policy", HeaderValue::from_static("default-src 'self'"));
        from_port(&address(Way::Path, true), &mut headers);
        assert!(!headers.contains_key("set-cookie") && !headers.contains_key("clear-site-data"));
        assert_eq!(headers["location"], "https://example.org/p/x/3000/T/login?next=/");
        let policies: Vec<_> = headers.get_all("content-security-policy").into_iter().collect();
        assert_eq!(policies, ["default-src 'self'", "sandbox allow-scripts allow-forms allow-popups"]);
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }

    #[test]
    fn a_redirect_leads_where_the_program_meant() {
        let (host, path) = (address(Way::Host, true), address(Way::Path, true));
        assert_eq!(for_client(&host, "/login"), None);
        assert_eq!(for_client(&path, "/login").as_deref(), Some("https://example.org/p/x/3000/T/login"));
        assert_eq!(for_client(&path, "http://127.0.0.1:3000").as_deref(), Some("https://example.org/p/x/3000/T"));
        for elsewhere in ["//evil.example/", "https://evil.example", "http://localhost:30001/", "login", "?a"] {
            assert_eq!(for_client(&path, elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_cookie_is_kept_by_its_own_host() {
        let (secure, plain) = (address(Way::Host, true), address(Way::Host, false));
        let expected = "__Host-vitrine-preview=T; Path=/; Max-Age=60; HttpOnly; SameSite=None; Secure; Partitioned";
        assert_eq!(cookie(&secure, 60).as_deref(), Some(expected));
        assert_eq!(cookie(&plain, 60).unwrap(), "vitrine-preview=T; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        let headers =
            map(&[("cookie", "vitrine-preview=A; __Host-vitrine-preview=B"), ("cookie", "vitrine-preview=C")]);
        assert_eq!(cookies(&plain, &headers).collect::<Vec<_>>(), ["A", "C"]);
        assert_eq!(cookies(&secure, &headers).collect::<Vec<_>>(), ["B"]);
        assert_eq!(cookies(&address(Way::Path, true), &headers).count(), 0);
    }
}
