//! The machine's lease on its sessions, by the node's own clock.
//!
//! The lease runs from the moment the last successful beat was *sent*, on the boot clock, which goes on while the machine is
//! suspended: a node that was frozen or cut off notices by itself that others may believe it dead. Past the lease it takes
//! nothing new and kills what is not ready yet; what is ready it keeps for [`KEEP_MAX`], then kills that too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long ready sessions outlive an expired lease.
pub const KEEP_MAX: Duration = Duration::from_secs(600);

/// What the lease allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The machine is ours.
    Yes,
    /// Expired: nothing new, nothing that is not ready.
    Expired,
    /// Expired for so long that nothing may live.
    Lost,
}

/// The lease.
#[derive(Debug, Default)]
pub struct Lease {
    sent_ms: AtomicU64,
    lease_ms: AtomicU64,
}

impl Lease {
    /// The server took the registration that was sent at `sent`.
    pub fn begin(&self, sent: BootTime, lease: Duration) {
        self.lease_ms.store(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.extend(sent);
    }

    /// The server took a beat that was sent at `sent`.
    pub fn extend(&self, sent: BootTime) {
        self.sent_ms.store(sent.0, Ordering::Release);
    }

    /// What it allows at `now`.
    pub fn held(&self, now: BootTime) -> Held {
        let passed = now.0.saturating_sub(self.sent_ms.load(Ordering::Acquire));
        let lease = self.lease_ms.load(Ordering::Relaxed);
        let keep = u64::try_from(KEEP_MAX.as_millis()).unwrap_or(u64::MAX);
        if passed < lease {
            Held::Yes
        } else if passed < lease.saturating_add(keep) {
            Held::Expired
        } else {
            Held::Lost
        }
    }
}

/// Milliseconds since boot, suspension included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(u64);

impl BootTime {
    /// Now.
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Self(seconds * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_out_by_itself() {
        let lease = Lease::default();
        assert_eq!(lease.held(BootTime(700_000)), Held::Lost, "never registered");
        lease.begin(BootTime(1_000), Duration::from_secs(45));
        assert_eq!(lease.held(BootTime(45_999)), Held::Yes);
        assert_eq!(lease.held(BootTime(46_000)), Held::Expired);
        assert_eq!(lease.held(BootTime(646_000)), Held::Lost);
    }
}
