//! Whether the operator's upstream proxies answer: each is tried from time to time, and a session is sent only to one that
//! does.

use super::ProxyUrl;
use crate::app::App;
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use vitrine_model::wire::Upstream;
use vitrine_model::{EgressProfile, EpochMs, Error, OrganizationId, Proxy, ProxyProtocol};

/// A proxy that takes longer is of no use to a browser.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Failures after which a proxy that answered before counts as gone: one may be a dropped packet.
const FAILURES_MAX: u32 = 2;
/// Proxies that are tried at once.
const PARALLEL: usize = 16;
/// SOCKS5's greeting, which offers both no authentication and a user's name and password.
const SOCKS_GREETING: [u8; 4] = [5, 2, 0, 2];

/// What the tries found, by the proxy's address.
#[derive(Default)]
pub struct UpstreamHealth(Mutex<HashMap<String, Found>>);

/// What the tries of one proxy found.
#[derive(Debug, Clone)]
pub struct Found {
    pub answers: bool,
    /// Since when it does, or does not.
    pub since: EpochMs,
    /// Of the last try that failed.
    pub error: Option<String>,
    failures: u32,
}

impl UpstreamHealth {
    /// What was found; `None` before the first try.
    pub fn of(&self, proxy: &Proxy) -> Option<Found> {
        self.lock().get(&address(proxy)).cloned()
    }

    /// Whether a session may be sent there. Before the first try nothing speaks against it.
    pub fn answers(&self, proxy: &Proxy) -> bool {
        self.lock().get(&address(proxy)).is_none_or(|found| found.answers)
    }

    /// Notes a try; answers whether it changed anything.
    fn note(&self, proxy: &Proxy, tried: Result<(), String>, now: EpochMs) -> bool {
        let mut all = self.lock();
        let before = all.get(&address(proxy)).cloned();
        let failures = if tried.is_ok() { 0 } else { before.as_ref().map_or(FAILURES_MAX, |found| found.failures + 1) };
        let answered = before.as_ref().map(|found| found.answers);
        let answers = tried.is_ok() || (answered == Some(true) && failures < FAILURES_MAX);
        let since = before.filter(|found| found.answers == answers).map_or(now, |found| found.since);
        all.insert(address(proxy), Found { answers, since, error: tried.err(), failures });
        answered != Some(answers)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Found>> {
        // A panic cannot leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The proxy without its credentials.
pub fn address(proxy: &Proxy) -> String {
    ProxyUrl(Proxy { username: None, password: None, ..proxy.clone() }).into()
}

impl App {
    /// The upstream of a session, among those that answer.
    pub fn upstream(
        &self,
        profile: EgressProfile,
        organization: &OrganizationId,
        profile_key: Option<&str>,
        own: Option<&Proxy>,
    ) -> Result<Upstream, Error> {
        let profiles = &self.config.egress_profiles;
        profiles.resolve(profile, organization, profile_key, own, |proxy| self.upstream_health.answers(proxy))
    }

    /// Tries every configured proxy once.
    pub async fn try_upstreams(&self) {
        let mut proxies: HashMap<String, Proxy> = HashMap::new();
        proxies.extend(self.config.egress_profiles.all().map(|(_, proxy)| (address(proxy), proxy.clone())));
        let tries = proxies.into_iter().map(|(address, proxy)| async move {
            let tried = match timeout(ANSWER_TIME_MAX, self.try_upstream(&proxy)).await {
                Ok(tried) => tried.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {} s", ANSWER_TIME_MAX.as_secs())),
            };
            let error = tried.clone().err();
            let changed = self.upstream_health.note(&proxy, tried, self.clock.now());
            self.metrics.upstream(&address, self.upstream_health.answers(&proxy));
            if changed {
                match error {
                    Some(error) => tracing::warn!(upstream = address, error, "an upstream proxy does not answer"),
                    None => tracing::info!(upstream = address, "an upstream proxy answers"),
                }
            }
        });
        futures_util::stream::iter(tries).buffer_unordered(PARALLEL).collect::<()>().await;
    }

    async fn try_upstream(&self, proxy: &Proxy) -> io::Result<()> {
        let given = self.config.egress_hosts.iter().find(|(name, _)| name.eq_ignore_ascii_case(&proxy.host));
        let mut stream = match given {
            Some((_, address)) => TcpStream::connect((*address, proxy.port)).await?,
            None => match proxy.host.parse::<IpAddr>() {
                Ok(address) => TcpStream::connect((address, proxy.port)).await?,
                Err(_) => TcpStream::connect((proxy.host.as_str(), proxy.port)).await?,
            },
        };
        if proxy.protocol == ProxyProtocol::Socks5 {
            stream.write_all(&SOCKS_GREETING).await?;
            let mut chosen = [0; 2];
            stream.read_exact(&mut chosen).await?;
            if chosen[0] != SOCKS_GREETING[0] || !SOCKS_GREETING[2..].contains(&chosen[1]) {
                return Err(io::Error::other("it does not speak SOCKS5 with our ways of authentication"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_forgiven_and_none_is_before_it_ever_answered() {
        let proxy = ProxyUrl::try_from("http://user:geheim@proxy.test:80".to_owned()).unwrap().0;
        let health = UpstreamHealth::default();
        let failed = || Err("refused".to_owned());
        assert!(health.answers(&proxy), "nothing is known");
        assert!(health.note(&proxy, failed(), 1));
        assert!(!health.answers(&proxy));
        assert!(health.note(&proxy, Ok(()), 2));
        assert!(!health.note(&proxy, failed(), 3));
        assert!(health.answers(&proxy));
        assert!(health.note(&proxy, failed(), 4));
        let found = health.of(&proxy).unwrap();
        assert_eq!((found.answers, found.since, found.error.as_deref()), (false, 4, Some("refused")));
        assert!(!format!("{:?}", health.lock()).contains("geheim"));
    }
}
