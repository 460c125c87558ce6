//! Egress profiles: from a session's profile to the upstream that its connections take.
//!
//! It promises never to answer `Direct` for a profile that means a proxy: what is not configured is an error.

pub mod health;

use crate::percent;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use vitrine_model::address::refusal;
use vitrine_model::wire::Upstream;
use vitrine_model::{EgressProfile, Error, OrganizationId, Proxy, ProxyProtocol, SchedulingReason, Secret};

/// The upstream proxies that the operator configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EgressProfiles {
    /// Each is held by one organization.
    pub dedicated_dc: Vec<HeldProxy>,
    /// Another one for each connection.
    pub rotating_residential: Vec<ProxyUrl>,
    /// The same one for the same organization and profile key.
    pub static_residential: Vec<ProxyUrl>,
}

/// A proxy that one organization holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldProxy {
    pub proxy: ProxyUrl,
    pub organization: OrganizationId,
}

/// A proxy as `socks5://user:password@host:port`. Written out, its credentials are `***`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyUrl(pub Proxy);

/// What is wrong with a proxy's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAProxy {
    #[error("expected http://, https:// or socks5:// and HOST:PORT, with USER:PASSWORD@ in front where it needs them")]
    Shape,
    #[error("the host is neither a name nor an address")]
    Host,
}

impl TryFrom<String> for ProxyUrl {
    type Error = NotAProxy;

    fn try_from(text: String) -> Result<Self, NotAProxy> {
        let (protocol, rest) = text.split_once("://").ok_or(NotAProxy::Shape)?;
        let protocol = ProxyProtocol::parse(protocol).ok_or(NotAProxy::Shape)?;
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, rest),
        };
        let (host, port) = address.trim_end_matches('/').rsplit_once(':').ok_or(NotAProxy::Shape)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(NotAProxy::Shape)?;
        if !is_host(host) {
            return Err(NotAProxy::Host);
        }
        let (username, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            Some((user, password)) => (Some(percent::decoded(user)), Some(percent::decoded(password))),
            None => (None, None),
        };
        let secret = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::new);
        let host = host.to_owned();
        Ok(Self(Proxy { protocol, host, port, username: secret(username), password: secret(password) }))
    }
}

impl From<ProxyUrl> for String {
    fn from(ProxyUrl(proxy): ProxyUrl) -> String {
        let credentials = if proxy.username.is_some() { "***@" } else { "" };
        format!("{}://{credentials}{}:{}", proxy.protocol.as_str(), proxy.host, proxy.port)
    }
}

impl EgressProfiles {
    /// Every configured upstream, each with its profile.
    pub fn all(&self) -> impl Iterator<Item = (EgressProfile, &Proxy)> {
        let held = self.dedicated_dc.iter().map(|held| (EgressProfile::DedicatedDc, &held.proxy.0));
        let rotating = self.rotating_residential.iter().map(|url| (EgressProfile::RotatingResidential, &url.0));
        let fixed = self.static_residential.iter().map(|url| (EgressProfile::StaticResidential, &url.0));
        held.chain(rotating).chain(fixed)
    }

    /// The upstream of a session among those that `answers`, or why there is none.
    pub fn resolve(
        &self,
        profile: EgressProfile,
        organization: &OrganizationId,
        profile_key: Option<&str>,
        own: Option<&Proxy>,
        answers: impl Fn(&Proxy) -> bool,
    ) -> Result<Upstream, Error> {
        let answering = |urls: &[ProxyUrl]| -> Vec<Proxy> {
            urls.iter().map(|url| &url.0).filter(|proxy| answers(proxy)).cloned().collect()
        };
        let found = match profile {
            EgressProfile::SharedDc => Some(Upstream::Direct),
            EgressProfile::ByoProxy => own.cloned().map(Upstream::Fixed),
            EgressProfile::DedicatedDc => {
                let held = self.dedicated_dc.iter().find(|held| held.organization == *organization);
                held.map(|held| &held.proxy.0).filter(|proxy| answers(proxy)).cloned().map(Upstream::Fixed)
            }
            EgressProfile::RotatingResidential => {
                let all = answering(&self.rotating_residential);
                (!all.is_empty()).then_some(Upstream::Rotating(all))
            }
            EgressProfile::StaticResidential => {
                let key = profile_key.unwrap_or_default();
                let all = answering(&self.static_residential).into_iter();
                all.max_by_key(|proxy| affinity(organization, key, proxy)).map(Upstream::Fixed)
            }
        };
        found.ok_or_else(|| {
            let message = format!("no upstream that answers is configured for egressProfile {}", profile.as_str());
            Error::scheduling(SchedulingReason::EgressUnavailable, message)
        })
    }
}

/// How well a proxy suits an organization's profile: whoever scores highest is taken, so that a proxy that is added or
/// removed moves only the sessions that it wins or loses.
fn affinity(organization: &OrganizationId, profile_key: &str, proxy: &Proxy) -> [u8; 32] {
    Sha256::digest(format!("{organization}\n{profile_key}\n{}:{}", proxy.host, proxy.port)).into()
}

