//! Calls that were made before: a client that heard no answer in time, or lost its connection, makes a call again by the same
//! id and gets the first one's answer. What runs for a call ends with this table.

use super::failure::Failure;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// For how long an id is known.
const KEPT: Duration = Duration::from_secs(120);
/// Ids of one session that are known.
const CALLS_MAX: usize = 1024;
/// Of those, calls that run: they go on when their asker leaves, and each holds its arguments.
const RUNNING_MAX: usize = 128;
/// An id that a client makes.
pub(super) const ID_BYTES_MAX: usize = 64;
/// Larger answers are not kept for a second asker. They are kept as text: as values they would take eighty times as much.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long a larger one waits for those who ask now, and how often it is looked whether they have it.
const TAKEN_LIMIT: Duration = Duration::from_secs(5);
const TAKEN_PAUSE: Duration = Duration::from_millis(20);

pub(super) type Answer = Result<Value, Failure>;
/// The same with its value as JSON.
type Kept = Result<String, Failure>;

#[derive(Default)]
pub(crate) struct Memory {
    calls: Mutex<HashMap<String, Remembered>>,
}

struct Remembered {
    since: Instant,
    answer: watch::Receiver<Option<Arc<Kept>>>,
    task: AbortHandle,
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Memory {
    /// The answer of the call that has this id: `call` is made when there was none yet, and goes on when its asker leaves.
    pub async fn once(&self, id: &str, call: impl Future<Output = Answer> + Send + 'static) -> Answer {
        let mut answer = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.retain(|_, call| call.since.elapsed() < KEPT);
            match calls.get(id) {
                Some(known) => known.answer.clone(),
                None => {
                    if calls.values().filter(|call| call.answer.borrow().is_none()).count() >= RUNNING_MAX {
                        return Err(Failure::busy());
                    }
                    if calls.len() >= CALLS_MAX {
                        forget_oldest(&mut calls);
                    }
                    let (given, answer) = watch::channel(None);
                    let task = tokio::spawn(run(call, given)).abort_handle();
                    calls.insert(id.to_owned(), Remembered { since: Instant::now(), answer: answer.clone(), task });
                    answer
                }
            }
        };
        let kept = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        match kept.as_deref() {
            Some(Ok(text)) => serde_json::from_str(text).map_err(|_| gone()),
            Some(Err(failure)) => Err(failure.clone()),
            None => Err(gone()),
        }
    }
}

/// Lets go of the oldest call that has its answer.
fn forget_oldest(calls: &mut HashMap<String, Remembered>) {
    let answered = calls.iter().filter(|(_, call)| call.answer.borrow().is_some());
    let oldest = answered.min_by_key(|(_, call)| call.since).map(|(id, _)| id.clone());
    if let Some(id) = oldest {
        calls.remove(&id);
    }
}

fn gone() -> Failure {
    Failure::internal("the session ended while the call was made")
}

async fn run(call: impl Future<Output = Answer>, given: watch::Sender<Option<Arc<Kept>>>) {
    let kept = call.await.map(|value| value.to_string());
    let is_large = kept.as_ref().is_ok_and(|text| text.len() > ANSWER_BYTES_MAX);
    given.send_replace(Some(Arc::new(kept)));
    if is_large {
        let deadline = Instant::now() + TAKEN_LIMIT;
        // The table itself listens too.
        while given.receiver_count() > 1 && Instant::now() < deadline {
            tokio::time::sleep(TAKEN_PAUSE).await;
        }
        given.send_replace(Some(Arc::new(Err(Failure::internal("the answer was too large to be kept")))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_call_is_made_once_whoever_asks_and_leaves() {
        let (memory, made) = (Memory::default(), Arc::new(AtomicU32::new(0)));
        let call = || {
            let made = made.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(json!(made.fetch_add(1, Ordering::Relaxed)))
            }
        };
        let left = tokio::time::timeout(Duration::from_millis(1), memory.once("a", call())).await;
        assert!(left.is_err());
        let (first, second) = tokio::join!(memory.once("a", call()), memory.once("a", call()));
        assert_eq!((first, second), (Ok(json!(0)), Ok(json!(0))));
        assert_eq!(memory.once("b", call()).await, Ok(json!(1)));
    }

    #[tokio::test]
    async fn a_large_answer_is_given_and_forgotten() {
        let memory = Memory::default();
        let large = "x".repeat(ANSWER_BYTES_MAX);
        let call = || std::future::ready(Ok(json!(large.clone())));
        assert_eq!(memory.once("a", call()).await, Ok(json!(large)));
        tokio::time::sleep(TAKEN_PAUSE * 5).await;
        assert!(memory.once("a", call()).await.is_err());
    }
}
