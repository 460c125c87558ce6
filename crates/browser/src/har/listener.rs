//! The task that hears what the browser says of the network, sorts it by request and writes down what has ended.

use super::archive::Page;
use super::attach_to_all;
use super::exchange::{Body, Exchange, Hop};
use super::pages::{self, Pages};
use super::socket::Socket;
use super::spool::{self, BODIES_UNTIL_BYTES, Line, Spool};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use vitrine_cdp::protocol::network::*;
use vitrine_cdp::protocol::runtime::RunIfWaitingForDebugger;
use vitrine_cdp::protocol::target::{AttachedToTarget, DetachedFromTarget, SessionId};
use vitrine_cdp::{Connection, Event, Feed, Heard, Missed, Session};
use vitrine_model::HarSpec;

/// How long what has ended waits for the network's own events.
const EXTRA_LIMIT: Duration = Duration::from_secs(2);
/// Requests under way that are followed; beyond, the oldest is written down as it is.
const EXCHANGES_MAX: usize = 4000;
/// Bytes of events that they hold.
const EXCHANGE_BYTES_MAX: usize = 64 << 20;
/// WebSockets that are followed.
const SOCKETS_MAX: usize = 200;
/// Bodies that are asked for or wait to be; beyond, an entry goes without.
const BODIES_WAITING_MAX: usize = 500;
/// Memory for bodies and lines on their way to the disk, in KiB.
const MEMORY_KIB: usize = 64 << 10;
/// Longest body whatever a session asks for: what memory lets through several at once.
const BODY_BYTES_MAX: u64 = 16 << 20;
/// Longest request body that Chromium tells.
const POST_BYTES_MAX: u64 = 1 << 20;
/// What Chromium keeps of bodies until we ask, in bytes, for each target.
const KEPT_BYTES: i64 = 48 << 20;
/// A page that runs a script without end does not answer before it is through.
const ATTACH_LIMIT: Duration = Duration::from_secs(2);
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How long the end waits for bodies.
const FINISH_LIMIT: Duration = Duration::from_secs(5);
/// Pages whose end of loading is waited for.
const PAGES_LOADING_MAX: usize = 100;

/// What was waited for beside events.
enum Done {
    Body(Box<Hop>, Body, Option<OwnedSemaphorePermit>),
    Page(Option<Page>),
    Attached,
}

pub struct Listener {
    connection: Connection,
    spool: Spool,
    spec: HarSpec,
    pages: Pages,
    exchanges: HashMap<RequestId, (u64, Exchange)>,
    exchange_bytes: usize,
    exchanges_ever: u64,
    sockets: HashMap<RequestId, (SessionId, Socket)>,
    /// Looked at again at that moment.
    overdue: VecDeque<(Instant, RequestId)>,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    attaching: usize,
    bodies_waiting: usize,
    pages_loading: usize,
    memory: Arc<Semaphore>,
}

impl Listener {
    pub fn new(connection: Connection, spool: Spool, spec: HarSpec, pages: usize) -> Listener {
        let body_bytes_max = spec.body_bytes_max.min(BODY_BYTES_MAX);
        Listener {
            connection,
            spool,
            spec: HarSpec { body_bytes_max, ..spec },
            pages: Pages::new(pages),
            exchanges: HashMap::new(),
            exchange_bytes: 0,
            exchanges_ever: 0,
            sockets: HashMap::new(),
            overdue: VecDeque::new(),
            under_way: FuturesUnordered::new(),
            attaching: 0,
            bodies_waiting: 0,
            pages_loading: 0,
            memory: Arc::new(Semaphore::new(MEMORY_KIB)),
        }
    }

    /// Listens until it is stopped or the browser is gone; then writes down what is left.
    pub async fn run(mut self, mut feed: Feed, mut stopped: oneshot::Receiver<()>) -> io::Result<()> {
        loop {
            tokio::select! {
                open = self.turn(&mut feed) => if !open { break },
                _ = &mut stopped => break,
            }
        }
        while let Some(Ok(heard)) = feed.next().now_or_never() {
            self.hear(heard);
        }
        self.finish().await
    }

    /// Waits until the targets that there were are followed: what they ask for from now on is heard.
    pub async fn settle_in(&mut self, feed: &mut Feed) {
        let all = async {
            while let Some(Ok(heard)) = feed.next().now_or_never() {
                self.hear(heard);
            }
            while self.attaching > 0 && self.turn(feed).await {}
        };
        if timeout(ATTACH_LIMIT, all).await.is_err() {
            tracing::debug!("a target is too busy to say what it asks for");
        }
    }

