//! What the runs of a scripted machine answer about sandboxes: programs that echo their order, files that are kept, terminals
//! that greet, a clock that never moves.

use crate::machine::FakeMachine;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::io::AsyncWriteExt;

type Named = Query<HashMap<String, String>>;

/// The routes.
pub fn router() -> Router<FakeMachine> {
    Router::new()
        .route("/exec", post(program))
        .route("/code", post(program))
        .route("/fs/raw", get(read).put(write))
        .route("/fs/stat", get(stat))
        .route("/fs/list", get(list))
        .route("/fs/watch", get(watch))
        .route("/fs/{what}", post(change))
        .route("/terminals", post(open).get(terminals))
        .route("/terminal", any(terminal))
        .route("/runtime", get(runtime))
        .route("/ports", get(ports))
        .route("/network", put(network))
        .route("/checkpoint", post(program))
        .route("/checkpoint/restore", post(program))
        .route("/documents/convert", post(change_file))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

fn refused(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": text}))).into_response()
}

/// Says what it was told to run. `hang` never ends, `full` fills the disk.
async fn program(State(machine): State<FakeMachine>, headers: HeaderMap, Json(order): Json<Value>) -> Response {
    machine.asked.lock().unwrap().push(order.clone());
    match order["command"].as_str() {
        Some("hang") => std::future::pending().await,
        Some("full") => return refused(StatusCode::INSUFFICIENT_STORAGE, "the disk of the sandbox is full"),
        Some("badly") => return refused(StatusCode::BAD_REQUEST, "cwd: no such directory"),
        _ => {}
    }
    if headers.get("accept").is_some_and(|kind| kind == "text/event-stream") {
        let events = "event: stdout\ndata: {\"data\":\"ran\\n\"}\n\nevent: exit\ndata: {\"exitCode\":0}\n\n";
        return ([("content-type", "text/event-stream")], events).into_response();
    }
    Json(json!({
        "stdout": "ran\n", "stderr": "", "exitCode": 0, "signal": null, "timedOut": false, "durationMs": 3,
        "truncated": false, "peakMemoryBytes": 1024, "outOfMemory": false,
    }))
    .into_response()
}

async fn read(State(machine): State<FakeMachine>, Query(query): Named, headers: HeaderMap) -> Response {
    let Some(bytes) = machine.files.lock().unwrap().get(&query["path"]).cloned() else {
        return refused(StatusCode::NOT_FOUND, "no such file");
    };
    if query["path"].ends_with('/') {
        let body = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]));
        return ([("content-type", "application/x-tar")], body).into_response();
    }
    match headers.get("range").map(|range| range.to_str().unwrap()) {
        None => ([("content-type", "text/html"), ("accept-ranges", "bytes")], bytes).into_response(),
        Some("bytes=1-2") => {
            let range = format!("bytes 1-2/{}", bytes.len());
            (StatusCode::PARTIAL_CONTENT, [("content-range", range)], bytes.slice(1..3)).into_response()
        }
        Some(_) => {
            (StatusCode::RANGE_NOT_SATISFIABLE, [("content-range", format!("bytes */{}", bytes.len()))]).into_response()
        }
    }
}

async fn write(
    State(machine): State<FakeMachine>,
    Query(query): Named,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    let mut asked = json!(query);
    asked["type"] = headers.get("content-type").map_or("", |kind| kind.to_str().unwrap()).into();
    machine.asked.lock().unwrap().push(asked);
    let path = query["path"].clone();
    let size = body.len();
    machine.files.lock().unwrap().insert(path.clone(), body);
    Json(json!({"ok": true, "path": path, "size": size}))
}

fn entry(path: &str, size: usize) -> Value {
    let name = path.rsplit('/').next();
    json!({"name": name, "path": path, "type": "file", "size": size, "modifiedAt": 1, "mode": 420})
}

async fn stat(State(machine): State<FakeMachine>, Query(query): Named) -> Response {
    match machine.files.lock().unwrap().get(&query["path"]) {
        Some(bytes) => Json(entry(&query["path"], bytes.len())).into_response(),
        None => refused(StatusCode::NOT_FOUND, "no such file"),
    }
}

async fn list(State(machine): State<FakeMachine>, Query(query): Named) -> Json<Value> {
    let files = machine.files.lock().unwrap();
    let entries: Vec<_> = files.iter().map(|(path, bytes)| entry(path, bytes.len())).collect();
    Json(json!({"path": query["path"], "entries": entries, "truncated": false}))
}

async fn watch() -> Response {
    let events = "event: change\ndata: {\"path\":\"/workspace/a\",\"kind\":\"created\"}\n\n";
    ([("content-type", "text/event-stream")], events).into_response()
}

async fn change(State(machine): State<FakeMachine>, Path(what): Path<String>, Json(order): Json<Value>) -> Response {
    machine.asked.lock().unwrap().push(order.clone());
    if what == "move" && order["overwrite"] == false {
        return refused(StatusCode::CONFLICT, "there is something of that name already");
    }
    let path = order.get("path").or(order.get("to"));
    Json(json!({"ok": true, "path": path})).into_response()
}

async fn change_file(State(machine): State<FakeMachine>, Json(order): Json<Value>) -> Json<Value> {
    machine.asked.lock().unwrap().push(order);
    Json(json!({"ok": true, "path": "/workspace/a.pdf", "size": 5}))
}

async fn open(State(machine): State<FakeMachine>, Json(order): Json<Value>) -> Json<Value> {
    machine.asked.lock().unwrap().push(order);
    Json(json!({"terminalId": 7}))
}

async fn terminals() -> Json<Value> {
    Json(json!({"terminals": [{"terminalId": 7, "createdAt": 1, "clients": 0}]}))
}

/// Says `hi` and ends.
async fn terminal(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut stream = hyper_util::rt::TokioIo::new(upgraded);
        let _ = stream.write_all(b"\x82\x02hi\x88\x02\x03\xe8").await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    crate::machine::upgraded(&request)
}

async fn runtime() -> Json<Value> {
    Json(json!({
        "memoryBytes": 1, "memoryLimitBytes": 2, "cpuMs": 3, "pids": 4, "diskBytes": 5, "diskLimitBytes": 6, "driver": "native",
    }))
}

async fn ports(State(machine): State<FakeMachine>) -> Json<Value> {
    let ports = machine.ports.lock().unwrap();
    let listening = |port: &u16| [json!({"port": port, "address": "0.0.0.0"}), json!({"port": port, "address": "::"})];
    Json(json!({ "ports": ports.iter().flat_map(listening).collect::<Vec<_>>() }))
}

async fn network(State(machine): State<FakeMachine>, Json(policy): Json<Value>) -> StatusCode {
    machine.asked.lock().unwrap().push(policy);
    StatusCode::NO_CONTENT
}
