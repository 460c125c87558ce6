//! The two directions between server and node in one process: the same requests and answers as over a network, in memory.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tower::ServiceExt as _;
use vitrine_model::MachineId;
use vitrine_model::wire::{Dial, DialError};
use vitrine_node::{Body, DataPlane, Transport, TransportError};
use vitrine_server::InProcess;
use vitrine_server::gateway::{Connected, NodeDial};

/// From the node to the server.
pub struct ToServer {
    router: axum::Router,
}

impl ToServer {
    pub fn new(router: axum::Router) -> Self {
        Self { router }
    }
}

impl Transport for ToServer {
    fn call(&self, request: http::Request<Body>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        let router = self.router.clone();
        async move {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(InProcess);
            let answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            Ok(answer.map(|body| body.map_err(std::io::Error::other).boxed_unsync()))
        }
        .boxed()
    }
}

/// From the gateway to the node, which is started after the server that it registers with. Clients that come in between, such
/// as those of sessions that outlived the last start, wait as long as the gateway lets them.
#[derive(Clone)]
pub struct ToNode {
    node: watch::Sender<Option<(MachineId, DataPlane)>>,
}

impl ToNode {
    pub fn new() -> Self {
        Self { node: watch::Sender::new(None) }
    }

    /// The node runs and has taken up what outlived the last one.
    pub fn connect(&self, machine: MachineId, node: DataPlane) {
        self.node.send_replace(Some((machine, node)));
    }

    async fn node(&self) -> Result<(MachineId, DataPlane), DialError> {
        let mut node = self.node.subscribe();
        let started = node.wait_for(Option::is_some).await.ok().and_then(|node| node.clone());
        started.ok_or_else(|| DialError::Unreachable("the machine does not start".to_owned()))
    }
}

impl NodeDial for ToNode {
    fn dial<'a>(&'a self, machine: &'a MachineId, dial: Dial) -> BoxFuture<'a, Result<Connected, DialError>> {
        async move {
            let (ours, node) = self.node().await?;
            if ours != *machine {
                return Err(DialError::Gone);
            }
            let dialed = node.dial(&dial).await?;
            Ok(Connected { stream: Box::new(dialed.stream), browser_path: dialed.browser_path, ending: dialed.ending })
        }
        .boxed()
    }
}
