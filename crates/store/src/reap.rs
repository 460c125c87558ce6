//! Machines that fell silent. When everybody is silent the fault is ours: then it waits for one lease first.

use crate::{Result, Session, Store};
use vitrine_model::{EpochMs, MachineId};

/// Figures of the reaper.
#[derive(Debug, Clone, Copy)]
pub struct ReapOptions {
    /// How often some server calls [`Store::reap`].
    pub tick_ms: i64,
    /// How long a machine may be silent.
    pub lease_ms: i64,
}

impl Default for ReapOptions {
    fn default() -> Self {
        Self { tick_ms: 1_000, lease_ms: 45_000 }
    }
}

/// What one tick did.
#[derive(Debug, Clone, Default)]
pub struct Reaped {
    /// Machines that are lost now.
    pub machines: Vec<MachineId>,
    /// Their sessions: failed, ended or queued again.
    pub sessions: Vec<Session>,
    /// Nothing is reaped before then.
    pub held_until: Option<EpochMs>,
}

impl Store {
    /// One tick of the reaper; any server may call it.
    pub async fn reap(&self, options: ReapOptions, now: EpochMs) -> Result<Reaped> {
        todo!()
    }
}
