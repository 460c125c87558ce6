//! A request's body as it comes off a connection.
//!
//! Whoever answers without reading it (a refusal by key, rate or path, a body over its limit) drops it, and the rest is read
//! and thrown away meanwhile: a client that is still sending when its connection closes sees a reset instead of the answer.
//! Bounded in bytes and time, and over when the client pauses.

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes that are thrown away before the client is cut off.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Time for all of them.
const DISCARDED_TIME_MAX: Duration = Duration::from_secs(30);
/// A client that pauses for so long is not in the middle of sending, and can be cut off.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A body that leaves nothing unread.
pub struct Whole {
    body: Option<Incoming>,
    /// The client sends when it is told to, which reading does. Before that there is nothing to throw away.
    awaited: bool,
}

impl Whole {
    /// The body of a request with this head.
    pub fn new(body: Incoming, headers: &HeaderMap) -> Self {
        Self { body: Some(body), awaited: headers.contains_key(EXPECT) }
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.awaited = false;
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !self.awaited && !body.is_end_stream());
        let Some(rest) = rest.filter(|body| body.size_hint().lower() <= DISCARDED_BYTES_MAX as u64) else { return };
        // Without a runtime the server is gone already.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Ends with the connection at the latest.
            runtime.spawn(timeout(DISCARDED_TIME_MAX, discard(rest)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut discarded = 0;
    while let Ok(Some(Ok(frame))) = timeout(PAUSE_MAX, body.frame()).await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > DISCARDED_BYTES_MAX {
            return;
        }
    }
}
