//! Texts of HTTP taken apart: query strings, cookies, times; and what is secret in them.

use super::archive::{Cookie, Pair};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";
/// Headers whose value lets its bearer in.
const SECRET_HEADERS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// Seconds since 1970, as the format writes a moment.
pub fn moment(seconds: f64) -> String {
    let moment = Timestamp::from_millisecond((seconds * 1000.0) as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    // Always three digits, so that texts sort as their moments do.
    format!("{moment:.3}")
}

/// The pairs of `a=1&b=2`, decoded.
pub fn form(text: &str) -> Vec<Pair> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    pairs.map(|(name, value)| Pair { name: decoded(name), value: decoded(value) }).collect()
}

/// The pairs of a URL's query.
pub fn query(url: &str) -> Vec<Pair> {
    let before_fragment = url.split('#').next().unwrap_or_default();
    form(before_fragment.split_once('?').map_or("", |(_, query)| query))
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What the `Cookie` headers send.
pub fn cookies_sent(headers: &[Pair]) -> Vec<Cookie> {
    let of_name = headers.iter().filter(|pair| pair.name.eq_ignore_ascii_case("cookie"));
    let crumbs = of_name.flat_map(|pair| pair.value.split(';')).map(str::trim).filter(|crumb| !crumb.is_empty());
    crumbs.map(named).collect()
}

/// What the `Set-Cookie` headers set.
pub fn cookies_set(headers: &[Pair]) -> Vec<Cookie> {
    headers.iter().filter(|pair| pair.name.eq_ignore_ascii_case("set-cookie")).map(|pair| set(&pair.value)).collect()
}

fn named(crumb: &str) -> Cookie {
    let (name, value) = crumb.split_once('=').unwrap_or(("", crumb));
    Cookie { name: name.trim().into(), value: value.trim().into(), ..Cookie::default() }
}

fn set(line: &str) -> Cookie {
    let mut parts = line.split(';');
    let mut cookie = named(parts.next().unwrap_or_default());
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "path" => cookie.path = Some(value.into()),
            "domain" => cookie.domain = Some(value.into()),
            "expires" => cookie.expires = expires(value),
            "samesite" => cookie.same_site = Some(value.into()),
            "httponly" => cookie.http_only = true,
            "secure" => cookie.secure = true,
            _ => {}
        }
    }
    cookie
}

/// `Wed, 21 Oct 2026 07:28:00 GMT`; with dashes between the parts in what is older.
fn expires(date: &str) -> Option<String> {
    let parser = rfc2822::DateTimeParser::new();
    parser.parse_timestamp(date.replace('-', " ")).ok().map(|moment| moment.to_string())
}

/// Takes the values of secret headers away.
pub fn redact_headers(headers: &mut [Pair]) {
    let secret = |pair: &&mut Pair| SECRET_HEADERS.iter().any(|name| pair.name.eq_ignore_ascii_case(name));
    headers.iter_mut().filter(secret).for_each(|pair| pair.value = REDACTED.into());
}

/// Takes the values of cookies away.
pub fn redact_cookies(cookies: &mut [Cookie]) {
    cookies.iter_mut().for_each(|cookie| cookie.value = REDACTED.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> Pair {
        Pair { name: name.into(), value: value.into() }
    }

    #[test]
    fn queries_are_decoded_whatever_is_in_them() {
        assert_eq!(
            query("http://a/b?q=%E6%97%A5+x&empty&=v&bad=%zz%&%E6#c?d=1"),
            [pair("q", "日 x"), pair("empty", ""), pair("", "v"), pair("bad", "%zz%"), pair("\u{fffd}", "")]
        );
        assert_eq!(query("http://a/b"), []);
        assert_eq!(query("http://a/?%é"), [pair("%é", "")]);
    }

    #[test]
    fn cookies_are_read_and_their_values_taken_away() {
        let mut headers = vec![pair("cookie", "a=1; b=x=y"), pair("Accept", "*/*"), pair("AUTHORIZATION", "Bearer s")];
        let mut sent = cookies_sent(&headers);
        assert_eq!((sent.len(), sent[1].value.as_str()), (2, "x=y"));
        redact_cookies(&mut sent);
        redact_headers(&mut headers);
        assert!(sent.iter().all(|cookie| cookie.value == REDACTED));
        assert_eq!(headers[0].value, REDACTED);
        assert_eq!(headers[1].value, "*/*");
        assert_eq!(headers[2].value, REDACTED);
        let line = "id=7; Path=/; Expires=Wed, 21-Oct-2026 07:28:00 GMT; HttpOnly; SameSite=Lax";
        let set = cookies_set(&[pair("Set-Cookie", line)]).remove(0);
        assert_eq!(set.expires.as_deref(), Some("2026-10-21T07:28:00Z"));
        assert_eq!((set.http_only, set.secure, set.same_site.as_deref()), (true, false, Some("Lax")));
    }

    #[test]
    fn moments_are_written_with_milliseconds() {
        assert_eq!(moment(1_795_348_800.25), "2026-11-22T12:00:00.250Z");
    }
}
