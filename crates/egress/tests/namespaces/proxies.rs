//! Upstream proxies: good, dead, dishonest; and that nothing goes around them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitrine_egress::{
    Choice, EgressEvent, HostExceptions, Outside, Policy, Proxy, ProxyProtocol, Refusal, Secret, Upstream,
    UpstreamError, check_upstream,
};

use crate::lab::{Lab, Names, WORLD, in_lab, next, outside, serve};
use crate::proxy_servers::{Kind, Server, babble, certificate};

const LOGIN: Option<(&str, &str)> = Some(("alice", "p:ss wörd"));

fn proxy(protocol: ProxyProtocol, port: u16, login: Option<(&str, &str)>) -> Proxy {
    Proxy {
        protocol,
        host: "proxy.test".to_owned(),
        port,
        username: login.map(|(user, _)| user.to_owned()),
        password: login.map(|(_, password)| Secret::new(password)),
    }
}

fn fixed(proxy: Proxy) -> Upstream {
    Upstream::Proxies { list: vec![proxy], choice: Choice::Fixed }
}

/// A server in the world that must never be seen directly, under the name that the capsule asks for.
async fn trap(lab: &Lab) -> u16 {
    serve(lab.world.listen(&format!("{WORLD}:0")), "DIRECT").await
}

/// An outside that would go to the trap if it went directly.
fn trapped() -> Arc<Outside> {
    outside("proxy.test=127.0.0.1", &[("page.test", &[WORLD])])
}

#[test]
fn every_protocol_with_and_without_credentials() {
    in_lab(|lab| async move {
        let trap = trap(&lab).await;
        let page = serve(lab.machine.listen("127.0.0.1:0"), "page").await;
        let (tls, pem) = certificate("proxy.test");
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("ca.pem");
        std::fs::write(&bundle, pem).unwrap();
        let hosts: HostExceptions = "proxy.test=127.0.0.1".parse().unwrap();
        let outside = Outside::with_resolver(hosts, Some(&bundle), Names::default()).unwrap();
        let egress = lab.start(&outside, Policy::default(), Upstream::Closed);
        let cases = [
            (ProxyProtocol::Http, Kind::Http),
            (ProxyProtocol::Https, Kind::Http),
            (ProxyProtocol::Socks5, Kind::Socks5),
        ];
        for (protocol, kind) in cases {
            for login in [None, LOGIN] {
                let mut server = Server::new(kind, login, format!("127.0.0.1:{page}"));
                server.tls = (protocol == ProxyProtocol::Https).then(|| tls.clone());
                let port = server.start(lab.machine.listen("127.0.0.1:0"));
                let upstream = fixed(proxy(protocol, port, login));
                assert_eq!(check_upstream(&outside, &upstream).await, Ok(()));
                egress.set_upstream(upstream);
                assert_eq!(lab.ask("page.test", trap).await.unwrap(), "page 5", "{protocol:?} {login:?}");
                assert_eq!(lab.ask(WORLD, trap).await.unwrap(), "page 5");
                assert_eq!(server.asked(), [format!("page.test:{trap}"), format!("{WORLD}:{trap}")], "unresolved");

                for host in ["169.254.169.254", "10.9.0.7", "203.0.113.1"] {
                    lab.assert_reset(host, trap).await;
                }
                assert_eq!(server.asked().len(), 2, "refused before the proxy sees it");
                wrong_credentials(&lab, &outside, &egress, protocol, port, login, trap).await;
                assert_eq!(server.asked().len(), 2);
            }
        }
        egress.stop().await;
    });
}

async fn wrong_credentials(
    lab: &Lab,
    outside: &Outside,
    egress: &vitrine_egress::Egress,
    protocol: ProxyProtocol,
    port: u16,
    login: Option<(&str, &str)>,
    trap: u16,
) {
    if login.is_none() {
        return;
    }
    let mut events = egress.events();
    for wrong in [None, Some(("alice", "sesame-4711"))] {
        let upstream = fixed(proxy(protocol, port, wrong));
        let known_early = protocol == ProxyProtocol::Socks5;
        let check = check_upstream(outside, &upstream).await;
        assert_eq!(check.is_err(), known_early, "{check:?}");
        egress.set_upstream(upstream);
        lab.assert_reset("page.test", trap).await;
        let event = next(&mut events).await;
        let EgressEvent::UpstreamFailed { target, error } = &event else { panic!("{event:?}") };
        assert_eq!(target, &format!("page.test:{trap}"));
        assert!(matches!(error, UpstreamError::Credentials { .. }), "{event:?}");
        assert!(!format!("{event:?} {error}").contains("sesame"));
    }
}

