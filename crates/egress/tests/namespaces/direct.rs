//! Direct connections: names, addresses, the guard, the policy.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitrine_egress::{Egress, EgressEvent, Mode, Policy, Refusal, Rule, Upstream, UpstreamError};

use crate::lab::{self, MACHINE, NEIGHBOUR, WORLD, in_lab, next, outside, serve};

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_page_of_a_named_exception_and_of_the_world() {
    in_lab(|lab| async move {
        let local = serve(lab.machine.listen("127.0.0.1:0"), "local").await;
        let far = serve(lab.world.listen(&format!("{WORLD}:0")), "far").await;
        let outside = outside("site.test=127.0.0.1", &[("far.test", &[WORLD])]);
        let egress = lab.start(&outside, Policy::default(), Upstream::Direct);
        assert_eq!(lab.ask("site.test", local).await.unwrap(), "local 5");
        assert_eq!(lab.ask("SITE.Test", local).await.unwrap(), "local 5");
        assert_eq!(lab.ask("far.test", far).await.unwrap(), "far 5");
        assert_eq!(lab.ask(WORLD, far).await.unwrap(), "far 5");
        let counters = egress.counters();
        assert_eq!((counters.connections, counters.refused), (4, 0));
        assert_eq!((counters.bytes_out, counters.bytes_in), (20, 24));
        egress.stop().await;
        drop(egress);
        assert_eq!(std::sync::Arc::strong_count(&outside), 1, "everything was joined");
        assert!(lab.dial(WORLD, far).await.is_err(), "nobody listens any more");
    });
}

#[test]
fn curl_gets_a_page() {
    in_lab(|lab| async move {
        let listener = lab.machine.listen("127.0.0.1:0");
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await;
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage").await;
            }
        });
        let egress = lab.start(&outside("site.test=127.0.0.1", &[]), Policy::default(), Upstream::Direct);
        let curl = lab.clone();
        // A reset comes back so fast that curl takes it for a failed connect or for a reset, as chance has it.
        let script = format!(
            "curl -sS --max-time 10 http://site.test:{port}/
             if curl -sS --max-time 10 http://other.test:{port}/; then exit 1; fi
             if curl -sS --max-time 10 http://169.254.169.254/latest/meta-data/; then exit 1; fi"
        );
        let output = tokio::task::spawn_blocking(move || curl.capsule.run(&script)).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"page");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.matches("curl: (").count(), 2, "{errors}");
        egress.stop().await;
    });
}

#[test]
fn private_and_own_addresses_are_out_of_reach() {
    in_lab(|lab| async move {
        let secret = serve(lab.machine.listen("0.0.0.0:0"), "secret").await;
        let names: &[(&str, &[&str])] = &[
            ("rebind.test", &["10.0.0.1"]),
            ("loop.test", &["127.0.0.1"]),
            ("mapped.test", &["::ffff:127.0.0.1"]),
            ("six.test", &["::1"]),
            ("own.test", &[MACHINE]),
            ("mixed.test", &["127.0.0.1", "169.254.169.254", MACHINE]),
        ];
        let egress = lab.start(&outside("", names), Policy::default(), Upstream::Direct);
        let mut events = egress.events();
        let literals = ["169.254.169.254", "10.9.0.1", NEIGHBOUR, "192.168.1.1", "100.64.0.1", "0.0.0.1"];
        for host in literals.into_iter().chain(["rebind.test", "loop.test", "mapped.test", "six.test"]) {
            lab.assert_reset(host, secret).await;
            let EgressEvent::Refused { target, reason: Refusal::Range(_), .. } = next(&mut events).await else {
                panic!("{host}");
            };
            assert_eq!(target, format!("{host}:{secret}"));
        }
        for host in [MACHINE, "own.test", "mixed.test"] {
            lab.assert_reset(host, secret).await;
            let event = next(&mut events).await;
            let EgressEvent::Refused { target, reason: Refusal::OwnAddress, .. } = event else { panic!("{event:?}") };
            assert_eq!(target, format!("{host}:{secret}"));
        }
        lab.assert_reset("198.18.77.77", secret).await;
        let event = next(&mut events).await;
        assert!(matches!(event, EgressEvent::Refused { reason: Refusal::UnknownName, .. }), "{event:?}");
        for name in ["localhost", "printer", "nas.local", "metadata.google.internal", "127.0.0.1", "0x7f.1"] {
            assert_eq!(lab.resolve(name), None, "{name}");
        }
        assert_eq!(egress.counters().refused, 14);
        assert_eq!(egress.counters().connections, 0);
        egress.stop().await;
    });
}

#[test]
fn a_name_with_one_good_address_is_reached_there() {
    in_lab(|lab| async move {
        let far = serve(lab.world.listen(&format!("{WORLD}:0")), "far").await;
        let names: &[(&str, &[&str])] =
            &[("mixed.test", &["127.0.0.1", "203.0.113.99", WORLD, "2001:db8::1"]), ("empty.test", &[])];
        let egress = lab.start(&outside("", names), Policy::default(), Upstream::Direct);
        assert_eq!(lab.ask("mixed.test", far).await.unwrap(), "far 5");
        let mut events = egress.events();
        for name in ["empty.test", "missing.test"] {
            lab.assert_reset(name, far).await;
            let event = next(&mut events).await;
            let EgressEvent::UpstreamFailed { error: UpstreamError::Resolve { host, .. }, .. } = event else {
                panic!("{event:?}");
            };
            assert_eq!(host, name);
        }
        lab.assert_reset(WORLD, 1).await;
        let event = next(&mut events).await;
        assert!(matches!(event, EgressEvent::UpstreamFailed { error: UpstreamError::Connect { .. }, .. }), "{event:?}");
        egress.stop().await;
    });
}

