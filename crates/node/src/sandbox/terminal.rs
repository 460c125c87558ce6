//! One terminal: a program, what it said last, and the clients who look at it and type.
//!
//! Promises: a client that comes again gets what it missed, as far as it is remembered, and is told where that begins; one that
//! does not keep up slows neither the others nor, where another one keeps up, the program, and is told what it missed; the end
//! of the program is told after its last output.

use super::ring::{RING_BYTES, Ring};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;
use vitrine_capsule::{Exit, Process};
use vitrine_model::{EndReason, EpochMs};

/// What is read of the program, and sent to a client, at once.
const PIECE_BYTES: usize = 16 * 1024;
/// How far the client that keeps up best may be behind before the program waits for it.
const BEHIND_BYTES_MAX: u64 = RING_BYTES as u64 / 2;
/// How long after the program's end what it started may go on to write.
const REST_LIMIT: Duration = Duration::from_millis(100);
/// Largest message that a client may send: what a person pastes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// How long a client may take to take its close frame.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A terminal.
pub(super) struct Terminal {
    pub(super) id: u64,
    pub(super) created_at: EpochMs,
    process: Process,
    screen: vitrine_capsule::Terminal,
    state: Mutex<State>,
    /// Goes up when there is something new to be sent.
    news: watch::Sender<u64>,
    /// Goes up when a client has taken something, or comes or goes.
    taken: watch::Sender<u64>,
    closing: CancellationToken,
}

#[derive(Default)]
struct State {
    ring: Ring,
    /// Once the program has ended and all it said is in the ring.
    exit_code: Option<i32>,
    /// Why it is closed although the program has not ended.
    ending: Option<EndReason>,
    /// How far each client has come.
    clients: BTreeMap<u64, u64>,
    came: u64,
    left_at: Option<Instant>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Word {
    Resize { cols: u16, rows: u16 },
}

/// How long a terminal has been alone.
pub(super) enum Alone {
    No,
    /// Nobody has ever come.
    Always,
    Since(Instant),
}

impl Terminal {
    pub(super) fn new(created_at: EpochMs, process: Process, screen: vitrine_capsule::Terminal) -> Self {
        Self {
            id: process.id(),
            created_at,
            process,
            screen,
            state: Mutex::default(),
            news: watch::Sender::default(),
            taken: watch::Sender::default(),
            closing: CancellationToken::new(),
        }
    }

    pub(super) fn exit_code(&self) -> Option<i32> {
        self.state().exit_code
    }

    pub(super) fn clients(&self) -> usize {
        self.state().clients.len()
    }

    pub(super) fn alone(&self) -> Alone {
        let state = self.state();
        match (state.clients.is_empty(), state.left_at) {
            (false, _) => Alone::No,
            (true, None) => Alone::Always,
            (true, Some(at)) => Alone::Since(at),
        }
    }

    /// Forgets what was said.
    pub(super) fn forget(&self) {
        self.state().ring.forget();
    }

    /// Kills the program with all that it started.
    pub(super) async fn kill(&self) {
        if let Err(error) = self.process.kill_tree(SIGKILL).await {
            tracing::debug!(%error, "a terminal's program could not be killed: its capsule is gone, most likely");
        }
    }

    /// Its clients are told to go; `reason` is the session's, if that ends.
    pub(super) fn close(&self, reason: Option<EndReason>) {
        self.state().ending = reason;
        self.closing.cancel();
    }

    /// Takes what the program says, until it has ended.
    pub(super) async fn listen(&self) {
        let mut ended = pin!(self.process.wait());
        let mut piece = vec![0; PIECE_BYTES];
        let ended = loop {
            tokio::select! {
                ended = &mut ended => break ended,
                () = self.heard(&mut piece) => {}
            }
        };
        let rest = async {
            while let Ok(count @ 1..) = self.screen.read(&mut piece).await {
                self.say(&piece[..count]);
            }
        };
        // What the program left running may hold the terminal for as long as it likes.
        let _ = timeout(REST_LIMIT, rest).await;
        match ended {
            Ok(ended) => {
                self.state().exit_code = Some(match ended.exit {
                    Exit::Code(code) => code,
                    // As shells say it.
                    Exit::Signal(signal) => 128 + signal,
                });
                self.news.send_modify(|news| *news += 1);
            }
            Err(_) => self.close(None),
        }
    }

    /// Takes one piece; waits without end once there are no more.
    async fn heard(&self, piece: &mut [u8]) {
        let mut taken = self.taken.subscribe();
        // The sender is ours.
        let _ = taken.wait_for(|_| !self.is_far_ahead()).await;
        match self.screen.read(piece).await {
            Ok(count @ 1..) => self.say(&piece[..count]),
            _ => std::future::pending().await,
        }
    }