#[test]
fn nothing_goes_direct_when_the_proxy_is_dead() {
    in_lab(|lab| async move {
        let trap = trap(&lab).await;
        let outside = trapped();
        let listener = lab.machine.listen("127.0.0.1:0");
        let dead = listener.local_addr().unwrap().port();
        drop(listener);
        let egress = lab.start(&outside, Policy::default(), Upstream::Direct);
        assert_eq!(lab.ask("page.test", trap).await.unwrap(), "DIRECT 5", "the trap works");
        for protocol in [ProxyProtocol::Http, ProxyProtocol::Https, ProxyProtocol::Socks5] {
            let upstream = fixed(proxy(protocol, dead, LOGIN));
            assert!(matches!(check_upstream(&outside, &upstream).await, Err(UpstreamError::Connect { .. })));
            egress.set_upstream(upstream);
            lab.assert_reset("page.test", trap).await;
            lab.assert_reset(WORLD, trap).await;
        }
        for upstream in [Upstream::Closed, Upstream::Proxies { list: vec![], choice: Choice::PerConnection }] {
            assert!(check_upstream(&outside, &upstream).await.is_err());
            egress.set_upstream(upstream);
            lab.assert_reset("page.test", trap).await;
        }
        assert_eq!(egress.counters().connections, 1);
        egress.stop().await;
    });
}

#[test]
fn a_proxy_that_hears_but_never_answers_is_given_up() {
    in_lab(|lab| async move {
        // The world does not answer for this address, so that connecting takes until the limit.
        let outside = outside("", &[("proxy.test", &["203.0.113.77"])]);
        lab.machine.run("ip neigh add 203.0.113.77 lladdr 02:00:00:00:00:01 dev out");
        let upstream = fixed(proxy(ProxyProtocol::Http, 3128, None));
        let start = Instant::now();
        assert_eq!(check_upstream(&outside, &upstream).await, Err(UpstreamError::TimedOut { seconds: 3 }));
        assert!((2900..3500).contains(&start.elapsed().as_millis()));
        let egress = lab.start(&outside, Policy::default(), upstream);
        let start = Instant::now();
        lab.assert_reset("page.test", 80).await;
        assert!(start.elapsed() < Duration::from_secs(6));
        egress.stop().await;
    });
}

#[test]
fn the_guard_holds_for_the_proxys_own_host() {
    in_lab(|lab| async move {
        let server = Server::new(Kind::Http, None, "127.0.0.1:1".to_owned());
        let port = server.start(lab.machine.listen("0.0.0.0:0"));
        let outside = outside("named.test=127.0.0.1", &[("proxy.test", &["127.0.0.1"])]);
        let egress = lab.start(&outside, Policy::default(), Upstream::Closed);
        let mut events = egress.events();
        for host in ["127.0.0.1", "::1", "10.9.0.1", "203.0.113.1", "proxy.test", "169.254.169.254"] {
            let upstream = fixed(Proxy { host: host.to_owned(), ..proxy(ProxyProtocol::Http, port, None) });
            let error = check_upstream(&outside, &upstream).await.unwrap_err();
            assert!(matches!(error, UpstreamError::Refused { .. }), "{error}");
            egress.set_upstream(upstream);
            lab.assert_reset("page.test", 80).await;
            assert_eq!(
                next(&mut events).await,
                EgressEvent::UpstreamFailed { target: "page.test:80".to_owned(), error }
            );
        }
        let named = fixed(Proxy { host: "Named.test".to_owned(), ..proxy(ProxyProtocol::Http, port, None) });
        assert_eq!(check_upstream(&outside, &named).await, Ok(()));
        egress.stop().await;
    });
}

