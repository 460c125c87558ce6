//! Which destinations a session may reach. Denying wins over allowing.
//!
//! Names are judged before anything is resolved, addresses when they are known. A name given to a proxy is resolved by the
//! proxy, so that address rules cannot see it: behind a proxy only names and literal addresses are judged.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::names::canonical;
use crate::{Cidr, EgressError, Refusal};

/// What is reachable when no rule denies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Everything.
    #[default]
    Open,
    /// What a rule allows.
    Allowlist,
    /// Nothing.
    None,
}

/// One rule: `example.com`, `*.example.com` (every name below it, not itself), `203.0.113.0/24` or `203.0.113.7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    Name(String),
    /// The suffix with its leading dot.
    Below(String),
    Addresses(Cidr),
}

/// The rules of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    pub allow: Vec<Rule>,
    pub deny: Vec<Rule>,
}

/// What is known of a name before it is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameVerdict {
    Allowed,
    /// Only an allowed address makes it reachable.
    ByAddress,
}

impl Policy {
    pub(crate) fn judge_name(&self, name: &str) -> Result<NameVerdict, Refusal> {
        let matches = |rules: &[Rule]| rules.iter().any(|rule| rule.matches_name(name));
        if matches(&self.deny) {
            return Err(Refusal::Denied);
        }
        match self.mode {
            Mode::Open => Ok(NameVerdict::Allowed),
            Mode::Allowlist if matches(&self.allow) => Ok(NameVerdict::Allowed),
            Mode::Allowlist if self.allow.iter().any(|rule| matches!(rule, Rule::Addresses(_))) => {
                Ok(NameVerdict::ByAddress)
            }
            Mode::Allowlist | Mode::None => Err(Refusal::NotAllowed),
        }
    }

    /// Judges an address; `name` is what is known of the name that it was resolved from.
    pub(crate) fn judge_address(&self, address: IpAddr, name: Option<NameVerdict>) -> Result<(), Refusal> {
        let matches = |rules: &[Rule]| rules.iter().any(|rule| rule.matches_address(address));
        if matches(&self.deny) {
            return Err(Refusal::Denied);
        }
        let allowed = match (self.mode, name) {
            (Mode::None, _) => false,
            (Mode::Open, _) | (_, Some(NameVerdict::Allowed)) => true,
            (Mode::Allowlist, _) => matches(&self.allow),
        };
        if allowed { Ok(()) } else { Err(Refusal::NotAllowed) }
    }
}

impl Policy {
    /// The rule that denies a destination, as far as it is known.
    pub fn denying(&self, name: Option<&str>, address: Option<IpAddr>) -> Option<&Rule> {
        let denies = |rule: &&Rule| {
            name.is_some_and(|name| rule.matches_name(name))
                || address.is_some_and(|address| rule.matches_address(address))
        };
        self.deny.iter().find(denies)
    }
}

impl Rule {
    fn matches_name(&self, name: &str) -> bool {
        match self {
            Rule::Name(exact) => exact == name,
            Rule::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
            Rule::Addresses(_) => false,
        }
    }

    fn matches_address(&self, address: IpAddr) -> bool {
        matches!(self, Rule::Addresses(range) if range.contains(address))
    }
}

impl FromStr for Rule {
    type Err = EgressError;

    fn from_str(text: &str) -> Result<Rule, EgressError> {
        if let Ok(range) = text.parse() {
            return Ok(Rule::Addresses(range));
        }
        let wrong = |reason| EgressError::Rule { rule: text.to_owned(), reason };
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name =
            canonical(name).ok_or_else(|| wrong("it is neither a host name, `*.` and a host name, nor a range"))?;
        Ok(if below { Rule::Below(format!(".{name}")) } else { Rule::Name(name) })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Name(name) => formatter.write_str(name),
            Rule::Below(suffix) => write!(formatter, "*{suffix}"),
            Rule::Addresses(range) => range.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Mode, allow: &[&str], deny: &[&str]) -> Policy {
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Policy { mode, allow: rules(allow), deny: rules(deny) }
    }

    fn address(policy: &Policy, text: &str, name: Option<NameVerdict>) -> Result<(), Refusal> {
        policy.judge_address(text.parse().unwrap(), name)
    }

    #[test]
    fn open_lets_through_what_is_not_denied() {
        let policy = policy(Mode::Open, &[], &["bad.test", "*.worse.test", "203.0.113.0/24"]);
        assert_eq!(policy.judge_name("good.test"), Ok(NameVerdict::Allowed));
        assert_eq!(policy.judge_name("bad.test"), Err(Refusal::Denied));
        assert_eq!(policy.judge_name("sub.bad.test"), Ok(NameVerdict::Allowed));
        assert_eq!(policy.judge_name("a.b.worse.test"), Err(Refusal::Denied));
        assert_eq!(policy.judge_name("worse.test"), Ok(NameVerdict::Allowed));
        assert_eq!(policy.judge_name("notworse.test"), Ok(NameVerdict::Allowed));
        assert_eq!(address(&policy, "203.0.113.9", Some(NameVerdict::Allowed)), Err(Refusal::Denied));
        assert_eq!(address(&policy, "::ffff:203.0.113.9", None), Err(Refusal::Denied));
        assert_eq!(address(&policy, "198.51.100.1", None), Ok(()));
    }

    #[test]
    fn allowlist_lets_through_what_is_allowed_and_not_denied() {
        let named = policy(Mode::Allowlist, &["good.test", "*.good.test"], &["not.good.test"]);
        assert_eq!(named.judge_name("good.test"), Ok(NameVerdict::Allowed));
        assert_eq!(named.judge_name("a.good.test"), Ok(NameVerdict::Allowed));
        assert_eq!(named.judge_name("not.good.test"), Err(Refusal::Denied));
        assert_eq!(named.judge_name("other.test"), Err(Refusal::NotAllowed));
        assert_eq!(address(&named, "8.8.8.8", None), Err(Refusal::NotAllowed));
        let ranged = policy(Mode::Allowlist, &["203.0.113.0/24"], &["203.0.113.7"]);
        assert_eq!(ranged.judge_name("other.test"), Ok(NameVerdict::ByAddress));
        assert_eq!(address(&ranged, "203.0.113.8", Some(NameVerdict::ByAddress)), Ok(()));
        assert_eq!(address(&ranged, "203.0.113.7", None), Err(Refusal::Denied));
        assert_eq!(address(&ranged, "8.8.8.8", Some(NameVerdict::ByAddress)), Err(Refusal::NotAllowed));
    }

    #[test]
    fn none_lets_nothing_through() {
        let policy = policy(Mode::None, &["good.test", "0.0.0.0/0"], &[]);
        assert_eq!(policy.judge_name("good.test"), Err(Refusal::NotAllowed));
        assert_eq!(address(&policy, "8.8.8.8", None), Err(Refusal::NotAllowed));
    }

    #[test]
    fn rules_are_read_and_written() {
        for text in ["example.com", "*.example.com", "203.0.113.0/24", "2001:db8::/32"] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        assert_eq!("Example.COM.".parse::<Rule>().unwrap().to_string(), "example.com");
        for text in ["", "*", "*.", "a.*.b", "http://a.test", "10.0.0.0/33", "127.1", "a b"] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
