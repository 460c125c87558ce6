//! A program that runs before its starter has heard of it.

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};
use vitrine_init::{Call, Whom};

use super::Outgoing;

/// Dropped before it is claimed, since its starter has gone away meanwhile, the program is killed: nobody else knows it.
pub(super) struct Newborn {
    exec: u64,
    calls: mpsc::WeakSender<Outgoing>,
    claimed: bool,
}

impl Newborn {
    pub fn new(exec: u64, calls: mpsc::WeakSender<Outgoing>) -> Self {
        Self { exec, calls, claimed: false }
    }

    pub fn claim(mut self) {
        self.claimed = true;
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if self.claimed {
            return;
        }
        // Without anybody who talks to the capsule, whoever connects next finds the program in the list.
        let Some(calls) = self.calls.upgrade() else { return };
        let call = Call::Kill { whom: Whom::Tree(self.exec), signal: Signal::KILL.as_raw() };
        let (reply, _) = oneshot::channel();
        if calls.try_send(Outgoing { call, descriptors: Vec::new(), reply }).is_err() {
            tracing::warn!(
                exec = self.exec,
                "a program that nobody waits for goes on: too many calls wait before its end"
            );
        }
    }
}
