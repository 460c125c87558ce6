//! The network of a capsule: everything outward comes to the host's sockets or is refused at once; what is inside
//! stays inside.

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{ip_original_dst, tcp_nodelay};
use support::{Machine, shell};
use tokio::io::AsyncReadExt;
use vitrine_capsule::{Capsule, Exec, Profile, REDIRECT_DNS_PORT, REDIRECT_TCP_PORT, RESOLVER_ADDRESS, Stdio, User};

/// A connection attempt that says how it went.
fn dial(address: &str, port: u16) -> String {
    format!(
        "perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or die; \
         print connect(S, sockaddr_in({port}, inet_aton(\"{address}\"))) ? \"connected\" : \"$!\"'"
    )
}

async fn listen_inside(capsule: &Capsule, port: u16) {
    let script = format!(
        "use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in({port}, INADDR_LOOPBACK)) or die; \
         listen(S, 5); syswrite STDOUT, \"up\"; while (accept(C, S)) {{ syswrite C, \"hello\"; close C }}"
    );
    let exec = Exec {
        stdio: Stdio::Pipes { stdin: false, stdout: true, stderr: false },
        ..Exec::new(["perl", "-e", &script])
    };
    let mut process = capsule.exec(exec).await.expect("starts");
    let mut word = [0; 2];
    process.take_stdout().expect("a pipe").read_exact(&mut word).await.expect("it listens");
}

