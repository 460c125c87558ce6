//! Rate limits: a token bucket per class of requests and per key, or per address where there is no good key.
//!
//! Memory is bounded: a bucket that is full again is as good as none and is forgotten first.

use crate::clock::Clock;
use crate::config::Class;
use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;
use vitrine_model::rate::{Bucket, RateLimit, Verdict};
use vitrine_model::{ApiKeyId, Code, Error};

/// Buckets that are remembered, for keys and for addresses each.
const BUCKETS_MAX: usize = 20_000;

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    Key(ApiKeyId),
    /// An IPv4 address, or the 64 bits that an IPv6 client cannot choose.
    Address(u64),
    Operator,
}

impl Who {
    /// An address's owner.
    pub fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Who::Address(u64::from(u32::from(address))),
            IpAddr::V6(address) => Who::Address((u128::from(address) >> 64) as u64),
        }
    }
}

/// All buckets.
pub struct Limiter {
    started: Instant,
    keys: Mutex<HashMap<(Class, Who), Bucket>>,
    addresses: Mutex<HashMap<(Class, Who), Bucket>>,
}

/// What a request found, with the figures it was judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    limit: RateLimit,
    verdict: Verdict,
}

impl Limiter {
    /// Full buckets for everybody.
    pub fn new() -> Self {
        Self { started: Instant::now(), keys: Mutex::default(), addresses: Mutex::default() }
    }

    /// Takes one request out of the bucket.
    pub fn take(&self, class: Class, who: Who, limit: RateLimit) -> Judged {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let buckets = if matches!(who, Who::Address(_)) { &self.addresses } else { &self.keys };
        // A panic cannot leave a bucket half changed.
        let mut buckets = buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let verdict = take(&mut buckets, (class, who), limit, now_ms);
        Judged { limit, verdict }
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

fn take<K: Hash + Eq>(buckets: &mut HashMap<K, Bucket>, key: K, limit: RateLimit, now_ms: u64) -> Verdict {
    if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
        buckets.retain(|_, bucket| !bucket.is_full(limit, now_ms));
        if buckets.len() >= BUCKETS_MAX {
            // Whoever fills the table must not lock out the others: they are let in uncounted.
            return Bucket::full(limit, now_ms).take(limit, now_ms);
        }
    }
    buckets.entry(key).or_insert_with(|| Bucket::full(limit, now_ms)).take(limit, now_ms)
}

impl Judged {
    /// The error of a request that came too soon.
    pub fn check(&self) -> Result<(), Error> {
        if self.verdict.allowed {
            return Ok(());
        }
        let seconds = self.retry_after_seconds();
        Err(Error::new(Code::RateLimited, format!("too many requests; try again in {seconds} s"))
            .with("retryAfterMs", self.verdict.retry_after_ms))
    }

    /// Adds the headers of the contract. `X-RateLimit-Reset` is the second (since the epoch) at which the bucket is
    /// full again.
    pub fn write(&self, headers: &mut HeaderMap, clock: &dyn Clock) {
        let reset = clock.now().saturating_add_unsigned(self.verdict.reset_ms).max(0) as u64;
        headers.insert("x-ratelimit-limit", HeaderValue::from(self.limit.per_minute));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(self.verdict.remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(reset.div_ceil(1_000)));
        if !self.verdict.allowed {
            headers.insert(RETRY_AFTER, HeaderValue::from(self.retry_after_seconds()));
        }
    }

    fn retry_after_seconds(&self) -> u64 {
        self.verdict.retry_after_ms.div_ceil(1_000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { per_minute: 60, burst: 2 };

    #[test]
    fn each_class_and_key_has_its_own_bucket() {
        let limiter = Limiter::new();
        let key = |seed: u8| Who::Key(ApiKeyId::new(1, &move |buffer: &mut [u8]| buffer.fill(seed)));
        let allowed = |class, who| limiter.take(class, who, LIMIT).check().is_ok();
        assert!(allowed(Class::BrowsersRead, key(1)) && allowed(Class::BrowsersRead, key(1)));
        assert!(!allowed(Class::BrowsersRead, key(1)));
        assert!(allowed(Class::BrowsersRead, key(2)) && allowed(Class::BrowsersCreate, key(1)));
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let limiter = Limiter::new();
        let who = || Who::address("2001:db8::1".parse().unwrap());
        let judged = (0..3).map(|_| limiter.take(Class::Unauthenticated, who(), LIMIT)).last().unwrap();
        let mut headers = HeaderMap::new();
        judged.write(&mut headers, &|| 1_000_000);
        assert_eq!(judged.check().unwrap_err().code, Code::RateLimited);
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(headers["x-ratelimit-limit"], "60");
        assert_eq!(headers["x-ratelimit-remaining"], "0");
        assert_eq!(headers["x-ratelimit-reset"], "1002");
        assert_eq!(Who::address("2001:db8::2".parse().unwrap()), who(), "a client chooses the lower half itself");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut buckets = HashMap::new();
        for client in 0..BUCKETS_MAX + 10 {
            assert!(take(&mut buckets, client, LIMIT, 0).allowed);
        }
        assert_eq!(buckets.len(), BUCKETS_MAX);
        assert!(take(&mut buckets, usize::MAX, LIMIT, 60_000).allowed);
        assert_eq!(buckets.len(), 1, "full ones are forgotten");
    }
}
