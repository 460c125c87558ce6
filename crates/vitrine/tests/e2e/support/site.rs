//! A web site of the test's own, on loopback; sessions reach it as `site.test`, by the operator's exception.

use super::Authority;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{Html, IntoResponse};
use axum::routing::any;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The name under which sessions reach it, by the operator's exception.
pub const HOST: &str = "site.test";

/// The site; gone when dropped.
pub struct Site {
    pub port: u16,
    scheme: &'static str,
    seen: Seen,
    serving: JoinHandle<()>,
}

/// What was asked: path with query, and the Cookie header.
pub type Seen = Arc<Mutex<Vec<(String, String)>>>;

impl Site {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on("http", listener.local_addr().expect("an address").port(), listener)
    }

    /// The same over TLS.
    pub async fn start_secure(authority: &Authority) -> Self {
        let inner = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = inner.local_addr().expect("an address").port();
        Self::on("https", port, Secure { inner, acceptor: authority.acceptor.clone() })
    }

    fn on<L: Listener<Addr = SocketAddr>>(scheme: &'static str, port: u16, listener: L) -> Self {
        let seen = Seen::default();
        let router = Router::new().fallback(any(answer)).with_state(seen.clone());
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Self { port, scheme, seen, serving }
    }

    /// The address under which sessions reach it.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{HOST}:{}{path}", self.scheme, self.port)
    }

    pub fn seen(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Secure {
    inner: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.inner.accept().await.expect("a connection");
            // A client that does not trust us breaks off.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

async fn answer(State(seen): State<Seen>, uri: Uri, headers: HeaderMap) -> axum::response::Response {
    let cookie = headers.get("cookie").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push((uri.to_string(), cookie));
    match uri.path() {
        // Kept for a day: a second request for it in the same browser never comes here.
        "/cached" => ([("cache-control", "max-age=86400"), ("content-type", "text/plain")], "cached").into_response(),
        "/worker.js" => (
            [("content-type", "text/javascript")],
            "onfetch = event => event.request.url.endsWith('/from-worker') && event.respondWith(new Response('worker'))",
        )
            .into_response(),
        path => Html(format!("<!doctype html><title>A page of the tests</title><h1>Hello from {path}</h1>")).into_response(),
    }
}
