//! What the gateway's tests share: a gateway on loopback, a machine of plain sockets, rows by hand, and a WebSocket client that
//! sends and sees every byte itself.
#![allow(dead_code, reason = "each test file uses its own part")]

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use vitrine_model::token::{Claims, SIGNING_KEY_BYTES, Scope, SigningKey};
use vitrine_model::wire::{Dial, DialError, Purpose};
use vitrine_model::{
    Code, EndReason, EpochMs, Error, MachineId, OrganizationId, Permissions, RunId, SessionId, Status, TokenId,
};
use vitrine_server::gateway::{
    Base, Connected, Gateway, GatewayConfig, GatewayMetrics, Known, NodeDial, PublicUrl, Sessions,
};

pub const NOW: i64 = 1_772_078_705_353;
pub const BROWSER_PATH: &str = "/devtools/browser/00000000-0000-0000-0000-000000000000";
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Long enough for a busy machine; a test that waits so long has failed.
pub const SOON: Duration = Duration::from_secs(20);

/// A mask that changes nothing, for payloads so large that masking them would take long.
pub const NO_MASK: [u8; 4] = [0; 4];

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

fn entropy(seed: u8) -> impl Fn(&mut [u8]) + Send + Sync {
    move |buffer: &mut [u8]| buffer.fill(seed)
}

/// A machine whose sessions are sockets at an address.
pub struct Machine {
    pub browser: Mutex<SocketAddr>,
    pub browser_path: Mutex<String>,
    pub ending: watch::Sender<Option<EndReason>>,
    /// What the next dials answer instead of a stream.
    pub failures: Mutex<VecDeque<DialError>>,
    /// Dials never answer.
    pub hangs: Mutex<bool>,
    pub dials: Mutex<Vec<(MachineId, Dial)>>,
}

impl NodeDial for Machine {
    fn dial<'a>(&'a self, machine: &'a MachineId, dial: Dial) -> BoxFuture<'a, Result<Connected, DialError>> {
        async move {
            self.dials.lock().unwrap().push((machine.clone(), dial));
            if *self.hangs.lock().unwrap() {
                std::future::pending::<()>().await;
            }
            if let Some(failure) = self.failures.lock().unwrap().pop_front() {
                return Err(failure);
            }
            let address = *self.browser.lock().unwrap();
            let stream =
                TcpStream::connect(address).await.map_err(|error| DialError::Unreachable(error.to_string()))?;
            stream.set_nodelay(true).map_err(|error| DialError::Unreachable(error.to_string()))?;
            let mut ending = self.ending.subscribe();
            let ending = async move {
                match ending.wait_for(Option::is_some).await.map(|reason| *reason) {
                    Ok(Some(reason)) => reason,
                    _ => std::future::pending().await,
                }
            };
            let browser_path = self.browser_path.lock().unwrap().clone();
            Ok(Connected { stream: Box::new(stream), browser_path, ending: ending.boxed() })
        }
        .boxed()
    }
}

/// Rows and keys by hand: `Bearer all` may do everything, `Bearer none` may only read, `Bearer other` is another organization's.
pub struct Rows {
    pub known: Mutex<Option<Known>>,
    /// No key is good any more.
    pub revoked: AtomicBool,
}

impl Sessions for Rows {
    fn look_up<'a>(&'a self, _: &'a SessionId) -> BoxFuture<'a, Result<Option<Known>, Error>> {
        let known = self.known.lock().unwrap().clone();
        async move { Ok(known) }.boxed()
    }

    fn is_revoked<'a>(&'a self, _: &'a SessionId, _: &'a TokenId) -> BoxFuture<'a, Result<bool, Error>> {
        let revoked = self.revoked.load(Ordering::Relaxed);
        async move { Ok(revoked) }.boxed()
    }

    fn token_id(&self) -> TokenId {
        TokenId::new(1, &entropy(1))
    }

    fn use_up<'a>(&'a self, _: &'a SessionId, _: &'a TokenId, _: EpochMs) -> BoxFuture<'a, Result<bool, Error>> {
        async { Ok(true) }.boxed()
    }

    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<(OrganizationId, Permissions), Error>> {
        use vitrine_model::Permission::BrowserSessionsRead;
        let ours = OrganizationId::new(NOW, &entropy(1));
        let theirs = OrganizationId::new(NOW, &entropy(9));
        let answer = match headers["authorization"].to_str().unwrap() {
            _ if self.revoked.load(Ordering::Relaxed) => Err(Error::new(Code::Unauthenticated, "revoked")),
            "Bearer all" => Ok((ours, Permissions::default())),
            "Bearer none" => Ok((ours, Permissions(vec![BrowserSessionsRead]))),
            "Bearer other" => Ok((theirs, Permissions::default())),
            _ => Err(Error::new(Code::Unauthenticated, "no such key")),
        };
        async move { answer }.boxed()
    }
}

