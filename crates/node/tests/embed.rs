//! An embed session on a machine: what its page may call, and a policy that changes while it runs.

mod support;

use futures_util::{SinkExt, StreamExt};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use support::lab::Lab;
use support::spec;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use vitrine_model::BrowserSpec;
use vitrine_model::embed::{Capability, EmbedSpec, Policy};
use vitrine_model::wire::Purpose;
use vitrine_node::ClientStream;

struct Page(WebSocketStream<ClientStream>);

impl Page {
    async fn come(lab: &Lab) -> Self {
        let (stream, path) = lab.dial(Purpose::View { control: true, calls: true }).await;
        let (socket, _) = client_async(format!("ws://localhost{path}"), stream).await.unwrap();
        let mut page = Self(socket);
        page.say(json!({ "type": "start", "version": 1, "codings": ["jpeg"] })).await;
        page
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

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
                    Message::Binary(picture) => {
                        let sequence = u32::from_be_bytes(picture[4..8].try_into().unwrap());
                        self.say(json!({ "type": "ack", "sequence": sequence })).await;
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), found).await.unwrap_or_else(|_| panic!("no {kind}"))
    }

    async fn call(&mut self, method: &str, args: Value) -> Value {
        self.say(json!({ "type": "call", "id": "1", "method": method, "args": args })).await;
        self.message("result").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_calls_as_far_as_the_policy_goes_now() {
    let mut policy = Policy::open(1);
    policy.denied.insert(Capability::ActEvaluate);
    policy.deny_urls.push("closed.test".into());
    let embed =
        EmbedSpec { minutes: 15, demo: false, cdp: false, embedding_origins: Vec::new(), policy: policy.clone() };
    let lab = Lab::new(BrowserSpec { embed: Some(embed), ..spec() }).await;
    let mut page = Page::come(&lab).await;
    assert_eq!(page.message("policy").await["policy"]["apiCapabilities"]["act"]["evaluate"], false);
    assert_eq!(page.call("evaluate", json!(["1"])).await["error"]["code"], "ERR_POLICY_DENIED");
    assert_eq!(page.call("navigateTo", json!(["http://closed.test/"])).await["error"]["status"], 403);
    assert_eq!(page.call("getTabCount", json!([])).await["value"], 1);

    let (status, _) = lab.ask(Method::PUT, "/files/raw?path=uploads/a.txt", "a").await;
    assert!(status.is_success());
    let changed = Policy { version: 2, uploads: false, downloads: false, ..Policy::open(1) };
    let (status, body) = lab.ask(Method::PUT, "/policy", json!(changed).to_string()).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body:?}");
    let told = page.message("policy").await;
    assert_eq!(told["policy"]["policyVersion"], 2);
    assert_eq!(told["policy"]["featureControls"], json!({"downloads": false, "uploads": false, "clipboard": true}));
    assert_eq!(page.call("evaluate", json!(["6 * 7"])).await["value"]["result"]["value"], 42);
    let (status, _) = lab.ask(Method::PUT, "/files/raw?path=uploads/b.txt", "b").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = lab.ask(Method::PUT, "/policy", json!(policy).to_string()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(page.call("getPolicy", json!([])).await["value"]["policyVersion"], 2, "an older one is no news");
    drop(page);
    lab.finish().await;
}