    /// Waits for one thing and does what it asks for. False when nothing more will come. Loses nothing when given up.
    async fn turn(&mut self, feed: &mut Feed) -> bool {
        let due = self.overdue.front().map(|(due, _)| *due);
        tokio::select! {
            heard = feed.next() => match heard {
                Ok(heard) => self.hear(heard),
                Err(Missed::Closed(_)) => return false,
                Err(_) => self.put(&Line::Missing("events came faster than they could be read")),
            },
            Some(done) = self.under_way.next() => self.done(done),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.look_again(),
        }
        true
    }

    async fn finish(mut self) -> io::Result<()> {
        let ids: Vec<_> = self.exchanges.keys().cloned().collect();
        ids.iter().for_each(|id| self.give_up(id));
        for (_, (_, socket)) in std::mem::take(&mut self.sockets) {
            self.put(&Line::Entry(Box::new(socket.entry(self.spec.secrets_kept))));
        }
        if timeout(FINISH_LIMIT, self.drain()).await.is_err() {
            tracing::debug!("some bodies of a HAR file came too late");
        }
        // Targets that wait for us are let go with the connection, and what is still asked for fails at once.
        self.connection.close().await;
        self.drain().await;
        self.spool.close().await
    }

    /// Waits for the bodies.
    async fn drain(&mut self) {
        while self.bodies_waiting > 0
            && let Some(done) = self.under_way.next().await
        {
            self.done(done);
        }
    }

    /// Writes a line, if there is memory and room for it.
    pub fn put(&self, line: &Line) {
        let line = spool::encode(line);
        let memory = self.memory.clone().try_acquire_many_owned(kib(line.len() as u64));
        let kept = memory.is_ok_and(|memory| self.spool.put(line, memory));
        if !kept {
            tracing::debug!("a line of a HAR file was left out");
        }
    }

    fn hear(&mut self, heard: Heard) {
        let result = match heard.method.as_str() {
            AttachedToTarget::METHOD => self.attached(&heard),
            DetachedFromTarget::METHOD => self.detached(&heard),
            method if method.starts_with("Network.webSocket") => self.socket(&heard),
            method if method.starts_with("Network.") => self.network(&heard),
            _ => Ok(()),
        };
        if let Err(error) = result {
            tracing::debug!(%error, "an event was not understood");
        }
    }

