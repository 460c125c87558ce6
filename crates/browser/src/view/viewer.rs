//! One viewer: its WebSocket, what it looks at, what it was told. Four things go on at once and wait for one another only where
//! they must: hearing it, telling it what changed, showing it pictures, writing to it.

use super::actions::Done;
use super::input::Hands;
use super::message::{
    Act, Code, FromViewer, MESSAGE_BYTES_MAX, Mode, Outcome, PASTE_BYTES_MAX, ToViewer, VERSION, frame,
};
use super::pace::Pace;
use super::stage::Stage;
use super::{Rights, tell};
use crate::page::{self, Asked, CALLS_WAITING_MAX, Caller, Failure};
use crate::screen::Wants;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use vitrine_cdp::protocol::target::TargetId;
use vitrine_model::embed::InteractionMode;

/// Pictures that a viewer has not acknowledged; more are not sent.
pub const PICTURES_IN_FLIGHT_MAX: usize = 6;
/// Messages that wait to be written to a viewer.
const OUTBOX_MAX: usize = 64;
/// How long a viewer may take to shake hands and to start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// A hand moves 60 to 1,000 times a second; who sends more is heard more slowly.
const MESSAGES_PER_SECOND_MAX: u32 = 2000;
/// Actions of one viewer that are under way.
const ACTIONS_MAX: usize = 16;
/// How long the clipboard holds up what a viewer types after it.
const IN_ORDER_LIMIT: Duration = Duration::from_secs(1);
/// A key picture costs all viewers; nobody gets one more often.
const REFRESH_PAUSE: Duration = Duration::from_millis(500);
/// A screen that ended without its tab is looked for again.
const SCREEN_PAUSE: Duration = Duration::from_millis(200);
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Why a viewer is served no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Left {
    #[error("the viewer left")]
    Gone,
    #[error("the viewer broke the protocol: {0}")]
    Protocol(String),
    #[error("the browser is gone")]
    Browser,
    #[error("as many viewers as there may be look at the session")]
    Full,
}

/// What is known of one viewer.
pub(crate) struct Viewer<'a> {
    pub stage: &'a Stage,
    control: bool,
    /// Who it is when it calls; none when it may not.
    pub caller: Option<Caller>,
    outbox: mpsc::Sender<Message>,
    wishes: watch::Sender<Wishes>,
    flight: Mutex<VecDeque<u32>>,
    landed: Notify,
}

/// What a viewer wants to see.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wishes {
    /// None follows the active tab.
    pub tab: Option<TargetId>,
    coding: Code,
    visible: bool,
    /// Counts the times that it asked for a whole picture.
    refreshes: u64,
}

pub(super) async fn serve<S>(stage: &Arc<Stage>, stream: S, rights: Rights) -> Left
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(PASTE_BYTES_MAX))
        .max_frame_size(Some(PASTE_BYTES_MAX))
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0);
    let handshake = tokio_tungstenite::accept_async_with_config(stream, Some(config));
    let Ok(Ok(mut socket)) = timeout(START_LIMIT, handshake).await else { return Left::Gone };
    let coding = match timeout(START_LIMIT, start(&mut socket)).await {
        Ok(Ok(coding)) => coding,
        Ok(Err(left)) => return close(socket, left).await,
        Err(_) => return close(socket, Left::Protocol("no start in time".into())).await,
    };
    let (outbox, queue) = mpsc::channel(OUTBOX_MAX);
    let wishes = watch::Sender::new(Wishes { tab: None, coding, visible: true, refreshes: 0 });
    let caller = rights.calls.then(|| Caller::new(stage.clone()));
    let (flight, landed) = (Mutex::default(), Notify::new());
    let viewer = Viewer { stage, control: rights.control, caller, outbox, wishes, flight, landed };
    let Some(_seat) = stage.seat(rights.control) else { return close(socket, Left::Full).await };
    let _looker = stage.tabs.look();
    let (sink, incoming) = socket.split();
    let mut sink = sink;
    let left = tokio::select! {
        left = viewer.hear(incoming) => left,
        left = tell::tell(&viewer, coding) => left,
        left = viewer.show() => left,
        left = page::narrate(&viewer) => left,
        left = write(&mut sink, queue) => left,
        _ = stage.tabs.connection().closed() => Left::Browser,
    };
    // Fails when the viewer is gone, and then nobody reads the reason.
    let _ = timeout(START_LIMIT, sink.send(Message::Close(reason(&left)))).await;
    left
}

