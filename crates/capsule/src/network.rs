//! Sockets in a capsule's network namespace.
//!
//! A socket belongs to the namespace of the thread that made it, and to everybody afterwards. One thread of this
//! process visits the namespaces to make them; it never waits for a peer, so it never keeps anybody waiting.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::ThreadNameSpaceType;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use vitrine_init::{REDIRECT_TCP_PORT, SOCKET_MARK};

use crate::CapsuleError;
use crate::error::Doing;
use crate::sys;

/// Connections that wait to be accepted by the proxy.
const BACKLOG: i32 = 1024;
/// Requests that wait for the thread; each takes some microseconds.
const REQUESTS_MAX: usize = 1024;
/// What is read of the kernel's table of sockets: some thirty thousand of them.
const TABLE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The state of a socket that listens, in that table.
const LISTENS: &str = "0A";

/// The network of one capsule. Usable as long as the capsule lives; keeps nothing of it alive.
#[derive(Clone, Debug)]
pub struct Network {
    init: Arc<OwnedFd>,
    visitor: Visitor,
}

impl Network {
    pub(crate) fn new(init: Arc<OwnedFd>, visitor: Visitor) -> Self {
        Self { init, visitor }
    }

    /// A listener on 127.0.0.1 in the capsule, not blocking.
    pub async fn tcp_listener(&self, port: u16) -> Result<TcpListener, CapsuleError> {
        let make = move || {
            let socket = socket(AddressFamily::INET, SocketType::STREAM)?;
            rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
            rustix::net::bind(&socket, &local(port))?;
            rustix::net::listen(&socket, BACKLOG)?;
            Ok(socket)
        };
        self.make(make).await.doing(|| format!("listen on port {port} in the capsule")).map(Into::into)
    }

    /// A UDP socket on 127.0.0.1 in the capsule, not blocking.
    pub async fn udp_socket(&self, port: u16) -> Result<UdpSocket, CapsuleError> {
        let make = move || {
            let socket = socket(AddressFamily::INET, SocketType::DGRAM)?;
            rustix::net::bind(&socket, &local(port))?;
            Ok(socket)
        };
        self.make(make).await.doing(|| format!("bind UDP port {port} in the capsule")).map(Into::into)
    }

    /// A connection to the capsule's loopback that its firewall lets through; not blocking, without delay. To `::1` where
    /// nothing listens on 127.0.0.1.
    pub async fn connect(&self, port: u16) -> Result<TcpStream, CapsuleError> {
        let connected = match self.connect_to(SocketAddr::V4(local(port))).await {
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                self.connect_to((Ipv6Addr::LOCALHOST, port).into()).await.map_err(|_| refused)
            }
            other => other,
        };
        connected.doing(|| format!("connect to port {port} in the capsule"))
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let make = move || {
            let socket = socket(family, SocketType::STREAM)?;
            sys::set_mark(socket.as_fd(), SOCKET_MARK)?;
            rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
            Ok(socket)
        };
        TcpSocket::from_std_stream(self.make(make).await?.into()).connect(address).await?.into_std()
    }

    /// Where programs of the capsule listen for TCP connections, ours left out.
    pub async fn listening(&self) -> Result<Vec<SocketAddr>, CapsuleError> {
        let what = || "look for ports in the capsule".into();
        let mut all = Vec::new();
        for table in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
            // The file is that of the namespace in which it was opened.
            let file = match self.make(move || Ok(File::open(table)?.into())).await {
                // A kernel without that family.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => File::from(other.doing(what)?),
            };
            let read = move || io::read_to_string(file.take(TABLE_BYTES_MAX));
            let text = tokio::task::spawn_blocking(read).await.map_err(io::Error::other).and_then(|text| text);
            all.extend(text.doing(what)?.lines().skip(1).filter_map(listener));
        }
        all.retain(|address| address.port() != REDIRECT_TCP_PORT);
        all.sort_by_key(|address| (address.port(), address.ip()));
        all.dedup();
        Ok(all)
    }

    async fn make(&self, make: impl FnOnce() -> io::Result<OwnedFd> + Send + 'static) -> io::Result<OwnedFd> {
        let (reply, answer) = oneshot::channel();
        let visit = Visit { init: Arc::clone(&self.init), make: Box::new(make), reply };
        // Full only when a thousand wait already, which is as good as gone.
        self.visitor.visits.try_send(visit).map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        answer.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

/// The address of a line of the kernel's table of TCP sockets, if the socket listens.
fn listener(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    if fields.nth(1)? != LISTENS {
        return None;
    }
    // Words of four bytes, each in the machine's own order.
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

fn socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, kind, flags, None)?)
}

struct Visit {
    init: Arc<OwnedFd>,
    make: Box<dyn FnOnce() -> io::Result<OwnedFd> + Send>,
    reply: oneshot::Sender<io::Result<OwnedFd>>,
}

/// The thread that visits the namespaces; it ends with the last handle.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    visits: mpsc::SyncSender<Visit>,
}

impl Visitor {
    pub fn start() -> io::Result<Self> {
        let (visits, requests) = mpsc::sync_channel::<Visit>(REQUESTS_MAX);
        let serve = move || {
            for Visit { init, make, reply } in requests {
                // On failure the thread may be in a foreign namespace still; every visit enters its own first.
                let entered = rustix::thread::move_into_thread_name_spaces(init.as_fd(), ThreadNameSpaceType::NETWORK);
                // Whoever asked may have stopped waiting.
                let _ = reply.send(entered.map_err(io::Error::from).and_then(|()| make()));
            }
        };
        std::thread::Builder::new().name("capsule-network".into()).spawn(serve)?;
        Ok(Self { visits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_of_sockets_is_read() {
        let line =
            |address: &str, state: &str| format!("   0: {address} 00000000:0000 {state} 00000000:00000000 00:0 0");
        assert_eq!(listener(&line("0100007F:1F90", "0A")), Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(listener(&line("00000000000000000000000001000000:0050", "0A")), Some("[::1]:80".parse().unwrap()));
        assert_eq!(listener(&line("0100007F:1F90", "01")), None, "a connection");
        assert_eq!(listener("rubbish"), None);
    }
}
