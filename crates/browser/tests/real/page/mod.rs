//! The embed API's methods, events and policy against the real browser, as the page of an embed session uses them.

mod acting;
mod hostile;
mod policy;
mod reading;
mod tabs;

use super::view::support::{SOON, Scene, Viewer};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::timeout;
use vitrine_browser::view::Rights;

static IDS: AtomicU64 = AtomicU64::new(1);

impl Scene {
    /// The page of an embed session.
    pub async fn caller(&self) -> Viewer {
        let mut viewer = self.connect(Rights { control: true, calls: true }).await;
        viewer.say(json!({"type": "start", "version": 1, "codings": ["jpeg"]})).await;
        viewer.hear("hello").await;
        viewer.hear("policy").await;
        viewer
    }
}

impl Viewer {
    pub async fn ask(&mut self, method: &str, args: Value) -> String {
        let id = IDS.fetch_add(1, Ordering::Relaxed).to_string();
        self.say(json!({"type": "call", "id": id, "method": method, "args": args})).await;
        id
    }

    pub async fn outcome(&mut self, id: &str) -> Result<Value, Value> {
        let result =
            timeout(SOON * 3, self.hear_that(id, |message| message["type"] == "result" && message["id"] == id));
        let mut result = result.await.expect("a result");
        if result["error"].is_null() { Ok(result["value"].take()) } else { Err(result["error"].take()) }
    }

    pub async fn call(&mut self, method: &str, args: Value) -> Value {
        let id = self.ask(method, args).await;
        self.outcome(&id).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    pub async fn refused(&mut self, method: &str, args: Value) -> Value {
        let id = self.ask(method, args).await;
        self.outcome(&id).await.expect_err(method)
    }

    /// Waits for an event and says what came with it.
    pub async fn event(&mut self, name: &str) -> Value {
        self.hear_that(name, |message| message["type"] == "event" && message["name"] == name).await["detail"].take()
    }

    /// The names of the events so far, in order, but for those that come at any time.
    pub fn events(&mut self) -> Vec<String> {
        let events = self.heard.extract_if(.., |message| message["type"] == "event");
        let names = events.map(|event| event["name"].as_str().expect("a name").to_owned());
        names.filter(|name| name != "page-viewport" && name != "favicon-changed").collect()
    }
}
