//! What a machine is to do: its sessions that it does not know of yet, or of which something else is wanted now.

use crate::backend::values;
use crate::{Result, Session, Store};
use std::collections::HashSet;
use vitrine_model::wire::Known;
use vitrine_model::{Desired, MachineId, SessionId, Status};

impl Store {
    /// The machine's sessions beyond `known`, oldest first. Of one that is on its disk there is nothing to do until it is to
    /// start again or to end. `None`: another epoch holds the machine.
    pub async fn assignments(&self, machine: &MachineId, epoch: i64, known: &[Known]) -> Result<Option<Vec<Session>>> {
        if !self.holds_machine(machine, epoch).await? {
            return Ok(None);
        }
        const SQL: &str = "SELECT id, generation, desired FROM sessions
            WHERE machine_id = $1 AND machine_epoch = $2 AND status NOT IN ('ended', 'failed')
              AND (stored = 0 OR status = 'ending') ORDER BY id";
        let known: HashSet<_> = known.iter().map(|known| (&known.session, known.generation, known.desired)).collect();
        let mut news = Vec::new();
        for row in self.all(SQL, values![machine.as_str(), epoch]).await? {
            let id = row.word("id", |text| SessionId::parse(text).ok())?;
            let desired = row.word("desired", Desired::parse)?;
            if known.contains(&(&id, row.get("generation")?, desired)) {
                continue;
            }
            // It may have moved on since the list was read.
            let session = self.session(&id).await?;
            news.extend(session.filter(|session| {
                session.machine.as_ref() == Some(machine)
                    && session.machine_epoch == epoch
                    && session.status.holds_machine()
                    && (!session.stored || session.status == Status::Ending)
            }));
        }
        Ok(Some(news))
    }
}