/// A gateway on loopback.
pub struct Fixture {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub machine: Arc<Machine>,
    pub rows: Arc<Rows>,
    pub metrics: GatewayMetrics,
    pub session: SessionId,
    pub claims: Claims,
    server: JoinHandle<()>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves as the product does, so that the gateway gets the bare sockets.
async fn serve(listener: TcpListener, router: axum::Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}

pub fn signing_key() -> SigningKey {
    SigningKey::new([7; SIGNING_KEY_BYTES])
}

impl Fixture {
    pub async fn new(browser: SocketAddr) -> Self {
        Self::with(browser, GatewayConfig::default(), PublicUrl::FromRequest { trust_proxy: false }).await
    }

    pub async fn with(browser: SocketAddr, config: GatewayConfig, public: PublicUrl) -> Self {
        let machine = Arc::new(Machine {
            browser: Mutex::new(browser),
            browser_path: Mutex::new(BROWSER_PATH.to_owned()),
            ending: watch::Sender::new(None),
            failures: Mutex::default(),
            hangs: Mutex::default(),
            dials: Mutex::default(),
        });
        let claims = Claims {
            session: SessionId::new(NOW, &entropy(3)),
            run: RunId::new(NOW, &entropy(4)),
            machine: MachineId::new(&entropy(5)),
            scope: Scope::Cdp,
            expires_at: NOW + 1,
            id: None,
        };
        let known = Known {
            organization: OrganizationId::new(NOW, &entropy(1)),
            status: Status::Ready,
            run: Some(claims.run.clone()),
            machine: Some(claims.machine.clone()),
            end_reason: None,
            is_driven: true,
            token_expires_at: NOW + 1,
        };
        let rows = Arc::new(Rows { known: Mutex::new(Some(known)), revoked: AtomicBool::new(false) });
        let metrics = GatewayMetrics::default();
        let (nodes, sessions) = (machine.clone(), rows.clone());
        let gateway = Gateway::new(nodes, sessions, signing_key(), public, Arc::new(|| NOW), metrics.clone(), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = gateway.router();
        let server = tokio::spawn(serve(listener, router));
        Self { gateway, address, machine, rows, metrics, session: claims.session.clone(), claims, server }
    }

    pub fn known(&self, change: impl FnOnce(&mut Known)) {
        change(self.rows.known.lock().unwrap().as_mut().unwrap());
    }

    pub fn token(&self) -> String {
        signing_key().sign(&self.claims)
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/cdp/{}{rest}?token={}", self.session, self.token())
    }

    pub async fn connect(&self) -> Raw {
        self.connect_to(&self.path("")).await
    }

    pub async fn connect_to(&self, path: &str) -> Raw {
        Raw::connect(self.address, path).await
    }

    pub async fn get(&self, path: &str, headers: &str) -> Reply {
        self.request("GET", path, headers).await
    }

    pub async fn request(&self, method: &str, path: &str, headers: &str) -> Reply {
        request(self.address, method, path, headers).await
    }

    pub fn end(&self, reason: EndReason) {
        self.machine.ending.send_replace(Some(reason));
    }

    pub fn purposes(&self) -> Vec<Purpose> {
        self.machine.dials.lock().unwrap().iter().map(|(_, dial)| dial.purpose).collect()
    }
}

pub fn fixed(base: &str) -> PublicUrl {
    PublicUrl::Fixed(Base::parse(base).unwrap())
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of an answer in the error shape.
    pub fn code(&self) -> String {
        let json = self.json();
        assert!(json["error"].is_string(), "{json}");
        json["code"].as_str().unwrap().to_owned()
    }
}

pub const UPGRADE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub async fn request(address: SocketAddr, method: &str, path: &str, headers: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{method} {path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{headers}\r\n");
    // `Connection: close` ends the answer; a handshake has a `Connection` of its own.
    let text = if headers.contains("Connection:") { text.replacen("Connection: close\r\n", "", 1) } else { text };
    stream.write_all(text.as_bytes()).await.unwrap();
    let head = timeout(SOON, read_head(&mut stream)).await.unwrap().unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    timeout(SOON, stream.read_exact(&mut body)).await.unwrap().unwrap();
    Reply { status: head[9..12].parse().unwrap(), head, body }
}

/// Reads up to the empty line, byte by byte: what follows belongs to somebody else.
pub async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// One frame, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub is_final: bool,
    pub opcode: u8,
    pub masked: bool,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn close_code(&self) -> (u16, String) {
        assert_eq!(self.opcode, CLOSE, "{self:?}");
        if self.payload.is_empty() {
            return (1005, String::new());
        }
        let code = u16::from_be_bytes([self.payload[0], self.payload[1]]);
        (code, String::from_utf8(self.payload[2..].to_vec()).unwrap())
    }
}

/// A frame's bytes; a mask makes it a client's.
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, mask);
    match mask.unwrap_or_default() {
        NO_MASK => bytes.extend(payload),
        key => bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key)),
    }
    bytes
}

