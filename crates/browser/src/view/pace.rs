//! Slowing down who says too much.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Lets so many things happen in a second, and makes the next one wait for the next second.
pub(crate) struct Pace {
    per_second_max: u32,
    since: Instant,
    heard: u32,
}

impl Pace {
    pub fn new(per_second_max: u32) -> Pace {
        Pace { per_second_max, since: Instant::now(), heard: 0 }
    }

    pub async fn keep(&mut self) {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Pace::new(self.per_second_max);
        }
        self.heard += 1;
        if self.heard > self.per_second_max {
            sleep_until(self.since + Duration::from_secs(1)).await;
        }
    }
}
