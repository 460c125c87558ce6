//! What all sessions of a machine share to get out: the resolver, the operator's exceptions, the trusted roots.
//!
//! Every connection that leaves goes through [`Outside::connect`]: resolve, judge every address, connect to one that passed.
//! Nothing is resolved again between the check and the connection.

use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::guard;
use crate::{EgressError, HostExceptions, Refusal, UpstreamError, dial, tls};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// How long a name server may take for one try, and how many tries there are.
const RESOLVE_TRY: Duration = Duration::from_secs(3);
const RESOLVE_TRIES: usize = 2;

/// An answer that is being looked up: addresses in the order to be tried, or the reason why there are none.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, String>> + Send + 'a>>;

/// Resolves names for the machine. What it says is not trusted: every address is judged.
pub trait Resolve: Send + Sync + 'static {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// What all sessions of a machine share.
pub struct Outside {
    hosts: HostExceptions,
    resolver: Box<dyn Resolve>,
    tls: TlsConnector,
}

impl Outside {
    /// Uses the system's resolver settings, and the certificates of `ca_bundle` (PEM) next to the public roots.
    pub fn new(hosts: HostExceptions, ca_bundle: Option<&Path>) -> Result<Arc<Outside>, EgressError> {
        Outside::with_resolver(hosts, ca_bundle, SystemResolver::new()?)
    }

    /// The same with another resolver.
    pub fn with_resolver(
        hosts: HostExceptions,
        ca_bundle: Option<&Path>,
        resolver: impl Resolve,
    ) -> Result<Arc<Outside>, EgressError> {
        Ok(Arc::new(Outside { hosts, resolver: Box::new(resolver), tls: tls::connector(ca_bundle)? }))
    }

    pub(crate) fn hosts(&self) -> &HostExceptions {
        &self.hosts
    }

    pub(crate) fn tls(&self) -> &TlsConnector {
        &self.tls
    }

    /// Connects to a name or a literal address, if the guard, the operator's exceptions and `judge` allow it.
    pub(crate) async fn connect(
        &self,
        host: &str,
        port: u16,
        judge: impl Fn(IpAddr) -> Result<(), Refusal>,
    ) -> Result<TcpStream, UpstreamError> {
        let failed =
            |error: std::io::Error| UpstreamError::Connect { host: host.to_owned(), reason: error.to_string() };
        let (addresses, guarded) = match self.hosts.address(host) {
            Some(address) => (vec![address], false),
            None => (self.resolve(host).await?, true),
        };
        let mut passed = Vec::new();
        let mut setback = UpstreamError::Resolve { host: host.to_owned(), reason: "it has no address".to_owned() };
        for address in addresses.into_iter().map(|address| address.to_canonical()) {
            let verdict = if guarded { guarded_address(address) } else { Ok(Ok(())) };
            match verdict.map(|verdict| verdict.and_then(|()| judge(address))) {
                Ok(Ok(())) => passed.push(address),
                Ok(Err(refusal)) => setback = UpstreamError::Refused { host: host.to_owned(), address, refusal },
                Err(error) => setback = failed(error),
            }
        }
        if passed.is_empty() {
            return Err(setback);
        }
        passed.truncate(ADDRESSES_MAX);
        dial::connect(&passed, port).await.map_err(failed)
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, UpstreamError> {
        match host.parse() {
            Ok(literal) => Ok(vec![literal]),
            Err(_) => {
                let failed = |reason| UpstreamError::Resolve { host: host.to_owned(), reason };
                self.resolver.resolve(host).await.map_err(failed)
            }
        }
    }
}

/// The guard's verdict on an address; the outer error says that there is no way to it anyhow.
fn guarded_address(address: IpAddr) -> std::io::Result<Result<(), Refusal>> {
    if let Some(reason) = guard::refusal(address) {
        return Ok(Err(Refusal::Range(reason)));
    }
    Ok(if dial::is_own(address)? { Err(Refusal::OwnAddress) } else { Ok(()) })
}

struct SystemResolver(TokioResolver);

impl SystemResolver {
    fn new() -> Result<SystemResolver, EgressError> {
        let failed = |error: hickory_resolver::net::NetError| EgressError::Resolver { reason: error.to_string() };
        let mut builder = TokioResolver::builder_tokio().map_err(failed)?;
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = RESOLVE_TRY;
        options.attempts = RESOLVE_TRIES;
        Ok(SystemResolver(builder.build().map_err(failed)?))
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            // The final dot keeps the machine's search domains out.
            let answer = self.0.lookup_ip(format!("{name}.")).await.map_err(|error| error.to_string())?;
            Ok(answer.iter().collect())
        })
    }
}
