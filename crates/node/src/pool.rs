//! Warm capsules: started before anybody asks, handed out in milliseconds, never used twice.
//!
//! Promises: a claim takes a warm one when there is one that lives, else starts one; refilling goes one at a time, waits
//! for quiet, runs at the lowest CPU weight and stops under memory pressure, so that it never slows live sessions.

use crate::config::PoolConfig;
use crate::error::StartError;
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Those that are started at once when the pool is empty: more only slow each other.
const STARTS_MAX: usize = 4;
/// Share of the last ten seconds in which something waited for memory, above which the pool is not refilled.
const MEMORY_PRESSURE_MAX: f32 = 10.0;
/// Between two looks at memory, and after a first start that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Longest pause when start after start fails.
const FAILING_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How soon one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A session waits for it.
    Now,
    /// For the pool.
    Spare,
}

/// What a pool holds.
pub(crate) trait Warm: Send + Sync + 'static {
    /// Of its capsule.
    fn id(&self) -> &str;
    /// Whether it can still be used.
    fn lives(&self) -> bool;
    /// Ends everything in it and removes every trace.
    fn destroy(&self) -> impl Future<Output = ()> + Send;
}

/// Makes what a pool holds.
pub(crate) trait Make: Send + Sync + 'static {
    type Made: Warm;
    /// How one differs from its like; the default is what the pool holds.
    type Wish: Default + Send + Sync + 'static;
    /// In messages.
    const WHAT: &'static str;

    /// Makes one that can be handed out; leaves nothing when it fails.
    fn make(&self, urgency: Urgency, wish: &Self::Wish) -> impl Future<Output = Result<Self::Made, StartError>> + Send;

    /// Whether a failure to fulfil this wish says that the machine cannot start any.
    fn tells_of_the_machine(wish: &Self::Wish) -> bool;
}

/// The pool.
pub(crate) struct Pool<M: Make> {
    config: PoolConfig,
    pub(crate) maker: M,
    warm: Mutex<VecDeque<M::Made>>,
    claimed: watch::Sender<Option<Instant>>,
    starts: Semaphore,
    wake: Notify,
    tasks: TaskTracker,
    /// What the last start said.
    pub(crate) last_start: watch::Sender<Option<Result<(), StartError>>>,
}

