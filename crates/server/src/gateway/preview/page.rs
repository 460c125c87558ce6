//! What a person reads instead of a preview: a page that needs nothing and leads nowhere; a line for programs.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};

/// A server that is being started is looked for again after so many seconds.
const AGAIN_SECONDS: HeaderValue = HeaderValue::from_static("3");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors *";

/// A refusal. `text` holds nothing that a client sent.
pub(super) fn refused(status: StatusCode, text: &str, is_page: bool) -> Response {
    let mut response = match is_page {
        true => {
            let again = if status == StatusCode::BAD_GATEWAY { "<p>This page looks again by itself." } else { "" };
            let html = format!(
                "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
                 content=\"width=device-width\"><title>Preview</title><style>body{{font:16px/1.5 system-ui,sans-serif;\
                 max-width:34rem;margin:20vh auto;padding:0 1rem;color-scheme:light dark}}</style>\
                 <h1>No preview</h1><p>{}.{again}",
                escaped(text)
            );
            (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
        }
        false => (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response(),
    };
    let headers = response.headers_mut();
    let careful: [(HeaderName, &str); 4] = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in careful {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_page && status == StatusCode::BAD_GATEWAY {
        headers.insert(HeaderName::from_static("refresh"), AGAIN_SECONDS);
    }
    response
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.chars().enumerate() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            _ if at == 0 => escaped.extend(character.to_uppercase()),
            _ => escaped.push(character),
        }
    }
    escaped
}
