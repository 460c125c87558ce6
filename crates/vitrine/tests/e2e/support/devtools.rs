//! A DevTools client as small as it can be: one WebSocket, calls one after the other, and the close frame's words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A page that cannot be loaded takes egress its full time to refuse.
const CALL_LIMIT: Duration = Duration::from_secs(40);

/// Between two questions whether a page is whole, when there is an answer and when there is none.
const PAUSE: Duration = Duration::from_millis(20);
const ASK_AGAIN: Duration = Duration::from_secs(2);
const LOOKS: u32 = 15;

/// A client connection.
pub struct Devtools {
    socket: WebSocketStream<TcpStream>,
    next: u64,
    /// Events that came while an answer was waited for.
    events: Vec<Value>,
}

/// A tab and the DevTools session on it.
pub struct Page {
    pub target: String,
    pub session: String,
}

/// How a connection was refused or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// HTTP status before the upgrade.
    Refused(u16),
    /// A close frame's code and reason.
    Closed(u16, String),
    /// Without a close frame.
    Dropped(String),
}

impl Devtools {
    pub async fn connect(url: &str) -> Result<Self, Broken> {
        let uri: http::Uri = url.parse().expect("a URL");
        let stream = TcpStream::connect((uri.host().expect("a host"), uri.port_u16().expect("a port"))).await;
        let stream = stream.map_err(|error| Broken::Dropped(error.to_string()))?;
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        match tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await {
            Ok((socket, _)) => Ok(Self { socket, next: 0, events: Vec::new() }),
            Err(Error::Http(answer)) => Err(Broken::Refused(answer.status().as_u16())),
            Err(error) => Err(Broken::Dropped(error.to_string())),
        }
    }

    /// Calls a method and does not wait for the answer; the call's number.
    pub async fn send(&mut self, method: &str, params: Value, session: Option<&str>) -> Result<u64, Broken> {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let sent = self.socket.send(Message::text(message.to_string())).await;
        sent.map_err(|error| Broken::Dropped(error.to_string()))?;
        Ok(self.next)
    }

    /// Calls a method; on a page when `session` names one.
    pub async fn call(&mut self, method: &str, params: Value, session: Option<&str>) -> Result<Value, Broken> {
        let id = self.send(method, params, session).await?;
        loop {
            let message = timeout(CALL_LIMIT, self.read()).await.unwrap_or_else(|_| panic!("no answer to {method}"))?;
            if message["id"] == json!(id) {
                return Ok(message);
            }
            if message.get("method").is_some() {
                self.events.push(message);
            }
        }
    }

    /// The result of a call that succeeds.
    pub async fn ask(&mut self, method: &str, params: Value, session: Option<&str>) -> Value {
        let answer = self.call(method, params, session).await.unwrap_or_else(|broken| panic!("{method}: {broken:?}"));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn read(&mut self) -> Result<Value, Broken> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) =
                        frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                    return Err(Broken::Closed(code, reason));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Broken::Dropped(error.to_string())),
                None => return Err(Broken::Dropped("end of stream".to_owned())),
            }
        }
    }

    /// Waits for the close frame.
    pub async fn closed(&mut self) -> (u16, String) {
        let closed = async {
            loop {
                match self.read().await {
                    Ok(_) => {}
                    Err(Broken::Closed(code, reason)) => return (code, reason),
                    Err(other) => panic!("closed without a reason: {other:?}"),
                }
            }
        };
        timeout(CALL_LIMIT, closed).await.expect("a close frame")
    }

    /// A new tab.
    pub async fn page(&mut self) -> Page {
        let target = self.ask("Target.createTarget", json!({ "url": "about:blank" }), None).await["targetId"].clone();
        self.attach(target.as_str().expect("a target")).await
    }

    pub async fn attach(&mut self, target: &str) -> Page {
        let attached = self.ask("Target.attachToTarget", json!({ "targetId": target, "flatten": true }), None).await;
        Page { target: target.to_owned(), session: attached["sessionId"].as_str().expect("a session").to_owned() }
    }

    /// Opens an address; the error's text when the page cannot be loaded.
    pub async fn goto(&mut self, page: &Page, url: &str) -> Result<(), String> {
        let answer = self.call("Page.navigate", json!({ "url": url }), Some(&page.session)).await;
        let answer = answer.unwrap_or_else(|broken| panic!("{url}: {broken:?}"));
        if let Some(error) = answer["error"]["message"].as_str() {
            return Err(error.to_owned());
        }
        if let Some(error) = answer["result"]["errorText"].as_str() {
            return Err(error.to_owned());
        }
        self.loaded(page).await;
        Ok(())
    }

    /// Waits until the page is whole.
    async fn loaded(&mut self, page: &Page) {
        let deadline = Instant::now() + CALL_LIMIT;
        while Instant::now() < deadline {
            if self.looked_up(page, "document.readyState").await == "complete" {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the page is not whole after {CALL_LIMIT:?}");
    }

    /// A plain expression's text; nothing when there is none yet. A question that meets the change of a document, an error's
    /// page too, may stay without an answer and is asked again.
    async fn looked_up(&mut self, page: &Page, expression: &str) -> String {
        let params = json!({ "expression": expression, "returnByValue": true });
        for _ in 0..LOOKS {
            let asked = self.call("Runtime.evaluate", params.clone(), Some(&page.session));
            match timeout(ASK_AGAIN, asked).await {
                Ok(Ok(answer)) => return answer["result"]["result"]["value"].as_str().unwrap_or_default().to_owned(),
                Ok(Err(broken)) => panic!("{expression}: {broken:?}"),
                Err(_) => {}
            }
        }
        panic!("no answer to {expression}, asked {LOOKS} times");
    }

    /// The value of an expression, promises awaited; the exception's text when it throws.
    pub async fn evaluate(&mut self, page: &Page, expression: &str) -> Result<Value, String> {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params, Some(&page.session)).await;
        let answer = answer.unwrap_or_else(|broken| panic!("{expression}: {broken:?}"));
        if let Some(error) = answer["error"]["message"].as_str() {
            return Err(error.to_owned());
        }
        match answer["result"]["exceptionDetails"]["exception"]["description"].as_str() {
            Some(text) => Err(text.to_owned()),
            None => Ok(answer["result"]["result"]["value"].clone()),
        }
    }

    /// The text that a person sees.
    pub async fn text(&mut self, page: &Page) -> String {
        self.looked_up(page, "document.documentElement.innerText").await
    }

    /// A picture of the page, as PNG.
    pub async fn screenshot(&mut self, page: &Page) -> Vec<u8> {
        let shot = self.ask("Page.captureScreenshot", json!({}), Some(&page.session)).await;
        STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64")
    }
}
