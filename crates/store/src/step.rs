//! What a node did with a session, guarded by `(machine, epoch, generation, run)`.

use crate::{Result, Session, Store};
use vitrine_model::EpochMs;
use vitrine_model::wire::{Step, StepAnswer};

impl Store {
    /// Takes a node's step. A repeated step, or one that came too late to matter (the session is already ending), changes
    /// nothing and is `Taken`; a session that the node does not own (any more), or that is over, is `NotYours`. With
    /// `Taken` comes the session after the step.
    pub async fn step(&self, step: &Step, now: EpochMs) -> Result<(StepAnswer, Option<Session>)> {
        todo!()
    }
}
