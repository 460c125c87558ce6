//! Hints inside this process: whoever waits for something looks again at once. The rows stay the truth, and everybody
//! who waits also looks from time to time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use vitrine_model::{MachineId, SessionId};

/// Who can be woken.
#[derive(Default)]
pub struct Wakes {
    /// Nodes that wait for assignments.
    pub machines: Arc<Waiters<MachineId>>,
    /// Clients that wait for their session.
    pub sessions: Arc<Waiters<SessionId>>,
}

/// Those who wait for something, by its id. Only what somebody waits for takes memory.
pub struct Waiters<K>(Mutex<HashMap<K, watch::Sender<()>>>);

/// One who waits. What is woken between two looks is not missed.
pub struct Waiting<K: Hash + Eq> {
    all: Arc<Waiters<K>>,
    key: K,
    receiver: Option<watch::Receiver<()>>,
}

impl<K> Default for Waiters<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> Waiters<K> {
    /// Begins to wait. Look at the rows after this, not before.
    pub fn subscribe(self: &Arc<Self>, key: &K) -> Waiting<K> {
        let receiver = self.lock().entry(key.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Waiting { all: self.clone(), key: key.clone(), receiver: Some(receiver) }
    }

    /// Wakes all who wait for `key`.
    pub fn wake(&self, key: &K) {
        if let Some(sender) = self.lock().get(key) {
            sender.send_replace(());
        }
    }
}

impl<K> Waiters<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Sender<()>>> {
        // A panic cannot leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Waiting<K> {
    /// Returns once it was woken since the last call.
    pub async fn woken(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            // The sender lives as long as we do: it is removed with its last receiver.
            let _ = receiver.changed().await;
        }
    }
}

impl<K: Hash + Eq> Drop for Waiting<K> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        self.receiver = None;
        if all.get(&self.key).is_some_and(|sender| sender.receiver_count() == 0) {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_missed_and_nothing_is_left() {
        let waiters = Arc::new(Waiters::<u8>::default());
        let (mut first, mut second) = (waiters.subscribe(&1), waiters.subscribe(&1));
        waiters.wake(&1);
        waiters.wake(&2);
        first.woken().await;
        second.woken().await;
        drop(first);
        assert_eq!(waiters.lock().len(), 1);
        drop(second);
        assert_eq!(waiters.lock().len(), 0);
    }
}
