//! Previews: what listens on a port of a sandbox, for whoever has the signed URL.
//!
//! Each port of each sandbox has a host name of its own, `PORT-SESSION.DOMAIN`, so that the page's origin is nobody else's;
//! the token in its URL becomes a cookie of that host and leaves the address. Without a domain, pages are served below
//! `/p/SESSION/PORT/TOKEN/` of our own host, in a sandbox of the browser that makes their origin nobody's: browsers send no
//! cookies from there, therefore the token stays in the path.
//!
//! Under such a host, or such a path, nothing of ours answers but this. What listens on the port is hostile, and so may be
//! who asks: neither learns anything of ours from the other.

mod address;
mod headers;
mod page;

pub(crate) use address::{TOKEN_QUERY, is_domain};

use super::access::{Access, place};
use super::client::{self, Handshake};
use super::refusal::Refusal;
use super::registry::Place;
use super::splice::{Ends, Splice};
use super::{Connected, Farewell, Gateway, browser};
use crate::run;
use address::{Address, Way};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, LOCATION, REFERRER_POLICY,
    SET_COOKIE, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::upgrade::OnUpgrade;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::Layer as _;
use vitrine_model::preview::PreviewClaims;
use vitrine_model::wire::Purpose;
use vitrine_model::{Code, EpochMs, Error};

/// A program may think for so long before it answers: what waits for something to happen, and uploads, take their time.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(300);
/// It answers a WebSocket's handshake within this.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// What is asked of a preview's host or path never reaches any other route.
async fn front(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let Some(address) = Address::of(&gateway.public, request.uri(), request.headers()) else {
        return next.run(request).await;
    };
    let is_page = wants_page(request.headers());
    let answer = match address {
        Ok(address) => gateway.preview(address, request).await,
        Err(error) => Err(error.into()),
    };
    answer.unwrap_or_else(|refusal| {
        gateway.metrics.refused.inc();
        page::refused(refusal.status(), refusal.message(), is_page)
    })
}

/// Whether a person looks at the answer.
fn wants_page(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => headers.get(ACCEPT).is_some_and(|kinds| kinds.as_bytes().starts_with(b"text/html")),
    }
}

impl Gateway {
    /// Puts the previews before everything else that is served.
    pub(crate) fn previews_before(&self, router: Router) -> Router {
        Router::new().fallback_service(from_fn_with_state(Arc::new(self.clone()), front).layer(router))
    }

