//! Every connection of the gateway, counted against its limits, and joined when the gateway closes.

use super::{Farewell, GatewayConfig, GatewayMetrics};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use vitrine_model::{Code, Error, SessionId};

/// The open connections.
#[derive(Debug)]
pub(super) struct Registry {
    open: Mutex<Open>,
    tasks: TaskTracker,
    metrics: GatewayMetrics,
}

#[derive(Debug, Default)]
struct Open {
    closing: bool,
    next: u64,
    farewells: HashMap<u64, oneshot::Sender<Farewell>>,
    of_session: HashMap<SessionId, usize>,
}

/// A place in the registry; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    registry: Arc<Registry>,
    session: SessionId,
    number: u64,
}

impl Registry {
    pub(super) fn new(metrics: GatewayMetrics) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), tasks: TaskTracker::new(), metrics })
    }

    /// Takes a place for a connection to `session`, or says which limit it would pass.
    pub(super) fn enter(
        self: &Arc<Self>,
        session: &SessionId,
        config: &GatewayConfig,
    ) -> Result<(Place, oneshot::Receiver<Farewell>), Error> {
        let mut open = self.lock();
        if open.closing {
            return Err(Error::new(Code::Unavailable, "the server is closing; connect again in a moment"));
        }
        if open.farewells.len() >= config.connections_max {
            return Err(Error::new(Code::Unavailable, "the gateway has as many connections as it takes"));
        }
        let count = open.of_session.entry(session.clone()).or_default();
        if *count >= config.session_connections_max {
            let text = format!("a session takes {} connections at once", config.session_connections_max);
            return Err(Error::new(Code::RateLimited, text).with("limit", config.session_connections_max));
        }
        *count += 1;
        let number = open.next;
        open.next += 1;
        let (sender, receiver) = oneshot::channel();
        open.farewells.insert(number, sender);
        self.metrics.connections.inc();
        Ok((Place { registry: Arc::clone(self), session: session.clone(), number }, receiver))
    }

    /// Runs a connection to its end, even when the request that opened it is over.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(connection);
    }

    /// Lets nobody in any more, says farewell to everybody, and waits until they have left.
    pub(super) async fn close(&self, farewell: Farewell) {
        let farewells = {
            let mut open = self.lock();
            open.closing = true;
            std::mem::take(&mut open.farewells)
        };
        for sender in farewells.into_values() {
            // Who does not listen any more is leaving already.
            let _ = sender.send(farewell);
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it holds the lock, and every state of the maps is a good one.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.registry.lock();
        open.farewells.remove(&self.number);
        if let Some(count) = open.of_session.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                open.of_session.remove(&self.session);
            }
        }
        self.registry.metrics.connections.dec();
    }
}
