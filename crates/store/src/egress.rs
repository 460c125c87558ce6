//! Another way out for a session that runs.

use crate::backend::{retry, values};
use crate::{Result, Session, Store, StoreError};
use vitrine_model::wire::Workload;
use vitrine_model::{EgressProfile, EpochMs, Happening, Proxy, RunId, SessionId};

impl Store {
    /// Writes down that a run leaves by another upstream, with the event that says so. `None`: the run is over.
    pub async fn change_egress(
        &self,
        id: &SessionId,
        run: &RunId,
        profile: EgressProfile,
        proxy: Option<&Proxy>,
        now: EpochMs,
    ) -> Result<Option<Session>> {
        retry(|| self.change_egress_once(id, run, profile, proxy, now)).await
    }

    async fn change_egress_once(
        &self,
        id: &SessionId,
        run: &RunId,
        profile: EgressProfile,
        proxy: Option<&Proxy>,
        now: EpochMs,
    ) -> Result<Option<Session>> {
        const SQL: &str = "UPDATE sessions SET workload = $2 WHERE id = $1";
        let mut tx = self.begin().await?;
        let found = tx.session(id).await?;
        let Some(mut session) = found.filter(|found| found.status.is_running() && found.run.as_ref() == Some(run))
        else {
            tx.rollback().await?;
            return Ok(None);
        };
        let Workload::Browser(spec) = &mut session.workload else {
            tx.rollback().await?;
            return Ok(None);
        };
        (spec.egress_profile, spec.proxy) = (profile, proxy.cloned());
        let workload = serde_json::to_string(&session.workload);
        let workload = workload.map_err(|error| StoreError::Encode("workload", error))?;
        tx.run(SQL, values![id.as_str(), workload]).await?;
        let data = serde_json::json!({"egressProfile": profile.as_str()});
        tx.announce(&session, Happening::EgressChanged, &data, now).await?;
        tx.commit().await?;
        Ok(Some(session))
    }
}
