//! Rate limits: a token bucket per key and endpoint. Refill is the per-minute figure over 60 a second, capacity is the burst.

use serde::{Deserialize, Serialize};

const MINUTE_MS: u64 = 60_000;

/// An endpoint's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub per_minute: u32,
    pub burst: u32,
}

/// For an endpoint that only reads and has no figure of its own.
pub const READ_DEFAULT: RateLimit = RateLimit { per_minute: 600, burst: 100 };
/// For an endpoint that writes and has no figure of its own.
pub const WRITE_DEFAULT: RateLimit = RateLimit { per_minute: 300, burst: 50 };

/// One key's bucket at one endpoint. Whole tokens are kept as milliseconds of refill, so that nothing is rounded away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    level_ms: u64,
    updated_ms: u64,
}

/// What a request found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Whole requests left in the bucket.
    pub remaining: u32,
    /// How long until the next request would be let in; 0 when it is now.
    pub retry_after_ms: u64,
    /// How long until the bucket is full.
    pub reset_ms: u64,
}

impl Bucket {
    /// A full bucket. `now_ms` is any steady clock.
    pub fn full(limit: RateLimit, now_ms: u64) -> Self {
        Self { level_ms: Self::capacity_ms(limit), updated_ms: now_ms }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, limit: RateLimit, now_ms: u64) -> Verdict {
        let cost = Self::cost_ms(limit);
        let capacity = Self::capacity_ms(limit);
        let passed = now_ms.saturating_sub(self.updated_ms);
        self.level_ms = self.level_ms.saturating_add(passed.saturating_mul(SCALE)).min(capacity);
        self.updated_ms = self.updated_ms.max(now_ms);
        let allowed = self.level_ms >= cost;
        if allowed {
            self.level_ms -= cost;
        }
        Verdict {
            allowed,
            remaining: u32::try_from(self.level_ms / cost).unwrap_or(u32::MAX),
            retry_after_ms: if self.level_ms >= cost { 0 } else { (cost - self.level_ms).div_ceil(SCALE) },
            reset_ms: (capacity - self.level_ms).div_ceil(SCALE),
        }
    }

    /// Whether it is full again by `now_ms`, so that it need not be remembered.
    pub fn is_full(&self, limit: RateLimit, now_ms: u64) -> bool {
        let passed = now_ms.saturating_sub(self.updated_ms).saturating_mul(SCALE);
        self.level_ms.saturating_add(passed) >= Self::capacity_ms(limit)
    }

    fn cost_ms(limit: RateLimit) -> u64 {
        MINUTE_MS * SCALE / u64::from(limit.per_minute.max(1))
    }

    fn capacity_ms(limit: RateLimit) -> u64 {
        Self::cost_ms(limit) * u64::from(limit.burst.max(1))
    }
}

/// Parts of a millisecond that are kept: a million requests a minute still have a cost.
const SCALE: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_refill() {
        let limit = RateLimit { per_minute: 60, burst: 20 };
        let mut bucket = Bucket::full(limit, 0);
        for left in (0..20).rev() {
            assert_eq!(bucket.take(limit, 0).remaining, left);
        }
        let refused = bucket.take(limit, 0);
        assert_eq!((refused.allowed, refused.retry_after_ms, refused.reset_ms), (false, 1_000, 20_000));
        assert!(!bucket.take(limit, 999).allowed);
        assert!(bucket.take(limit, 1_000).allowed);
        assert!(bucket.is_full(limit, 30_000));
    }

    #[test]
    fn a_raised_limit_still_costs_something() {
        let limit = RateLimit { per_minute: 1_000_000, burst: 1_000_000 };
        let mut bucket = Bucket::full(limit, 0);
        assert_eq!(bucket.take(limit, 0).remaining, 999_999);
    }
}