    async fn preview(&self, address: Address, mut request: Request) -> Result<Response, Refusal> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        if address.way == Way::Path && headers::is_preflight(&parts) {
            return Ok(preflight(&parts.headers));
        }
        let claims = self.admitted(&address, &parts.headers)?;
        if let Some(redirect) = self.redirect(&address, &claims, &parts)? {
            return Ok(redirect);
        }
        self.metrics.previews.inc();
        let (port, expires_at) = (claims.port, claims.expires_at);
        let (place, farewell) = self.registry.enter(&claims.session, &self.config)?;
        let mut access = Access::of_preview(claims);
        let connected = self.reach_port(&mut access, port).await?;
        if parts.headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
            let joined = Joined { address: &address, parts: &parts, upgrade, expires_at, place, farewell };
            return self.join(joined, connected).await;
        }
        let mut forwarded = http::Request::new(body);
        *forwarded.method_mut() = parts.method.clone();
        *forwarded.uri_mut() = address.path_and_query.parse().map_err(|error| Error::invalid("url", error))?;
        *forwarded.headers_mut() = headers::to_port(&address, &parts.headers);
        let answer = timeout(ANSWER_TIME_MAX, run::exchange(connected.stream, forwarded)).await;
        let answer =
            answer.map_err(|late| Refusal::bad_gateway("the program on this port did not answer in time", late))?;
        let answer =
            answer.map_err(|cause| Refusal::bad_gateway("the program on this port does not speak HTTP", cause))?;
        let (mut head, body) = answer.into_parts();
        headers::from_port(&address, &mut head.headers);
        head.version = Version::HTTP_11;
        Ok(Response::from_parts(head, Body::new(Kept { body, _place: place })))
    }

    async fn reach_port(&self, access: &mut Access, port: NonZeroU16) -> Result<Connected, Refusal> {
        match self.reach(access, Purpose::Port { port: port.get() }).await {
            Err(refusal) if refusal.status() == StatusCode::BAD_GATEWAY => {
                // Nobody there; or the sandbox is paused, which its row knows.
                if let Some(known) = self.sessions.look_up(&access.session).await? {
                    place(&known)?;
                }
                Err(Refusal::bad_gateway("nothing answers on this port of the sandbox (yet)", port))
            }
            answer => answer,
        }
    }

    /// What the token in the address, or a cookie, lets in to.
    fn admitted(&self, address: &Address, headers: &HeaderMap) -> Result<PreviewClaims, Error> {
        let cookies = headers::cookies(address, headers);
        let tokens = address.token.as_deref().into_iter().chain(cookies);
        let now = self.clock.now();
        let mut claims =
            tokens.filter_map(|token| self.signing_key.verify_preview(&address.session, address.port, token, now));
        let wrong = || Error::new(Code::Unauthenticated, "this link is wrong or has expired: ask for a new one");
        claims.next().ok_or_else(wrong)
    }

    /// Where a browser that came with a token is sent first: to the same page without it, with a cookie in its place. What
    /// is no page keeps its token, because who asks may keep no cookies.
    fn redirect(&self, address: &Address, claims: &PreviewClaims, parts: &Parts) -> Result<Option<Response>, Error> {
        let has_token = address.way == Way::Host && address.token.is_some();
        if has_token && matches!(parts.method, Method::GET | Method::HEAD) && wants_page(&parts.headers) {
            let seconds = (claims.expires_at - self.clock.now()) / 1_000;
            let cookie = headers::cookie(address, seconds);
            return moved(&format!("{}{}", address.origin, address.path_and_query), cookie.as_deref()).map(Some);
        }
        // Relative addresses of a page need the slash.
        if address.way == Way::Path && address.path_and_query.is_empty() {
            return moved(&format!("{}/", address.root), None).map(Some);
        }
        Ok(None)
    }

    /// Joins a client to a WebSocket of the program.
    async fn join(&self, joined: Joined<'_>, connected: Connected) -> Result<Response, Refusal> {
        let Joined { address, parts, upgrade, expires_at, place, farewell } = joined;
        Handshake::of(parts)?;
        let mut asked = http::Request::new(Empty::<Bytes>::new());
        *asked.uri_mut() = address.path_and_query.parse().map_err(|error| Error::invalid("url", error))?;
        *asked.headers_mut() = headers::to_socket(address, &parts.headers);
        let Connected { stream, ending, .. } = connected;
        let opened = browser::exchange(stream, |mut sender| async move {
            let response = sender.send_request(asked).await?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Err(response.status()));
            }
            let headers = response.headers().clone();
            Ok(Ok((headers, hyper::upgrade::on(response).await?)))
        });
        let failed = |cause: &dyn std::fmt::Display| {
            Refusal::bad_gateway("the program on this port did not answer the WebSocket", cause)
        };
        let opened = timeout(HANDSHAKE_TIME_MAX, opened).await.map_err(|late| failed(&late))?;
        let (mut headers, upgraded) = match opened.map_err(|cause| failed(&cause))? {
            Ok(opened) => opened,
            Err(status) => return Err(failed(&status)),
        };
        headers::from_socket(address, &mut headers);
        let (browser, browser_early) = browser::take_apart(upgraded);
        let told = farewell.map(|told| told.unwrap_or(Farewell::ServerShutdown));
        let farewell = select(told, self.expiry(expires_at).boxed()).map(|first| first.factor_first().0).boxed();
        let (config, metrics) = (Arc::clone(&self.config), self.metrics.clone());
        metrics.opened.inc();
        self.registry.spawn(async move {
            let _place = place;
            // A farewell before the client's connection is a WebSocket leaves no place for a close frame.
            let Either::Left((Ok(upgraded), farewell)) = select(upgrade, farewell).await else { return };
            let (client, client_early) = client::take_apart(upgraded);
            let ends = Ends { client, client_early, browser, browser_early, gone: "port_gone", ending, farewell };
            Splice::new(ends, config, &metrics).run().await;
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// What a WebSocket is joined from.
struct Joined<'a> {
    address: &'a Address,
    parts: &'a Parts,
    upgrade: OnUpgrade,
    expires_at: EpochMs,
    place: Place,
    farewell: oneshot::Receiver<Farewell>,
}

/// An answer's body, which keeps its place in the registry.
struct Kept {
    body: Body,
    _place: Place,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn moved(to: &str, cookie: Option<&str>) -> Result<Response, Error> {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(to).map_err(|error| Error::invalid("url", error))?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(cookie) = cookie {
        headers.insert(SET_COOKIE, HeaderValue::from_str(cookie).map_err(Error::internal)?);
    }
    Ok(response)
}

/// A page whose origin is nobody's asks before it talks to its own server, which does not know why. The token in the path
/// is all the authority that there is, so whoever has it may.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    for (from, to) in [
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(value) = asked.get(from) {
            headers.insert(to, value.clone());
        }
    }
    response
}
