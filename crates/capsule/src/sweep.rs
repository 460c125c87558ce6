//! Removing what nobody owns: after a crash at any point, and every now and then.

use std::collections::{BTreeSet, HashSet};
use std::fs;

use crate::error::Doing;
use crate::{CapsuleError, Native, spec};

/// What a sweep did.
#[derive(Debug, Default)]
pub struct SweepReport {
    pub destroyed: Vec<String>,
    /// What could not be removed, and why; the next sweep tries again.
    pub failed: Vec<(String, CapsuleError)>,
}

impl Native {
    /// Destroy every capsule and every half of one that is not in `keep` and that nobody is making or removing now.
    pub async fn sweep(&self, keep: &HashSet<String>) -> Result<SweepReport, CapsuleError> {
        let mut report = SweepReport::default();
        for id in self.found()?.into_iter().filter(|id| !keep.contains(id)) {
            let lock = self.lock(&id);
            let Ok(_held) = lock.try_lock() else { continue };
            match self.remove(&id).await {
                Ok(()) => report.destroyed.push(id),
                Err(error) => report.failed.push((id, error)),
            }
        }
        Ok(report)
    }

    /// Whatever has a directory or a cgroup of ours. What does not bear a possible id is not ours.
    fn found(&self) -> Result<BTreeSet<String>, CapsuleError> {
        let what = || format!("list {}", self.capsules_directory().display());
        let mut found = self.hierarchies().names();
        for entry in fs::read_dir(self.capsules_directory()).doing(what)? {
            found.extend(entry.doing(what)?.file_name().into_string());
        }
        found.retain(|id| spec::check_id(id).is_ok());
        Ok(found)
    }
}
