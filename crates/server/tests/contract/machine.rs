//! A machine whose runs answer over streams in memory, as a node's data plane does: the run's own interface with files that
//! are kept, screenshots and a way out; and viewers' WebSockets, which echo nothing and stay open.

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use vitrine_model::MachineId;
use vitrine_model::wire::{Dial, DialError, Purpose};
use vitrine_server::gateway::{Connected, NodeDial};

/// Bytes of a stream that wait to be read.
const PIPE_BYTES: usize = 64 * 1024;

/// What the runs of a machine hold. Clones are the same machine.
#[derive(Clone, Default)]
pub struct FakeMachine {
    /// Where something listens.
    pub ports: Arc<Mutex<Vec<u16>>>,
    /// Whether it is paused: nothing is connected to.
    pub frozen: Arc<Mutex<bool>>,
    pub files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    /// What the gateway asked for, in order.
    pub dials: Arc<Mutex<Vec<Dial>>>,
    /// Bodies of the calls that are not about files.
    pub asked: Arc<Mutex<Vec<Value>>>,
    /// Whether the next upstream does not answer.
    pub refuses: Arc<Mutex<bool>>,
}

impl NodeDial for FakeMachine {
    fn dial<'a>(&'a self, _: &'a MachineId, dial: Dial) -> BoxFuture<'a, Result<Connected, DialError>> {
        async move {
            let is_served = !matches!(dial.purpose, Purpose::Client | Purpose::Discovery);
            let browser_path = match dial.purpose {
                Purpose::Terminal { .. } => "/terminal",
                _ => "/view",
            };
            let port = match dial.purpose {
                Purpose::Port { port } => Some(port),
                _ => None,
            };
            self.dials.lock().unwrap().push(dial);
            let ending = std::future::pending().boxed();
            if let Some(port) = port {
                if *self.frozen.lock().unwrap() {
                    return Err(DialError::Unreachable("paused".to_owned()));
                }
                // What listens in the sandbox is a program of the test.
                let stream = TcpStream::connect(("127.0.0.1", port)).await;
                let stream = Box::new(stream.map_err(|error| DialError::Unreachable(error.to_string()))?);
                return Ok(Connected { stream, browser_path: String::new(), ending });
            }
            if !is_served {
                return Err(DialError::Gone);
            }
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let service = TowerToHyperService::new(self.router());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(theirs), service).with_upgrades();
            tokio::spawn(connection);
            Ok(Connected { stream: Box::new(ours), browser_path: browser_path.to_owned(), ending })
        }
        .boxed()
    }
}

impl FakeMachine {
    fn router(&self) -> Router {
        Router::new()
            .route("/files", get(list))
            .route("/files/raw", get(read).put(write))
            .route("/screenshot", post(screenshot))
            .route("/upstream", put(upstream))
            .route("/policy", put(policy))
            .route("/view", any(view))
            .merge(crate::sandbox_machine::router())
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self.clone())
    }
}

type Named = Query<HashMap<String, String>>;

async fn list(State(machine): State<FakeMachine>) -> Json<Value> {
    let files = machine.files.lock().unwrap();
    let file = |(path, bytes): (&String, &Bytes)| {
        json!({
            "path": path, "name": path.rsplit('/').next(), "size": bytes.len(), "modifiedAt": 1,
            "source": if path.starts_with("uploads/") { "upload" } else { "download" }, "state": "completed",
        })
    };
    Json(json!({"files": files.iter().map(file).collect::<Vec<_>>()}))
}

async fn read(State(machine): State<FakeMachine>, Query(query): Named) -> Response {
    match machine.files.lock().unwrap().get(&query["path"]) {
        Some(bytes) => ([("content-type", "text/html")], bytes.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "no such file"}))).into_response(),
    }
}

async fn write(State(machine): State<FakeMachine>, Query(query): Named, body: Bytes) -> Response {
    let path = query["path"].clone();
    let written = json!({
        "path": path, "size": body.len(), "sha256": "00", "capsulePath": format!("/session/{path}"),
    });
    machine.files.lock().unwrap().insert(path, body);
    (StatusCode::CREATED, Json(written)).into_response()
}

async fn screenshot(State(machine): State<FakeMachine>, Json(wish): Json<Value>) -> Json<Value> {
    machine.asked.lock().unwrap().push(wish);
    Json(json!({"key": "screenshots/1.png", "size": 9, "width": 1280, "height": 720, "contentType": "image/png"}))
}

async fn upstream(State(machine): State<FakeMachine>, Json(upstream): Json<Value>) -> Response {
    if *machine.refuses.lock().unwrap() {
        return (StatusCode::BAD_GATEWAY, Json(json!({"error": "the proxy did not answer"}))).into_response();
    }
    machine.asked.lock().unwrap().push(upstream);
    StatusCode::NO_CONTENT.into_response()
}

async fn policy(State(machine): State<FakeMachine>, Json(policy): Json<Value>) -> Response {
    if *machine.refuses.lock().unwrap() {
        return StatusCode::NOT_FOUND.into_response();
    }
    machine.asked.lock().unwrap().push(policy);
    StatusCode::NO_CONTENT.into_response()
}

async fn view(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // Open until the gateway leaves.
        let Ok(upgraded) = upgrade.await else { return };
        let mut stream = TokioIo::new(upgraded);
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    upgraded(&request)
}

/// The answer to a WebSocket's handshake.
pub fn upgraded(request: &Request) -> Response {
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let hash = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", STANDARD.encode(hash))
        .body(Body::empty())
        .unwrap()
}