/// A frame's header.
pub fn header(first: u8, payload_bytes: u64, mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload_bytes {
        0..126 => bytes.push(masked | payload_bytes as u8),
        126..65_536 => {
            bytes.push(masked | 126);
            bytes.extend((payload_bytes as u16).to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend(payload_bytes.to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    bytes
}

/// A bare WebSocket, either end.
pub struct Raw {
    pub stream: TcpStream,
    pub mask: Option<[u8; 4]>,
}

impl Raw {
    pub async fn connect(address: SocketAddr, path: &str) -> Self {
        Self::connect_with(address, path, &[]).await
    }

    /// Connects and sends `early` in the same packet as the handshake.
    pub async fn connect_with(address: SocketAddr, path: &str, early: &[u8]) -> Self {
        Self::connect_by(address, path, "", early).await
    }

    /// Connects with more headers.
    pub async fn connect_by(address: SocketAddr, path: &str, headers: &str, early: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut text = format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\n{UPGRADE}{headers}Origin: https://evil.test\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: chat\r\n\r\n").into_bytes();
        text.extend(early);
        stream.write_all(&text).await.unwrap();
        let head = timeout(SOON, read_head(&mut stream)).await.unwrap().unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let lower = head.to_ascii_lowercase();
        assert!(lower.contains(&format!("sec-websocket-accept: {}", ACCEPT.to_ascii_lowercase())), "{head}");
        assert!(!lower.contains("extensions") && !lower.contains("protocol:"), "nothing is invented: {head}");
        Self { stream, mask: Some([0x11, 0x22, 0x33, 0x44]) }
    }

    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let bytes = frame(0x80 | opcode, payload, self.mask);
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub async fn text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    /// The next frame; `None` when the other end is gone.
    pub async fn try_next(&mut self) -> Option<Frame> {
        timeout(SOON, read_frame(&mut self.stream)).await.expect("a frame in time").ok()
    }

    pub async fn next(&mut self) -> Frame {
        self.try_next().await.expect("a frame, not an end")
    }

    /// The next frame that is no ping; pings are answered.
    pub async fn next_answering(&mut self) -> Frame {
        loop {
            let frame = self.next().await;
            if frame.opcode != PING {
                return frame;
            }
            self.send(PONG, &frame.payload).await;
        }
    }

    pub async fn is_over(&mut self) -> bool {
        let mut byte = [0];
        matches!(timeout(SOON, self.stream.read(&mut byte)).await.expect("an end in time"), Ok(0) | Err(_))
    }
}

async fn read_frame(stream: &mut TcpStream) -> std::io::Result<Frame> {
    let mut two = [0; 2];
    stream.read_exact(&mut two).await?;
    let length = match two[1] & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    let masked = two[1] & 0x80 != 0;
    let mut key = [0; 4];
    if masked {
        stream.read_exact(&mut key).await?;
    }
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    if key != NO_MASK {
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    Ok(Frame { is_final: two[0] & 0x80 != 0, opcode: two[0] & 0x0f, masked, payload })
}

/// A scripted browser: answers handshakes and hands the bare sockets to the test.
pub struct Browser {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl Browser {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// The next connection and its request's head.
    pub async fn accept(&self) -> (TcpStream, String) {
        let (mut stream, _) = timeout(SOON, self.listener.accept()).await.expect("a connection in time").unwrap();
        stream.set_nodelay(true).unwrap();
        let head = timeout(SOON, read_head(&mut stream)).await.unwrap().unwrap();
        (stream, head)
    }

    /// The next connection as a WebSocket, with `early` in the same packet as the answer.
    pub async fn socket_with(&self, early: &[u8]) -> (Raw, String) {
        let (mut stream, head) = self.accept().await;
        let mut answer = format!("HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n").into_bytes();
        answer.extend(early);
        stream.write_all(&answer).await.unwrap();
        (Raw { stream, mask: None }, head)
    }

    pub async fn socket(&self) -> Raw {
        self.socket_with(&[]).await.0
    }
}

/// A gateway before a scripted browser, and one client joined to it.
pub async fn joined(config: GatewayConfig) -> (Fixture, Browser, Raw, Raw) {
    let browser = Browser::new().await;
    let fixture = Fixture::with(browser.address, config, PublicUrl::FromRequest { trust_proxy: false }).await;
    let (client, socket) = tokio::join!(fixture.connect(), browser.socket());
    (fixture, browser, client, socket)
}