/// The first message; says which coding the viewer gets.
async fn start<S>(socket: &mut WebSocketStream<S>) -> Result<Code, Left>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let text = match socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                return Err(Left::Protocol("start was expected".into()));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Left::Gone),
        };
        return match serde_json::from_str(&text) {
            Ok(FromViewer::Start { version: VERSION, codings }) => Ok(codings.first().copied().unwrap_or(Code::Jpeg)),
            Ok(FromViewer::Start { .. }) => Err(Left::Protocol(format!("version {VERSION} is spoken here"))),
            _ => Err(Left::Protocol("start was expected".into())),
        };
    }
}

fn reason(left: &Left) -> Option<CloseFrame> {
    match left {
        Left::Gone => None,
        Left::Protocol(why) => Some(CloseFrame { code: CloseCode::Policy, reason: why.as_str().into() }),
        Left::Browser => Some(CloseFrame { code: CloseCode::Away, reason: "the browser is gone".into() }),
        Left::Full => Some(CloseFrame { code: CloseCode::Again, reason: "too many viewers".into() }),
    }
}

async fn close<S>(mut socket: WebSocketStream<S>, left: Left) -> Left
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = timeout(START_LIMIT, socket.close(reason(&left))).await;
    left
}

async fn write(sink: &mut (impl SinkExt<Message> + Unpin), mut queue: mpsc::Receiver<Message>) -> Left {
    while let Some(message) = queue.recv().await {
        if sink.send(message).await.is_err() {
            break;
        }
    }
    Left::Gone
}

