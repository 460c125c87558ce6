//! Organizations: whose sessions, keys and bill.

use crate::backend::{Row, Transaction, values};
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

impl Organization {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.word("id", |text| OrganizationId::parse(text).ok())?,
            name: row.get("name")?,
            plan: row.word("plan", Plan::parse)?,
            created_at: row.get("created_at")?,
        })
    }
}

impl Store {
    /// Adds an organization; fails when the id is taken.
    pub async fn create_organization(&self, organization: &Organization) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.insert_organization(organization).await?;
        tx.commit().await
    }

    /// One organization.
    pub async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>> {
        const SQL: &str = "SELECT id, name, plan, created_at FROM organizations WHERE id = $1";
        self.first(SQL, values![id.as_str()]).await?.as_ref().map(Organization::from_row).transpose()
    }

    /// All organizations, oldest first.
    pub async fn organizations(&self) -> Result<Vec<Organization>> {
        let rows = self.all("SELECT id, name, plan, created_at FROM organizations ORDER BY created_at, id", &[]);
        rows.await?.iter().map(Organization::from_row).collect()
    }

    /// Puts an organization on a plan; `false` when there is no such organization.
    pub async fn set_plan(&self, id: &OrganizationId, plan: Plan) -> Result<bool> {
        const SQL: &str = "UPDATE organizations SET plan = $2 WHERE id = $1";
        Ok(self.run(SQL, values![id.as_str(), plan.as_str()]).await? == 1)
    }
}

impl Transaction {
    pub(crate) async fn insert_organization(&mut self, organization: &Organization) -> Result<()> {
        let Organization { id, name, plan, created_at } = organization;
        self.run(
            "INSERT INTO organizations (id, name, plan, created_at) VALUES ($1, $2, $3, $4)",
            values![id.as_str(), name.as_str(), plan.as_str(), *created_at],
        )
        .await?;
        Ok(())
    }
}
