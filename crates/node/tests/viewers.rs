//! People who look at a session: counted, served, and told of its end.

mod support;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use support::lab::Lab;
use support::spec;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use vitrine_model::wire::{Purpose, StepKind};
use vitrine_model::{BrowserSpec, EndReason};
use vitrine_node::ClientStream;

struct Viewer(WebSocketStream<ClientStream>);

impl Viewer {
    async fn come(lab: &Lab, control: bool) -> Self {
        let (stream, path) = lab.dial(Purpose::View { control, calls: false }).await;
        assert_eq!(path, "/view");
        let (mut socket, _) = client_async(format!("ws://localhost{path}"), stream).await.unwrap();
        let start = json!({ "type": "start", "version": 1, "codings": ["jpeg"] });
        socket.send(Message::text(start.to_string())).await.unwrap();
        Self(socket)
    }

    /// The next message of a type; pictures on the way are acknowledged.
    async fn message(&mut self, kind: &str) -> Value {
        let found = async {
            loop {
                match self.0.next().await.expect("a message").expect("a message") {
                    Message::Text(text) => {
                        let message: Value = serde_json::from_str(&text).unwrap();
                        if message["type"] == kind {
                            return message;
                        }
                    }
                    Message::Binary(picture) => self.acknowledge(&picture).await,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found).await.unwrap_or_else(|_| panic!("no {kind}"))
    }

    async fn picture(&mut self) -> Vec<u8> {
        loop {
            if let Message::Binary(picture) = self.0.next().await.unwrap().unwrap() {
                self.acknowledge(&picture).await;
                return picture.to_vec();
            }
        }
    }

    async fn acknowledge(&mut self, picture: &[u8]) {
        let sequence = u32::from_be_bytes(picture[4..8].try_into().unwrap());
        let ack = json!({ "type": "ack", "sequence": sequence });
        self.0.send(Message::text(ack.to_string())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_hold_a_session_and_only_those_in_control_make_it_active() {
    let lab = Lab::new(BrowserSpec { idle_timeout_ms: 700, ..spec() }).await;
    let mut watcher = Viewer::come(&lab, false).await;
    assert_eq!(watcher.message("hello").await["mode"], "view");
    assert!(watcher.picture().await.len() > 20, "a still page is shown, too");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let steps = lab.server.steps();
    assert!(!steps.iter().any(|step| matches!(step, StepKind::Activate | StepKind::End { .. })), "{steps:?}");

    let mut actor = Viewer::come(&lab, true).await;
    assert_eq!(actor.message("hello").await["mode"], "control");
    lab.server.wait_for("active", |step| *step == StepKind::Activate).await;
    drop(actor);
    lab.server.wait_for("ready again", |step| *step == StepKind::Deactivate).await;
    drop(watcher);
    lab.server.wait_for("idle", |step| matches!(step, StepKind::Finish { reason: EndReason::Idle, .. })).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_what_a_client_opens_and_downloads() {
    let lab = Lab::new(spec()).await;
    let mut viewer = Viewer::come(&lab, false).await;
    viewer.message("hello").await;
    let mut client = lab.client().await;
    let tab = client.open("data:text/html,<title>seen</title><body>").await;
    loop {
        let tabs = viewer.message("tabs").await;
        if tabs["tabs"].as_array().unwrap().iter().any(|tab| tab["title"] == "seen") {
            break;
        }
    }
    client
        .evaluate(
            &tab,
            "{ const a = document.createElement('a'); a.href = 'data:application/octet-stream,x'; \
            a.download = 'x.bin'; document.body.append(a); a.click(); 0 }",
        )
        .await;
    let whole = loop {
        let download = viewer.message("download").await;
        if download["state"] == "completed" {
            break download;
        }
    };
    assert_eq!((&whole["name"], &whole["path"]), (&json!("x.bin"), &json!("downloads/x.bin")));
    drop((client, viewer));
    lab.finish().await;
}
