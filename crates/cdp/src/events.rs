//! Subscriptions. Each has a bounded queue of its own; when it is full the oldest event goes and the subscriber is told
//! how many it missed.

use crate::error::Closed;
use crate::feed::Heard;
use crate::wire::Event;
use bytes::Bytes;
use std::marker::PhantomData;
use thiserror::Error;
use tokio::sync::broadcast::{self, error::RecvError};

/// Events that one subscription keeps for a reader that lags.
pub const EVENTS_KEPT_MAX: usize = 256;

/// Events of one kind, in the order in which the browser sent them.
pub struct Events<E> {
    receiver: broadcast::Receiver<Delivery>,
    kind: PhantomData<fn() -> E>,
}

/// Events of several kinds, in the order in which the browser sent them.
pub struct Several {
    receiver: broadcast::Receiver<Delivery>,
}

/// Why the next event is none.
#[derive(Clone, Debug, Error)]
pub enum Missed {
    /// The reader was slower than the browser; what comes next is newer than what was lost.
    #[error("{0} events were lost to a slow reader")]
    Lost(u64),
    #[error("{method} is not what the protocol says: {why}")]
    Malformed { method: &'static str, why: String },
    /// Nothing more will come: the session was detached.
    #[error("the session was detached from its target")]
    Detached,
    /// Nothing more will come.
    #[error("{0}")]
    Closed(Closed),
}

#[derive(Clone)]
pub(crate) enum Delivery {
    Event(&'static str, Bytes),
    Detached,
    Closed(Closed),
}

/// Where the reader of the connection puts events of some kinds and one session.
pub(crate) struct Subscription {
    pub session: Option<String>,
    methods: &'static [&'static str],
    sender: broadcast::Sender<Delivery>,
}

impl Subscription {
    pub fn new<E: Event>(session: Option<String>) -> (Subscription, Events<E>) {
        let (subscription, Several { receiver }) = Subscription::several(session, const { &[E::METHOD] });
        (subscription, Events { receiver, kind: PhantomData })
    }

    pub fn several(session: Option<String>, methods: &'static [&'static str]) -> (Subscription, Several) {
        let (sender, receiver) = broadcast::channel(EVENTS_KEPT_MAX);
        (Subscription { session, methods, sender }, Several { receiver })
    }

    /// The method as it is subscribed to; none when it is not.
    pub fn wants(&self, session: Option<&str>, method: &str) -> Option<&'static str> {
        let is_of = self.session.as_deref() == session;
        self.methods.iter().copied().find(|wanted| is_of && *wanted == method)
    }

    /// Nobody holds the other end any more.
    pub fn is_abandoned(&self) -> bool {
        self.sender.receiver_count() == 0
    }

    pub fn deliver(&self, delivery: Delivery) {
        // Fails only when abandoned; the next event of this kind removes it.
        let _ = self.sender.send(delivery);
    }
}

impl<E: Event> Events<E> {
    /// Waits for the next event. After `Lost` and `Malformed` more may come, after the others nothing does.
    pub async fn next(&mut self) -> Result<E, Missed> {
        let (_, params) = receive(&mut self.receiver).await?;
        serde_json::from_slice(&params).map_err(|error| Missed::Malformed { method: E::METHOD, why: error.to_string() })
    }
}

impl Several {
    /// Waits for the next event of any of the kinds. As with [`Events`], more may come after `Lost`.
    pub async fn next(&mut self) -> Result<Heard, Missed> {
        let (method, params) = receive(&mut self.receiver).await?;
        Ok(Heard::new(None, method.to_owned(), params))
    }
}

async fn receive(receiver: &mut broadcast::Receiver<Delivery>) -> Result<(&'static str, Bytes), Missed> {
    match receiver.recv().await {
        Ok(Delivery::Event(method, params)) => Ok((method, params)),
        Ok(Delivery::Detached) => Err(Missed::Detached),
        Ok(Delivery::Closed(closed)) => Err(Missed::Closed(closed)),
        Err(RecvError::Lagged(count)) => Err(Missed::Lost(count)),
        Err(RecvError::Closed) => Err(Missed::Closed(Closed::Here)),
    }
}