impl Viewer<'_> {
    /// Waits for room in the outbox; the writer ends everything when it cannot write.
    pub async fn send(&self, message: &ToViewer) {
        self.say(encoded(message)).await;
    }

    async fn say(&self, text: Option<String>) {
        if let Some(text) = text {
            drop(self.outbox.send(Message::text(text)).await);
        }
    }

    pub fn mode(&self) -> Mode {
        if self.control { Mode::Control } else { Mode::View }
    }

    pub fn wishes(&self) -> watch::Receiver<Wishes> {
        self.wishes.subscribe()
    }

    /// The tab that it looks at.
    pub fn watched(&self) -> Option<TargetId> {
        let list = self.stage.tabs.watch();
        let list = list.borrow();
        let chosen = self.wishes.borrow().tab.clone();
        chosen.filter(|tab| list.get(tab).is_some()).or_else(|| list.active.clone())
    }

    async fn error(&self, about: &str, message: impl Into<String>) {
        self.send(&ToViewer::Error { about: about.to_owned(), message: message.into() }).await;
    }

    /// Reads what it says until it leaves.
    async fn hear<S>(&self, mut incoming: SplitStream<WebSocketStream<S>>) -> Left
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut hands = Hands::default();
        let mut actions: FuturesUnordered<BoxFuture<'_, (&'static str, Done)>> = FuturesUnordered::new();
        let mut calls: FuturesUnordered<BoxFuture<'_, Option<String>>> = FuturesUnordered::new();
        let mut pace = Pace::new(MESSAGES_PER_SECOND_MAX);
        let mut refreshed = Instant::now() - REFRESH_PAUSE;
        loop {
            let text = tokio::select! {
                () = hands.settle() => continue,
                Some(done) = actions.next() => {
                    self.answer(done).await;
                    continue;
                }
                Some(result) = calls.next() => {
                    self.say(result).await;
                    continue;
                }
                message = incoming.next() => match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Binary(_) | Message::Frame(_))) => return Left::Protocol("a binary message".into()),
                    Some(Err(tokio_tungstenite::tungstenite::Error::Capacity(error))) => {
                        return Left::Protocol(error.to_string());
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Left::Gone,
                },
            };
            pace.keep().await;
            let message = match read(&text) {
                Ok(message) => message,
                Err(why) => {
                    self.error("message", why).await;
                    continue;
                }
            };
            match message {
                FromViewer::Start { .. } => self.error("start", "it has started already").await,
                FromViewer::Ack { sequence } => self.land(sequence),
                FromViewer::Refresh => {
                    if refreshed.elapsed() >= REFRESH_PAUSE {
                        refreshed = Instant::now();
                        self.wishes.send_modify(|wishes| wishes.refreshes += 1);
                    }
                }
                FromViewer::Coding { coding } => self.wishes.send_modify(|wishes| wishes.coding = coding),
                FromViewer::Visible { visible } => self.wishes.send_modify(|wishes| wishes.visible = visible),
                FromViewer::Ping { at } => self.send(&ToViewer::Pong { at }).await,
                FromViewer::Watch { tab } => self.wishes.send_modify(|wishes| wishes.tab = tab.map(TargetId)),
                FromViewer::Permissions { origin } => {
                    let tab = self.watched();
                    if actions.len() < ACTIONS_MAX {
                        actions.push(self.permissions(tab, origin).boxed());
                    }
                }
                FromViewer::Call { id, call_id, method, args } => {
                    let asked = Asked { call_id, method, args };
                    match &self.caller {
                        None => self.error("call", self.closed_to_calls()).await,
                        Some(_) if calls.len() >= CALLS_WAITING_MAX => {
                            self.send(&ToViewer::Result { id, outcome: Outcome::Error(Failure::busy()) }).await;
                        }
                        Some(caller) => calls.push(call(caller, id, asked).boxed()),
                    }
                }
                FromViewer::Interaction { mode } => match &self.caller {
                    None => self.error("interaction", self.closed_to_calls()).await,
                    Some(caller) => drop(caller.mode.send_if_modified(|now| std::mem::replace(now, mode) != mode)),
                },
                FromViewer::Act(act) => {
                    let about = act.name();
                    if let Some(why) = self.refusal(&act) {
                        self.error(about, why).await;
                    } else if act.is_input() {
                        if let Some(why) = self.hand(&mut hands, &mut actions, act) {
                            self.error(about, why).await;
                        }
                    } else if actions.len() >= ACTIONS_MAX {
                        self.error(about, "too much is asked at once").await;
                    } else {
                        let in_order = act.is_clipboard();
                        let mut action = self.act(about, act).boxed();
                        match if in_order { done_in_order(&mut hands, &mut action).await } else { None } {
                            Some(done) => self.answer(done).await,
                            None => actions.push(action),
                        }
                    }
                }
            }
        }
    }

    fn closed_to_calls(&self) -> &'static str {
        if self.control { "this viewer may not call" } else { "this viewer may only look" }
    }

    /// Why it may not do what it asks for; none when it may.
    fn refusal(&self, act: &Act) -> Option<&'static str> {
        if !self.control {
            return Some("this viewer may only look");
        }
        let is_hands_off = self.caller.as_ref().is_some_and(|caller| caller.mode() == InteractionMode::ViewOnly);
        if is_hands_off && !act.is_of_the_picture() {
            return Some("this page is shown to be looked at");
        }
        let policy = self.stage.policy.borrow();
        match act {
            Act::Files { cancelled: false, .. } if !policy.uploads => Some("the policy does not allow uploads"),
            Act::Paste { .. } | Act::Copy { .. } if !policy.clipboard => {
                Some("the policy does not allow the clipboard")
            }
            _ => None,
        }
    }

    async fn act(&self, about: &'static str, act: Act) -> (&'static str, Done) {
        (about, self.stage.act(self.watched(), act).await)
    }

    async fn answer(&self, (about, done): (&'static str, Done)) {
        match done {
            Ok(None) => {}
            Ok(Some(answer)) => self.send(&answer).await,
            Err(why) => self.error(about, why).await,
        }
    }

    /// Passes input on to the watched tab; says why not.
    fn hand<'a>(
        &'a self,
        hands: &mut Hands,
        actions: &mut FuturesUnordered<BoxFuture<'a, (&'static str, Done)>>,
        act: Act,
    ) -> Option<&'static str> {
        let Some(tab) = self.watched() else { return Some("there is no tab") };
        let Some(page) = self.stage.page(&tab) else { return Some("the tab is closed") };
        if let Some(renewal) = self.stage.attendance.of(&tab).and_then(|attended| attended.renew()) {
            actions.push(renewal.map(|()| ("", Ok(None))).boxed());
        }
        (!hands.act(&page, act)).then_some("the page does not answer")
    }

    async fn permissions(&self, tab: Option<TargetId>, origin: String) -> (&'static str, Done) {
        let Some(tab) = tab else { return ("permissions", Err("there is no tab".into())) };
        let states = self.stage.permitted(&tab, &origin).await;
        ("permissions", Ok(Some(ToViewer::Permissions { origin, states })))
    }

    fn flight(&self) -> MutexGuard<'_, VecDeque<u32>> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A picture and all before it were shown or dropped there.
    fn land(&self, sequence: u32) {
        let mut flight = self.flight();
        if let Some(place) = flight.iter().position(|sent| *sent == sequence) {
            flight.drain(..=place);
            self.landed.notify_one();
        }
    }

    /// Sends pictures of what it wants to see.
    async fn show(&self) -> Left {
        let mut wishes = self.wishes();
        let mut list = self.stage.tabs.watch();
        let mut seat = None;
        loop {
            let wish = wishes.borrow_and_update().clone();
            list.mark_unchanged();
            let tab = self.watched();
            let screen = tab.as_ref().filter(|_| wish.visible).and_then(|tab| self.stage.tabs.screen(tab));
            let Some(screen) = screen else {
                seat = None;
                tokio::select! {
                    _ = wishes.changed() => {}
                    _ = list.changed() => {}
                }
                continue;
            };
            // The former seat is left only now: a screen that nobody looked at in between would have to start anew.
            let pictures = seat.insert(screen.subscribe(Wants { coding: wish.coding.into(), every: false }));
            self.flight().clear();
            loop {
                let full = self.flight().len() >= PICTURES_IN_FLIGHT_MAX;
                tokio::select! {
                    _ = wishes.changed() => break,
                    _ = list.changed() => if self.watched() != tab { break },
                    () = self.landed.notified(), if full => {}
                    picture = pictures.next(), if !full => {
                        let Some(picture) = picture else {
                            sleep(SCREEN_PAUSE).await;
                            break;
                        };
                        self.flight().push_back(picture.sequence);
                        if self.outbox.send(Message::binary(frame(&picture))).await.is_err() {
                            return Left::Gone;
                        }
                    }
                }
            }
        }
    }
}

