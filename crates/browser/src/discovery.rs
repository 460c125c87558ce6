//! Chromium's discovery over HTTP: `/json/version` on the DevTools port. Assumes that the port is Chromium's; promises a
//! bounded answer within the caller's time.

use crate::error::BrowserError;
use crate::host::Host;
use serde::Deserialize;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// DevTools listens here, on the loopback of the capsule's own network namespace.
pub const DEVTOOLS_PORT: u16 = 9222;
/// `/json/version` is half a KiB; whatever is larger is not Chromium's.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What the browser says of itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Version {
    #[serde(rename = "Browser")]
    pub product: String,
    #[serde(rename = "User-Agent")]
    pub user_agent: String,
    #[serde(rename = "Protocol-Version")]
    pub protocol_version: String,
    #[serde(rename = "webSocketDebuggerUrl")]
    websocket_url: String,
}

impl Version {
    /// `/devtools/browser/UUID`: the path of the WebSocket's URL.
    pub fn websocket_path(&self) -> Option<&str> {
        let (_, rest) = self.websocket_url.split_once("://")?;
        rest.find('/').map(|slash| &rest[slash..])
    }
}

/// Asks the browser who it is. The answer comes from the browser's main thread, so it is a proof of life too.
pub(crate) async fn version(host: &dyn Host) -> Result<Version, BrowserError> {
    let body = get(host, "/json/version").await.map_err(|error| BrowserError::Unreachable(error.to_string()))?;
    serde_json::from_slice(&body).map_err(|error| BrowserError::Unreachable(error.to_string()))
}

async fn get(host: &dyn Host, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = host.dial(DEVTOOLS_PORT).await?;
    // Chromium answers only to an address or `localhost` (its guard against DNS rebinding).
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut reader = BufReader::new(stream.take(ANSWER_BYTES_MAX));
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    if line.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(format!("{path} answered {:?}", line.trim())));
    }
    let mut length = None;
    loop {
        line.clear();
        if reader.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok(),
            Some(_) => {}
            None => break,
        }
    }
    // Chromium keeps the connection open: without a length the end is never seen.
    let length: u64 = length.ok_or_else(|| io::Error::other(format!("{path} answered without a length")))?;
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).await?;
    Ok(body)
}
