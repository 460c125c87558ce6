//! Three real network namespaces: a capsule whose only way out is the egress under test, the machine that the egress runs on,
//! and a world beyond it. Needs root. The namespaces are held by child processes that end with the test, however it ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vitrine_egress::{Egress, EgressEvent, Outside, Policy, Resolve, Resolving, Sockets, Upstream};

/// The machine's addresses, the world's, and the one that names of `pages.test` lead to.
pub const MACHINE: &str = "203.0.113.1";
pub const WORLD: &str = "203.0.113.20";
pub const NEIGHBOUR: &str = "10.9.0.7";

pub struct Namespace {
    holder: Child,
    _stdin: Option<ChildStdin>,
}

impl Namespace {
    fn new() -> Namespace {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "no namespace: these tests need root");
        let stdin = holder.stdin.take();
        Namespace { holder, _stdin: stdin }
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    /// Runs a shell script inside.
    pub fn run(&self, script: &str) -> Output {
        Command::new("nsenter").arg(format!("--net={}", self.path())).args(["sh", "-ec", script]).output().unwrap()
    }

    fn set_up(&self, script: &str) {
        let output = self.run(script);
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a function in a thread that has entered the namespace.
    pub fn inside<T: Send>(&self, make: impl FnOnce() -> T + Send) -> T {
        let in_thread = || {
            enter(&self.path());
            make()
        };
        tokio::task::block_in_place(|| std::thread::scope(|scope| scope.spawn(in_thread).join().unwrap()))
    }

    pub fn listen(&self, address: &str) -> TcpListener {
        let listener = self.inside(|| StdListener::bind(address).unwrap());
        listener.set_nonblocking(true).unwrap();
        TcpListener::from_std(listener).unwrap()
    }

    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let stream = self.inside(|| StdStream::connect_timeout(&address, Duration::from_secs(5)))?;
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn enter(path: &str) {
    let file = File::open(path).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

pub struct Lab {
    pub capsule: Namespace,
    pub machine: Namespace,
    pub world: Namespace,
}

impl Lab {
    fn new() -> Lab {
        let lab = Lab { capsule: Namespace::new(), machine: Namespace::new(), world: Namespace::new() };
        lab.capsule.set_up(
            "ip link set lo up
             ip link add eth0 type veth peer name eth0-peer
             ip addr add 198.18.0.2/24 dev eth0
             ip link set eth0 up; ip link set eth0-peer up
             ip route add default via 198.18.0.1 dev eth0",
        );
        let world = lab.world.holder.id();
        lab.machine.set_up(&format!(
            "ip link set lo up
             ip link add out type veth peer name in netns {world}
             ip addr add {MACHINE}/24 dev out
             ip link set out up
             ip link add near type veth peer name near-peer; ip link set near-peer up
             ip addr add 10.9.0.1/24 dev near
             ip link set near up"
        ));
        lab.world.set_up(&format!("ip link set lo up; ip addr add {WORLD}/24 dev in; ip link set in up"));
        lab
    }

    /// Sockets in the capsule, and the rules that lead its traffic to them.
    pub fn sockets(&self) -> Sockets {
        let (tcp, dns) = self
            .capsule
            .inside(|| (StdListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap()));
        let (tcp_port, dns_port) = (tcp.local_addr().unwrap().port(), dns.local_addr().unwrap().port());
        self.capsule.set_up(&format!(
            "nft -f - <<END
             table ip egress
             delete table ip egress
             table ip egress {{
               chain out {{
                 type nat hook output priority -100;
                 oifname eth0 meta l4proto tcp redirect to :{tcp_port}
                 udp dport 53 redirect to :{dns_port}
               }}
             }}
END"
        ));
        Sockets { tcp, dns }
    }

    pub fn start(&self, outside: &Arc<Outside>, policy: Policy, upstream: Upstream) -> Egress {
        Egress::start(outside.clone(), self.sockets(), policy, upstream).unwrap()
    }

    /// Asks the capsule's name server, which any address with port 53 is.
    pub fn resolve(&self, name: &str) -> Option<Ipv4Addr> {
        let query = query(name);
        let answer = self.capsule.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.connect("192.0.2.53:53").unwrap();
            socket.send(&query).unwrap();
            let mut answer = [0; 512];
            let bytes = socket.recv(&mut answer).unwrap();
            answer[..bytes].to_vec()
        });
        address(&answer)
    }

    /// Connects from the capsule, to a name as programs do, or to an address.
    pub async fn dial(&self, host: &str, port: u16) -> std::io::Result<TcpStream> {
        let address = match host.parse() {
            Ok(address) => address,
            Err(_) => self.resolve(host).ok_or(std::io::ErrorKind::NotFound)?.into(),
        };
        self.capsule.connect(SocketAddr::new(address, port)).await
    }

    /// What the server at the destination says when asked; an error when the connection is reset.
    pub async fn ask(&self, host: &str, port: u16) -> std::io::Result<String> {
        let mut stream = self.dial(host, port).await?;
        let exchange = async {
            stream.write_all(b"hello").await?;
            stream.shutdown().await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok(answer)
        };
        tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("the connection hangs")
    }

    /// Asserts that the connection is reset.
    pub async fn assert_reset(&self, host: &str, port: u16) {
        let error = self.ask(host, port).await.expect_err(host);
        let kinds = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{host}: {error}");
    }
}

/// Runs the body on the machine: every thread of its runtime lives in the machine's namespace.
pub fn in_lab<Body, Future_>(body: Body)
where
    Body: FnOnce(Arc<Lab>) -> Future_,
    Future_: Future<Output = ()> + Send + 'static,
{
    let lab = Arc::new(Lab::new());
    let machine = lab.machine.path();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || enter(&machine))
        .build()
        .unwrap();
    runtime.block_on(runtime.spawn(body(lab))).unwrap();
}

/// One question for an IPv4 address.
pub fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    query
}

/// The address in an answer to [`query`]: its last four bytes, if there is an answer at all.
pub fn address(answer: &[u8]) -> Option<Ipv4Addr> {
    assert_eq!(&answer[..2], &[0x12, 0x34]);
    let bytes: &[u8; 4] = answer.last_chunk()?;
    (answer[7] == 1).then(|| Ipv4Addr::from(*bytes))
}

/// A resolver that knows what it is told.
#[derive(Default)]
pub struct Names(pub HashMap<&'static str, Vec<&'static str>>);

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        let addresses = self.0.get(name).ok_or_else(|| "no such name".to_owned());
        let parsed = addresses.map(|list| list.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect());
        Box::pin(async move { parsed })
    }
}

/// An outside with exceptions and a table of names.
pub fn outside(hosts: &str, names: &[(&'static str, &[&'static str])]) -> Arc<Outside> {
    let names = Names(names.iter().map(|(name, list)| (*name, list.to_vec())).collect());
    Outside::with_resolver(hosts.parse().unwrap(), None, names).unwrap()
}

/// A server that answers every connection, after the client has finished, with its greeting and how much it got.
pub async fn serve(listener: TcpListener, greeting: &'static str) -> u16 {
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut question = Vec::new();
                let _ = stream.read_to_end(&mut question).await;
                let _ = stream.write_all(format!("{greeting} {}", question.len()).as_bytes()).await;
            });
        }
    });
    port
}

/// The next event, which has to come soon.
pub async fn next(events: &mut tokio::sync::broadcast::Receiver<EgressEvent>) -> EgressEvent {
    tokio::time::timeout(Duration::from_secs(15), events.recv()).await.expect("no event").unwrap()
}
