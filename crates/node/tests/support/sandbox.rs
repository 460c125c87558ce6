//! A node with a real sandbox, and what the server does with it.

use super::{FakeServer, config};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_tungstenite::{WebSocketStream, client_async};
use vitrine_model::wire::{Dial, DialError, Purpose, StepKind, Upstream, Workload};
use vitrine_model::{EndReason, RunId, Runtime, SandboxSpec, SessionId};
use vitrine_node::{ClientStream, Node, NodeConfig};

/// A node with one sandbox that is ready.
pub struct Lab {
    pub server: FakeServer,
    pub node: Node,
    pub session: SessionId,
    pub run: RunId,
    pub config: NodeConfig,
    pub folder: tempfile::TempDir,
}

pub fn spec() -> SandboxSpec {
    SandboxSpec {
        runtime: Runtime::Bun,
        size: Default::default(),
        env: Default::default(),
        checkpointed: false,
        ephemeral: true,
        max_duration_ms: 600_000,
        region: None,
        network: Default::default(),
        isolation_driver: None,
        documents: false,
        artifact_prefix: None,
        from: None,
    }
}

impl Lab {
    pub async fn new() -> Self {
        Self::with(spec(), |_| {}).await
    }

    pub async fn with(spec: SandboxSpec, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = FakeServer::default();
        let mut config = config(folder.path(), 0);
        config.egress_hosts = "site.test=127.0.0.1,other.test=127.0.0.1".parse().unwrap();
        change(&mut config);
        let node = Node::start(config.clone(), Arc::new(server.clone())).await.unwrap();
        let (session, run) = server.assign_workload(Workload::Sandbox(spec), Upstream::Direct);
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

    pub async fn try_dial(&self, purpose: Purpose) -> Result<(ClientStream, String), DialError> {
        let dial = Dial { session: self.session.clone(), run: self.run.clone(), purpose };
        self.node.data_plane().dial(&dial).await.map(|dialed| (dialed.stream, dialed.browser_path))
    }

    pub async fn request(&self, request: http::Request<Full<Bytes>>) -> http::Response<hyper::body::Incoming> {
        let (stream, _) = self.try_dial(Purpose::Run).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    pub async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
        let request = http::Request::builder().method(method).uri(path).header("host", "run");
        let answer = self.request(request.body(Full::new(body.into())).unwrap()).await;
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, bytes) = self.ask(Method::POST, path, body.to_string()).await;
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{status}: {bytes:?}")))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, bytes) = self.ask(Method::GET, path, "").await;
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{status}: {bytes:?}")))
    }

    /// What a line for a shell says and ends with.
    pub async fn sh(&self, line: &str) -> Value {
        let (status, answer) = self.post("/exec", json!({ "command": line })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// What it says, when it succeeds.
    pub async fn says(&self, line: &str) -> String {
        let answer = self.sh(line).await;
        assert_eq!(answer["exitCode"], 0, "{answer}");
        answer["stdout"].as_str().unwrap().trim_end().to_owned()
    }

    pub async fn terminal(&self, terminal: u64, offset: Option<u64>) -> WebSocketStream<ClientStream> {
        let (stream, path) = self.try_dial(Purpose::Terminal { terminal, offset }).await.unwrap();
        client_async(format!("ws://localhost{path}"), stream).await.unwrap().0
    }

    pub async fn end(&self) {
        let before = self.server.steps().len();
        self.server.end(&self.session, EndReason::Deleted);
        self.server.wait_for_after(before, "finish", |step| matches!(step, StepKind::Finish { .. })).await;
    }

    pub async fn finish(self) {
        self.end().await;
        self.stop().await;
    }

    /// Proves that nothing is left when the session has ended.
    pub async fn stop(self) {
        self.node.drain().await;
        self.node.stop().await;
        for name in ["spool", "runs", "capsules"] {
            let left: Vec<_> = std::fs::read_dir(self.folder.path().join(name)).unwrap().flatten().collect();
            assert!(left.is_empty(), "something is left in {name}: {left:?}");
        }
        let disks = std::fs::read_dir(self.folder.path().join("disks")).unwrap().flatten();
        let disks: Vec<_> = disks.filter(|entry| entry.path().extension().is_some_and(|it| it == "disk")).collect();
        assert!(disks.is_empty(), "disks are left: {disks:?}");
    }
}

/// What a terminal says until a text is in it.
pub async fn until(socket: &mut WebSocketStream<ClientStream>, text: &str) -> String {
    let mut said = Vec::new();
    let found = async {
        while !String::from_utf8_lossy(&said).contains(text) {
            match socket.next().await {
                Some(Ok(message)) => said.extend_from_slice(&message.into_data()),
                other => panic!("the terminal ended: {other:?}"),
            }
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(10), found).await;
    assert!(found.is_ok(), "no {text:?} in {:?}", String::from_utf8_lossy(&said));
    String::from_utf8_lossy(&said).into_owned()
}
