//! One connection of a capsule, from its arrival to its end.
//!
//! Whatever goes wrong before the destination answers is told to the capsule by a reset, so that its programs fail at once.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::names::{Lease, is_synthetic};
use crate::session::{Rules, Session};
use crate::splice::{HALF_CLOSED_IDLE, splice};
use crate::upstream::{self, Destination, Host, Line, Wire};
use crate::{Refusal, Upstream, UpstreamError, dial};

const DNS_PORT: u16 = 53;

/// Where the client wanted to go before it was redirected.
pub(crate) fn original_destination(client: &TcpStream) -> Option<SocketAddrV4> {
    SockRef::from(client).original_dst_v4().ok()?.as_socket_ipv4()
}

/// Serves one connection. Dropping the future resets it.
pub(crate) async fn carry(session: Arc<Session>, mut client: TcpStream) {
    let Some(wanted) = original_destination(&client) else {
        return session.meter.refused("unknown".to_owned(), Refusal::NotRedirected);
    };
    if wanted.port() == DNS_PORT {
        let served = session.name_server().serve_tcp(&mut client).await;
        return finish(served, &[&client]);
    }
    let lease = session.names.lease(*wanted.ip());
    let Some(destination) = destination(wanted, lease.as_ref()) else {
        return session.meter.refused(wanted.to_string(), Refusal::UnknownName);
    };

    let mut changes = session.rules.subscribe();
    let rules = changes.borrow_and_update().clone();
    let verdict = match upstream::judge(&rules.policy, &rules.upstream, &destination) {
        Ok(verdict) => verdict,
        Err(refusal) => return session.meter.refused(destination.to_string(), refusal),
    };
    // Boxed, so that connecting's larger state is freed while the connection lives.
    let connecting = Box::pin(upstream::connect(
        &session.outside,
        &rules.upstream,
        &destination,
        |address| rules.policy.judge_address(address, verdict),
        session.turn(),
    ));
    let result = tokio::select! {
        result = connecting => result,
        refusal = overruled(&mut changes, &rules, &destination, None) => return session.meter.refused(destination.to_string(), refusal),
    };
    let mut line = match result {
        Ok(line) => line,
        Err(error) => return report(&session, &rules.upstream, &destination, error),
    };
    session.meter.connected();
    let address = line.address;
    tokio::select! {
        ended = copy(&session, &mut client, &mut line) => finish(ended, &[&client, line.wire.socket()]),
        refusal = overruled(&mut changes, &rules, &destination, address) => session.meter.refused_at(destination.to_string(), address, refusal),
    }
    drop(lease);
}

fn destination(wanted: SocketAddrV4, lease: Option<&Lease>) -> Option<Destination> {
    let address: Ipv4Addr = *wanted.ip();
    let host = match lease {
        Some(lease) => Host::Name(lease.name.clone()),
        None if is_synthetic(address) => return None,
        None => Host::Address(address.into()),
    };
    Some(Destination { host, port: wanted.port() })
}

/// Waits until new rules end this connection. `address` is what it is connected to, if that is known.
async fn overruled(
    changes: &mut watch::Receiver<Rules>,
    rules: &Rules,
    destination: &Destination,
    address: Option<std::net::IpAddr>,
) -> Refusal {
    loop {
        if changes.changed().await.is_err() {
            // The session is gone, and its end cancels this connection.
            std::future::pending::<()>().await;
        }
        let current = changes.borrow_and_update().clone();
        if current.upstream_number != rules.upstream_number {
            return Refusal::UpstreamReplaced;
        }
        let verdict = upstream::judge(&current.policy, &current.upstream, destination).and_then(|name| match address {
            Some(address) => current.policy.judge_address(address, name),
            None => Ok(()),
        });
        if let Err(refusal) = verdict {
            return refusal;
        }
    }
}

fn report(session: &Session, upstream: &Upstream, destination: &Destination, error: UpstreamError) {
    match (error, upstream) {
        (UpstreamError::Refused { address, refusal, .. }, Upstream::Direct) => {
            session.meter.refused_at(destination.to_string(), Some(address), refusal)
        }
        (error, _) => session.meter.failed(destination.to_string(), error),
    }
}

async fn copy(session: &Session, client: &mut TcpStream, line: &mut Line) -> std::io::Result<()> {
    let early = std::mem::take(&mut line.early);
    let (out, into) = (&session.meter.bytes_out, &session.meter.bytes_in);
    match &mut line.wire {
        Wire::Plain(stream) => splice(client, stream, early, out, into, HALF_CLOSED_IDLE).await,
        Wire::Tls(stream) => splice(client, stream.as_mut(), early, out, into, HALF_CLOSED_IDLE).await,
    }
}

/// Lets connections that ended well end in order; the others are reset when they are dropped.
fn finish(ended: std::io::Result<()>, sockets: &[&TcpStream]) {
    let laid_down = ended.and_then(|()| sockets.iter().try_for_each(|socket| dial::lay_down(socket)));
    if let Err(error) = laid_down {
        tracing::debug!(%error, "connection cut");
    }
}
