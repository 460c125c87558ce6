//! A proxy of the test's own: HTTP CONNECT, the same over TLS, or SOCKS5, with or without credentials. It resolves every
//! name to loopback, so a page under a name that nobody else knows came through it.

use super::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The name under which sessions reach it, by the operator's exception.
pub const HOST: &str = "proxy.test";
pub const USER: &str = "someone";
pub const PASSWORD: &str = "p@ss:word";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Https,
    Socks5,
}

/// The proxy; gone when dropped.
pub struct Proxy {
    pub port: u16,
    protocol: Protocol,
    asked: Asked,
    serving: JoinHandle<()>,
}

/// Destinations that it was asked for, and `refused` for wrong credentials.
type Asked = Arc<Mutex<Vec<String>>>;

impl Proxy {
    pub async fn start(protocol: Protocol, with_credentials: bool, authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Asked::default();
        let (notes, acceptor) = (asked.clone(), authority.acceptor.clone());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (notes, acceptor) = (notes.clone(), acceptor.clone());
                // A client that breaks off is its own affair.
                tokio::spawn(async move {
                    match protocol {
                        Protocol::Http => http_connect(stream, with_credentials, notes).await,
                        Protocol::Https => http_connect(acceptor.accept(stream).await?, with_credentials, notes).await,
                        Protocol::Socks5 => socks5(stream, with_credentials, notes).await,
                    }
                });
            }
        });
        Self { port, protocol, asked, serving }
    }

    /// The field of the request for a session through it.
    pub fn field(&self, credentials: Option<(&str, &str)>) -> serde_json::Value {
        let protocol = match self.protocol {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Socks5 => "socks5",
        };
        let mut field = serde_json::json!({ "protocol": protocol, "host": HOST, "port": self.port });
        if let Some((username, password)) = credentials {
            field["username"] = username.into();
            field["password"] = password.into();
        }
        field
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn note(asked: &Asked, what: String) {
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(what);
}

async fn http_connect(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    with_credentials: bool,
    asked: Asked,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let Some(target) = lines.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned) else { return Ok(()) };
    let right = format!("basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let shown = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
    });
    let welcome = !with_credentials
        || shown.is_some_and(|shown| {
            shown.split_once(' ').is_some_and(|(kind, value)| format!("{} {value}", kind.to_lowercase()) == right)
        });
    if !welcome {
        note(&asked, "refused".to_owned());
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
    }
    note(&asked, target.clone());
    let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
    let mut outside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut stream, &mut outside).await.map(drop)
}

async fn socks5(mut stream: TcpStream, with_credentials: bool, asked: Asked) -> io::Result<()> {
    const NONE: u8 = 0;
    const PASSWORD_METHOD: u8 = 2;
    let [_, count] = read_array(&mut stream).await?;
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await?;
    let wanted = if with_credentials { PASSWORD_METHOD } else { NONE };
    if !methods.contains(&wanted) {
        note(&asked, "refused".to_owned());
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, wanted]).await?;
    if with_credentials {
        let [_version] = read_array(&mut stream).await?;
        let shown = (read_text(&mut stream).await?, read_text(&mut stream).await?);
        let welcome = shown == (USER.to_owned(), PASSWORD.to_owned());
        stream.write_all(&[1, u8::from(!welcome)]).await?;
        if !welcome {
            note(&asked, "refused".to_owned());
            return Ok(());
        }
    }
    let [_, _, _, kind] = read_array(&mut stream).await?;
    let host = match kind {
        1 => Ipv4Addr::from(read_array::<4>(&mut stream).await?).to_string(),
        3 => read_text(&mut stream).await?,
        _ => "an address of another kind".to_owned(),
    };
    let port = u16::from_be_bytes(read_array(&mut stream).await?);
    note(&asked, format!("{host}:{port}"));
    let mut outside = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut outside).await.map(drop)
}

async fn read_array<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A length of one byte, then as many bytes.
async fn read_text(stream: &mut TcpStream) -> io::Result<String> {
    let [length] = read_array(stream).await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
