//! One WebSocket to one browser: a task that reads and writes, a table of who waits for which answer.

use crate::error::{CdpError, Closed};
use crate::events::{Delivery, Events, Several, Subscription};
use crate::feed::{Feed, FeedEnd};
use crate::protocol::target::{AttachToTarget, DetachedFromTarget, SessionId, TargetId};
use crate::wire::{Command, Event, Incoming, Refusal, Request, slice};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

/// How long a call may take unless `call_within` says otherwise.
pub const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long the browser may take to accept the WebSocket.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long the browser may take to answer our close frame.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Requests that wait to be written; callers beyond that wait within their own time limit.
const REQUESTS_QUEUED_MAX: usize = 64;
/// Chromium itself closes a connection on which more waits to be written.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Read buffer: small, since most connections idle and a large message grows its own.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A handle to the connection; clones share it. When the last one is dropped the WebSocket is closed.
#[derive(Clone)]
pub struct Connection {
    requests: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    ended: watch::Receiver<Option<Closed>>,
}

/// A flat session: the same connection, addressed at one target.
#[derive(Clone)]
pub struct Session {
    connection: Connection,
    id: SessionId,
}

struct Shared {
    next_id: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    waiters: HashMap<u64, Waiter>,
    subscriptions: Vec<Subscription>,
    feeds: Vec<FeedEnd>,
    closed: Option<Closed>,
}

struct Waiter {
    session: Option<String>,
    answer: oneshot::Sender<Answer>,
}

enum Answer {
    Result(Bytes),
    Refused(Refusal),
    Detached,
    Closed(Closed),
}

impl Connection {
    /// Opens the DevTools WebSocket at `path` (`/devtools/browser/UUID`) over `stream`.
    pub async fn new<S>(stream: S, path: &str) -> Result<Connection, CdpError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let config = WebSocketConfig::default()
            .max_message_size(Some(ANSWER_BYTES_MAX))
            .max_frame_size(Some(ANSWER_BYTES_MAX))
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0);
        // Chromium answers only when the host is an address or `localhost` (its guard against DNS rebinding).
        let url = format!("ws://localhost{path}");
        let handshake = tokio_tungstenite::client_async_with_config(url, stream, Some(config));
        let socket = match tokio::time::timeout(HANDSHAKE_LIMIT, handshake).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(error)) => return Err(CdpError::Handshake(error.to_string())),
            Err(_) => return Err(CdpError::Handshake(format!("no answer within {HANDSHAKE_LIMIT:?}"))),
        };
        let (requests, queue) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let (ending, ended) = watch::channel(None);
        let shared = Arc::new(Shared { next_id: AtomicU64::new(1), table: Mutex::default() });
        // Ends with the WebSocket or when the last handle (the last sender of the queue) is gone.
        tokio::spawn(serve(socket, queue, shared.clone(), ending));
        Ok(Connection { requests, shared, ended })
    }

    /// Calls the browser itself.
    pub async fn call<C: Command>(&self, command: C) -> Result<C::Response, CdpError> {
        self.send(None, &command, CALL_LIMIT, ANSWER_BYTES_MAX).await
    }

    /// Calls the browser itself with a time limit of its own.
    pub async fn call_within<C: Command>(&self, limit: Duration, command: C) -> Result<C::Response, CdpError> {
        self.send(None, &command, limit, ANSWER_BYTES_MAX).await
    }

    /// Attaches to a target.
    pub async fn attach(&self, target: &TargetId) -> Result<Session, CdpError> {
        let answer = self.call(AttachToTarget { target_id: target.clone(), flatten: Some(true) }).await?;
        Ok(self.session(answer.session_id))
    }

    /// A handle for a session that exists already (auto-attach announces them).
    pub fn session(&self, id: SessionId) -> Session {
        Session { connection: self.clone(), id }
    }

    /// Events of the browser itself. Subscribe before the command that causes them.
    pub fn events<E: Event>(&self) -> Events<E> {
        self.subscribe(None)
    }

    /// Every event of every session, as long as no more than `bytes_max` wait. For a connection of one's own.
    pub fn feed(&self, bytes_max: usize) -> Feed {
        let (end, feed) = FeedEnd::new(bytes_max);
        let mut table = self.shared.table();
        match &table.closed {
            Some(closed) => end.close(closed.clone()),
            None => table.feeds.push(end),
        }
        feed
    }

    /// Whether calls can still be answered.
    pub fn is_open(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Waits until the connection has ended and says why.
    pub async fn closed(&self) -> Closed {
        let mut ended = self.ended.clone();
        let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or(Closed::Here)
    }

    /// Closes the WebSocket for every handle and waits until it is gone.
    pub async fn close(&self) {
        // Fails only when it is closed already.
        let _ = self.requests.send(Message::Close(None)).await;
        self.closed().await;
    }

    async fn send<C: Command>(
        &self,
        session: Option<&str>,
        command: &C,
        limit: Duration,
        bytes_max: usize,
    ) -> Result<C::Response, CdpError> {
        let method = C::METHOD;
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let request = serde_json::to_string(&Request { id, method, params: command, session_id: session })
            .map_err(|error| CdpError::Encode { method, why: error.to_string() })?;
        let mut waiting = self.shared.wait(id, session)?;
        let exchange = async {
            // A failed send means that the task has ended; then it has answered the waiter too.
            let _ = self.requests.send(Message::text(request)).await;
            (&mut waiting.answer).await.unwrap_or(Answer::Closed(Closed::Here))
        };
        let answer = tokio::time::timeout(limit, exchange).await.map_err(|_| CdpError::TimedOut { method, limit })?;
        match answer {
            Answer::Result(result) if result.len() > bytes_max => Err(CdpError::TooLarge { method, bytes_max }),
            Answer::Result(result) => {
                serde_json::from_slice(&result).map_err(|error| CdpError::Malformed { method, why: error.to_string() })
            }
            Answer::Refused(Refusal { code, message }) => Err(CdpError::Refused { method, code, message }),
            Answer::Detached => Err(CdpError::Detached),
            Answer::Closed(closed) => Err(CdpError::Closed(closed)),
        }
    }

    fn subscribe<E: Event>(&self, session: Option<String>) -> Events<E> {
        let (subscription, events) = Subscription::new(session);
        self.shared.add(subscription);
        events
    }
}

