//! Ways out: directly, or through a proxy that speaks HTTP CONNECT (plain or over TLS) or SOCKS5.
//!
//! A proxy's own host passes the same guard as any destination. Names are handed to proxies unresolved. When a proxy fails,
//! the connection fails: nothing here falls back to a direct connection.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::policy::NameVerdict;
use crate::{Outside, Policy, Refusal, Secret, UpstreamError, dial, guard, http_connect, socks5};

/// The whole way to a destination: resolving, connecting, TLS, the proxy's answer.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The way to a proxy, of which several may be tried.
const REACH_MAX: Duration = Duration::from_secs(4);
/// Proxies tried for one connection when the choice is free.
const PROXIES_TRIED_MAX: usize = 3;
/// How long [`check_upstream`] takes at most.
const CHECK_MAX: Duration = Duration::from_secs(3);
/// Proxies of one list that are checked, all at the same time.
const PROXIES_CHECKED_MAX: usize = 16;

/// How a session's connections get out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    Direct,
    Proxies {
        list: Vec<Proxy>,
        choice: Choice,
    },
    /// Not at all.
    Closed,
}

/// Which proxy of a list a connection takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Always the first.
    Fixed,
    /// One after the other; one that cannot be reached is skipped.
    PerConnection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    Http,
    Https,
    Socks5,
}

/// One proxy. Its `Debug` output never shows credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub protocol: ProxyProtocol,
    /// A name or a literal address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl Proxy {
    /// User name and password, if the proxy was given any; what is missing of the two is empty.
    pub(crate) fn credentials(&self) -> Option<(&str, &str)> {
        if self.username.is_none() && self.password.is_none() {
            return None;
        }
        let password = self.password.as_ref().map_or("", |password| password.expose());
        Some((self.username.as_deref().unwrap_or(""), password))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Proxy")
            .field("protocol", &self.protocol)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("has_credentials", &self.credentials().is_some())
            .finish()
    }
}

/// Where a capsule wants to go.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub host: Host,
    pub port: u16,
}

#[derive(Debug, Clone)]
pub(crate) enum Host {
    Name(Arc<str>),
    Address(IpAddr),
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(formatter, "{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(formatter, "{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
        }
    }
}

/// A connection that leads to the destination.
pub(crate) struct Line {
    pub wire: Wire,
    /// What the destination said before the capsule could say anything: it came along with the proxy's answer.
    pub early: Vec<u8>,
    /// The address that was connected to, where it is known: not behind a proxy.
    pub address: Option<IpAddr>,
}

pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub fn socket(&self) -> &TcpStream {
        match self {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// What both plain and encrypted connections are.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Judges a destination as far as it is known before anything is resolved; what is said of a name counts for its addresses.
pub(crate) fn judge(
    policy: &Policy,
    upstream: &Upstream,
    destination: &Destination,
) -> Result<Option<NameVerdict>, Refusal> {
    let behind_proxy = matches!(upstream, Upstream::Proxies { .. });
    match &destination.host {
        Host::Name(name) => match policy.judge_name(name)? {
            NameVerdict::ByAddress if behind_proxy => Err(Refusal::NotAllowed),
            verdict => Ok(Some(verdict)),
        },
        Host::Address(address) => {
            policy.judge_address(*address, None)?;
            match guard::refusal(*address) {
                Some(reason) => Err(Refusal::Range(reason)),
                // An address without a route is not one of this machine's.
                None if dial::is_own(*address).unwrap_or(false) => Err(Refusal::OwnAddress),
                None => Ok(None),
            }
        }
    }
}

/// Connects to a destination that was judged. `turn` chooses among proxies.
pub(crate) async fn connect(
    outside: &Outside,
    upstream: &Upstream,
    destination: &Destination,
    judge_address: impl Fn(IpAddr) -> Result<(), Refusal>,
    turn: usize,
) -> Result<Line, UpstreamError> {
    let way = async {
        match upstream {
            Upstream::Closed => Err(UpstreamError::Closed),
            Upstream::Direct => direct(outside, destination, judge_address).await,
            Upstream::Proxies { list, choice } => through_proxies(outside, list, *choice, destination, turn).await,
        }
    };
    timeout(CONNECT_MAX, way).await.unwrap_or(Err(UpstreamError::TimedOut { seconds: CONNECT_MAX.as_secs() }))
}

async fn direct(
    outside: &Outside,
    destination: &Destination,
    judge_address: impl Fn(IpAddr) -> Result<(), Refusal>,
) -> Result<Line, UpstreamError> {
    let host = match &destination.host {
        Host::Name(name) => name.to_string(),
        Host::Address(address) => address.to_string(),
    };
    let stream = outside.connect(&host, destination.port, judge_address).await?;
    let address = stream.peer_addr().ok().map(|peer| peer.ip());
    Ok(Line { wire: Wire::Plain(stream), early: Vec::new(), address })
}

async fn through_proxies(
    outside: &Outside,
    list: &[Proxy],
    choice: Choice,
    destination: &Destination,
    turn: usize,
) -> Result<Line, UpstreamError> {
    let (first, tries) = match choice {
        Choice::Fixed => (0, 1),
        Choice::PerConnection => (turn, PROXIES_TRIED_MAX.min(list.len())),
    };
    let mut setback = UpstreamError::Empty;
    for proxy in list.iter().cycle().skip(first % list.len().max(1)).take(tries) {
        match reach(outside, proxy).await {
            Ok(mut wire) => {
                let early = match &mut wire {
                    Wire::Plain(stream) => tunnel(stream, proxy, destination).await?,
                    Wire::Tls(stream) => tunnel(stream, proxy, destination).await?,
                };
                return Ok(Line { wire, early, address: None });
            }
            Err(error) => setback = error,
        }
    }
    Err(setback)
}

/// Connects to the proxy itself, over TLS where it speaks that.
async fn reach(outside: &Outside, proxy: &Proxy) -> Result<Wire, UpstreamError> {
    let way = async {
        let stream = outside.connect(&proxy.host.to_ascii_lowercase(), proxy.port, |_| Ok(())).await?;
        if proxy.protocol != ProxyProtocol::Https {
            return Ok(Wire::Plain(stream));
        }
        let failed = |reason: String| UpstreamError::Tls { host: proxy.host.clone(), reason };
        let name = ServerName::try_from(proxy.host.clone()).map_err(|error| failed(error.to_string()))?;
        let stream = outside.tls().connect(name, stream).await.map_err(|error| failed(error.to_string()))?;
        Ok(Wire::Tls(Box::new(stream)))
    };
    timeout(REACH_MAX, way).await.unwrap_or(Err(UpstreamError::TimedOut { seconds: REACH_MAX.as_secs() }))
}

/// Asks the proxy for the destination; gives what came along with its answer.
async fn tunnel(stream: &mut impl Stream, proxy: &Proxy, destination: &Destination) -> Result<Vec<u8>, UpstreamError> {
    match proxy.protocol {
        ProxyProtocol::Http | ProxyProtocol::Https => http_connect::tunnel(stream, proxy, destination).await,
        ProxyProtocol::Socks5 => {
            socks5::log_in(stream, proxy).await?;
            socks5::tunnel(stream, proxy, destination).await.map(|()| Vec::new())
        }
    }
}

/// Whether the upstream can be reached and takes our credentials, as far as can be known without a destination: TCP, TLS, and
/// the whole login of SOCKS5. Takes 3 s at most. Of several proxies one has to do where the choice is free.
pub async fn check_upstream(outside: &Outside, upstream: &Upstream) -> Result<(), UpstreamError> {
    let (list, choice) = match upstream {
        Upstream::Direct => return Ok(()),
        Upstream::Closed => return Err(UpstreamError::Closed),
        Upstream::Proxies { list, choice } => (list, choice),
    };
    let checked = match choice {
        Choice::Fixed => 1,
        Choice::PerConnection => PROXIES_CHECKED_MAX,
    };
    let checks: Vec<_> = list.iter().take(checked).map(|proxy| Box::pin(check_proxy(outside, proxy))).collect();
    if checks.is_empty() {
        return Err(UpstreamError::Empty);
    }
    let late = Err(UpstreamError::TimedOut { seconds: CHECK_MAX.as_secs() });
    timeout(CHECK_MAX, select_ok(checks)).await.unwrap_or(late).map(|_| ())
}

async fn check_proxy(outside: &Outside, proxy: &Proxy) -> Result<(), UpstreamError> {
    match (reach(outside, proxy).await?, proxy.protocol) {
        (Wire::Plain(mut stream), ProxyProtocol::Socks5) => socks5::log_in(&mut stream, proxy).await,
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_credentials() {
        let proxy = Proxy {
            protocol: ProxyProtocol::Http,
            host: "proxy.test".to_owned(),
            port: 3128,
            username: Some("alice-7141".to_owned()),
            password: Some(Secret::new("hunter-2718")),
        };
        let upstream = Upstream::Proxies { list: vec![proxy], choice: Choice::Fixed };
        let text = format!("{upstream:?}");
        assert!(text.contains("proxy.test") && text.contains("has_credentials: true"));
        assert!(!text.contains("alice") && !text.contains("hunter"), "{text}");
    }
}
