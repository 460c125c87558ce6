//! What must become true eventually: loops without input, each woken by a signal and by a timer, each safe to run twice
//! and on several servers at once. After a crash the same loops pick up what was left.

use crate::app::App;
use crate::embed;
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vitrine_model::{EpochMs, RunId};
use vitrine_store::{Placed, ReapOptions, StoreError};

/// How often deadlines and leases are looked at; the reaper's rules count in these ticks.
const TICK: Duration = Duration::from_secs(1);
/// How often invariants are checked.
const WATCH_EVERY: Duration = Duration::from_secs(60);
/// How often upstream proxies are tried.
const TRY_UPSTREAMS_EVERY: Duration = Duration::from_secs(10);
/// How often what is old is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How often the database's log is written back.
const WRITE_BACK_EVERY: Duration = Duration::from_secs(5);
/// Pause after a failure, so that a database that is down is not hammered.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Shortest pause between two looks at sessions for which there is no room.
const RETRY_MIN: Duration = Duration::from_millis(50);

/// One loop.
pub struct Reconciler {
    /// How it is called in the log.
    pub name: &'static str,
    every: Duration,
    signalled: bool,
    act: fn(App) -> BoxFuture<'static, Result<Option<Duration>, StoreError>>,
}

/// Every loop of the server.
pub const ALL: [Reconciler; 8] = [
    Reconciler { name: "placement", every: TICK, signalled: true, act: |app| Box::pin(place(app)) },
    Reconciler { name: "deadlines", every: TICK, signalled: false, act: |app| Box::pin(deadlines(app)) },
    Reconciler { name: "reaper", every: TICK, signalled: false, act: |app| Box::pin(reap(app)) },
    Reconciler { name: "invariants", every: WATCH_EVERY, signalled: false, act: |app| Box::pin(watch(app)) },
    Reconciler {
        name: "upstreams",
        every: TRY_UPSTREAMS_EVERY,
        signalled: false,
        act: |app| Box::pin(try_upstreams(app)),
    },
    Reconciler { name: "visits", every: TICK, signalled: false, act: |app| Box::pin(embed::demo::end_abandoned(app)) },
    Reconciler { name: "log", every: WRITE_BACK_EVERY, signalled: false, act: |app| Box::pin(write_back(app)) },
    Reconciler { name: "sweep", every: SWEEP_EVERY, signalled: false, act: |app| Box::pin(sweep(app)) },
];

impl Reconciler {
    /// Runs until `shutdown`.
    pub async fn run(&self, app: App, shutdown: CancellationToken) {
        loop {
            let pause = match (self.act)(app.clone()).await {
                Ok(sooner) => sooner.unwrap_or(self.every),
                Err(error) => {
                    tracing::warn!(reconciler = self.name, "could not {error}");
                    FAILURE_PAUSE
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = app.placement.notified(), if self.signalled => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Places what is queued; answers when to look again although nothing happened.
async fn place(app: App) -> Result<Option<Duration>, StoreError> {
    loop {
        let now = app.clock.now();
        let run = RunId::new(now, app.entropy.as_ref());
        match app.store.place_next(now, app.place_options(), run).await? {
            Placed::Assigned(session) => app.moved(&session),
            Placed::Waiting { due_at } => return Ok(Some(until(due_at, now).clamp(RETRY_MIN, TICK))),
            Placed::Nothing => return Ok(None),
        }
    }
}

fn until(due_at: EpochMs, now: EpochMs) -> Duration {
    Duration::from_millis(u64::try_from(due_at.saturating_sub(now)).unwrap_or(0))
}

async fn deadlines(app: App) -> Result<Option<Duration>, StoreError> {
    let now = app.clock.now();
    let mut moved = app.store.requeue_overdue(now).await?;
    moved.extend(app.store.fail_overdue_queued(now).await?);
    moved.extend(app.store.end_expired(now).await?);
    if app.config.paused_kept_ms > 0 {
        let paused_before = now.saturating_sub_unsigned(app.config.paused_kept_ms);
        moved.extend(app.store.end_long_paused(paused_before, now).await?);
    }
    moved.iter().for_each(|session| app.moved(session));
    // Each call takes a bounded number: what moved may have more behind it.
    Ok((!moved.is_empty()).then_some(Duration::ZERO))
}

async fn reap(app: App) -> Result<Option<Duration>, StoreError> {
    let options = ReapOptions {
        tick_ms: TICK.as_millis() as i64,
        lease_ms: i64::try_from(app.config.lease_ms).unwrap_or(i64::MAX),
    };
    let reaped = app.store.reap(options, app.clock.now()).await?;
    for machine in &reaped.machines {
        tracing::warn!(%machine, "machine is lost: silent for longer than its lease");
    }
    reaped.sessions.iter().for_each(|session| app.moved(session));
    Ok(None)
}

async fn watch(app: App) -> Result<Option<Duration>, StoreError> {
    for broken in app.store.invariants().await? {
        tracing::error!(broken, "an invariant does not hold");
    }
    Ok(None)
}

async fn write_back(app: App) -> Result<Option<Duration>, StoreError> {
    app.store.write_back().await?;
    Ok(None)
}

async fn try_upstreams(app: App) -> Result<Option<Duration>, StoreError> {
    app.try_upstreams().await;
    Ok(None)
}

/// Deletes what is old: rows first, and then the objects that no row shows any more.
async fn sweep(app: App) -> Result<Option<Duration>, StoreError> {
    let now = app.clock.now();
    app.store.delete_expired(now).await?;
    while app.store.drop_expired_artifacts(now).await? > 0 {}
    while app.store.drop_expired_checkpoints(now).await? > 0 {}
    while app.store.drop_loose_packs(now).await? > 0 {}
    if app.config.profiles_kept_ms > 0 {
        app.store.remove_stale_profiles(now.saturating_sub_unsigned(app.config.profiles_kept_ms), now).await?;
    }
    loop {
        let due = app.store.due_objects(now).await?;
        for object in &due {
            if let Err(error) = app.objects.delete(object).await {
                // The row stays, and with it the next try.
                tracing::warn!(object = object.as_str(), "could not delete an object: could not {error}");
                return Ok(None);
            }
            app.store.object_deleted(object).await?;
        }
        if due.is_empty() {
            return Ok(None);
        }
    }
}
