//! What can go wrong, told apart as far as somebody can act on it. No variant carries a credential.

use std::net::IpAddr;
use std::path::PathBuf;

/// Why egress could not be set up. Reads after "could not".
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("read the host exception `{entry}`: {reason}")]
    HostException { entry: String, reason: &'static str },
    #[error("read the rule `{rule}`: {reason}")]
    Rule { rule: String, reason: &'static str },
    #[error("read the CA bundle {}: {reason}", path.display())]
    CaBundle { path: PathBuf, reason: String },
    #[error("use the system's resolver: {reason}")]
    Resolver { reason: String },
    #[error("set up TLS: {reason}")]
    Tls { reason: String },
}

/// Why a connection was not allowed. Reads after "refused:".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the address range is refused ({0})")]
    Range(&'static str),
    #[error("the address is this machine's own")]
    OwnAddress,
    #[error("a rule denies it")]
    Denied,
    #[error("no rule allows it")]
    NotAllowed,
    #[error("the address belongs to no name that was asked for")]
    UnknownName,
    #[error("the connection was not redirected here")]
    NotRedirected,
    #[error("the session has too many connections")]
    TooManyConnections,
    #[error("the upstream was replaced")]
    UpstreamReplaced,
}

/// Why an upstream did not connect. Reads after "could not".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    #[error("use an upstream that is closed")]
    Closed,
    #[error("use an upstream without any proxy")]
    Empty,
    #[error("resolve {host}: {reason}")]
    Resolve { host: String, reason: String },
    #[error("connect to {host}: {refusal}")]
    Refused { host: String, address: IpAddr, refusal: Refusal },
    #[error("connect to {host}: {reason}")]
    Connect { host: String, reason: String },
    #[error("make a TLS connection to {host}: {reason}")]
    Tls { host: String, reason: String },
    #[error("log in to the proxy {host}")]
    Credentials { host: String },
    #[error("understand the proxy {host}: {reason}")]
    Answer { host: String, reason: &'static str },
    #[error("get through the proxy {host}: it answered {code}")]
    Destination { host: String, code: u16 },
    #[error("connect within {seconds} s")]
    TimedOut { seconds: u64 },
}
