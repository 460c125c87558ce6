//! Cookies of ours: reading what a browser sent, and writing one so that it also works in a frame of another site.

use crate::gateway::Base;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The cookies of a request, each as `NAME=VALUE`.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).map(str::trim).filter(|pair| !pair.is_empty())
}

/// The values of the cookies with a name. There may be several: a neighbouring host can set one for both.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    pairs(headers)
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// A cookie for a path of ours, as `Set-Cookie` wants it. `name` and `value` are of our making: letters, digits, dots, `-`, `_`.
pub fn written(base: &Base, name: &str, value: &str, path: &str, seconds: i64) -> Option<HeaderValue> {
    // Browsers take `Secure` from their own machine without TLS too. `Partitioned`: each site that frames us has its own.
    let kept = match base.is_secure() || base.is_local() {
        true => "SameSite=None; Secure; Partitioned",
        false => "SameSite=Lax",
    };
    let path = base.path(path);
    HeaderValue::try_from(format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; {kept}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_where_browsers_take_it() {
        let cookie = |base: &str| written(&Base::parse(base).unwrap(), "a", "1.x", "/s/", 60).unwrap();
        let framed = "a=1.x; Path=/s/; Max-Age=60; HttpOnly; SameSite=None; Secure; Partitioned";
        assert_eq!(cookie("https://a.example"), framed);
        assert_eq!(cookie("http://localhost:7070"), framed);
        assert_eq!(cookie("http://127.0.0.1:7070"), framed);
        assert_eq!(cookie("http://a.example"), "a=1.x; Path=/s/; Max-Age=60; HttpOnly; SameSite=Lax");
        assert_eq!(cookie("http://a.example/b/"), "a=1.x; Path=/b/s/; Max-Age=60; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn every_cookie_of_a_name_is_seen() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; b=2;; a=3=4"));
        headers.append(COOKIE, HeaderValue::from_static("a="));
        assert_eq!(values(&headers, "a").collect::<Vec<_>>(), ["1", "3=4", ""]);
    }
}