#[tokio::test]
async fn tcp_arrives_at_the_hosts_listener_with_its_destination() {
    let machine = Machine::new().await;
    for profile in [Profile::Browser, Profile::Sandbox] {
        let capsule = machine.capsule("outward", profile).await;
        let listener = capsule.network().tcp_listener(REDIRECT_TCP_PORT).await.expect("a listener");
        let listener = tokio::net::TcpListener::from_std(listener).expect("registered");
        let accept = tokio::spawn(async move {
            let mut destinations = Vec::new();
            for _ in 0..3 {
                let (stream, _) = listener.accept().await.expect("a connection");
                destinations.push(original_destination(&stream));
            }
            destinations
        });
        for (address, port) in [("93.184.216.34", 443), ("169.254.169.254", 80), ("10.0.0.1", 22)] {
            let output = shell(&capsule, User::Ordinary, &dial(address, port)).await.text;
            assert_eq!(output, "connected", "{address}");
        }
        let destinations = accept.await.expect("joined");
        assert_eq!(destinations, ["93.184.216.34:443", "169.254.169.254:80", "10.0.0.1:22"]);
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

fn original_destination(stream: &tokio::net::TcpStream) -> String {
    ip_original_dst(stream).expect("a destination").to_string()
}

#[tokio::test]
async fn names_are_asked_of_the_hosts_socket() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("names", Profile::Browser).await;
    let socket = capsule.network().udp_socket(REDIRECT_DNS_PORT).await.expect("a socket");
    let socket = tokio::net::UdpSocket::from_std(socket).expect("registered");
    let serve = tokio::spawn(async move {
        let mut query = [0; 512];
        let (count, from) = socket.recv_from(&mut query).await.expect("a query");
        socket.send_to(b"answer", from).await.expect("sent");
        String::from_utf8_lossy(&query[..count]).into_owned()
    });
    let ask = format!(
        "perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); connect(S, sockaddr_in(53, inet_aton(\"{RESOLVER_ADDRESS}\"))); \
         send(S, \"query\", 0); alarm 5; recv(S, $a, 512, 0); print $a'"
    );
    assert_eq!(shell(&capsule, User::Ordinary, &ask).await.text, "answer");
    assert_eq!(serve.await.expect("joined"), "query");
    machine.finish().await;
}

#[tokio::test]
async fn what_is_not_redirected_is_refused_at_once() {
    let machine = Machine::new().await;
    for profile in [Profile::Browser, Profile::Sandbox] {
        let capsule = machine.capsule("refused", profile).await;
        let started = Instant::now();
        // Nobody listens yet.
        assert_eq!(shell(&capsule, User::Ordinary, &dial("93.184.216.34", 80)).await.text, "Connection refused");
        let quic = "perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); connect(S, sockaddr_in(443, inet_aton(\"93.184.216.34\"))); \
                    send(S, \"x\", 0); alarm 5; defined recv(S, $a, 9, 0) or print $!'";
        assert!(shell(&capsule, User::Ordinary, quic).await.text.contains("refused"));
        for address in ["::1", "2606:4700::1"] {
            let six = format!(
                "perl -MSocket -e 'socket(S, PF_INET6, SOCK_STREAM, 0) or die; print connect(S, \
                 pack_sockaddr_in6(80, Socket::inet_pton(AF_INET6, \"{address}\"))) ? \"connected\" : $!'"
            );
            let output = shell(&capsule, User::Ordinary, &six).await.text;
            // A sandbox's own loopback has both kinds of address.
            let own = profile == Profile::Sandbox && address == "::1" && output.contains("refused");
            assert!(own || output.contains("unreachable") || output.contains("assign"), "{address}: {output}");
        }
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn loopback_of_a_browser_belongs_to_the_host() {
    let machine = Machine::new().await;
    let port = 9222;
    for (profile, expected) in [(Profile::Browser, "Connection refused"), (Profile::Sandbox, "connected")] {
        let capsule = machine.capsule("loopback", profile).await;
        listen_inside(&capsule, port).await;
        for address in ["127.0.0.1", "127.0.0.2", "0.0.0.0"] {
            let output = shell(&capsule, User::Ordinary, &dial(address, port)).await.text;
            let expected = if address == "127.0.0.2" { "Connection refused" } else { expected };
            assert_eq!(output, expected, "{profile:?} {address}");
        }
        // Its own address on `eth0` is local too.
        assert_eq!(shell(&capsule, User::Ordinary, &dial("10.200.0.2", port)).await.text, "Connection refused");
        let stream = capsule.network().connect(port).await.expect("the host may");
        assert!(tcp_nodelay(&stream).expect("readable"));
        let mut stream = tokio::net::TcpStream::from_std(stream).expect("registered");
        let mut hello = String::new();
        stream.read_to_string(&mut hello).await.expect("read");
        assert_eq!(hello, "hello");
        assert!(capsule.network().connect(port + 1).await.is_err());
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn no_capsule_reaches_the_host_or_a_neighbour() {
    let machine = Machine::new().await;
    let neighbour = machine.capsule("neighbour", Profile::Sandbox).await;
    listen_inside(&neighbour, 8080).await;
    let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let host_port = host.local_addr().expect("bound").port();
    let everywhere = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a listener");
    let wide_port = everywhere.local_addr().expect("bound").port();
    let capsule = machine.capsule("curious", Profile::Sandbox).await;
    for port in [8080, host_port, wide_port] {
        for address in ["127.0.0.1", "10.200.0.1", "10.200.0.2"] {
            assert_eq!(shell(&capsule, User::Root, &dial(address, port)).await.text, "Connection refused", "{address}");
        }
    }
    machine.finish().await;
}

#[tokio::test]
async fn many_connections_from_one_port_stay_apart() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("ports", Profile::Sandbox).await;
    let listener = capsule.network().tcp_listener(REDIRECT_TCP_PORT).await.expect("a listener");
    let listener = tokio::net::TcpListener::from_std(listener).expect("registered");
    let accept = tokio::spawn(async move {
        let mut kept = Vec::new();
        for _ in 0..20 {
            let (stream, peer) = listener.accept().await.expect("a connection");
            kept.push((original_destination(&stream), peer, stream));
        }
        let peers: std::collections::HashSet<SocketAddr> = kept.iter().map(|(_, peer, _)| *peer).collect();
        let destinations: std::collections::HashSet<&String> = kept.iter().map(|(one, _, _)| one).collect();
        (peers.len(), destinations.len())
    });
    let same_port = "perl -MSocket -e 'for $i (1..20) { socket($s[$i], PF_INET, SOCK_STREAM, 0); \
                     setsockopt($s[$i], SOL_SOCKET, SO_REUSEADDR, 1); bind($s[$i], sockaddr_in(40000, INADDR_ANY)) or die $!; \
                     connect($s[$i], sockaddr_in(443, inet_aton(\"93.184.216.$i\"))) or die $! } print \"all\"'";
    assert_eq!(shell(&capsule, User::Ordinary, same_port).await.text, "all");
    assert_eq!(accept.await.expect("joined"), (20, 20));
    machine.finish().await;
}

#[tokio::test]
async fn the_firewall_is_what_it_should_be() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("rules", Profile::Browser).await;
    let procs = machine.group_folders()[0].join("rules/cgroup.procs");
    let pid = std::fs::read_to_string(procs).expect("members");
    let net = format!("--net=/proc/{}/ns/net", pid.lines().next().expect("process 1"));
    let listed = Command::new("nsenter").args([&net, "nft", "list", "ruleset"]).output().expect("nft runs");
    let rules = String::from_utf8_lossy(&listed.stdout).into_owned();
    let expected = [
        "type nat hook output priority",
        "meta l4proto tcp redirect to :15001",
        "udp dport 53 redirect to :15053",
        "ct status dnat accept",
        "oif \"eth0\" reject",
        "oif \"lo\" meta mark 0x5654524e accept",
        "oif \"lo\" ct state established,related accept",
        "oif \"lo\" reject with tcp reset",
    ];
    for words in expected {
        assert!(rules.contains(words), "{words} is not in\n{rules}{}", String::from_utf8_lossy(&listed.stderr));
    }
    // From inside, nobody sees the rules, let alone changes them.
    let open = "perl -e 'socket(S, 16, 3, 12) and print \"open\"; print $!'";
    assert_eq!(shell(&capsule, User::Root, open).await.text, "Address family not supported by protocol");
    machine.finish().await;
}
