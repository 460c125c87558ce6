//! The node's clocks: the wall clock for times that travel, the boot clock for the lease.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vitrine_model::EpochMs;

/// Now, as it is written in rows and on the wire.
#[allow(clippy::disallowed_methods, reason = "this is the crate's clock")]
pub fn now() -> EpochMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(EpochMs::MAX)
}

/// How long it is until `time`; zero when it has passed.
pub fn until(time: EpochMs) -> Duration {
    Duration::from_millis(u64::try_from(time.saturating_sub(now())).unwrap_or(0))
}

/// The operating system's randomness.
pub fn entropy(buffer: &mut [u8]) {
    // The kernel's generator does not fail once the machine has booted; ids that are not random must not be made.
    getrandom::fill(buffer).expect("the operating system gives randomness");
}

/// A word that no other call gives.
pub fn unique() -> String {
    vitrine_model::id::random_text(UNIQUE_CHARS, &entropy)
}

/// Long enough that two never meet, short enough for a path and an interface name.
const UNIQUE_CHARS: usize = 16;