#[test]
fn hostile_proxies_fail_the_connection_and_nothing_else() {
    in_lab(|lab| async move {
        let egress = lab.start(&trapped(), Policy::default(), Upstream::Closed);
        let mut events = egress.events();
        let texts: [(&[u8], usize); 9] = [
            (b"garbage and more garbage\r\n\r\n", 1),
            (&[0xff; 4096], 64),
            (b"HTTP/1.1 200 OK\r\nX: ", 1_000_000),
            (b"HTTP/1.1 999999999 OK\r\n\r\n", 1),
            (b"HTTP/1.1 \xff\xff\xff\r\n\r\n", 1),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 1),
            (b"\x05\x00\x05\x00\x00\x09\x00", 1),
            (b"\x05\x02", 1),
            (b"\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", 1),
        ];
        for (text, times) in texts {
            let port = babble(lab.machine.listen("127.0.0.1:0"), text.to_vec(), times);
            for protocol in [ProxyProtocol::Http, ProxyProtocol::Socks5, ProxyProtocol::Https] {
                // A proxy of the other protocol is just slow here, which has its own test.
                let speaks_http = text.starts_with(b"HTTP");
                if times == 1 && speaks_http != (protocol == ProxyProtocol::Http) {
                    continue;
                }
                egress.set_upstream(fixed(proxy(protocol, port, None)));
                lab.assert_reset("page.test", 80).await;
                let event = next(&mut events).await;
                let EgressEvent::UpstreamFailed { error, .. } = event else { panic!("{event:?}") };
                assert!(!matches!(error, UpstreamError::TimedOut { .. }), "{protocol:?} {error} {text:?}");
            }
        }
        egress.stop().await;
    });
}

#[test]
fn a_proxy_that_drips_is_given_up_after_ten_seconds() {
    in_lab(|lab| async move {
        let listener = lab.machine.listen("127.0.0.1:0");
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let egress = lab.start(&trapped(), Policy::default(), fixed(proxy(ProxyProtocol::Http, port, None)));
        let start = Instant::now();
        lab.assert_reset("page.test", 80).await;
        assert!((9_900..11_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        egress.stop().await;
    });
}

#[test]
fn a_destination_that_speaks_first_loses_nothing() {
    in_lab(|lab| async move {
        let answer = b"HTTP/1.0 200 Connection established\r\n\r\nSSH-2.0-first".to_vec();
        let port = babble(lab.machine.listen("127.0.0.1:0"), answer, 1);
        let egress = lab.start(&trapped(), Policy::default(), fixed(proxy(ProxyProtocol::Http, port, None)));
        let mut stream = lab.dial("page.test", 22).await.unwrap();
        let mut banner = [0; 13];
        stream.read_exact(&mut banner).await.unwrap();
        assert_eq!(&banner, b"SSH-2.0-first");
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut banner).await.unwrap(), 0);
        assert_eq!(egress.counters().bytes_in, 13);
        egress.stop().await;
    });
}

#[test]
fn switching_the_upstream_cuts_what_went_through_the_old_one() {
    in_lab(|lab| async move {
        let page = serve(lab.machine.listen("127.0.0.1:0"), "page").await;
        let server = Server::new(Kind::Http, None, format!("127.0.0.1:{page}"));
        let port = server.start(lab.machine.listen("127.0.0.1:0"));
        let egress = lab.start(&trapped(), Policy::default(), fixed(proxy(ProxyProtocol::Http, port, None)));
        let mut stream = lab.dial("page.test", 80).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut events = egress.events();
        egress.set_upstream(Upstream::Closed);
        assert!(stream.read(&mut [0; 1]).await.is_err());
        let reason = Refusal::UpstreamReplaced;
        assert_eq!(
            next(&mut events).await,
            EgressEvent::Refused { target: "page.test:80".to_owned(), address: None, reason }
        );
        egress.stop().await;
    });
}

#[test]
fn a_free_choice_goes_round_and_skips_the_dead() {
    in_lab(|lab| async move {
        let page = serve(lab.machine.listen("127.0.0.1:0"), "page").await;
        let servers = [(); 2].map(|()| Server::new(Kind::Socks5, LOGIN, format!("127.0.0.1:{page}")));
        let mut list: Vec<Proxy> = servers
            .iter()
            .map(|server| proxy(ProxyProtocol::Socks5, server.start(lab.machine.listen("127.0.0.1:0")), LOGIN))
            .collect();
        list.insert(0, proxy(ProxyProtocol::Socks5, 1, LOGIN));
        let outside = trapped();
        let upstream = Upstream::Proxies { list, choice: Choice::PerConnection };
        assert_eq!(check_upstream(&outside, &upstream).await, Ok(()));
        let egress = lab.start(&outside, Policy::default(), upstream);
        for _ in 0..9 {
            assert_eq!(lab.ask("page.test", 80).await.unwrap(), "page 5");
        }
        assert_eq!((servers[0].asked().len(), servers[1].asked().len()), (6, 3));
        egress.stop().await;
    });
}
