//! Machines: registration with adoption, beats, draining.

use crate::{Result, Session, Store};
use vitrine_model::wire::{BeatAnswer, NotReady, Register, Traffic};
use vitrine_model::{EpochMs, MachineId, OrganizationId};

/// What is known of a machine's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineState {
    /// Registered, and cannot take sessions yet.
    Starting,
    /// Takes sessions, unless it is draining.
    Ready,
    /// Silent for longer than its lease.
    Lost,
}

/// A machine and its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub id: MachineId,
    pub provider: String,
    pub region_code: String,
    pub region_global: String,
    pub state: MachineState,
    /// The operator wants it empty: nothing new is placed on it.
    pub draining: bool,
    pub epoch: i64,
    pub boot_id: String,
    pub version: String,
    pub reserve_total_mb: u32,
    pub reserve_used_mb: u32,
    pub slots_total: u32,
    pub slots_used: u32,
    /// Whose dedicated sessions it holds.
    pub exclusive_organization: Option<OrganizationId>,
    pub not_ready: Option<NotReady>,
    pub registered_at: EpochMs,
    pub beat_at: EpochMs,
    pub lease_until: EpochMs,
}

/// What a registration did.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Carried by every later word of the node; the server signs the node's token over `(machine, epoch)`.
    pub epoch: i64,
    /// They live on under the new epoch.
    pub adopted: Vec<Session>,
    /// They did not: queued again, ended or failed.
    pub dropped: Vec<Session>,
}

impl Store {
    /// A node introduces itself: its machine gets a new epoch, and its sessions live on, end, fail or are queued again.
    pub async fn register_machine(&self, register: &Register, now: EpochMs, lease_ms: i64) -> Result<Registration> {
        todo!()
    }

    /// A sign of life: extends the lease, notes whether the machine can take sessions and what its sessions moved.
    pub async fn beat(
        &self,
        machine: &MachineId,
        epoch: i64,
        not_ready: Option<&NotReady>,
        traffic: &[Traffic],
        now: EpochMs,
        lease_ms: i64,
    ) -> Result<BeatAnswer> {
        todo!()
    }

    /// Whether `epoch` still holds the machine.
    pub async fn holds_machine(&self, machine: &MachineId, epoch: i64) -> Result<bool> {
        todo!()
    }

    /// All machines, lost ones too.
    pub async fn machines(&self) -> Result<Vec<Machine>> {
        todo!()
    }

    /// Stops or resumes placement on a machine; its sessions stay. `false`: no such machine.
    pub async fn set_draining(&self, machine: &MachineId, draining: bool) -> Result<bool> {
        todo!()
    }
}