    /// Each target that starts waits for us: nothing but its own session may stand before letting it go.
    fn attached(&mut self, heard: &Heard) -> Result<(), Missed> {
        let AttachedToTarget { session_id, target_info, .. } = heard.read()?;
        if target_info.r#type == "page" {
            self.pages.tab(session_id.clone(), target_info.target_id);
        } else {
            self.pages.part(session_id.clone(), heard.session.as_ref());
        }
        self.attaching += 1;
        let body_bytes = self.spec.body_bytes_max.cast_signed();
        self.under_way.push(prepare(self.connection.session(session_id), body_bytes).boxed());
        Ok(())
    }

    fn detached(&mut self, heard: &Heard) -> Result<(), Missed> {
        let DetachedFromTarget { session_id } = heard.read()?;
        self.pages.detached(&session_id);
        let of_session = |hop: Option<&Hop>| hop.is_some_and(|hop| hop.session == session_id);
        let left = self.exchanges.iter().filter(|(_, (_, exchange))| of_session(exchange.hops.back()));
        let left: Vec<_> = left.map(|(id, _)| id.clone()).collect();
        left.iter().for_each(|id| self.give_up(id));
        let sockets = self.sockets.extract_if(|_, (session, _)| *session == session_id);
        let sockets: Vec<_> = sockets.map(|(_, (_, socket))| socket).collect();
        for socket in sockets {
            self.put(&Line::Entry(Box::new(socket.entry(self.spec.secrets_kept))));
        }
        Ok(())
    }

    fn network(&mut self, heard: &Heard) -> Result<(), Missed> {
        let Some(session) = heard.session.clone() else { return Ok(()) };
        match heard.method.as_str() {
            RequestWillBeSent::METHOD => self.sent(heard, session)?,
            RequestWillBeSentExtraInfo::METHOD => {
                let extra: RequestWillBeSentExtraInfo = heard.read()?;
                let id = extra.request_id.clone();
                self.begin(&id);
                self.tell(&id, heard, |exchange| exchange.request_extra(extra));
            }
            ResponseReceivedExtraInfo::METHOD => {
                let extra: ResponseReceivedExtraInfo = heard.read()?;
                let id = extra.request_id.clone();
                self.begin(&id);
                self.tell(&id, heard, |exchange| exchange.response_extra(extra));
            }
            ResponseReceived::METHOD => {
                let ResponseReceived { request_id: id, response, has_extra_info, r#type, .. } = heard.read()?;
                self.tell(&id, heard, |exchange| exchange.responded(response, has_extra_info, r#type));
            }
            RequestServedFromCache::METHOD => {
                let RequestServedFromCache { request_id: id } = heard.read()?;
                self.tell(&id, heard, Exchange::found_in_memory);
            }
            DataReceived::METHOD => {
                let DataReceived { request_id: id, data_length, .. } = heard.read()?;
                self.tell(&id, heard, |exchange| exchange.received(data_length));
            }
            LoadingFinished::METHOD => {
                let finished: LoadingFinished = heard.read()?;
                let id = &finished.request_id;
                self.document_ended(&session, id);
                self.tell(id, heard, |exchange| exchange.finished(&finished, session));
                self.look_later(id);
            }
            LoadingFailed::METHOD => {
                let failed: LoadingFailed = heard.read()?;
                let id = failed.request_id.clone();
                self.tell(&id, heard, |exchange| exchange.failed(failed));
                self.look_later(&id);
            }
            _ => {}
        }
        Ok(())
    }

    fn sent(&mut self, heard: &Heard, session: SessionId) -> Result<(), Missed> {
        let sent: RequestWillBeSent = heard.read()?;
        // What is in the URL itself never met a network.
        if sent.request.url.starts_with("data:") {
            return Ok(());
        }
        if let Some(page) = self.pages.begin(&session, &sent).cloned() {
            self.put(&Line::Page(&page));
        }
        let page = self.pages.of(&session);
        let id = sent.request_id.clone();
        self.begin(&id);
        self.tell(&id, heard, |exchange| exchange.sent(sent, session, page));
        Ok(())
    }

    /// Follows a request from here on, unless it is followed already.
    fn begin(&mut self, id: &RequestId) {
        if !self.exchanges.contains_key(id) {
            self.make_room();
            self.exchanges_ever += 1;
            self.exchanges.insert(id.clone(), (self.exchanges_ever, Exchange::default()));
            // The network's own events may be all that ever comes.
            self.look_later(id);
        }
    }

    /// Tells an event to the request that it is about, and writes down what is complete with it.
    fn tell(&mut self, id: &RequestId, heard: &Heard, what: impl FnOnce(&mut Exchange)) {
        let Some((_, exchange)) = self.exchanges.get_mut(id) else { return };
        exchange.bytes += heard.bytes();
        self.exchange_bytes += heard.bytes();
        what(exchange);
        self.settle(id, false);
    }

    fn look_later(&mut self, id: &RequestId) {
        if self.exchanges.contains_key(id) {
            self.overdue.push_back((Instant::now() + EXTRA_LIMIT, id.clone()));
        }
    }

    fn make_room(&mut self) {
        while self.exchanges.len() >= EXCHANGES_MAX || self.exchange_bytes >= EXCHANGE_BYTES_MAX {
            let oldest = self.exchanges.iter().min_by_key(|(_, (born, _))| *born).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.give_up(&oldest);
        }
    }

    fn look_again(&mut self) {
        let now = Instant::now();
        while self.overdue.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, id)) = self.overdue.pop_front()
        {
            if self.exchanges.get(&id).is_some_and(|(_, exchange)| exchange.hops.is_empty() || exchange.has_ended()) {
                self.give_up(&id);
            }
        }
    }

    fn give_up(&mut self, id: &RequestId) {
        self.settle(id, true);
        if let Some((_, exchange)) = self.exchanges.remove(id) {
            self.exchange_bytes -= exchange.bytes;
        }
    }

    /// Writes down the hops of which all is known, or all hops `now`.
    fn settle(&mut self, id: &RequestId, now: bool) {
        while let Some((_, exchange)) = self.exchanges.get_mut(id)
            && let Some(hop) = exchange.take(now)
        {
            let over = exchange.hops.is_empty();
            self.complete(hop);
            if over && let Some((_, exchange)) = self.exchanges.remove(id) {
                self.exchange_bytes -= exchange.bytes;
            }
        }
    }

    /// Writes the hop down, with its body if that can be had.
    fn complete(&mut self, hop: Hop) {
        let absent = match hop.body_bytes() {
            None => "",
            Some(_) if self.spec.body_bytes_max == 0 => "not asked for",
            Some(bytes) if bytes > self.spec.body_bytes_max => "not kept: too long",
            Some(_) if self.spool.bytes() > BODIES_UNTIL_BYTES => "not kept: the file is full",
            Some(_) if self.bodies_waiting >= BODIES_WAITING_MAX => "not kept: too many at once",
            Some(bytes) => {
                self.bodies_waiting += 1;
                let session = self.connection.session(hop.session.clone());
                self.under_way.push(body(session, Box::new(hop), bytes, self.memory.clone()).boxed());
                return;
            }
        };
        let entry = hop.entry(Body::Absent(absent), self.spec.secrets_kept);
        self.put(&Line::Entry(Box::new(entry)));
    }

    fn document_ended(&mut self, session: &SessionId, id: &RequestId) {
        let document = self.pages.whose_document(session, id).filter(|_| self.pages_loading < PAGES_LOADING_MAX);
        if let Some((page, frame)) = document {
            self.pages_loading += 1;
            let loaded = pages::loaded(self.connection.session(session.clone()), page, frame);
            self.under_way.push(loaded.map(|page| Done::Page(page.ok())).boxed());
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Attached => self.attaching -= 1,
            Done::Page(page) => {
                self.pages_loading -= 1;
                if let Some(page) = page {
                    self.put(&Line::Page(&page));
                }
            }
            Done::Body(hop, body, memory) => {
                self.bodies_waiting -= 1;
                let line = spool::encode(&Line::Entry(Box::new(hop.entry(body, self.spec.secrets_kept))));
                let kept = memory.is_some_and(|memory| self.spool.put(line, memory));
                if !kept {
                    tracing::debug!("a line of a HAR file was left out");
                }
            }
        }
    }

    fn socket(&mut self, heard: &Heard) -> Result<(), Missed> {
        let Some(session) = heard.session.as_ref() else { return Ok(()) };
        match heard.method.as_str() {
            WebSocketCreated::METHOD => {
                let WebSocketCreated { request_id, url, .. } = heard.read()?;
                if self.sockets.len() < SOCKETS_MAX {
                    let socket = Socket::new(url, self.pages.of(session));
                    self.sockets.insert(request_id, (session.clone(), socket));
                }
            }
            WebSocketWillSendHandshakeRequest::METHOD => {
                let WebSocketWillSendHandshakeRequest { request_id, request, wall_time, timestamp } = heard.read()?;
                self.with_socket(&request_id, |socket| socket.sent(request, wall_time, timestamp));
            }
            WebSocketHandshakeResponseReceived::METHOD => {
                let WebSocketHandshakeResponseReceived { request_id, response, timestamp } = heard.read()?;
                self.with_socket(&request_id, |socket| socket.responded(response, timestamp));
            }
            WebSocketFrameSent::METHOD => {
                let WebSocketFrameSent { request_id, timestamp, response } = heard.read()?;
                self.with_socket(&request_id, |socket| socket.message("send", response, timestamp));
            }
            WebSocketFrameReceived::METHOD => {
                let WebSocketFrameReceived { request_id, timestamp, response } = heard.read()?;
                self.with_socket(&request_id, |socket| socket.message("receive", response, timestamp));
            }
            WebSocketClosed::METHOD => {
                let WebSocketClosed { request_id, timestamp } = heard.read()?;
                if let Some((_, mut socket)) = self.sockets.remove(&request_id) {
                    socket.closed(timestamp);
                    self.put(&Line::Entry(Box::new(socket.entry(self.spec.secrets_kept))));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn with_socket(&mut self, id: &RequestId, what: impl FnOnce(&mut Socket)) {
        if let Some((_, socket)) = self.sockets.get_mut(id) {
            what(socket);
        }
    }
}

/// Follows a target and lets it go. The commands are sent in this order, and none is waited for before the next.
async fn prepare(session: Session, body_bytes: i64) -> Done {
    let enable = Enable {
        max_total_buffer_size: Some(KEPT_BYTES),
        max_resource_buffer_size: Some(body_bytes),
        max_post_data_size: Some(body_bytes.min(POST_BYTES_MAX.cast_signed())),
        ..Enable::default()
    };
    let answers =
        tokio::join!(session.call(enable), session.call(attach_to_all()), session.call(RunIfWaitingForDebugger {}),);
    // Workers do not know all of it, and a target may be gone by now.
    if let (Err(error), ..) = answers {
        tracing::debug!(%error, "a target's requests will not be told");
    }
    Done::Attached
}

async fn body(session: Session, hop: Box<Hop>, bytes: u64, memory: Arc<Semaphore>) -> Done {
    // As base64 it is a third longer, and for a moment it is there twice.
    let Ok(permit) = memory.acquire_many_owned(kib(bytes * 3)).await else {
        return Done::Body(hop, Body::Absent("not kept"), None);
    };
    let ask = GetResponseBody { request_id: hop.request_id().clone() };
    let body = match session.call_within(BODY_LIMIT, ask).await {
        Ok(answer) if answer.base64_encoded => Body::Base64(answer.body),
        Ok(answer) => Body::Text(answer.body),
        Err(error) => {
            tracing::debug!(%error, "a body is not to be had");
            Body::Absent("no longer known to the browser")
        }
    };
    Done::Body(hop, body, Some(permit))
}

/// As permits of `memory`, rounded up, with a line's other parts.
fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes / 1024 + 2).unwrap_or(u32::MAX)
}