impl Session {
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Calls the session's target.
    pub async fn call<C: Command>(&self, command: C) -> Result<C::Response, CdpError> {
        self.connection.send(Some(&self.id.0), &command, CALL_LIMIT, ANSWER_BYTES_MAX).await
    }

    /// Calls the session's target with a time limit of its own.
    pub async fn call_within<C: Command>(&self, limit: Duration, command: C) -> Result<C::Response, CdpError> {
        self.connection.send(Some(&self.id.0), &command, limit, ANSWER_BYTES_MAX).await
    }

    /// The same; an answer of more than `bytes_max` is thrown away unread: read, it may take a hundred times as much.
    pub async fn call_bounded<C: Command>(
        &self,
        limit: Duration,
        bytes_max: usize,
        command: C,
    ) -> Result<C::Response, CdpError> {
        self.connection.send(Some(&self.id.0), &command, limit, bytes_max).await
    }

    /// Events of the session's target. Subscribe before the command that causes them.
    pub fn events<E: Event>(&self) -> Events<E> {
        self.connection.subscribe(Some(self.id.0.clone()))
    }

    /// Events of several kinds in one order. Subscribe before the command that causes them.
    pub fn several(&self, methods: &'static [&'static str]) -> Several {
        let (subscription, events) = Subscription::several(Some(self.id.0.clone()), methods);
        self.connection.shared.add(subscription);
        events
    }
}

/// Gives its place in the table back when the call ends, however it ends.
struct Waiting<'a> {
    shared: &'a Shared,
    id: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.table().waiters.remove(&self.id);
    }
}

