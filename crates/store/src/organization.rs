//! Organizations: whose sessions, keys and bill.

use crate::{Result, Store};
use vitrine_model::{EpochMs, OrganizationId, Plan};

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: String,
    pub plan: Plan,
    pub created_at: EpochMs,
}

impl Store {
    /// Adds an organization; fails when the id is taken.
    pub async fn create_organization(&self, organization: &Organization) -> Result<()> {
        todo!()
    }

    /// One organization.
    pub async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>> {
        todo!()
    }

    /// All organizations, oldest first.
    pub async fn organizations(&self) -> Result<Vec<Organization>> {
        todo!()
    }

    /// Puts an organization on a plan; `false` when there is no such organization.
    pub async fn set_plan(&self, id: &OrganizationId, plan: Plan) -> Result<bool> {
        todo!()
    }
}
