//! The gateway: carries live bytes between a client and the machine that holds its session.
//!
//! It assumes a way to reach machines ([`NodeDial`]), the rows ([`Sessions`]; asked only for API keys, and once when a machine
//! does not know a run) and the key that signs connect tokens. It promises that bytes pass unchanged in both directions with
//! bounded memory, that both ends are pinged, that a client is always told why it was cut off by a close frame, and that no
//! HTTP text ever reaches a WebSocket.

mod access;
mod address;
mod browser;
mod buffer;
mod client;
mod config;
mod discovery;
mod flow;
mod frame;
mod metrics;
pub(crate) mod pages;
pub(crate) mod preview;
mod public_url;
mod refusal;
mod registry;
mod splice;
pub(crate) mod terminal;
mod view;

pub use config::GatewayConfig;
pub use metrics::GatewayMetrics;
pub use public_url::{Base, NotABase, PublicUrl};

use crate::Clock;
use access::Guard;
use address::{Address, Target};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use client::Handshake;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, pending, select};
use http::HeaderMap;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use refusal::Refusal;
use registry::Registry;
use splice::{Ends, Splice};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use vitrine_model::token::SigningKey;
use vitrine_model::wire::{Dial, DialError, Purpose};
use vitrine_model::{
    EndReason, EpochMs, Error, MachineId, OrganizationId, Permissions, RunId, SessionId, Status, TokenId,
};

/// A connection's bytes, whatever carries them.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}

/// Reaches the machine that runs a session: in one process the node itself, in a cluster an HTTP upgrade to the machine.
pub trait NodeDial: Send + Sync + 'static {
    /// A byte stream to a run's DevTools port. The gateway gives up after [`GatewayConfig::dial_ms_max`].
    fn dial<'a>(&'a self, machine: &'a MachineId, dial: Dial) -> BoxFuture<'a, Result<Connected, DialError>>;
}

/// A stream to a run's browser.
pub struct Connected {
    /// Raw bytes to the browser's DevTools HTTP port, without delay for small packets (`TCP_NODELAY`). Dropping it is the client
    /// leaving.
    pub stream: Box<dyn ByteStream>,
    /// Path of the browser's own WebSocket, `/devtools/browser/UUID`: the node knows it since the launch.
    pub browser_path: String,
    /// Resolves when the machine begins to end this run, so that the client is told why by a close frame.
    pub ending: BoxFuture<'static, EndReason>,
}

/// What the rows say about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub organization: OrganizationId,
    pub status: Status,
    /// Set once it was placed.
    pub run: Option<RunId>,
    /// Set once it was placed.
    pub machine: Option<MachineId>,
    pub end_reason: Option<EndReason>,
    /// Whether an API key lets its bearer drive it: an embed session is driven when that was asked for.
    pub is_driven: bool,
    /// When a token signed now for this session should stop working at the latest.
    pub token_expires_at: EpochMs,
}

/// The rows, for what a token alone does not settle.
pub trait Sessions: Send + Sync + 'static {
    /// What is known about a session now.
    fn look_up<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Known>, Error>>;

    /// Whose API key the `Authorization` header carries, and what it may do. Fails when it carries none that is good.
    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<(OrganizationId, Permissions), Error>>;

    /// Whether a token of the session was revoked.
    fn is_revoked<'a>(&'a self, session: &'a SessionId, token: &'a TokenId) -> BoxFuture<'a, Result<bool, Error>>;

    /// A new id of a token.
    fn token_id(&self) -> TokenId;

    /// Uses up a token that is good for once: whether it was still good. Remembered until it would have expired.
    fn use_up<'a>(
        &'a self,
        session: &'a SessionId,
        token: &'a TokenId,
        expires_at: EpochMs,
    ) -> BoxFuture<'a, Result<bool, Error>>;
}

/// Why the gateway leaves a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// The server goes for good: 1001.
    ServerShutdown,
    /// The server is replaced and will be back: 1012. The sessions live on; clients may connect again.
    ServiceRestart,
    /// The API key or the token that let the client in is good no more: 4401. Never the end of a client that came with the
    /// session's own token.
    TokenRevoked,
}

/// Carries bytes between clients and browsers. Cheap to clone; clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    nodes: Arc<dyn NodeDial>,
    sessions: Arc<dyn Sessions>,
    signing_key: SigningKey,
    public: PublicUrl,
    clock: Arc<dyn Clock>,
    metrics: GatewayMetrics,
    config: Arc<GatewayConfig>,
    registry: Arc<Registry>,
}

