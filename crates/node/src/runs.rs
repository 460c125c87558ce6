//! The runs of this machine: what is known of each, what can be dialled, how to tell it something.

use crate::browser_capsule::BrowserCapsule;
use crate::carried::Carried;
use crate::presence::Door;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use vitrine_model::wire::{Dial, EgressBytes, Known, Traffic};
use vitrine_model::{Desired, EndReason, RunId, SessionId};

/// What a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Live,
    /// The row says `ending`, for this reason.
    End(EndReason),
    /// End for a reason of the node's own; the row does not know yet.
    EndOurselves(EndReason),
    /// The row has moved on: kill it, publish nothing.
    Drop,
}

/// A run that can be dialled.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) door: Door,
    pub(crate) browser: Arc<BrowserCapsule>,
    pub(crate) carried: Arc<Carried>,
    /// Ends what serves this run.
    pub(crate) over: CancellationToken,
}

struct Entry {
    run: RunId,
    generation: i64,
    desired: Desired,
    order: watch::Sender<Order>,
    live: Option<Live>,
}

/// All runs.
#[derive(Clone, Default)]
pub struct Runs {
    entries: Arc<Mutex<HashMap<SessionId, Entry>>>,
    emptied: Arc<Notify>,
}

impl Runs {
    /// Takes note of a run; `None` when this generation, or a later one, is known already.
    pub(crate) fn begin(&self, session: &SessionId, run: &RunId, generation: i64) -> Option<watch::Receiver<Order>> {
        let mut entries = self.lock();
        if entries.contains_key(session) {
            return None;
        }
        let (order, orders) = watch::channel(Order::Live);
        let entry = Entry { run: run.clone(), generation, desired: Desired::Run, order, live: None };
        entries.insert(session.clone(), entry);
        Some(orders)
    }

    /// From now on the run can be dialled.
    pub(crate) fn open(&self, session: &SessionId, live: Live) {
        if let Some(entry) = self.lock().get_mut(session) {
            entry.live = Some(live);
        }
    }

    /// From now on it cannot; it stays known until [`Runs::forget`].
    pub(crate) fn close(&self, session: &SessionId) {
        if let Some(entry) = self.lock().get_mut(session) {
            entry.live = None;
        }
    }

    /// Nothing of it is left.
    pub(crate) fn forget(&self, session: &SessionId) {
        let mut entries = self.lock();
        entries.remove(session);
        if entries.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// The node stops: what still lives is let go of, for the next node to adopt.
    pub(crate) fn let_go(&self) {
        self.lock().clear();
    }

    /// Tells one run something; the first word that ends it stays.
    pub(crate) fn tell(&self, session: &SessionId, order: Order) {
        if let Some(entry) = self.lock().get_mut(session) {
            if matches!(order, Order::End(_)) {
                entry.desired = Desired::End;
            }
            entry.order.send_if_modified(|current| {
                let taken = *current == Order::Live || order == Order::Drop;
                if taken {
                    *current = order;
                }
                taken
            });
        }
    }

    /// Tells every run something.
    pub(crate) fn tell_all(&self, order: Order) {
        let sessions: Vec<_> = self.lock().keys().cloned().collect();
        sessions.iter().for_each(|session| self.tell(session, order));
    }

    /// Tells the runs that are not ready yet.
    pub(crate) fn tell_unready(&self, order: Order) {
        let unready: Vec<_> =
            self.lock().iter().filter(|(_, entry)| entry.live.is_none()).map(|(session, _)| session.clone()).collect();
        unready.iter().for_each(|session| self.tell(session, order));
    }

    /// For the next question after assignments.
    pub(crate) fn known(&self) -> Vec<Known> {
        let known = |(session, entry): (&SessionId, &Entry)| Known {
            session: session.clone(),
            generation: entry.generation,
            desired: entry.desired,
        };
        self.lock().iter().map(known).collect()
    }

    /// Bytes of every live run.
    pub(crate) fn traffic(&self) -> Vec<Traffic> {
        let entries = self.lock();
        let bytes = |(session, entry): (&SessionId, &Entry)| {
            let bytes: EgressBytes = entry.live.as_ref()?.browser.egress_bytes();
            Some(Traffic { session: session.clone(), generation: entry.generation, bytes })
        };
        entries.iter().filter_map(bytes).collect()
    }

    /// Whether a run of this session is known.
    pub(crate) fn knows(&self, session: &SessionId) -> bool {
        self.lock().contains_key(session)
    }

    /// Runs that are known.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no run is known.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Clients that are connected now, over all runs.
    pub(crate) fn clients(&self) -> usize {
        let connected = |entry: &Entry| entry.live.as_ref().map_or(0, |live| live.door.presence().borrow().connected);
        self.lock().values().map(|entry| connected(entry) as usize).sum()
    }

    /// Resolves when no run is known.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// A run that can be dialled.
    pub(crate) fn find(&self, dial: &Dial) -> Option<Live> {
        self.lock().get(&dial.session).filter(|entry| entry.run == dial.run)?.live.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
