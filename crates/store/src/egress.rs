//! Another way out for a session that is on a machine: another upstream, another network policy.

use crate::backend::{Transaction, retry, values};
use crate::{Result, Session, Store, StoreError};
use vitrine_model::wire::Workload;
use vitrine_model::{EgressProfile, EpochMs, Happening, NetworkPolicy, Proxy, RunId, SessionId, Status};

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
        tx.save_workload(&session).await?;
        let data = serde_json::json!({"egressProfile": profile.as_str()});
        tx.announce(&session, Happening::EgressChanged, &data, now).await?;
        tx.commit().await?;
        Ok(Some(session))
    }

    /// Writes down what a sandbox may connect to from now on, with the event that says so. `None`: the run is over.
    pub async fn change_network(
        &self,
        id: &SessionId,
        run: &RunId,
        network: &NetworkPolicy,
        now: EpochMs,
    ) -> Result<Option<Session>> {
        retry(|| self.change_network_once(id, run, network, now)).await
    }

    async fn change_network_once(
        &self,
        id: &SessionId,
        run: &RunId,
        network: &NetworkPolicy,
        now: EpochMs,
    ) -> Result<Option<Session>> {
        let mut tx = self.begin().await?;
        let is_there = |status: Status| status.is_running() || matches!(status, Status::Pausing | Status::Paused);
        let found = tx.session(id).await?;
        let Some(mut session) = found.filter(|found| is_there(found.status) && found.run.as_ref() == Some(run)) else {
            tx.rollback().await?;
            return Ok(None);
        };
        let Workload::Sandbox(spec) = &mut session.workload else {
            tx.rollback().await?;
            return Ok(None);
        };
        spec.network = network.clone();
        tx.save_workload(&session).await?;
        tx.announce(&session, Happening::NetworkChanged, &serde_json::json!({ "network": network }), now).await?;
        tx.commit().await?;
        Ok(Some(session))
    }
}

impl Transaction {
    /// Writes what a session was asked to be, and nothing else of it.
    pub(crate) async fn save_workload(&mut self, session: &Session) -> Result<()> {
        const SQL: &str = "UPDATE sessions SET workload = $2 WHERE id = $1";
        let workload = serde_json::to_string(&session.workload);
        let workload = workload.map_err(|error| StoreError::Encode("workload", error))?;
        self.run(SQL, values![session.id.as_str(), workload]).await?;
        Ok(())
    }
}
