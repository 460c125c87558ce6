//! A webhook's receiver on loopback, which does with each message what a test says.

use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use vitrine_model::webhook::WebhookSecret;

/// One message, as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub raw: Vec<u8>,
    pub body: Value,
}

/// What the receiver does with a message.
#[derive(Debug, Clone)]
pub enum Does {
    /// Sends these bytes and closes.
    Answers(String),
    /// Never answers.
    Hangs,
}

pub type Judge = Arc<dyn Fn(&Received) -> Does + Send + Sync>;

/// It listens until it is dropped or stopped.
pub struct Receiver {
    pub address: SocketAddr,
    pub received: Arc<Mutex<Vec<Received>>>,
    /// The most messages that were there at once.
    pub at_once_max: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

/// An answer without a body.
pub fn status(status: u16) -> Does {
    Does::Answers(format!("HTTP/1.1 {status} Word\r\nContent-Length: 0\r\n\r\n"))
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn name(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub fn session(&self) -> &str {
        self.body["data"]["sessionId"].as_str().unwrap()
    }

    /// Whether one of its signatures is this secret's.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let secret = WebhookSecret::parse(secret).unwrap();
        let timestamp_s = self.header("webhook-timestamp").parse().unwrap();
        let signature = secret.sign(self.header("webhook-id"), timestamp_s, &self.raw);
        self.header("webhook-signature").split(' ').any(|known| known == signature)
    }
}

impl Receiver {
    /// One that answers 204.
    pub async fn good() -> Self {
        Self::new(Arc::new(|_| status(204))).await
    }

    pub async fn new(judge: Judge) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), judge).await
    }

    pub async fn at(address: SocketAddr, judge: Judge) -> Self {
        // The crypto of HTTP clients; the binary installs it at its start.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, at_once_max) = (Arc::<Mutex<Vec<Received>>>::default(), Arc::<AtomicUsize>::default());
        let (kept, most) = (received.clone(), at_once_max.clone());
        let accepting = tokio::spawn(async move {
            let now = Arc::<AtomicUsize>::default();
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (judge, kept, most, now) = (judge.clone(), kept.clone(), most.clone(), now.clone());
                connections.spawn(async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let _ = serve(stream, &judge, &kept).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, received, at_once_max, accepting: accepting.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The names of a session's messages, in the order in which they came.
    pub fn names_of(&self, session: &str) -> Vec<String> {
        let all = self.all();
        all.iter().filter(|message| message.session() == session).map(|message| message.name().to_owned()).collect()
    }

    /// Waits until so many messages came.
    pub async fn until(&self, count: usize) -> Vec<Received> {
        let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
        while self.received.lock().unwrap().len() < count {
            assert!(tokio::time::Instant::now() < deadline, "only {} of {count}", self.all().len());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        self.all()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, judge: &Judge, kept: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, text)| text.parse().unwrap());
    while bytes.len() < head_end + length {
        stream.read_buf(&mut bytes).await?;
    }
    let raw = bytes[head_end..].to_vec();
    let body = serde_json::from_slice(&raw).unwrap_or_default();
    let message = Received { path, headers, raw, body };
    let does = judge(&message);
    kept.lock().unwrap().push(message);
    match does {
        Does::Answers(answer) => stream.write_all(answer.as_bytes()).await,
        // Until the other side gives up.
        Does::Hangs => stream.read_to_end(&mut bytes).await.map(drop),
    }
}