/// Longest name in the domain name system.
const HOST_BYTES_MAX: usize = 253;
/// Longest label of a name.
const LABEL_BYTES_MAX: usize = 63;

/// Whether it is an address or a name that can be looked up. What ends in a number and is no plain address is neither:
/// other programs read `0x7f.1` and `2130706433` as addresses.
pub fn is_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        plain && !label.is_empty() && label.len() <= LABEL_BYTES_MAX && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
    name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label) && !numeric
}

/// Whether a host is, on its face, inside: a private, loopback, link-local or otherwise special address, or
/// `localhost`. Names are judged again by egress when they are resolved.
pub fn is_inside(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match host.parse() {
        Ok(address) => refusal(address).is_some(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<ProxyUrl, NotAProxy> {
        ProxyUrl::try_from(text.to_owned())
    }

    fn organization(seed: u8) -> OrganizationId {
        OrganizationId::new(1, &move |buffer: &mut [u8]| buffer.fill(seed))
    }

    #[test]
    fn a_proxys_address_is_read_and_never_shows_its_credentials() {
        let proxy = url("socks5://us%65r:p%40ss:word@proxy.test:1080").unwrap();
        assert_eq!(proxy.0.username.as_ref().map(Secret::reveal), Some("user"));
        assert_eq!(proxy.0.password.as_ref().map(Secret::reveal), Some("p@ss:word"));
        assert_eq!(String::from(proxy.clone()), "socks5://***@proxy.test:1080");
        assert!(!format!("{proxy:?}").contains("p@ss"));
        assert_eq!(url("http://[2001:db8::1]:8080").unwrap().0.host, "2001:db8::1");
        for wrong in
            ["", "proxy:1", "ftp://a:1", "http://a", "http://a:0", "http://a:65536", "http://a b:1", "http://:1"]
        {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_profile_but_the_shared_one_is_ever_direct() {
        let none = EgressProfiles::default();
        let ours = organization(1);
        for profile in EgressProfile::ALL {
            let upstream = none.resolve(profile, &ours, None, None, |_| true);
            assert_eq!(upstream.is_ok(), profile == EgressProfile::SharedDc, "{profile:?}");
        }
    }

    #[test]
    fn a_dedicated_proxy_is_its_holders_alone_and_a_static_one_stays() {
        let proxies: Vec<_> = (1..9).map(|port| url(&format!("http://p{port}.test:80")).unwrap()).collect();
        let ours = organization(1);
        let profiles = EgressProfiles {
            dedicated_dc: vec![HeldProxy { proxy: proxies[0].clone(), organization: ours.clone() }],
            rotating_residential: proxies.clone(),
            static_residential: proxies.clone(),
        };
        let resolve =
            |profile, organization: &OrganizationId, key| profiles.resolve(profile, organization, key, None, |_| true);
        assert_eq!(resolve(EgressProfile::DedicatedDc, &ours, None).unwrap(), Upstream::Fixed(proxies[0].0.clone()));
        assert!(resolve(EgressProfile::DedicatedDc, &organization(2), None).is_err());
        let fixed = resolve(EgressProfile::StaticResidential, &ours, Some("shop")).unwrap();
        assert_eq!(resolve(EgressProfile::StaticResidential, &ours, Some("shop")).unwrap(), fixed);
        let keys: Vec<_> = (0..20).map(|key| key.to_string()).collect();
        let of_keys = keys.iter().map(|key| resolve(EgressProfile::StaticResidential, &ours, Some(key)).unwrap());
        assert!(of_keys.into_iter().any(|upstream| upstream != fixed), "keys spread over the pool");
        let others = |proxy: &Proxy| Upstream::Fixed(proxy.clone()) != fixed;
        let second = profiles.resolve(EgressProfile::StaticResidential, &ours, Some("shop"), None, others).unwrap();
        assert_ne!(second, fixed, "another one while it does not answer");
        for profile in
            [EgressProfile::DedicatedDc, EgressProfile::RotatingResidential, EgressProfile::StaticResidential]
        {
            assert!(profiles.resolve(profile, &ours, None, None, |_| false).is_err(), "{profile:?}");
        }
        assert!(matches!(
            resolve(EgressProfile::RotatingResidential, &ours, None).unwrap(),
            Upstream::Rotating(all) if all.len() == 8
        ));
    }

    #[test]
    fn what_is_inside_is_known_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
        ] {
            assert!(is_inside(host), "{host}");
        }
        for host in ["8.8.8.8", "2606:4700::1111", "proxy.test", "localhost.example.org"] {
            assert!(!is_inside(host), "{host}");
            assert!(is_host(host), "{host}");
        }
        for host in ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a:1", "0x7f.1", "2130706433", "127.1", "é.test"] {
            assert!(!is_host(host), "{host:?}");
        }
        assert!(!is_host(&"a.".repeat(127)[..].repeat(2)));
    }
}
