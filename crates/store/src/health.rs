//! How the deployment is: counts for `/health` and `/metrics`, and what must hold at every moment.

use crate::{MachineState, Result, Store};
use vitrine_model::{EpochMs, Status};

/// How many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that are not over; states without any are left out.
    pub sessions: Vec<(Status, u64)>,
    /// States without any are left out.
    pub machines: Vec<(MachineState, u64)>,
}

/// Sessions that ended lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentEnds {
    pub total: u64,
    /// Failed through no fault of the client: machine lost or restarted, process lost, image missing, not started.
    pub platform_errors: u64,
}

impl Counts {
    /// Sessions in a state.
    pub fn sessions_in(&self, status: Status) -> u64 {
        self.sessions.iter().filter(|(known, _)| *known == status).map(|(_, count)| count).sum()
    }

    /// Machines in a state.
    pub fn machines_in(&self, state: MachineState) -> u64 {
        self.machines.iter().filter(|(known, _)| *known == state).map(|(_, count)| count).sum()
    }
}

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        todo!()
    }

    /// Live sessions by status, machines by state.
    pub async fn counts(&self) -> Result<Counts> {
        todo!()
    }

    /// Sessions that ended since then.
    pub async fn recent_ends(&self, since: EpochMs) -> Result<RecentEnds> {
        todo!()
    }

    /// What does not hold although it must: a sentence each; empty when all is well.
    pub async fn invariants(&self) -> Result<Vec<String>> {
        todo!()
    }
}
