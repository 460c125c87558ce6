//! What a sandbox's network policy refused, told as events of its session.
//!
//! Promises that a program that tries without end costs a bounded number of events: the first of each destination a minute, and
//! no more than some of them.

use crate::report::Reporter;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use vitrine_egress::{Egress, EgressEvent, Refusal};
use vitrine_model::Happening;

/// How long a destination is not told again.
const QUIET: Duration = Duration::from_secs(60);
/// Destinations that are told in that time.
const DESTINATIONS_MAX: usize = 20;

/// Tells refusals; never ends by itself.
pub(super) async fn tell(egress: &Egress, reporter: &Reporter) -> ! {
    let mut events = egress.events();
    let mut told = HashMap::new();
    loop {
        match events.recv().await {
            Ok(EgressEvent::Refused { target, reason: reason @ (Refusal::Denied | Refusal::NotAllowed) }) => {
                if is_new(&mut told, &target, Instant::now()) {
                    let data = serde_json::json!({ "target": target, "reason": reason.to_string() });
                    reporter.happened(Happening::NetworkRefused, data).await;
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn is_new(told: &mut HashMap<String, Instant>, target: &str, now: Instant) -> bool {
    told.retain(|_, at| now.duration_since(*at) < QUIET);
    if told.len() >= DESTINATIONS_MAX || told.contains_key(target) {
        return false;
    }
    told.insert(target.to_owned(), now);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_told_once_a_minute_and_not_too_many() {
        let (mut told, now) = (HashMap::new(), Instant::now());
        assert!(is_new(&mut told, "a.test:443", now));
        assert!(!is_new(&mut told, "a.test:443", now + Duration::from_secs(59)));
        let all = (0..100).filter(|number| is_new(&mut told, &format!("{number}.test"), now)).count();
        assert_eq!(all, DESTINATIONS_MAX - 1);
        assert!(is_new(&mut told, "a.test:443", now + QUIET));
    }
}
