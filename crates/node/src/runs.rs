//! The runs of this machine: what is known of each, what can be dialled, how to tell it something.

use crate::body::Reached;
use crate::presence::Door;
use crate::run::End;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use vitrine_model::wire::{Assignment, Dial, Known, Traffic};
use vitrine_model::{Desired, EndReason, RunId, SessionId};

/// What a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on, or go on again.
    Live,
    /// The row says `pausing`.
    Pause,
    /// The row says `ending`, for this reason.
    End(EndReason),
    /// End for a reason of the node's own; the row does not know yet.
    EndOurselves(EndReason),
    /// The row has moved on: kill it, publish nothing.
    Drop,
}

impl Order {
    /// What the server wants.
    fn of(assignment: &Assignment) -> Order {
        match assignment.desired {
            Desired::Run | Desired::Resume => Order::Live,
            Desired::Pause => Order::Pause,
            Desired::End => Order::End(assignment.end_reason.unwrap_or(EndReason::Deleted)),
        }
    }

    /// How a run ends that is told this, if it does.
    pub(crate) fn end(self) -> Option<End> {
        match self {
            Order::Live | Order::Pause => None,
            Order::End(reason) => Some(End::Asked(reason)),
            Order::EndOurselves(reason) => Some(End::Own(reason)),
            Order::Drop => Some(End::Dropped),
        }
    }
}

/// A run that can be dialled.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) door: Door,
    pub(crate) body: Arc<dyn Reached>,
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

impl Entry {
    /// The first word that ends it stays, unless it is not ours any more.
    fn tell(&self, order: Order) {
        self.order.send_if_modified(|current| {
            let taken = *current != order && (current.end().is_none() || order == Order::Drop);
            if taken {
                *current = order;
            }
            taken
        });
    }
}

/// All runs.
#[derive(Clone, Default)]
pub struct Runs {
    entries: Arc<Mutex<HashMap<SessionId, Entry>>>,
    emptied: Arc<Notify>,
}

impl Runs {
    /// Takes note of a run; `None` when one of its session is known already.
    pub(crate) fn begin(&self, assignment: &Assignment) -> Option<watch::Receiver<Order>> {
        let mut entries = self.lock();
        if entries.contains_key(&assignment.session) {
            return None;
        }
        let (order, orders) = watch::channel(Order::of(assignment));
        let Assignment { run, generation, desired, .. } = assignment;
        let entry = Entry { run: run.clone(), generation: *generation, desired: *desired, order, live: None };
        entries.insert(assignment.session.clone(), entry);
        Some(orders)
    }

    /// Tells a run what the server wants of it now; false when it is not known.
    pub(crate) fn hear(&self, assignment: &Assignment) -> bool {
        let mut entries = self.lock();
        let entry = entries.get_mut(&assignment.session).filter(|entry| entry.run == assignment.run);
        if let Some(entry) = entry {
            entry.desired = assignment.desired;
            entry.tell(Order::of(assignment));
            return true;
        }
        false
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

    /// Tells every run something.
    pub(crate) fn tell_all(&self, order: Order) {
        self.lock().values().for_each(|entry| entry.tell(order));
    }

    /// Tells the runs that are not ready yet.
    pub(crate) fn tell_unready(&self, order: Order) {
        self.lock().values().filter(|entry| entry.live.is_none()).for_each(|entry| entry.tell(order));
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
            let bytes = entry.live.as_ref()?.body.egress_bytes();
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
