//! Around every request: an id, headers that keep browsers careful, one log line for what went wrong, one sample for
//! `/metrics`.

use crate::answer::Failure;
use crate::app::App;
use crate::embed;
use crate::embed::framing::Framed;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL,
    CONTENT_SECURITY_POLICY, HeaderName, ORIGIN, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::{Code, Error};

/// Random bytes of a request's id.
const REQUEST_ID_BYTES: usize = 8;
/// Names a request in an answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Stands for the path of requests that no route matched: paths are without bound.
const NO_ROUTE: &str = "none";

/// Beginnings of routes that take as long as what a client or a node asks for.
const WAITING: [&str; 7] = [
    "/internal/",
    "/v1/sandboxes/exec",
    "/v1/sandboxes/code",
    "/v1/sandboxes/checkpoint",
    "/v1/sandboxes/documents/",
    // Answered when their browser is ready.
    "/api/v1/sessions",
    "/api/session",
];

/// On every answer that does not say otherwise itself.
const CAREFUL: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (X_FRAME_OPTIONS, "DENY"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// The outermost layer.
pub async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let mut id = [0; REQUEST_ID_BYTES];
    app.entropy.fill(&mut id);
    let id = hexadecimal(&id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    // What waits for something to happen says nothing about how fast we are.
    let waits = WAITING.iter().any(|waiting| route.starts_with(waiting))
        || request.uri().query().is_some_and(|query| query.contains("waitMs="));
    let embed_speech = embed::answer::is_spoken_at(request.uri().path());
    let origin = allowed_origin(&app, &request);
    let preflight = method == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(_) if preflight => StatusCode::NO_CONTENT.into_response(),
        // A defect in one request must not cut off the others of its connection.
        _ => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Failure(Error::internal("the request's code panicked")).into_response()),
    };
    if embed_speech {
        response = embed::answer::translated(response);
    }
    let status = response.status();
    app.metrics.request(known_method(&method), &route, status.as_u16(), (!waits).then(|| begun.elapsed()));
    log(&response, &id, &method, &route);
    // An upgrade's answer belongs to its protocol.
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let framed = response.extensions().get::<Framed>().is_some();
        let headers = response.headers_mut();
        for (name, value) in CAREFUL.iter().filter(|(name, _)| !(framed && name == X_FRAME_OPTIONS)) {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(origin) = origin {
            open_to(headers, origin);
        }
    }
    response
}

/// What no route matched.
pub async fn no_route() -> Failure {
    Failure(Error::not_found("endpoint"))
}

/// What a route matched, but not with this method.
pub async fn no_method() -> Failure {
    Failure(Error::new(
        Code::MethodNotAllowed,
        "this endpoint does not have that method; the Allow header lists what it has",
    ))
}

fn log(response: &Response, id: &str, method: &Method, route: &str) {
    let status = response.status().as_u16();
    match response.extensions().get::<Error>() {
        Some(Error { code: Code::Internal, private, .. }) => {
            let cause = private.as_deref().unwrap_or_default();
            tracing::error!(request_id = id, %method, route, status, cause, "request failed on our side");
        }
        Some(Error { private: Some(cause), .. }) => {
            tracing::debug!(request_id = id, %method, route, status, cause, "request refused")
        }
        _ => tracing::trace!(request_id = id, %method, route, status, "request answered"),
    }
}

/// A method as a label: what a client invents must not make new series.
fn known_method(method: &Method) -> &'static str {
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    let names = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.iter().position(|known| known == method).map_or("other", |at| names[at])
}

fn allowed_origin(app: &App, request: &Request) -> Option<HeaderValue> {
    let own_rules = embed::demo::rules_origins_of(request.uri().path());
    let origin = request.headers().get(ORIGIN).filter(|_| !own_rules)?;
    app.config.cors_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

fn open_to(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, idempotency-key"),
        (
            ACCESS_CONTROL_EXPOSE_HEADERS,
            "retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