#[test]
fn policy_switches_live() {
    in_lab(|lab| async move {
        let far = serve(lab.world.listen(&format!("{WORLD}:0")), "far").await;
        let names: &[(&str, &[&str])] = &[("good.test", &[WORLD]), ("bad.test", &[WORLD])];
        let policy = |mode, allow, deny| Policy { mode, allow: rules(allow), deny: rules(deny) };
        let egress = lab.start(&outside("", names), policy(Mode::Allowlist, &["good.test"], &[]), Upstream::Direct);
        assert_eq!(lab.ask("good.test", far).await.unwrap(), "far 5");
        lab.assert_reset("bad.test", far).await;
        lab.assert_reset(WORLD, far).await;

        let mut kept = lab.dial("good.test", far).await.unwrap();
        kept.write_all(b"one").await.unwrap();
        egress.set_policy(policy(Mode::Open, &[], &["bad.test"]));
        assert_eq!(lab.ask(WORLD, far).await.unwrap(), "far 5");
        lab.assert_reset("bad.test", far).await;
        kept.write_all(b"two").await.unwrap();
        kept.shutdown().await.unwrap();
        let mut answer = String::new();
        kept.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "far 6", "still allowed, so still there");

        let mut cut = lab.dial("good.test", far).await.unwrap();
        cut.write_all(b"one").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let mut events = egress.events();
        egress.set_policy(policy(Mode::Open, &[], &[WORLD]));
        assert!(cut.read(&mut [0; 1]).await.is_err(), "its address is denied now");
        let event = next(&mut events).await;
        let EgressEvent::Refused { target, reason: Refusal::Denied, .. } = event else { panic!("{event:?}") };
        assert_eq!(target, format!("good.test:{far}"));

        egress.set_policy(policy(Mode::Allowlist, &["203.0.113.0/24"], &[]));
        assert_eq!(lab.ask("bad.test", far).await.unwrap(), "far 5");
        egress.set_policy(policy(Mode::None, &["good.test"], &[]));
        lab.assert_reset("good.test", far).await;
        egress.set_policy(Policy::default());
        egress.set_upstream(Upstream::Closed);
        lab.assert_reset("good.test", far).await;
        egress.stop().await;
    });
}

#[test]
fn names_are_served_over_tcp_too() {
    in_lab(|lab| async move {
        let egress = lab.start(&outside("", &[]), Policy::default(), Upstream::Direct);
        let mut stream = lab.dial("192.0.2.53", 53).await.unwrap();
        let over_udp = lab.resolve("page.test").unwrap();
        for _ in 0..3 {
            let query = lab::query("page.test");
            stream.write_u16(query.len() as u16).await.unwrap();
            stream.write_all(&query).await.unwrap();
            let bytes = stream.read_u16().await.unwrap();
            let mut answer = vec![0; bytes.into()];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(lab::address(&answer), Some(over_udp));
        }
        stream.write_all(&[0xff; 100]).await.unwrap();
        assert!(stream.read(&mut [0; 1]).await.is_err(), "a message that is too long ends the connection");
        egress.stop().await;
    });
}

#[test]
fn remembered_addresses_outlive_the_process_that_gave_them() {
    in_lab(|lab| async move {
        let local = serve(lab.machine.listen("127.0.0.1:0"), "local").await;
        let folder = tempfile::tempdir().unwrap();
        let names = folder.path().join("names");
        let outside = outside("site.test=127.0.0.1", &[]);
        let start = || {
            let (policy, upstream) = (Policy::default(), Upstream::Direct);
            Egress::start_remembering(outside.clone(), lab.sockets(), policy, upstream, &names).unwrap()
        };
        let first = start();
        let address = lab.resolve("site.test").unwrap().to_string();
        assert_eq!(lab.ask(&address, local).await.unwrap(), "local 5");
        first.stop().await;
        let second = start();
        assert_eq!(lab.ask(&address, local).await.unwrap(), "local 5");
        second.stop().await;
        let forgetful = lab.start(&outside, Policy::default(), Upstream::Direct);
        lab.assert_reset(&address, local).await;
        forgetful.stop().await;
    });
}

#[test]
fn the_listener_itself_leads_nowhere() {
    in_lab(|lab| async move {
        let sockets = lab.sockets();
        let port = sockets.tcp.local_addr().unwrap().port();
        let outside = outside("", &[]);
        let egress = Egress::start(outside, sockets, Policy::default(), Upstream::Direct).unwrap();
        lab.assert_reset("127.0.0.1", port).await;
        assert_eq!(egress.counters().refused, 1);
        egress.stop().await;
    });
}