impl Shared {
    /// The table is consistent between any two statements, so a panic elsewhere does not spoil it.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, subscription: Subscription) {
        let mut table = self.table();
        match &table.closed {
            Some(closed) => subscription.deliver(Delivery::Closed(closed.clone())),
            None => table.subscriptions.push(subscription),
        }
    }

    fn wait(&self, id: u64, session: Option<&str>) -> Result<Waiting<'_>, CdpError> {
        let (sender, answer) = oneshot::channel();
        let mut table = self.table();
        if let Some(closed) = &table.closed {
            return Err(CdpError::Closed(closed.clone()));
        }
        table.waiters.insert(id, Waiter { session: session.map(str::to_owned), answer: sender });
        Ok(Waiting { shared: self, id, answer })
    }

    /// One message of the browser, to whoever waits for it. `Err` when it is not the protocol.
    fn receive(&self, message: Bytes) -> Result<(), Closed> {
        let incoming: Incoming =
            serde_json::from_slice(&message).map_err(|error| Closed::Garbage(error.to_string()))?;
        let mut table = self.table();
        if let Some(id) = incoming.id {
            // Nobody waits any more when the caller gave up; the answer is of no use then.
            if let Some(waiter) = table.waiters.remove(&id) {
                let answer = match incoming.error {
                    Some(refusal) => Answer::Refused(refusal),
                    None => Answer::Result(slice(&message, incoming.result)),
                };
                let _ = waiter.answer.send(answer);
            }
        } else if let Some(method) = incoming.method {
            let session = incoming.session_id.as_deref();
            table.publish(session, &method, || slice(&message, incoming.params));
            if method == DetachedFromTarget::METHOD
                && let Some(params) = incoming.params
                && let Ok(detached) = serde_json::from_str::<DetachedFromTarget>(params.get())
            {
                table.detach(&detached.session_id.0);
            }
        } else if let Some(refusal) = incoming.error {
            tracing::debug!(?refusal, "the browser refused a message without naming it");
        }
        Ok(())
    }

    fn end(&self, closed: &Closed) {
        let mut table = self.table();
        table.closed = Some(closed.clone());
        for (_, waiter) in table.waiters.drain() {
            let _ = waiter.answer.send(Answer::Closed(closed.clone()));
        }
        for subscription in table.subscriptions.drain(..) {
            subscription.deliver(Delivery::Closed(closed.clone()));
        }
        table.feeds.drain(..).for_each(|feed| feed.close(closed.clone()));
    }
}

impl Table {
    fn publish(&mut self, session: Option<&str>, method: &str, params: impl Fn() -> Bytes) {
        self.subscriptions.retain(|subscription| {
            let Some(method) = subscription.wants(session, method) else { return true };
            subscription.deliver(Delivery::Event(method, params()));
            !subscription.is_abandoned()
        });
        self.feeds.retain_mut(|feed| {
            feed.hear(session, method, params());
            !feed.is_abandoned()
        });
    }

    /// Chromium never answers what was under way in a detached session.
    fn detach(&mut self, session: &str) {
        let orphans = self.waiters.extract_if(|_, waiter| waiter.session.as_deref() == Some(session));
        for (_, waiter) in orphans {
            let _ = waiter.answer.send(Answer::Detached);
        }
        self.subscriptions.retain(|subscription| {
            let of_session = subscription.session.as_deref() == Some(session);
            if of_session {
                subscription.deliver(Delivery::Detached);
            }
            !of_session
        });
    }
}

/// Reads and writes until either ends. Both are polled by one task but neither waits for the other: a browser that does
/// not read must still be listened to.
async fn serve<S>(
    socket: WebSocketStream<S>,
    queue: mpsc::Receiver<Message>,
    shared: Arc<Shared>,
    ending: watch::Sender<Option<Closed>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sink, stream) = socket.split();
    let mut reading = std::pin::pin!(read(stream, &shared));
    let closed = tokio::select! {
        closed = &mut reading => closed,
        failed = write(sink, queue) => match failed {
            Some(error) => Closed::Lost(error.to_string()),
            None => {
                // The close frame is out; what the browser still sends before its own is delivered.
                let _ = tokio::time::timeout(CLOSE_LIMIT, &mut reading).await;
                Closed::Here
            }
        },
    };
    shared.end(&closed);
    ending.send_replace(Some(closed));
}

async fn read<S>(mut stream: SplitStream<WebSocketStream<S>>, shared: &Shared) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let received = match stream.next().await {
            Some(Ok(Message::Text(text))) => shared.receive(text.into()),
            Some(Ok(Message::Binary(_))) => Err(Closed::Garbage("a binary message".into())),
            Some(Ok(Message::Close(frame))) => Err(match frame {
                Some(frame) => Closed::There { code: frame.code.into(), reason: frame.reason.to_string() },
                None => Closed::There { code: 1005, reason: String::new() },
            }),
            Some(Ok(_)) => Ok(()),
            Some(Err(SocketError::Protocol(error))) => Err(Closed::Garbage(error.to_string())),
            Some(Err(SocketError::Utf8(error))) => Err(Closed::Garbage(error.to_string())),
            Some(Err(error)) => Err(Closed::Lost(error.to_string())),
            None => Err(Closed::Lost("the stream ended".into())),
        };
        if let Err(closed) = received {
            return closed;
        }
    }
}

/// Writes what is queued; ends after a close frame (its own when every handle is gone) or with the error.
async fn write<S>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut queue: mpsc::Receiver<Message>,
) -> Option<SocketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = queue.recv().await.unwrap_or(Message::Close(None));
        let last = message.is_close();
        if let Err(error) = sink.send(message).await {
            return Some(error);
        }
        if last {
            return None;
        }
    }
}
