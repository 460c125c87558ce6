//! The public API, as a client calls it.

use super::{Devtools, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// One pool of connections; the environment's proxy is not for loopback.
pub fn http() -> &'static reqwest::Client {
    static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
    });
    &HTTP
}

/// A server's API with a key.
#[derive(Clone)]
pub struct Api {
    base: String,
    key: String,
}

impl Api {
    pub fn new(base: &str, key: &str) -> Self {
        Self { base: base.to_owned(), key: key.to_owned() }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = http().request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        (status, answer.json().await.expect("JSON"))
    }

    /// A new session's id.
    pub async fn create(&self, body: Value) -> String {
        let (status, answer) = self.call(Method::POST, "/v1/browsers", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    pub async fn show(&self, id: &str) -> Value {
        let (status, answer) = self.call(Method::GET, &format!("/v1/browsers?id={id}"), None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Waits until the session has one of these states.
    pub async fn until(&self, id: &str, states: &[&str]) -> Value {
        eventually(&format!("{states:?}"), || async {
            let session = self.show(id).await;
            let status = session["status"].as_str().expect("a status");
            let unexpected = matches!(status, "ended" | "failed") && !states.contains(&status);
            assert!(!unexpected, "not {states:?} but {session}");
            states.contains(&status).then_some(session)
        })
        .await
    }

    /// A new session that is ready: its id and its `cdpUrl`.
    pub async fn ready(&self, body: Value) -> (String, String) {
        let id = self.create(body).await;
        let session = self.until(&id, &["ready"]).await;
        (id, session["cdpUrl"].as_str().expect("a cdpUrl").to_owned())
    }

    /// A new session with a client on it.
    pub async fn driven(&self, body: Value) -> (String, Devtools) {
        let (id, url) = self.ready(body).await;
        let devtools = Devtools::connect(&url).await.expect("cdpUrl answers");
        (id, devtools)
    }

    pub async fn delete(&self, id: &str) {
        let (status, answer) = self.call(Method::DELETE, &format!("/v1/browsers?id={id}"), None).await;
        assert_eq!((status, &answer), (StatusCode::OK, &json!({ "ok": true })));
    }

    /// Waits until it is over and demands the state and the reason.
    pub async fn demand_end(&self, id: &str, state: &str, reason: &str) -> Value {
        let session = self.until(id, &["ended", "failed"]).await;
        assert_eq!(
            (session["status"].as_str(), session["endReason"].as_str()),
            (Some(state), Some(reason)),
            "{session}"
        );
        session
    }
}