impl<M: Make> Pool<M> {
    pub(crate) fn new(config: PoolConfig, maker: M, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            config,
            maker,
            warm: Mutex::default(),
            claimed: watch::Sender::default(),
            starts: Semaphore::new(STARTS_MAX),
            wake: Notify::new(),
            tasks,
            last_start: watch::Sender::default(),
        })
    }

    /// Warm ones now.
    pub(crate) fn len(&self) -> usize {
        self.warm().len()
    }

    /// One of the caller's own.
    pub(crate) async fn claim(self: &Arc<Self>) -> Result<M::Made, StartError> {
        self.claimed.send_replace(Some(Instant::now()));
        if let Some(warm) = self.take_living() {
            self.wake.notify_one();
            return Ok(warm);
        }
        let _permit = self.starts.acquire().await.map_err(not_started::<M>)?;
        // The pool may have been refilled while we waited for our turn.
        if let Some(warm) = self.take_living() {
            return Ok(warm);
        }
        self.start(Urgency::Now, M::Wish::default()).await
    }

    /// One that is like none of the pool.
    pub(crate) async fn make(self: &Arc<Self>, wish: M::Wish) -> Result<M::Made, StartError> {
        let _permit = self.starts.acquire().await.map_err(not_started::<M>)?;
        self.start(Urgency::Now, wish).await
    }

    /// Keeps the pool full until told to stop, then ends what is in it.
    pub(crate) async fn keep_full(self: Arc<Self>, stop: CancellationToken) {
        let mut pause = LOOK_AGAIN;
        while !stop.is_cancelled() {
            self.drop_dead().await;
            let wanted = async {
                if self.len() < self.config.size {
                    return self.quiet().await;
                }
                // The timer finds those that died.
                let _ = timeout(LOOK_AGAIN, self.wake.notified()).await;
                false
            };
            let Some(wanted) = stop.run_until_cancelled(wanted).await else { break };
            if wanted && self.fill_one().await {
                pause = LOOK_AGAIN;
            } else if wanted {
                stop.run_until_cancelled(sleep(pause)).await;
                pause = (pause * 2).min(FAILING_PAUSE_MAX);
            }
        }
        let left: Vec<_> = self.warm().drain(..).collect();
        // At once: a stop waits for it, but not for ever.
        join_all(left.iter().map(Warm::destroy)).await;
    }

    /// Waits until the last claim is some time ago; false while memory is short.
    async fn quiet(&self) -> bool {
        let mut claimed = self.claimed.subscribe();
        loop {
            let since = claimed.borrow_and_update().map(|at| at.elapsed());
            match since.and_then(|since| self.config.refill_pause.checked_sub(since)) {
                Some(rest) => tokio::select! { () = sleep(rest) => return true, _ = claimed.changed() => {} },
                None => break,
            }
        }
        let enough = memory_allows(self.config.memory_min_mb);
        if !enough {
            sleep(LOOK_AGAIN).await;
        }
        enough
    }

    /// Starts one more; false when it failed.
    async fn fill_one(self: &Arc<Self>) -> bool {
        match self.start(Urgency::Spare, M::Wish::default()).await {
            Ok(warm) => {
                self.warm().push_back(warm);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a warm {} did not start", M::WHAT);
                false
            }
        }
    }

    /// Starts one on a task of its own: a caller that stops waiting leaves no half-made capsule behind.
    async fn start(self: &Arc<Self>, urgency: Urgency, wish: M::Wish) -> Result<M::Made, StartError> {
        let (hand_over, handed) = oneshot::channel();
        let pool = self.clone();
        self.tasks.spawn(async move {
            let started = pool.maker.make(urgency, &wish).await;
            if started.is_ok() || M::tells_of_the_machine(&wish) {
                pool.note(started.as_ref().map(|_| ()).map_err(Clone::clone));
            }
            if let Err(Ok(unwanted)) = hand_over.send(started) {
                unwanted.destroy().await;
            }
        });
        handed.await.unwrap_or_else(|gone| Err(not_started::<M>(gone)))
    }

    /// Whoever watches hears when starts begin to fail, and when they succeed again.
    fn note(&self, said: Result<(), StartError>) {
        self.last_start.send_if_modified(|last| {
            let is_news = last.as_ref().is_none_or(|last| last.is_ok() != said.is_ok());
            *last = Some(said);
            is_news
        });
    }

    /// Why none can be started, if the last start failed.
    pub(crate) fn complaint(&self) -> Option<StartError> {
        self.last_start.borrow().as_ref().and_then(|last| last.as_ref().err().cloned())
    }

    fn take_living(&self) -> Option<M::Made> {
        let mut warm = self.warm();
        let living = warm.iter().position(M::Made::lives)?;
        warm.remove(living)
    }

    async fn drop_dead(&self) {
        let dead: VecDeque<_> = {
            let mut warm = self.warm();
            let (living, dead) = warm.drain(..).partition(M::Made::lives);
            *warm = living;
            dead
        };
        for warm in dead {
            tracing::warn!(capsule = warm.id(), "a warm {} died and is replaced", M::WHAT);
            warm.destroy().await;
        }
    }

    fn warm(&self) -> MutexGuard<'_, VecDeque<M::Made>> {
        self.warm.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn not_started<M: Make>(cause: impl std::fmt::Display) -> StartError {
    StartError::failed(&format!("start a {}", M::WHAT), cause)
}

/// Whether so much memory is available, and nothing waits for some.
pub(crate) fn memory_allows(minimum_mb: u64) -> bool {
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_mb(&text));
    let pressure = std::fs::read_to_string("/proc/pressure/memory").ok().and_then(|text| some_avg10(&text));
    available.is_none_or(|available| available >= minimum_mb)
        && pressure.is_none_or(|pressure| pressure < MEMORY_PRESSURE_MAX)
}

fn available_mb(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}

fn some_avg10(pressure: &str) -> Option<f32> {
    let line = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split(' ').find_map(|part| part.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_about_memory_are_read() {
        assert_eq!(available_mb("MemTotal: 1 kB\nMemAvailable:    2097152 kB\n"), Some(2048));
        assert_eq!(some_avg10("some avg10=12.50 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00\n"), Some(12.5));
    }
}
