//! Plain TCP connections to addresses that have been judged, and what the machine's own routes say about an address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How long one address may keep the next one waiting (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// A peer that vanished without a word is noticed after `IDLE + INTERVAL * PROBES`, two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;
/// Any port does to ask for a route; nothing is sent there.
const DISCARD_PORT: u16 = 9;

/// Connects to the first address that answers, trying the next whenever one fails or takes its time.
pub(crate) async fn connect(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut rest = addresses.iter();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match rest.next() {
            Some(address) => attempts.push(TcpStream::connect((*address, port))),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => {
                    prepare(&stream)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            },
            () = sleep(STAGGER), if rest.len() > 0 => {}
        }
    }
}

/// Makes a connection end abruptly unless [`lay_down`] is called: whoever drops it half-way tells the peer by a reset, so that
/// nothing cut off looks complete.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()?;
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Lets a connection end in order: what was written is still delivered after it is dropped.
pub(crate) fn lay_down(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(None)
}

/// Whether the address is one of this machine's. Fails when there is no route to it.
///
/// The kernel picks the source address for a destination; for its own addresses that is the destination itself. Unlike a list
/// of interfaces this is never out of date.
pub(crate) fn is_own(address: IpAddr) -> io::Result<bool> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((address, DISCARD_PORT))?;
    Ok(socket.local_addr()?.ip() == address)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn own_addresses_are_known() {
        assert!(is_own("127.0.0.1".parse().unwrap()).unwrap());
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_fails() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let addresses = ["127.0.0.3".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        let stream = connect(&addresses, port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(connect(&addresses[..1], port).await.is_err());
        assert!(connect(&[], port).await.is_err());
    }
}
