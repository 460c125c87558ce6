//! A viewer as its page would be, and a site for it to look at.

use crate::host::LocalHost;
use crate::site::{Reply, path};
use crate::start;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use vitrine_browser::screen::Settings;
use vitrine_browser::tabs::Tabs;
use vitrine_browser::view::{Left, Rights, Setup, Viewing};
use vitrine_browser::{Browser, Build};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::TargetId;
use vitrine_cdp::{Connection, Session};
use vitrine_model::embed::Policy;

pub const SOON: Duration = Duration::from_secs(10);
/// Longer than anything that should not come takes to come.
pub const NOT_SOON: Duration = Duration::from_millis(400);

/// A browser with one tab and nobody who looks.
pub struct Scene {
    pub browser: Browser,
    pub viewing: Viewing,
    pub tabs: Tabs,
    /// A client's own connection and its session of the first tab.
    pub client: Connection,
    pub page: Session,
    pub tab: TargetId,
    pub host: Arc<LocalHost>,
}

impl Scene {
    pub async fn open(build: Build, body: &str) -> Scene {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let ours = browser.connection().await.expect("connection");
        let tabs = Tabs::open(ours, Settings::default()).await.expect("tabs");
        let setup = Setup {
            session: "abc".into(),
            uploads: host.folder("uploads"),
            downloads: host.folder("downloads"),
            search: "https://search.invalid/?q={query}".into(),
            policy: Policy::open(1),
        };
        let viewing = Viewing::new(tabs.clone(), setup);
        let mut list = tabs.watch();
        let tab = list.wait_for(|list| list.active.is_some()).await.expect("tabs").active.clone().expect("a tab");
        // Not through the browser: that would hand out the connection that viewers use.
        let stream = vitrine_browser::Host::dial(&*host, vitrine_browser::DEVTOOLS_PORT).await.expect("dialled");
        let client = Connection::new(stream, browser.websocket_path()).await.expect("a client");
        let page = client.attach(&tab).await.expect("a session");
        let scene = Scene { browser, viewing, tabs, client, page, tab, host };
        scene.show(body).await;
        scene
    }

    /// Shows a document whose scripts may call `note(word)`.
    pub async fn show(&self, body: &str) {
        let head = "<!doctype html><meta charset=utf-8><body style='margin:0'><script>\
                    var notes = []; var note = (word) => notes.push(word)</script>";
        let url = format!("data:text/html,{}", format!("{head}{body}").replace('%', "%25").replace('#', "%23"));
        self.page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
        self.until("document.readyState === 'complete'", &json!(true)).await;
    }

    /// Null for what has no value, and while the page changes.
    pub async fn value(&self, expression: &str) -> Value {
        let command = Evaluate { expression: expression.into(), return_by_value: Some(true), ..Evaluate::default() };
        self.page.call(command).await.ok().and_then(|answer| answer.result.value).unwrap_or_default()
    }

    /// Waits until an expression has a value in the page.
    pub async fn until(&self, expression: &str, wanted: &Value) {
        let mut last = Value::Null;
        for _ in 0..200 {
            last = timeout(SOON, self.value(expression)).await.expect("an answer");
            if last == *wanted {
                return;
            }
            sleep(Duration::from_millis(25)).await;
        }
        panic!("{expression} is {last}, not {wanted}");
    }

    pub async fn viewer(&self, control: bool) -> Viewer {
        let mut viewer = self.connect(Rights { control, calls: false }).await;
        viewer.say(json!({"type": "start", "version": 1, "codings": ["h264", "jpeg"]})).await;
        viewer.hear("hello").await;
        viewer
    }

    /// A viewer that has not said anything.
    pub async fn connect(&self, rights: Rights) -> Viewer {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let viewing = self.viewing.clone();
        let served = tokio::spawn(async move { viewing.serve(far, rights).await });
        let (socket, _) = tokio_tungstenite::client_async("ws://localhost/view", near).await.expect("a handshake");
        Viewer { socket, served, heard: Vec::new(), pictures: Vec::new(), looked_at: 0, acknowledges: true }
    }

    /// A viewer with control whose tab is attended: its scripts are in the page.
    pub async fn hands(&self) -> Viewer {
        let mut viewer = self.viewer(true).await;
        viewer.hear_that("the page is attended", |message| message["type"] == "focus").await;
        viewer
    }
}

