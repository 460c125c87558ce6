//! All that a browser says on one connection, whatever session it is about, in the order in which it was said: for who keeps
//! the record of something. Bounded by bytes; what a reader that lags loses is counted.

use crate::error::Closed;
use crate::events::Missed;
use crate::protocol::target::SessionId;
use crate::wire::Event;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Every event of a connection.
pub struct Feed {
    queue: mpsc::UnboundedReceiver<Told>,
    held: Arc<AtomicUsize>,
}

/// One event, not decoded yet.
#[derive(Debug)]
pub struct Heard {
    /// None: of the browser itself.
    pub session: Option<SessionId>,
    pub method: String,
    params: Bytes,
}

enum Told {
    Heard(Heard),
    Lost,
    Closed(Closed),
}

/// Where the connection puts what it hears.
pub(crate) struct FeedEnd {
    queue: mpsc::UnboundedSender<Told>,
    held: Arc<AtomicUsize>,
    bytes_max: usize,
    losing: bool,
}

impl FeedEnd {
    pub fn new(bytes_max: usize) -> (FeedEnd, Feed) {
        let (sender, queue) = mpsc::unbounded_channel();
        let held = Arc::<AtomicUsize>::default();
        (FeedEnd { queue: sender, held: held.clone(), bytes_max, losing: false }, Feed { queue, held })
    }

    pub fn is_abandoned(&self) -> bool {
        self.queue.is_closed()
    }

    pub fn hear(&mut self, session: Option<&str>, method: &str, params: Bytes) {
        let bytes = weight(method, &params);
        if self.held.load(Ordering::Relaxed) + bytes > self.bytes_max {
            // One mark for a row of losses: the queue stays bounded.
            if !self.losing {
                let _ = self.queue.send(Told::Lost);
            }
            self.losing = true;
            return;
        }
        self.losing = false;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        let session = session.map(|session| SessionId(session.to_owned()));
        let _ = self.queue.send(Told::Heard(Heard::new(session, method.to_owned(), params)));
    }

    pub fn close(self, closed: Closed) {
        let _ = self.queue.send(Told::Closed(closed));
    }
}

/// What an event takes in memory, about.
fn weight(method: &str, params: &Bytes) -> usize {
    size_of::<Told>() + method.len() + params.len()
}

impl Feed {
    /// Waits for the next event. After `Lost` more may come, after `Closed` nothing does.
    pub async fn next(&mut self) -> Result<Heard, Missed> {
        match self.queue.recv().await {
            Some(Told::Heard(heard)) => {
                self.held.fetch_sub(weight(&heard.method, &heard.params), Ordering::Relaxed);
                Ok(heard)
            }
            Some(Told::Lost) => Err(Missed::Lost(1)),
            Some(Told::Closed(closed)) => Err(Missed::Closed(closed)),
            None => Err(Missed::Closed(Closed::Here)),
        }
    }
}

impl Heard {
    pub(crate) fn new(session: Option<SessionId>, method: String, params: Bytes) -> Heard {
        Heard { session, method, params }
    }

    /// The event, when it is this kind.
    pub fn read<E: Event>(&self) -> Result<E, Missed> {
        serde_json::from_slice(&self.params)
            .map_err(|error| Missed::Malformed { method: E::METHOD, why: error.to_string() })
    }

    /// Length of its parameters, in bytes.
    pub fn bytes(&self) -> usize {
        self.params.len()
    }
}
