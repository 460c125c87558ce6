//! Another policy for an embed session that is not over.

use crate::{Result, Store, StoreError};
use vitrine_model::embed::Policy;
use vitrine_model::wire::Workload;
use vitrine_model::{OrganizationId, SessionId};

impl Store {
    /// Writes down what the page of an embed session may do from now on; its machine hears of it from the caller, and from
    /// its assignment after a restart. `false`: no such embed session of the organization, or it is ending. A policy that is
    /// not newer than the one there is a conflict: somebody else changed it in between.
    pub async fn change_policy(&self, organization: &OrganizationId, id: &SessionId, policy: &Policy) -> Result<bool> {
        let mut tx = self.begin().await?;
        let found = tx.session(id).await?.filter(|found| found.organization == *organization && !found.is_ending());
        let Some(mut session) = found else {
            tx.rollback().await?;
            return Ok(false);
        };
        let Workload::Browser(spec) = &mut session.workload else {
            tx.rollback().await?;
            return Ok(false);
        };
        let Some(embed) = &mut spec.embed else {
            tx.rollback().await?;
            return Ok(false);
        };
        if policy.version <= embed.policy.version {
            tx.rollback().await?;
            return Err(StoreError::Conflict);
        }
        embed.policy = policy.clone();
        tx.save_workload(&session).await?;
        tx.commit().await?;
        Ok(true)
    }
}
