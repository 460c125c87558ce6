//! From the wire's upstream to egress's.

use crate::error::StartError;
use vitrine_egress::{Choice, Outside, Proxy, ProxyProtocol, Secret, Upstream, check_upstream};
use vitrine_model::{SchedulingReason, wire};

/// The same upstream in egress's words.
pub(crate) fn of(upstream: &wire::Upstream) -> Upstream {
    match upstream {
        wire::Upstream::Direct => Upstream::Direct,
        wire::Upstream::Fixed(one) => Upstream::Proxies { list: vec![proxy(one)], choice: Choice::Fixed },
        wire::Upstream::Rotating(all) => {
            Upstream::Proxies { list: all.iter().map(proxy).collect(), choice: Choice::PerConnection }
        }
    }
}

fn proxy(proxy: &vitrine_model::Proxy) -> Proxy {
    Proxy {
        protocol: match proxy.protocol {
            vitrine_model::ProxyProtocol::Http => ProxyProtocol::Http,
            vitrine_model::ProxyProtocol::Https => ProxyProtocol::Https,
            vitrine_model::ProxyProtocol::Socks5 => ProxyProtocol::Socks5,
        },
        host: proxy.host.clone(),
        port: proxy.port,
        username: proxy.username.as_ref().map(|name| name.reveal().to_owned()),
        password: proxy.password.as_ref().map(|password| Secret::new(password.reveal())),
    }
}

/// Whether the upstream answers: asked before a session is handed out.
pub(crate) async fn check(outside: &Outside, upstream: &Upstream) -> Result<(), StartError> {
    if matches!(upstream, Upstream::Direct) {
        return Ok(());
    }
    check_upstream(outside, upstream).await.map_err(|error| StartError {
        reason: SchedulingReason::EgressUnavailable,
        message: format!("the upstream proxy cannot be used: {error}"),
    })
}
