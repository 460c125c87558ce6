//! What a sandbox's network policy refused, told as events of its session.
//!
//! Promises that a program that tries without end costs a bounded number of events: the first of each destination a minute, and
//! no more than some of them.

use crate::report::Reporter;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use vitrine_egress::{Egress, EgressEvent, Mode, Policy, Refusal};
use vitrine_model::{Happening, NetworkMode};

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
            Ok(EgressEvent::Refused { target, address, reason: Refusal::Denied | Refusal::NotAllowed }) => {
                if is_new(&mut told, &target, Instant::now()) {
                    let data = data(&target, address, &egress.policy());
                    reporter.happened(Happening::NetworkRefused, data).await;
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// What is told: the name or the address that the program wanted, and the rule that denies it, or the mode that allows only
/// what a rule does.
fn data(target: &str, address: Option<IpAddr>, policy: &Policy) -> serde_json::Value {
    let (host, port) = target.rsplit_once(':').unwrap_or((target, ""));
    let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let (name, address) = (Some(host).filter(|_| literal.is_none()), literal.or(address));
    let rule = policy.denying(name, address).map(ToString::to_string);
    let rule = rule.unwrap_or_else(|| mode(policy.mode).as_str().to_owned());
    serde_json::json!({ "name": name, "address": address, "port": port.parse::<u16>().ok(), "rule": rule })
}

fn mode(mode: Mode) -> NetworkMode {
    match mode {
        Mode::Open => NetworkMode::Open,
        Mode::Allowlist => NetworkMode::Allowlist,
        Mode::None => NetworkMode::None,
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
    use serde_json::json;

    #[test]
    fn what_is_told_says_which_rule_it_was() {
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let open = Policy { mode: Mode::Open, allow: rules(&[]), deny: rules(&["*.bad.test", "203.0.113.0/24"]) };
        let told = data("a.bad.test:443", None, &open);
        assert_eq!(told, json!({ "name": "a.bad.test", "address": null, "port": 443, "rule": "*.bad.test" }));
        let told = data("good.test:80", Some([203, 0, 113, 9].into()), &open);
        assert_eq!(
            told,
            json!({ "name": "good.test", "address": "203.0.113.9", "port": 80, "rule": "203.0.113.0/24" })
        );
        let closed = Policy { mode: Mode::None, ..Policy::default() };
        let told = data("[2001:db8::1]:22", None, &closed);
        assert_eq!(told, json!({ "name": null, "address": "2001:db8::1", "port": 22, "rule": "none" }));
    }

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
