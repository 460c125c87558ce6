//! A sandbox's life between ready and its end: awake, asleep while it is paused, awake again.
//!
//! Promises: what the row wants is done at once and told; a state that the last node reached but did not tell is told by the
//! next.

use super::Sandbox;
use crate::clock;
use crate::pool::memory_allows;
use crate::run::{End, Run, at};
use crate::runs::Order;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use vitrine_model::wire::{StepAnswer, StepKind};
use vitrine_model::{CheckpointId, Desired, EndReason, EpochMs};

/// How long something has to run until the sandbox is called active: most commands are over by then, and a row that changes twice
/// for each would say nothing.
const ACTIVE_AFTER: Duration = Duration::from_millis(100);
/// How long nothing has to run until it is called ready again.
const READY_AFTER: Duration = Duration::from_millis(500);
/// Sandboxes that are written to disk at once on the machine.
static FLUSHES: Semaphore = Semaphore::const_new(2);
/// Between two looks at the machine's memory.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Between two tries to freeze or thaw.
const AGAIN: Duration = Duration::from_secs(1);

impl Sandbox {
    pub(super) async fn life(self: &Arc<Self>, run: &Run, expires_at: Option<EpochMs>) -> End {
        let mut expires_at = expires_at;
        if run.assignment.desired == Desired::Resume && !self.is_frozen() {
            // The last node thawed it and could not tell any more.
            expires_at = resumed(run, expires_at).await;
        }
        loop {
            if !self.is_frozen()
                && let Some(end) = self.awake(run, expires_at).await
            {
                return end;
            }
            match self.asleep(run, expires_at).await {
                Ok(new) => expires_at = new,
                Err(end) => return end,
            }
        }
    }

    /// Until it ends, or is to be paused: then nothing is answered.
    async fn awake(&self, run: &Run, expires_at: Option<EpochMs>) -> Option<End> {
        let mut orders = run.orders.clone();
        let mut presence = run.door.presence();
        presence.mark_changed();
        let expiry = expires_at.map(|at| Instant::now() + clock::until(at));
        let (mut told_active, mut tell) = (false, None);
        loop {
            tokio::select! {
                biased;
                order = changed(&mut orders, Order::Live) => return order.end(),
                () = self.gone() => return Some(self.died()),
                () = at(expiry) => return Some(End::Own(EndReason::MaxDuration)),
                _ = presence.changed() => {
                    let active = presence.borrow_and_update().acting > 0;
                    tell = match active == told_active {
                        true => None,
                        false => tell.or_else(|| {
                            Some(Instant::now() + if active { ACTIVE_AFTER } else { READY_AFTER })
                        }),
                    };
                }
                () = at(tell) => {
                    tell = None;
                    told_active = !told_active;
                    let step = if told_active { StepKind::Activate } else { StepKind::Deactivate };
                    // Refused when the row moved on; the assignments, or the next beat, say how.
                    run.reporter.step(step).await;
                }
            }
        }
    }

    /// Freezes it, until it is resumed (when it has to end by then is answered) or ends.
    async fn asleep(self: &Arc<Self>, run: &Run, expires_at: Option<EpochMs>) -> Result<Option<EpochMs>, End> {
        let mut orders = run.orders.clone();
        let expiry = expires_at.map(|at| Instant::now() + clock::until(at));
        tokio::select! {
            biased;
            () = self.freeze(run) => {}
            // Nobody has to wait for what cannot be frozen.
            order = changed(&mut orders, Order::Pause) => match order.end() {
                Some(end) => return Err(end),
                None => {
                    self.thaw(run).await;
                    return Ok(resumed(run, expires_at).await);
                }
            },
            () = at(expiry) => return Err(End::Own(EndReason::MaxDuration)),
        }
        if self.spec().checkpointed {
            let underway = self.begin_checkpoint(&run.shared, CheckpointId::new(clock::now(), &clock::entropy));
            // Brought while it is paused, or later.
            let _ = underway.taken.await;
        }
        run.reporter.step(StepKind::Paused).await;
        loop {
            tokio::select! {
                biased;
                order = changed(&mut orders, Order::Pause) => match order.end() {
                    Some(end) => return Err(end),
                    None => break,
                },
                () = self.gone() => return Err(self.died()),
                () = self.asleep_enough(run) => {
                    if self.store(run).await {
                        return Err(End::Stored);
                    }
                }
            }
        }
        self.thaw(run).await;
        Ok(resumed(run, expires_at).await)
    }

    /// Resolves when it is to give its memory back and all that it wrote is on the machine's disk: to write much takes long,
    /// and whoever wants it meanwhile does not wait for that.
    async fn asleep_enough(&self, run: &Run) {
        let config = &run.shared.config;
        let until = Instant::now() + config.sandbox.pause_disk_after;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // At least once: what was refused is not asked again at once.
            sleep(LOOK_AGAIN.min(left.max(AGAIN))).await;
            if until > Instant::now() && memory_allows(config.sandbox.pool.memory_min_mb) {
                continue;
            }
            let flushed = async {
                let _turn = FLUSHES.acquire().await;
                self.capsule.flush_disk().await
            };
            match flushed.await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(session = %run.assignment.session, %error, "a sandbox does not move to disk yet");
                }
            }
        }
    }

    /// Whether the session goes on without its capsule.
    async fn store(&self, run: &Run) -> bool {
        self.mark_stored(run);
        let stored = run.reporter.step(StepKind::Stored { egress: self.capsule.egress_bytes() }).await;
        // Refused when it is resumed or ended at this moment: that comes with the assignments.
        matches!(stored, StepAnswer::Taken { .. })
    }

    async fn freeze(&self, run: &Run) {
        // Told first: what would wait for a program in it is refused from now on.
        self.frozen.send_replace(true);
        let _still = self.moving.write().await;
        while let Err(error) = self.capsule().freeze().await {
            tracing::error!(session = %run.assignment.session, %error, "a sandbox cannot be frozen yet");
            sleep(AGAIN).await;
        }
    }

    async fn thaw(&self, run: &Run) {
        let _still = self.moving.write().await;
        while let Err(error) = self.capsule().thaw() {
            tracing::error!(session = %run.assignment.session, %error, "a sandbox cannot be thawed yet");
            sleep(AGAIN).await;
        }
        self.frozen.send_replace(false);
    }

    async fn gone(&self) {
        if let Err(error) = self.capsule().exited().await {
            tracing::warn!(capsule = self.capsule().id(), %error, "a sandbox's process 1 cannot be watched");
            std::future::pending::<()>().await;
        }
    }

    fn died(&self) -> End {
        let (reason, message) = match self.capsule().oom_kills().unwrap_or(0) {
            0 => (EndReason::ProcessLost, "the sandbox's process 1 ended"),
            _ => (EndReason::OutOfMemory, "the session reached its memory limit"),
        };
        End::Failed { reason, message: message.into() }
    }
}

/// Tells that it runs again, and gives when it has to end.
async fn resumed(run: &Run, expires_at: Option<EpochMs>) -> Option<EpochMs> {
    match run.reporter.step(StepKind::Resumed).await {
        StepAnswer::Taken { expires_at: Some(at) } => Some(at),
        // Refused when the row moved on; the assignments, or the next beat, say how.
        _ => expires_at,
    }
}

/// Waits for another order.
async fn changed(orders: &mut tokio::sync::watch::Receiver<Order>, from: Order) -> Order {
    // Whoever could tell it anything is gone: so is the node.
    orders.wait_for(|order| *order != from).await.map_or(Order::Drop, |order| *order)
}
