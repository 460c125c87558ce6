//! A speed limit for work that a capsule can ask for at no cost to itself.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const WINDOW: Duration = Duration::from_secs(1);

/// Lets so many steps through in a second and makes the next one wait.
pub(crate) struct Pace {
    per_second: u32,
    used: u32,
    window_end: Instant,
}

impl Pace {
    pub fn new(per_second: u32) -> Pace {
        Pace { per_second, used: 0, window_end: Instant::now() + WINDOW }
    }

    pub async fn step(&mut self) {
        if self.used == self.per_second {
            sleep_until(self.window_end).await;
        }
        let now = Instant::now();
        if now >= self.window_end {
            self.used = 0;
            self.window_end = now + WINDOW;
        }
        self.used += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_step_after_the_last_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(100);
        for _ in 0..100 {
            pace.step().await;
        }
        assert!(start.elapsed() < WINDOW / 2);
        pace.step().await;
        assert!(start.elapsed() >= WINDOW);
    }
}
