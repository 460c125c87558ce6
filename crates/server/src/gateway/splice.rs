//! A client and a browser joined: bytes both ways, pings to both, and a close frame with the reason when it is over.
//!
//! One task drives both directions, so that a message costs one read and one write. It promises to end: every wait of the goodbye is
//! bounded, and an end that gives no sign of life is left.

use super::flow::{Flow, Stop};
use super::frame::{self, NO_CODE, Sender};
use super::{ByteStream, Farewell, GatewayConfig, GatewayMetrics};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use vitrine_model::EndReason;
use vitrine_model::end_reason::CLOSE_TOKEN_REVOKED;

/// "Going away" (RFC 6455, 7.4.1).
const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const INTERNAL_ERROR: u16 = 1011;
const SERVICE_RESTART: u16 = 1012;
/// How long an end waits for what the browser said before it: the word of the end may overtake it on its way to us.
const LAST_WORDS_TIME: Duration = Duration::from_millis(20);

/// Both ends and what is to be watched beside them.
pub(super) struct Ends {
    pub(super) client: Box<dyn ByteStream>,
    /// What the client sent before the connection became a WebSocket.
    pub(super) client_early: Bytes,
    pub(super) browser: Box<dyn ByteStream>,
    pub(super) browser_early: Bytes,
    /// What the client is told when the browser's side ends and nothing says why.
    pub(super) gone: &'static str,
    /// Resolves when the machine begins to end the run.
    pub(super) ending: BoxFuture<'static, EndReason>,
    /// Resolves when the gateway leaves the client.
    pub(super) farewell: BoxFuture<'static, Farewell>,
}

/// A joined connection.
pub(super) struct Splice {
    client: Box<dyn ByteStream>,
    browser: Box<dyn ByteStream>,
    to_browser: Flow,
    to_client: Flow,
    /// Nothing goes to the browser any more: it was closed by the client or takes nothing. What it sent before may still be on its way.
    browser_done: bool,
    client_life: Life,
    browser_life: Life,
    ping_at: Instant,
    timer: Pin<Box<Sleep>>,
    gone: &'static str,
    ending: BoxFuture<'static, EndReason>,
    farewell: BoxFuture<'static, Farewell>,
    config: Arc<GatewayConfig>,
}

/// When an end was last known to be alive.
#[derive(Debug, Clone, Copy)]
struct Life {
    heard_at: Instant,
    /// When it got the first ping that it has not answered by anything.
    asked_at: Option<Instant>,
}

/// What ended a connection.
#[derive(Debug)]
enum Over {
    /// The machine ends the run.
    Ending(EndReason),
    Farewell(Farewell),
    /// The client's close frame went to the browser.
    ClientClosed(u16),
    /// The browser's close frame went to the client.
    BrowserClosed,
    ClientLeft,
    BrowserLeft,
    ClientBroke(String),
    BrowserBroke,
    ClientSilent,
    BrowserSilent,
}

impl Splice {
    pub(super) fn new(ends: Ends, config: Arc<GatewayConfig>, metrics: &GatewayMetrics) -> Self {
        let now = Instant::now();
        let ping_at = now + config.ping_time();
        Self {
            client: ends.client,
            browser: ends.browser,
            to_browser: Flow::new(Sender::Client, ends.client_early, metrics.bytes_to_browsers.clone()),
            to_client: Flow::new(Sender::Browser, ends.browser_early, metrics.bytes_to_clients.clone()),
            browser_done: false,
            client_life: Life { heard_at: now, asked_at: None },
            browser_life: Life { heard_at: now, asked_at: None },
            ping_at,
            timer: Box::pin(sleep_until(ping_at)),
            gone: ends.gone,
            ending: ends.ending,
            farewell: ends.farewell,
            config,
        }
    }

