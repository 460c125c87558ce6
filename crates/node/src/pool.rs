//! Warm browsers: started before anybody asks, handed out in milliseconds, never used twice.
//!
//! Promises: a claim takes a warm browser when there is one that lives, else starts one; refilling goes one at a time, waits
//! for quiet, runs at the lowest CPU weight and stops under memory pressure, so that it never slows live sessions.

use crate::browser_capsule::{BrowserCapsule, Maker, Urgency};
use crate::config::PoolConfig;
use crate::error::StartError;
use crate::wish::Wish;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Browsers that are started at once when the pool is empty: more only slow each other.
const STARTS_MAX: usize = 4;
/// Share of the last ten seconds in which something waited for memory, above which the pool is not refilled.
const MEMORY_PRESSURE_MAX: f32 = 10.0;
/// Between two looks at memory, and after a first start that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Longest pause when start after start fails.
const FAILING_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The pool.
pub(crate) struct Pool {
    config: PoolConfig,
    pub(crate) maker: Maker,
    warm: Mutex<VecDeque<BrowserCapsule>>,
    claimed: watch::Sender<Option<Instant>>,
    starts: Semaphore,
    wake: Notify,
    tasks: TaskTracker,
    /// What the last start said; a machine whose browsers do not start takes no sessions.
    pub(crate) last_start: watch::Sender<Option<Result<(), StartError>>>,
}

impl Pool {
    pub(crate) fn new(config: PoolConfig, maker: Maker, tasks: TaskTracker) -> Arc<Self> {
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

    /// Warm browsers now.
    pub(crate) fn len(&self) -> usize {
        self.warm().len()
    }

    /// A browser of the caller's own.
    pub(crate) async fn claim(self: &Arc<Self>) -> Result<BrowserCapsule, StartError> {
        self.claimed.send_replace(Some(Instant::now()));
        if let Some(browser) = self.take_living() {
            self.wake.notify_one();
            return Ok(browser);
        }
        let _permit = self.starts.acquire().await.map_err(|closed| StartError::failed("start a browser", closed))?;
        // Somebody may have put one back while we waited for our turn.
        if let Some(browser) = self.take_living() {
            return Ok(browser);
        }
        self.start(Urgency::Now, Wish::default()).await
    }

    /// A browser that is like none of the pool.
    pub(crate) async fn make(self: &Arc<Self>, wish: Wish) -> Result<BrowserCapsule, StartError> {
        let _permit = self.starts.acquire().await.map_err(|closed| StartError::failed("start a browser", closed))?;
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
                // The timer finds warm browsers that died.
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
        for browser in left {
            browser.destroy().await;
        }
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
        match self.start(Urgency::Spare, Wish::default()).await {
            Ok(browser) => {
                self.warm().push_back(browser);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a warm browser did not start");
                false
            }
        }
    }

    /// Starts one on a task of its own: a caller that stops waiting leaves no half-made capsule behind.
    async fn start(self: &Arc<Self>, urgency: Urgency, wish: Wish) -> Result<BrowserCapsule, StartError> {
        let (hand_over, handed) = oneshot::channel();
        let pool = self.clone();
        self.tasks.spawn(async move {
            let started = pool.maker.make(urgency, &wish).await;
            // A profile that does not unpack says nothing of the machine.
            if started.is_ok() || wish.profile.is_none() {
                pool.last_start.send_replace(Some(started.as_ref().map(|_| ()).map_err(Clone::clone)));
            }
            if let Err(Ok(unwanted)) = hand_over.send(started) {
                unwanted.destroy().await;
            }
        });
        handed.await.unwrap_or_else(|gone| Err(StartError::failed("start a browser", gone)))
    }

    fn take_living(&self) -> Option<BrowserCapsule> {
        let mut warm = self.warm();
        let living = warm.iter().position(BrowserCapsule::lives)?;
        warm.remove(living)
    }

    async fn drop_dead(&self) {
        let dead: VecDeque<_> = {
            let mut warm = self.warm();
            let (living, dead) = warm.drain(..).partition(BrowserCapsule::lives);
            *warm = living;
            dead
        };
        for browser in dead {
            tracing::warn!(capsule = browser.id(), "a warm browser died and is replaced");
            browser.destroy().await;
        }
    }

    fn warm(&self) -> MutexGuard<'_, VecDeque<BrowserCapsule>> {
        self.warm.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn memory_allows(minimum_mb: u64) -> bool {
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
