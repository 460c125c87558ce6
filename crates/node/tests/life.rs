//! A node with real capsules and real browsers, against a scripted server.

mod support;

use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use support::{FakeServer, config, spec};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use vitrine_model::wire::{Dial, DialError, Purpose, StepKind};
use vitrine_model::{BrowserSpec, EndReason, RunId, SessionId};
use vitrine_node::{ClientStream, Node};

type Socket = WebSocketStream<ClientStream>;

async fn connect(node: &Node, session: &SessionId, run: &RunId) -> (Socket, impl Future<Output = EndReason> + use<>) {
    let dial = Dial { session: session.clone(), run: run.clone(), purpose: Purpose::Client };
    let dialed = node.data_plane().dial(&dial).await.unwrap();
    let url = format!("ws://localhost{}", dialed.browser_path);
    let (socket, _) = client_async(url, dialed.stream).await.unwrap();
    (socket, dialed.ending)
}

async fn call(socket: &mut Socket, request: &str) -> String {
    socket.send(Message::text(request)).await.unwrap();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) if text.contains("\"id\":") => return text.to_string(),
            _ => {}
        }
    }
}

async fn ready(server: &FakeServer) {
    server.wait_for("ready", |step| *step == StepKind::Ready).await;
}

fn nothing_left(data_dir: &std::path::Path) {
    let left = |name: &str| {
        std::fs::read_dir(data_dir.join(name)).map_or(0, |entries| {
            entries
                .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())))
                .count()
        })
    };
    assert_eq!(left("capsules"), 0, "capsule directories are left");
    assert_eq!(std::fs::read_dir(data_dir.join("runs")).unwrap().count(), 0, "run files are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ready_active_deleted_and_gone() {
    let folder = tempfile::tempdir().unwrap();
    let server = FakeServer::default();
    let node = Node::start(config(folder.path(), 1), std::sync::Arc::new(server.clone())).await.unwrap();
    let (session, run) = server.assign(spec());
    ready(&server).await;
    let (mut socket, ending) = connect(&node, &session, &run).await;
    let version = call(&mut socket, r#"{"id":1,"method":"Browser.getVersion"}"#).await;
    assert!(version.contains("HeadlessChrome"), "{version}");
    server.wait_for("activate", |step| *step == StepKind::Activate).await;
    server.end(&session, EndReason::Deleted);
    assert_eq!(ending.await, EndReason::Deleted);
    drop(socket);
    server.wait_for("finish", |step| matches!(step, StepKind::Finish { reason: EndReason::Deleted, .. })).await;
    let dial = Dial { session, run, purpose: Purpose::Client };
    assert_eq!(node.data_plane().dial(&dial).await.err(), Some(DialError::Gone));
    node.stop().await;
    nothing_left(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_begins_with_the_first_client_and_browser_close_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = FakeServer::default();
    let node = Node::start(config(folder.path(), 0), std::sync::Arc::new(server.clone())).await.unwrap();
    let (session, run) = server.assign(BrowserSpec { idle_timeout_ms: 300, ..spec() });
    ready(&server).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!server.steps().iter().any(|step| matches!(step, StepKind::End { .. })), "idle before a first client");
    drop(connect(&node, &session, &run).await);
    server.wait_for("idle end", |step| *step == StepKind::End { reason: EndReason::Idle }).await;

    let (session, run) = server.assign(spec());
    server.wait_for("finish of the first", |step| matches!(step, StepKind::Finish { .. })).await;
    let mut connected = None;
    for _ in 0..200 {
        let dial = Dial { session: session.clone(), run: run.clone(), purpose: Purpose::Discovery };
        if node.data_plane().dial(&dial).await.is_ok() {
            connected = Some(connect(&node, &session, &run).await);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut socket, ending) = connected.expect("the second session is ready");
    call(&mut socket, r#"{"id":1,"method":"Browser.close"}"#).await;
    assert_eq!(ending.await, EndReason::ClosedByClient);
    drop(socket);
    let closed = |step: &StepKind| matches!(step, StepKind::Finish { reason: EndReason::ClosedByClient, .. });
    server.wait_for("closed by client", closed).await;
    node.stop().await;
    nothing_left(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_adopts_its_sessions_with_their_pages() {
    let folder = tempfile::tempdir().unwrap();
    let server = FakeServer::default();
    let config = config(folder.path(), 1);
    let node = Node::start(config.clone(), std::sync::Arc::new(server.clone())).await.unwrap();
    let (session, run) = server.assign(spec());
    ready(&server).await;
    let (mut socket, _) = connect(&node, &session, &run).await;
    let page = r#"{"id":1,"method":"Target.createTarget","params":{"url":"data:text/html,<title>kept</title>"}}"#;
    call(&mut socket, page).await;
    drop(socket);
    // What a killed process leaves: nothing is told, nothing is cleaned up.
    node.stop().await;

    let node = Node::start(config, std::sync::Arc::new(server.clone())).await.unwrap();
    let (mut socket, _) = connect(&node, &session, &run).await;
    let targets = call(&mut socket, r#"{"id":2,"method":"Target.getTargets"}"#).await;
    assert!(targets.contains("<title>kept</title>"), "{targets}");
    server.end(&session, EndReason::Deleted);
    drop(socket);
    server.wait_for("finish", |step| matches!(step, StepKind::Finish { reason: EndReason::Deleted, .. })).await;
    node.stop().await;
    nothing_left(folder.path());
}