pub struct Viewer {
    pub socket: WebSocketStream<DuplexStream>,
    pub served: JoinHandle<Left>,
    /// What it was told and no test asked for yet.
    pub heard: Vec<Value>,
    pub pictures: Vec<Vec<u8>>,
    looked_at: usize,
    pub acknowledges: bool,
}

impl Viewer {
    pub async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// Waits for the first message of a kind.
    pub async fn hear(&mut self, kind: &str) -> Value {
        self.hear_that(kind, |message| message["type"] == kind).await
    }

    pub async fn hear_that(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let heard = timeout(SOON, async {
            loop {
                if let Some(place) = self.heard.iter().position(&wanted) {
                    return self.heard.remove(place);
                }
                self.read().await;
            }
        });
        match heard.await {
            Ok(message) => message,
            Err(_) => panic!("{what} was not heard, but {:#?}", self.heard),
        }
    }

    /// Reads for a while and says what came of a kind.
    pub async fn hears(&mut self, kind: &str) -> Vec<Value> {
        let _ = timeout(NOT_SOON, async {
            loop {
                self.read().await;
            }
        })
        .await;
        self.heard.extract_if(.., |message| message["type"] == kind).collect()
    }

    /// Waits for the next picture.
    pub async fn picture(&mut self) -> Vec<u8> {
        self.picture_that("a picture", |_| true).await
    }

    /// Waits for a picture, past those that are not meant.
    pub async fn picture_that(&mut self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let wait = timeout(SOON, async {
            loop {
                while self.looked_at < self.pictures.len() {
                    self.looked_at += 1;
                    let picture = &self.pictures[self.looked_at - 1];
                    if wanted(picture) {
                        return picture.clone();
                    }
                }
                self.read().await;
            }
        });
        wait.await.unwrap_or_else(|_| panic!("{what} did not come"))
    }

    async fn read(&mut self) {
        match self.socket.next().await.expect("open").expect("a message") {
            Message::Text(text) => self.heard.push(serde_json::from_str(&text).expect("JSON")),
            Message::Binary(picture) => {
                if self.acknowledges {
                    let sequence = u32::from_be_bytes(picture[4..8].try_into().expect("four bytes"));
                    self.say(json!({"type": "ack", "sequence": sequence})).await;
                }
                self.pictures.push(picture.to_vec());
            }
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }

    /// Waits for the end and says what the close frame said.
    pub async fn closed(mut self) -> (u16, String, Left) {
        let frame = timeout(SOON, async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => return frame,
                    Some(Ok(_)) => {}
                    _ => return None,
                }
            }
        });
        let frame = frame.await.expect("an end");
        let left = timeout(SOON, self.served).await.expect("served").expect("joined");
        frame.map_or((1005, String::new(), left.clone()), |frame| (frame.code.into(), frame.reason.to_string(), left))
    }

    pub async fn mouse(&mut self, kind: &str, x: f64, y: f64) {
        let (button, buttons) = match kind {
            "move" => ("none", 0),
            "down" => ("left", 1),
            _ => ("left", 0),
        };
        let clicks = i32::from(kind != "move");
        let message = json!({"type": "mouse", "kind": kind, "x": x, "y": y, "button": button, "buttons": buttons,
            "clicks": clicks, "modifiers": 0});
        self.say(message).await;
    }

    pub async fn click(&mut self, x: f64, y: f64) {
        for kind in ["move", "down", "up"] {
            self.mouse(kind, x, y).await;
        }
    }

    pub async fn press(&mut self, key: &str, code: &str, modifiers: u8) {
        let types = key.chars().count() == 1 && modifiers & 7 == 0;
        for kind in ["down", "up"] {
            let mut message = json!({"type": "key", "kind": kind, "key": key, "code": code, "location": 0,
                "modifiers": modifiers, "repeat": false});
            if types && kind == "down" {
                message["text"] = key.into();
            }
            self.say(message).await;
        }
    }

    pub async fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            let code = format!("Key{}", letter.to_ascii_uppercase());
            self.press(&letter.to_string(), &code, if letter.is_uppercase() { 8 } else { 0 }).await;
        }
    }
}

/// A site that answers each path with what `page` says.
pub async fn site(page: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> u16 {
    let answer = move |request: &str| match page(path(request)) {
        Some(body) if body.starts_with("<svg") => Reply::new("Content-Type: image/svg+xml", body),
        Some(body) => Reply::html(body),
        None => Reply::not_found(),
    };
    crate::site::site(answer).await
}