impl Gateway {
    /// A gateway without connections.
    pub fn new(
        nodes: Arc<dyn NodeDial>,
        sessions: Arc<dyn Sessions>,
        signing_key: SigningKey,
        public: PublicUrl,
        clock: Arc<dyn Clock>,
        metrics: GatewayMetrics,
        config: GatewayConfig,
    ) -> Self {
        let registry = Registry::new(metrics.clone());
        Self { nodes, sessions, signing_key, public, clock, metrics, config: Arc::new(config), registry }
    }

    /// Everything under `/cdp/`, `/view/` and `/t/`, and the sockets under `/s/`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/cdp/{*path}", any(cdp))
            .route("/view/{session}", get(pages::viewer))
            .route("/view/assets/{hash}/{name}", get(pages::viewer_asset))
            .route("/t/{session}", get(pages::terminal))
            .route("/t/assets/{hash}/{name}", get(pages::terminal_asset))
            .route("/t/{session}/ticket", post(terminal::ticket))
            .route("/t/{session}/ws", any(terminal::socket))
            .route("/view/{session}/ws", any(view::socket))
            .route("/s/{session}/ws", any(view::page_socket))
            .route("/view/{session}/files", get(view::files))
            .route("/view/{session}/files/raw", get(view::read).put(view::write))
            .with_state(Arc::new(self.clone()))
    }

    /// Lets nobody in any more, tells every client why, and returns when all have left.
    pub async fn close_all(&self, farewell: Farewell) {
        self.registry.close(farewell).await;
    }

    async fn serve(&self, mut request: Request) -> Result<Response, Refusal> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let path = parts.uri.path().strip_prefix("/cdp/").unwrap_or_default();
        let address = Address::parse(path, parts.uri.query().unwrap_or_default());
        let address = address.ok_or_else(|| Error::not_found("session or DevTools address"))?;
        let access = self.admit(&address, &parts.headers).await?;
        let path = match &address.target {
            Target::Question(path) => {
                let _place = self.registry.enter(&address.session, &self.config)?;
                return self.answer(&address, path, parts.method, &parts.headers, access).await;
            }
            Target::Browser => None,
            Target::Socket(path) => Some(path.as_str()),
        };
        self.connect(&parts, upgrade, access, Purpose::Client, path).await
    }

    /// Joins a client to the WebSocket at `path`, or to the one that the machine names for the purpose.
    async fn connect(
        &self,
        request: &Parts,
        upgrade: OnUpgrade,
        mut access: access::Access,
        purpose: Purpose,
        path: Option<&str>,
    ) -> Result<Response, Refusal> {
        let handshake = Handshake::of(request)?;
        let guard = access.guard();
        let (place, farewell) = self.registry.enter(&access.session, &self.config)?;
        let connected = self.reach(&mut access, purpose).await?;
        let path = path.unwrap_or(&connected.browser_path).to_owned();
        let gone = match purpose {
            Purpose::Terminal { .. } => "terminal_gone",
            // A tab may close without its browser.
            _ if path.starts_with("/devtools/page/") => "target_gone",
            _ => "browser_gone",
        };
        let socket = browser::open(connected, &path, &handshake.key, &handshake.accept).await?;
        let response = handshake.answer().map_err(Error::internal)?;
        let (config, metrics) = (Arc::clone(&self.config), self.metrics.clone());
        metrics.opened.inc();
        let told = farewell.map(|told| told.unwrap_or(Farewell::ServerShutdown));
        let refused = match guard {
            Guard::Session => pending().boxed(),
            Guard::Key => self.refusal_of_key(&request.headers),
            Guard::Token { session, id, expires_at } => self.end_of_token(session, id, expires_at),
        };
        let farewell = select(told, refused).map(|first| first.factor_first().0).boxed();
        self.registry.spawn(async move {
            let _place = place;
            // A farewell before the client's connection is a WebSocket leaves no place for a close frame.
            let Either::Left((Ok(upgraded), farewell)) = select(upgrade, farewell).await else {
                return;
            };
            let (client, client_early) = client::take_apart(upgraded);
            let browser::Socket { stream: browser, early: browser_early, ending } = socket;
            let ends = Ends { client, client_early, browser, browser_early, gone, ending, farewell };
            let word = Splice::new(ends, config, &metrics).run().await;
            tracing::debug!(session = %access.session, why = word, "a DevTools connection is over");
        });
        Ok(response)
    }
}

async fn cdp(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    gateway.serve(request).await.unwrap_or_else(|refusal| {
        gateway.metrics.refused.inc();
        refusal.into_response()
    })
}