/// A paste alone may be large. It is read for itself: nothing else of a large message is taken to memory.
#[derive(Deserialize)]
struct Pasted {
    #[serde(rename = "type")]
    _type: OnlyPaste,
    text: Option<String>,
    html: Option<String>,
    image: Option<String>,
}

#[derive(Deserialize)]
enum OnlyPaste {
    #[serde(rename = "paste")]
    Paste,
}

/// Reads a message; says what is wrong with it.
fn read(json: &str) -> Result<FromViewer, &'static str> {
    if json.len() <= MESSAGE_BYTES_MAX {
        return serde_json::from_str(json).map_err(|_| "this message is not understood");
    }
    let Pasted { text, html, image, .. } = serde_json::from_str(json).map_err(|_| "the message is too large")?;
    Ok(FromViewer::Act(Act::Paste { text, html, image }))
}

/// Makes a call; says what came of it, as text: a value takes many times as much while it waits for a viewer that does not read.
async fn call(caller: &Caller, id: String, asked: Asked) -> Option<String> {
    let outcome = match caller.answer(asked).await {
        Ok(value) => Outcome::Value(value),
        Err(failure) => Outcome::Error(failure),
    };
    encoded(&ToViewer::Result { id, outcome })
}

fn encoded(message: &ToViewer) -> Option<String> {
    let text = serde_json::to_string(message);
    text.inspect_err(|error| tracing::error!(%error, "a message does not encode")).ok()
}

/// Waits for the input before an action and for the action itself, so that what comes after finds it done. Not for ever: the
/// page may hang, and this viewer may be the one who can help it.
async fn done_in_order(
    hands: &mut Hands,
    action: &mut BoxFuture<'_, (&'static str, Done)>,
) -> Option<(&'static str, Done)> {
    let mut limit = std::pin::pin!(sleep(IN_ORDER_LIMIT));
    while !hands.are_idle() {
        tokio::select! {
            () = hands.settle() => {}
            () = &mut limit => return None,
        }
    }
    tokio::select! {
        done = action => Some(done),
        () = &mut limit => None,
    }
}
