//! The browser's side of a connection: HTTP over a dialled stream, as Chromium wants it.
//!
//! Chromium refuses a `Host` that is a name other than `localhost` and any `Origin`, and would compress when offered to; so the
//! requests here carry the one and never the others.

use super::refusal::Refusal;
use super::{ByteStream, Connected};
use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, select};
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;
use vitrine_model::{EndReason, Error};

/// A browser that is busy (a machine under load, a first page starting) answers within this.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// The largest answer is the protocol's description, 1.6 MB today.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What the browser answered to a question.
pub(super) type Answer = http::Response<Bytes>;

/// A browser that has become a WebSocket.
pub(super) struct Socket {
    pub(super) stream: Box<dyn ByteStream>,
    pub(super) early: Bytes,
    pub(super) ending: BoxFuture<'static, EndReason>,
}

/// Asks one of Chrome's questions.
pub(super) async fn ask(connected: Connected, method: Method, path_and_query: &str) -> Result<Answer, Refusal> {
    let request = request(method, path_and_query)?;
    within(exchange(connected.stream, |mut sender| async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok(http::Response::from_parts(parts, body))
    }))
    .await
}

/// Opens the WebSocket at `path` with the client's own key, so that one answer fits both.
pub(super) async fn open(connected: Connected, path: &str, key: &HeaderValue, accept: &str) -> Result<Socket, Refusal> {
    let Connected { stream, ending, .. } = connected;
    let mut request = request(Method::GET, path)?;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key.clone());
    let opened = within(exchange(stream, |mut sender| async move {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Err(response.status()));
        }
        if response.headers().get(SEC_WEBSOCKET_ACCEPT).is_none_or(|answer| answer != accept) {
            return Err("the browser answered another handshake".into());
        }
        Ok(Ok(hyper::upgrade::on(response).await?))
    }))
    .await?;
    match opened {
        Ok(upgraded) => {
            let (stream, early) = take_apart(upgraded);
            Ok(Socket { stream, early, ending })
        }
        // Chromium answers 404 for a path and 500 for a target that it does not have.
        Err(StatusCode::NOT_FOUND | StatusCode::INTERNAL_SERVER_ERROR) => Err(Error::not_found("target").into()),
        Err(status) => Err(Refusal::bad_gateway("the browser refused the connection", status)),
    }
}

fn request(method: Method, path_and_query: &str) -> Result<Request<Empty<Bytes>>, Refusal> {
    Request::builder()
        .method(method)
        .uri(path_and_query)
        .header(HOST, HeaderValue::from_static("localhost"))
        .body(Empty::new())
        .map_err(|_| Error::invalid("url", "expected a URL without characters that a request line cannot carry").into())
}

async fn within<T>(exchange: impl Future<Output = Result<T, Cause>>) -> Result<T, Refusal> {
    match timeout(ANSWER_TIME_MAX, exchange).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(cause)) => Err(Refusal::bad_gateway("the browser did not answer", cause)),
        Err(_) => Err(Refusal::bad_gateway("the browser did not answer in time", "no answer")),
    }
}

/// Drives an HTTP connection for as long as `talk` takes.
pub(super) async fn exchange<T, F>(
    stream: Box<dyn ByteStream>,
    talk: impl FnOnce(SendRequest<Empty<Bytes>>) -> F,
) -> Result<T, Cause>
where
    F: Future<Output = Result<T, Cause>>,
{
    let (sender, connection) = Builder::new().handshake(TokioIo::new(stream)).await?;
    match select(pin!(talk(sender)), pin!(connection.with_upgrades())).await {
        Either::Left((answer, _)) => answer,
        // The connection is over when it was upgraded or closed; what it brought is there.
        Either::Right((_, talk)) => talk.await,
    }
}

pub(super) fn take_apart(upgraded: Upgraded) -> (Box<dyn ByteStream>, Bytes) {
    match upgraded.downcast::<TokioIo<Box<dyn ByteStream>>>() {
        Ok(parts) => (parts.io.into_inner(), parts.read_buf),
        Err(upgraded) => (Box::new(TokioIo::new(upgraded)), Bytes::new()),
    }
}
