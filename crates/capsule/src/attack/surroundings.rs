//! What is tried with the network and with sockets: the host, a neighbour, addresses that answer from within.
//!
//! Without a way out nothing outside answers at all; furnished with an egress, the same attacks go through it.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use vitrine_init::{Exec, Stdio, User};

use super::{Attack, Carried, Ground, Means, could_not};

/// What the listeners of the host say, which no program in a capsule may read.
const SECRET: &str = "the-secret-of-the-host";
/// Names that a resolver of the attacker's makes lead to loopback, to metadata, and into a private network.
pub const REBOUND: [&str; 3] = ["rebound-loopback.test", "rebound-metadata.test", "rebound-private.test"];

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "host-network",
        tries: "reach the host by loopback, by its own addresses, by metadata addresses and by names that lead there",
        means: Means::Host(host_network),
    },
    Attack {
        name: "neighbour-network",
        tries: "reach a neighbour's loopback and address",
        means: Means::Host(neighbour_network),
    },
    Attack {
        name: "host-sockets",
        tries: "connect to abstract sockets of the host, and to its own control socket",
        means: Means::Host(host_sockets),
    },
    Attack {
        name: "firewall",
        tries: "leave by other ways than the redirected: UDP, ICMP, IPv6, other links, the proxy's ports",
        means: Means::Host(firewall),
    },
];

/// A listener of the host on all its addresses that tells everybody the secret.
struct Teller {
    port: u16,
    telling: JoinHandle<()>,
}

impl Teller {
    async fn start() -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("could not listen on the host: {error}");
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let telling = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // Whoever hangs up has heard enough.
                let _ = stream.write_all(SECRET.as_bytes()).await;
            }
        });
        Ok(Self { port, telling })
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

/// Connect to each, and tell what it says if that is the secret.
fn ask(targets: &[String]) -> String {
    format!(
        "perl -MSocket -e '$SIG{{ALRM}} = sub {{}}; for (@ARGV) {{ ($h, $p) = split /:/; $a = inet_aton($h) or next; \
         socket(S, PF_INET, SOCK_STREAM, 0) or next; alarm 3; \
         if (connect(S, sockaddr_in($p, $a))) {{ print S \"GET / HTTP/1.0\\r\\n\\r\\n\"; \
         for $n (1..40) {{ last if defined sysread(S, $b, 99) || $! != 11; select(undef, undef, undef, 0.05) }} \
         print \"ESCAPED: read a secret from $_\\n\" if $b =~ /{SECRET}/; }} alarm 0; close S; $b = \"\" }}' {}",
        targets.join(" ")
    )
}

fn host_network(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let teller = Teller::start().await?;
        let victim = ground.attacker().await?;
        let own = own_addresses().map_err(|error| format!("could not list the host's addresses: {error}"))?;
        let addresses =
            ["127.0.0.1", "127.0.0.2", "0.0.0.0", "10.200.0.1", "10.200.0.2", "169.254.169.254", "100.100.100.200"];
        let hosts = addresses.iter().chain(&REBOUND).map(|host| (*host).to_owned()).chain(own);
        let targets: Vec<String> = hosts.map(|host| format!("{host}:{}", teller.port)).collect();
        for user in [User::Root, User::Ordinary] {
            victim.holds(user, &ask(&targets)).await?;
        }
        Ok(())
    })
}

/// The IPv4 addresses of this machine, as its routing table knows them.
fn own_addresses() -> std::io::Result<Vec<String>> {
    let table = std::fs::read_to_string("/proc/net/fib_trie")?;
    let lines: Vec<&str> = table.lines().map(str::trim).collect();
    let local = lines.windows(2).filter(|pair| pair[1].contains("host LOCAL"));
    let mut addresses: Vec<String> = local.filter_map(|pair| Some(pair[0].strip_prefix("|-- ")?.to_owned())).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

fn neighbour_network(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let neighbour = ground.neighbour().await?;
        let script = format!(
            "$| = 1; socket(L, PF_INET, SOCK_STREAM, 0); bind(L, sockaddr_in(8080, INADDR_ANY)) or die $!; listen(L, 9); \
             print \"up\\n\"; while (accept(C, L)) {{ syswrite(C, \"{SECRET}\"); close C }}"
        );
        let exec = Exec {
            stdio: Stdio::Pipes { stdin: false, stdout: true, stderr: false },
            ..Exec::new(["perl", "-MSocket", "-e", &script])
        };
        let mut process = neighbour.capsule.exec(exec).await.map_err(could_not)?;
        let mut output = process.take_stdout().ok_or("the neighbour has no output")?;
        let mut word = [0; 2];
        let up = tokio::io::AsyncReadExt::read_exact(&mut output, &mut word);
        let up = tokio::time::timeout(Duration::from_secs(5), up).await;
        if !matches!(up, Ok(Ok(_))) {
            return Err("the attack itself failed: the neighbour does not listen".into());
        }
        let targets = ["127.0.0.1:8080", "10.200.0.2:8080", "0.0.0.0:8080"].map(str::to_owned);
        let itself = neighbour.output(User::Ordinary, &ask(&targets)).await?;
        if !itself.contains(SECRET) && !itself.contains("127.0.0.1") {
            return Err("the attack itself failed: the neighbour does not reach itself".into());
        }
        ground.attacker().await?.holds(User::Root, &ask(&targets)).await
    })
}

