//! Placement: which queued session next, and on which machine.

use crate::{Result, Session, Store};
use vitrine_model::{EpochMs, RunId};

/// Figures of placement.
#[derive(Debug, Clone, Copy)]
pub struct PlaceOptions {
    /// A machine that has not beaten for longer takes nothing new.
    pub fresh_beat_ms: i64,
    /// How long a machine may take to have a session ready.
    pub start_ms: i64,
    /// How long a session for which there is no room waits before it is looked at again.
    pub retry_ms: i64,
}

impl Default for PlaceOptions {
    fn default() -> Self {
        Self { fresh_beat_ms: 15_000, start_ms: 20_000, retry_ms: 250 }
    }
}

/// What one placement did.
#[derive(Debug, Clone)]
pub enum Placed {
    /// This session has a machine now.
    Assigned(Box<Session>),
    /// Sessions are queued, none can be placed now; look again at `due_at`, or when something is freed.
    Waiting { due_at: EpochMs },
    /// Nothing is queued.
    Nothing,
}

/// Whether a session could be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// There is room.
    Now,
    /// There is no room now, or no machine has come yet.
    Later,
    /// No machine of that region is known.
    NeverRegion,
    /// It is larger than every machine.
    NeverCapacity,
}

impl Store {
    /// Places the next queued session: of the organization that holds the fewest, its oldest; on the fullest machine that
    /// fits. `run` becomes the start's id.
    pub async fn place_next(&self, now: EpochMs, options: PlaceOptions, run: RunId) -> Result<Placed> {
        todo!()
    }

    /// Asked once before queueing: could any machine hold it?
    pub async fn fit(&self, region: Option<&str>, reserve_mb: u32, now: EpochMs, options: PlaceOptions) -> Result<Fit> {
        todo!()
    }
}
