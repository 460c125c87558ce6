//! The only way out of a capsule.
//!
//! Egress is handed two sockets made inside a network namespace: TCP connections that leave the namespace are redirected to
//! one, DNS questions to the other. It assumes nothing else of the capsule and treats every byte from it as hostile.
//!
//! It promises: what the policy denies is not reached; a private, local or otherwise special address is reached only when
//! the operator named it; a name is resolved once, when a connection needs it, and the connection goes to an address that
//! passed; with a proxy upstream nothing ever goes direct; credentials appear in no log, error or `Debug` output.

mod cidr;
mod counters;
mod dial;
mod dns;
mod error;
mod guard;
mod hosts;
mod http_connect;
mod journal;
mod names;
mod outside;
mod pace;
mod policy;
mod relay;
mod secret;
mod session;
mod socks5;
mod splice;
mod tls;
mod upstream;

pub use cidr::Cidr;
pub use counters::{Counters, EgressEvent};
pub use error::{EgressError, Refusal, UpstreamError};
pub use guard::{RANGES, Range, Treatment, refusal};
pub use hosts::HostExceptions;
pub use outside::{Outside, Resolve, Resolving};
pub use policy::{Mode, Policy, Rule};
pub use secret::Secret;
pub use session::{Egress, Sockets};
pub use upstream::{Choice, Proxy, ProxyProtocol, Upstream, check_upstream};