fn host_sockets(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let name = format!("vitrine-attack-{}", std::process::id());
        let failed = |error: std::io::Error| format!("could not listen on the host: {error}");
        let address = UnixAddress::from_abstract_name(&name).map_err(failed)?;
        let _stream = UnixListener::bind_addr(&address).map_err(failed)?;
        let datagrams = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
        let datagrams = datagrams.map_err(|error| failed(error.into()))?;
        let other = format!("{name}-datagrams");
        let other_address = rustix::net::SocketAddrUnix::new_abstract_name(other.as_bytes());
        let bound = other_address.and_then(|address| rustix::net::bind(&datagrams, &address));
        bound.map_err(|error| failed(error.into()))?;
        let victim = ground.attacker().await?;
        let script = format!(
            "perl -MSocket -e 'for ([\"{name}\", SOCK_STREAM], [\"{other}\", SOCK_DGRAM]) {{ ($n, $t) = @$_; \
             socket(S, PF_UNIX, $t, 0); print \"ESCAPED: connected to $n\\n\" if connect(S, pack(\"Sxa*\", 1, $n)); }}'\n\
             for s in $(find / -xdev -type s 2>/dev/null) /run/vitrine/control/init.sock; do perl -MSocket -e \
             'socket(S, PF_UNIX, SOCK_SEQPACKET, 0); connect(S, sockaddr_un($ARGV[0])) or exit; $SIG{{ALRM}} = sub {{ exit }}; \
             alarm 1; send(S, q({{\"seq\":1,\"call\":{{\"List\":{{\"after\":0}}}}}}), 0); recv(S, $b, 999, 0); \
             print \"ESCAPED: commands process 1 by $ARGV[0]\\n\" if $b =~ /seq/' $s; done; true"
        );
        // Root of a second kernel's capsule is let in by its own process 1, which does nothing for it that it may not do.
        let users: &[User] = if ground.shares_the_kernel() { &[User::Root, User::Ordinary] } else { &[User::Ordinary] };
        for user in users {
            victim.holds(*user, &script).await?;
        }
        Ok(())
    })
}

fn firewall(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let victim = ground.attacker().await?;
        // Raw sockets, which ICMP needs, and links of one's own are refused; UDP is answered by a refusal at once.
        let script = "perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); connect(S, sockaddr_in(443, inet_aton(\"93.184.216.34\"))); \
             send(S, \"x\", 0); select(undef, undef, undef, 0.1); print \"ESCAPED: UDP leaves\\n\" if defined send(S, \"x\", 0); \
             print \"ESCAPED: ICMP\\n\" if socket(S, PF_INET, SOCK_RAW, 1); \
             print \"ESCAPED: IPv6\\n\" if socket(S, 10, SOCK_STREAM, 0) && connect(S, pack(\"SnNa16N\", 10, 443, 0, \"\\x26\\x06\".(\"\\0\" x 13).\"\\1\", 0))'\n\
             ip link add dummy0 type dummy 2>/dev/null && echo 'ESCAPED: made a link'\n\
             ls /sys/class/net 2>/dev/null | grep -v -E '^(lo|eth0|peer0)$' | grep -q . && echo 'ESCAPED: sees links'\n\
             grep -v -E '^ *(lo|eth0|peer0|tunl0|sit0|gre0|gretap0|erspan0|ip_vti0|ip6.*|Inter-|face).*' /proc/net/dev | \
             grep -q ':' && echo 'ESCAPED: has links of others'; true";
        for user in [User::Root, User::Ordinary] {
            victim.holds(user, script).await?;
        }
        Ok(())
    })
}
