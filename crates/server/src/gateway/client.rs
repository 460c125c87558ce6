//! The client's side of a connection: its WebSocket handshake, and its socket afterwards.

use super::ByteStream;
use super::refusal::Refusal;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;
use vitrine_model::{Code, Error};

/// What a server adds to the client's key before it hashes it (RFC 6455, 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a key before base64.
const KEY_BYTES: usize = 16;

/// A good handshake of a client.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) key: HeaderValue,
    pub(super) accept: String,
}

impl Handshake {
    /// Checks a request's handshake.
    pub(super) fn of(request: &request::Parts) -> Result<Self, Refusal> {
        let headers = &request.headers;
        if !names(headers, UPGRADE, "websocket") || !names(headers, CONNECTION, "upgrade") {
            return Err(Refusal::upgrade_required("Connection: Upgrade and Upgrade: websocket"));
        }
        if request.method != Method::GET {
            return Err(Error::new(Code::MethodNotAllowed, "a WebSocket is opened by GET").into());
        }
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(Refusal::upgrade_required("Sec-WebSocket-Version: 13"));
        }
        let key = headers
            .get(SEC_WEBSOCKET_KEY)
            .filter(|key| STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == KEY_BYTES));
        let key = key.ok_or_else(|| Error::invalid("Sec-WebSocket-Key", "expected 16 bytes in base64"))?.clone();
        let hash = Sha1::new().chain_update(key.as_bytes()).chain_update(KEY_SUFFIX).finalize();
        Ok(Self { key, accept: STANDARD.encode(hash) })
    }

    /// The answer that makes the connection a WebSocket. It names no subprotocol and no extension: the browser knows none.
    pub(super) fn answer(self) -> Result<Response, http::Error> {
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_ACCEPT, self.accept)
            .body(Body::empty())
    }
}

/// The client's bare socket and what it sent already; the upgraded connection itself where it was served over something else.
pub(super) fn take_apart(upgraded: Upgraded) -> (Box<dyn ByteStream>, Bytes) {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let stream = parts.io.into_inner();
            // Without it a small message waits for the acknowledgement of the one before; a socket that refuses still works.
            let _ = stream.set_nodelay(true);
            (Box::new(stream), parts.read_buf)
        }
        Err(upgraded) => (Box::new(TokioIo::new(upgraded)), Bytes::new()),
    }
}

/// Whether a comma-separated header names `word`.
fn names(headers: &HeaderMap, header: HeaderName, word: &str) -> bool {
    let values = headers.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}