    /// Carries until one end is done, then says goodbye to the other. Answers what ended it, in a word for the log.
    pub(super) async fn run(mut self) -> &'static str {
        let over = poll_fn(|context| self.poll_over(context)).await;
        let word = over.word();
        self.goodbye(over).await;
        word
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<Over> {
        // Bytes before time: after a pause of our own, what came meanwhile is heard before anybody is called silent.
        loop {
            if let Poll::Ready(over) = self.poll_flows(context) {
                return Poll::Ready(over);
            }
            match self.poll_timer(context) {
                Poll::Ready(Some(over)) => return Poll::Ready(over),
                Poll::Ready(None) => {}
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(reason) = self.ending.as_mut().poll(context) {
            return Poll::Ready(Over::Ending(reason));
        }
        self.farewell.as_mut().poll(context).map(Over::Farewell)
    }

    fn poll_flows(&mut self, context: &mut Context<'_>) -> Poll<Over> {
        if !self.browser_done {
            match self.to_browser.poll(context, &mut *self.client, &mut *self.browser) {
                Poll::Ready(Stop::Closed(code)) => {
                    self.browser_done = true;
                    return Poll::Ready(Over::ClientClosed(code));
                }
                Poll::Ready(Stop::SourceLeft) => return Poll::Ready(Over::ClientLeft),
                Poll::Ready(Stop::Broke(violation)) => return Poll::Ready(Over::ClientBroke(violation.to_string())),
                Poll::Ready(Stop::SinkLeft) => self.browser_done = true,
                Poll::Pending => {}
            }
        }
        let over = match self.to_client.poll(context, &mut *self.browser, &mut *self.client) {
            Poll::Ready(Stop::Closed(_)) => Over::BrowserClosed,
            Poll::Ready(Stop::SourceLeft) => Over::BrowserLeft,
            Poll::Ready(Stop::SinkLeft) => Over::ClientLeft,
            Poll::Ready(Stop::Broke(_)) => Over::BrowserBroke,
            Poll::Pending => {
                self.note_signs();
                return Poll::Pending;
            }
        };
        Poll::Ready(over)
    }

    fn note_signs(&mut self) {
        let (up, down) = (self.to_browser.take_signs(), self.to_client.take_signs());
        let (client, browser) = (up.source || down.sink, down.source || up.sink);
        if !(client || browser || up.asked || down.asked) {
            return;
        }
        let now = Instant::now();
        self.client_life.note(client, down.asked, now);
        self.browser_life.note(browser, up.asked, now);
        if up.asked || down.asked {
            self.arm(now);
        }
    }

    /// `Some` when an end is silent, `None` when pings are due and were handed to the flows.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Option<Over>> {
        ready!(self.timer.as_mut().poll(context));
        let now = Instant::now();
        if let Some(over) = self.silence(now) {
            return Poll::Ready(Some(over));
        }
        if now >= self.ping_at {
            self.to_client.ping(frame::ping(Sender::Browser));
            self.to_browser.ping(frame::ping(Sender::Client));
            self.ping_at = now + self.config.ping_time();
        }
        self.arm(now);
        Poll::Ready(None)
    }

    /// Sets the timer to the next ping or the next moment at which an end may have been silent for too long.
    fn arm(&mut self, now: Instant) {
        let ends = [self.client_silent_at(), self.browser_silent_at()];
        let next = ends.into_iter().flatten().filter(|at| *at > now).fold(self.ping_at, Instant::min);
        self.timer.as_mut().reset(next);
    }

    /// The end that gave no sign of life for too long.
    fn silence(&self, now: Instant) -> Option<Over> {
        if self.browser_silent_at().is_some_and(|at| now >= at) {
            return Some(Over::BrowserSilent);
        }
        self.client_silent_at().is_some_and(|at| now >= at).then_some(Over::ClientSilent)
    }

    fn client_silent_at(&self) -> Option<Instant> {
        self.client_life.silent_at(&self.to_client, &self.to_browser, &self.config)
    }

    fn browser_silent_at(&self) -> Option<Instant> {
        self.browser_life.silent_at(&self.to_browser, &self.to_client, &self.config)
    }

    async fn goodbye(mut self, over: Over) {
        let limit = self.config.farewell_time();
        let (code, reason) = match over {
            Over::ClientLeft => return,
            Over::BrowserClosed => return self.linger().await,
            Over::ClientClosed(code) => {
                // A browser answers a close frame with its own; one that died instead does not.
                let answer = poll_fn(|context| self.to_client.poll(context, &mut *self.browser, &mut *self.client));
                if let Ok(Stop::Closed(_)) = timeout(limit, answer).await {
                    return self.linger().await;
                }
                (code, "")
            }
            Over::Ending(reason) => {
                let last_words = poll_fn(|context| self.to_client.poll(context, &mut *self.browser, &mut *self.client));
                match timeout(LAST_WORDS_TIME, last_words).await {
                    Ok(Stop::Closed(_)) => return self.linger().await,
                    Ok(Stop::SinkLeft) => return,
                    Ok(Stop::SourceLeft | Stop::Broke(_)) | Err(_) => (reason.close_code(), reason.as_str()),
                }
            }
            // The machine notices a dead browser a moment later than its sockets do.
            Over::BrowserLeft => match timeout(limit, &mut self.ending).await {
                Ok(reason) => (reason.close_code(), reason.as_str()),
                Err(_) => (INTERNAL_ERROR, self.gone),
            },
            Over::Farewell(Farewell::ServerShutdown) => (GOING_AWAY, EndReason::ServerShutdown.as_str()),
            Over::Farewell(Farewell::ServiceRestart) => (SERVICE_RESTART, "service_restart"),
            Over::Farewell(Farewell::TokenRevoked) => (CLOSE_TOKEN_REVOKED, "token_revoked"),
            Over::ClientBroke(ref violation) => (PROTOCOL_ERROR, violation.as_str()),
            Over::BrowserBroke => (INTERNAL_ERROR, "browser_broke_protocol"),
            Over::ClientSilent => (GOING_AWAY, "client_silent"),
            Over::BrowserSilent => (INTERNAL_ERROR, "browser_silent"),
        };
        self.close(code, reason).await;
    }

    /// Sends a close frame to both ends, at the end of the frames in flight. Without one in time there is no place for a reason.
    async fn close(mut self, code: u16, reason: &str) {
        self.to_client.close(frame::close(Sender::Browser, code, reason), code);
        self.to_browser.close(frame::close(Sender::Client, GOING_AWAY, ""), NO_CODE);
        let both = poll_fn(|context| {
            self.browser_done =
                self.browser_done || self.to_browser.poll(context, &mut *self.client, &mut *self.browser).is_ready();
            self.to_client.poll(context, &mut *self.browser, &mut *self.client)
        });
        if let Ok(Stop::Closed(_)) = timeout(self.config.farewell_time(), both).await {
            self.linger().await;
        }
    }

    /// Leaves the browser, and waits until the client has read everything and left: closing with unread bytes would destroy a close
    /// frame that is still on its way.
    async fn linger(self) {
        let Self { mut client, browser, config, .. } = self;
        drop(browser);
        let left = async {
            client.shutdown().await?;
            let mut ignored = super::buffer::Buffer::borrow();
            while client.read(&mut ignored[..]).await? > 0 {}
            std::io::Result::Ok(())
        };
        // Whether it left in time or not, there is nothing more to tell it.
        let _ = timeout(config.farewell_time(), left).await;
    }
}

impl Life {
    fn note(&mut self, heard: bool, asked: bool, now: Instant) {
        if heard {
            *self = Self { heard_at: now, asked_at: None };
        }
        if asked {
            self.asked_at.get_or_insert(now);
        }
    }

