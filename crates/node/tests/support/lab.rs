//! A node with a real browser in a session, and what a client and the server do with it.

use super::{FakeServer, config};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use vitrine_model::wire::{Dial, Purpose, StepKind};
use vitrine_model::{BrowserSpec, EndReason, RunId, SessionId};
use vitrine_node::{ClientStream, Node, NodeConfig};

/// A node with one session that is ready.
pub struct Lab {
    pub server: FakeServer,
    pub node: Node,
    pub session: SessionId,
    pub run: RunId,
    pub config: NodeConfig,
    pub folder: tempfile::TempDir,
}

impl Lab {
    pub async fn new(spec: BrowserSpec) -> Self {
        Self::with(spec, |_| {}).await
    }

    pub async fn with(spec: BrowserSpec, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = FakeServer::default();
        let mut config = config(folder.path(), 0);
        // Pages of the tests' own sites.
        config.egress_hosts = "site.test=127.0.0.1".parse().unwrap();
        change(&mut config);
        let node = Node::start(config.clone(), Arc::new(server.clone())).await.unwrap();
        let (session, run) = server.assign(spec);
        server.wait_for("ready", |step| *step == StepKind::Ready).await;
        Self { server, node, session, run, config, folder }
    }

    /// What a node that was killed and started again makes of it.
    pub async fn restart(self) -> Self {
        let Self { server, node, session, run, config, folder } = self;
        node.stop().await;
        let node = Node::start(config.clone(), Arc::new(server.clone())).await.unwrap();
        Self { server, node, session, run, config, folder }
    }

    /// Another session after the first has ended.
    pub async fn again(&mut self, spec: BrowserSpec) {
        let before = self.server.steps().len();
        (self.session, self.run) = self.server.assign(spec);
        self.server.wait_for_after(before, "ready", |step| *step == StepKind::Ready).await;
    }

    pub async fn end(&self) {
        let before = self.server.steps().len();
        self.server.end(&self.session, EndReason::Deleted);
        self.server.wait_for_after(before, "finish", |step| matches!(step, StepKind::Finish { .. })).await;
    }

    pub async fn dial(&self, purpose: Purpose) -> (ClientStream, String) {
        let dial = Dial { session: self.session.clone(), run: self.run.clone(), purpose };
        let dialed = self.node.data_plane().dial(&dial).await.unwrap();
        (dialed.stream, dialed.browser_path)
    }

    pub async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
        let (stream, _) = self.dial(Purpose::Run).await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "run")
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        drop(sender);
        connection.await.unwrap().unwrap();
        (status, bytes)
    }

    pub async fn files(&self) -> Vec<Value> {
        let (status, bytes) = self.ask(Method::GET, "/files", "").await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_slice::<Value>(&bytes).unwrap()["files"].as_array().unwrap().clone()
    }

    pub async fn client(&self) -> Client {
        let (stream, path) = self.dial(Purpose::Client).await;
        let (socket, _) = client_async(format!("ws://localhost{path}"), stream).await.unwrap();
        Client { socket, calls: 0 }
    }

    pub async fn finish(self) {
        self.end().await;
        self.stop().await;
    }

    /// Proves that nothing is left when the session has ended.
    pub async fn stop(self) {
        self.node.drain().await;
        self.node.stop().await;
        for name in ["spool", "runs"] {
            let left = std::fs::read_dir(self.folder.path().join(name)).unwrap().count();
            assert_eq!(left, 0, "something is left in {name}");
        }
    }
}

/// A client that drives the browser over the protocol.
pub struct Client {
    socket: WebSocketStream<ClientStream>,
    calls: u64,
}

impl Client {
    pub async fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut request = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        loop {
            let Message::Text(text) = self.socket.next().await.unwrap().unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == self.calls {
                return answer["result"].clone();
            }
        }
    }

    /// A tab with this page, attached.
    pub async fn open(&mut self, url: &str) -> String {
        let target = self.call(None, "Target.createTarget", json!({ "url": url })).await["targetId"].clone();
        let attached = self.call(None, "Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await;
        let tab = attached["sessionId"].as_str().unwrap().to_owned();
        while self.evaluate(&tab, "location.href != 'about:blank' && document.readyState == 'complete'").await != true {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tab
    }

    pub async fn evaluate(&mut self, tab: &str, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        self.call(Some(tab), "Runtime.evaluate", params).await["result"]["value"].clone()
    }

    /// Ends the browser as a crash does; there is no answer.
    pub async fn crash(mut self) {
        let request = json!({ "id": self.calls + 1, "method": "Browser.crash" });
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
