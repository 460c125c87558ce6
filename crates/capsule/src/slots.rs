//! Ranges of user ids, one for each capsule.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vitrine_init::IDS;

use crate::CapsuleError;

#[derive(Debug)]
pub(crate) struct Slots {
    uid_base: u32,
    max: u32,
    /// Who has which slot.
    taken: Mutex<BTreeMap<u32, String>>,
}

impl Slots {
    pub fn new(uid_base: u32, max: u32, taken: BTreeMap<u32, String>) -> Self {
        Self { uid_base, max, taken: Mutex::new(taken) }
    }

    /// The lowest free slot and its first id.
    pub fn take(&self, id: &str) -> Result<(u32, u32), CapsuleError> {
        let mut taken = self.lock();
        let slot = (0..self.max).find(|slot| !taken.contains_key(slot)).ok_or(CapsuleError::NoSlot(self.max))?;
        taken.insert(slot, id.to_owned());
        Ok((slot, self.uid_base + slot * IDS))
    }

    /// To be called when nothing of the capsule is left.
    pub fn release(&self, id: &str) {
        self.lock().retain(|_, owner| owner != id);
    }

    pub fn taken(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