    /// When the end between these flows counts as silent, unless it gives a sign.
    fn silent_at(&self, to: &Flow, from: &Flow, config: &GatewayConfig) -> Option<Instant> {
        let silent_at = self.heard_at + config.silence_time();
        if to.is_held() {
            return Some(silent_at);
        }
        // Without a ping there is nothing to answer, and whoever is not listened to, because the other end takes nothing, is not heard.
        let asked_at = self.asked_at.filter(|_| !from.is_held())?;
        let answer_time = config.silence_time().saturating_sub(config.ping_time());
        Some(silent_at.max(asked_at + answer_time))
    }
}

impl Over {
    fn word(&self) -> &'static str {
        match self {
            Over::Ending(reason) => reason.as_str(),
            Over::Farewell(Farewell::ServerShutdown) => "server_shutdown",
            Over::Farewell(Farewell::ServiceRestart) => "service_restart",
            Over::Farewell(Farewell::TokenRevoked) => "token_revoked",
            Over::ClientClosed(_) => "client_closed",
            Over::BrowserClosed => "browser_closed",
            Over::ClientLeft => "client_left",
            Over::BrowserLeft => "browser_left",
            Over::ClientBroke(_) => "client_broke_protocol",
            Over::BrowserBroke => "browser_broke_protocol",
            Over::ClientSilent => "client_silent",
            Over::BrowserSilent => "browser_silent",
        }
    }
}
