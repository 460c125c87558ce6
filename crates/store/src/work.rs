//! What a machine is to do: its sessions that it does not know of yet, or of which something else is wanted now.

use crate::{Result, Session, Store};
use vitrine_model::MachineId;
use vitrine_model::wire::Known;

impl Store {
    /// The machine's sessions beyond `known`, oldest first. `None`: another epoch holds the machine.
    pub async fn assignments(&self, machine: &MachineId, epoch: i64, known: &[Known]) -> Result<Option<Vec<Session>>> {
        todo!()
    }
}