    /// Whether even the client that keeps up best is far behind.
    fn is_far_ahead(&self) -> bool {
        let state = self.state();
        let best = state.clients.values().max();
        best.is_some_and(|place| state.ring.end().saturating_sub(*place) > BEHIND_BYTES_MAX)
    }

    fn say(&self, bytes: &[u8]) {
        self.state().ring.push(bytes);
        self.news.send_modify(|news| *news += 1);
    }

    /// Serves one client until it leaves, the program ends or the terminal is closed.
    pub(super) async fn serve(self: Arc<Self>, stream: DuplexStream, offset: Option<u64>) {
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MESSAGE_BYTES_MAX);
        config.max_frame_size = Some(MESSAGE_BYTES_MAX);
        let Ok(socket) = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await else { return };
        let (mut to, from) = socket.split();
        let client = Client::enter(&self, offset);
        let close = tokio::select! {
            close = client.show(&mut to) => close,
            () = self.obey(from) => None,
            () = self.closing.cancelled() => Some(match self.state().ending {
                Some(reason) => close_frame(reason.close_code().into(), reason.as_str()),
                None => close_frame(CloseCode::Away, "the terminal is closed"),
            }),
        };
        drop(client);
        if close.is_some() {
            // A client that has left already does not mind.
            let _ = timeout(CLOSE_LIMIT, to.send(Message::Close(close))).await;
        }
    }

    /// Does what a client says, until it leaves.
    async fn obey(&self, mut from: impl Stream<Item = Result<Message, Error>> + Unpin) {
        while let Some(Ok(message)) = from.next().await {
            let done = match message {
                Message::Binary(keys) => self.screen.write_all(&keys).await,
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(Word::Resize { cols, rows }) => self.screen.resize(cols.max(1), rows.max(1)),
                    // What a later client may say.
                    Err(_) => Ok(()),
                },
                Message::Close(_) => return,
                _ => Ok(()),
            };
            if let Err(error) = done {
                tracing::debug!(%error, "a terminal takes nothing any more");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SIGKILL: i32 = 9;

fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    CloseFrame { code, reason: reason.to_owned().into() }
}

/// A client's place in the output.
struct Client<'terminal> {
    terminal: &'terminal Terminal,
    number: u64,
    /// Up to where output was there before it came.
    live: u64,
}

impl<'terminal> Client<'terminal> {
    /// One that names no offset sees what is said from now on; the first one to come sees what was said before, too.
    fn enter(terminal: &'terminal Terminal, offset: Option<u64>) -> Self {
        let mut state = terminal.state();
        let live = state.ring.end();
        let place = offset.unwrap_or(if state.came == 0 { 0 } else { live }).min(live);
        state.came += 1;
        let number = state.came;
        state.clients.insert(number, place);
        Self { terminal, number, live }
    }

    /// Shows it the output from its place on; ends with the program's end, or when it takes no more.
    async fn show(&self, to: &mut (impl Sink<Message, Error = Error> + Unpin)) -> Option<CloseFrame> {
        let mut news = self.terminal.news.subscribe();
        let mut told = None;
        loop {
            news.mark_unchanged();
            let (begins, piece, exit_code) = self.next();
            if told != Some(begins) {
                let offset = serde_json::json!({ "type": "offset", "offset": begins, "live": self.live });
                to.send(Message::text(offset.to_string())).await.ok()?;
            }
            told = Some(begins + piece.len() as u64);
            if !piece.is_empty() {
                to.send(Message::binary(piece)).await.ok()?;
            } else if let Some(code) = exit_code {
                to.send(Message::text(serde_json::json!({ "type": "exit", "code": code }).to_string())).await.ok()?;
                return Some(close_frame(CloseCode::Normal, "the program ended"));
            } else {
                news.changed().await.ok()?;
            }
        }
    }

    /// Where the next piece begins, and the piece, which counts as taken: it is sent before the next one is asked for.
    fn next(&self) -> (u64, Vec<u8>, Option<i32>) {
        let mut state = self.terminal.state();
        let place = state.clients.get(&self.number).copied().unwrap_or(0);
        let (begins, piece) = state.ring.since(place, PIECE_BYTES);
        state.clients.insert(self.number, begins + piece.len() as u64);
        let exit_code = state.exit_code;
        drop(state);
        if !piece.is_empty() {
            self.terminal.taken.send_modify(|taken| *taken += 1);
        }
        (begins, piece, exit_code)
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let mut state = self.terminal.state();
        state.clients.remove(&self.number);
        state.left_at = Some(Instant::now());
        drop(state);
        self.terminal.taken.send_modify(|taken| *taken += 1);
    }
}
