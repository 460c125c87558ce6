//! The system's resolver, asked for real: its name server is moved into the machine's namespace.

use std::net::{Ipv4Addr, UdpSocket};

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use vitrine_egress::{EgressEvent, Outside, Policy, Refusal, Upstream, UpstreamError};

use crate::lab::{WORLD, in_lab, next, serve};

fn name_server() -> Ipv4Addr {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let addresses = text.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    addresses.into_iter().next().expect("the system has no IPv4 name server to stand in for")
}

/// Answers for three names; the third changes its mind with every question.
fn answer(question: &[u8], asked: usize) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_available = true;
    let query = question.queries[0].clone();
    let address = match query.name().to_lowercase().to_string().as_str() {
        "far.test." => Some(WORLD.parse().unwrap()),
        "rebind.test." => Some(Ipv4Addr::new(10, 0, 0, 1)),
        "flip.test." if asked.is_multiple_of(2) => Some(WORLD.parse().unwrap()),
        "flip.test." => Some(Ipv4Addr::LOCALHOST),
        _ => None,
    };
    match address {
        Some(address) if query.query_type() == RecordType::A => {
            answer.answers.push(Record::from_rdata(query.name().clone(), 0, RData::A(A(address))));
        }
        Some(_) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.queries.push(query);
    answer.to_vec().unwrap()
}

#[test]
fn names_are_resolved_when_they_are_connected_to() {
    in_lab(|lab| async move {
        let server = name_server();
        lab.machine.run(&format!("ip addr add {server}/32 dev lo"));
        let socket = lab.machine.inside(|| UdpSocket::bind((server, 53)).unwrap());
        socket.set_nonblocking(true).unwrap();
        let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
        tokio::spawn(async move {
            let mut question = [0; 2048];
            for asked in 0.. {
                let (bytes, client) = socket.recv_from(&mut question).await.unwrap();
                socket.send_to(&answer(&question[..bytes], asked / 2), client).await.unwrap();
            }
        });
        let far = serve(lab.world.listen(&format!("{WORLD}:0")), "far").await;
        let secret = std::net::TcpListener::bind(("127.0.0.1", far)).unwrap();
        secret.set_nonblocking(true).unwrap();
        let outside = Outside::new("".parse().unwrap(), None).unwrap();
        let egress = lab.start(&outside, Policy::default(), Upstream::Direct);
        let mut events = egress.events();
        assert_eq!(lab.ask("far.test", far).await.unwrap(), "far 5");
        lab.assert_reset("rebind.test", far).await;
        let event = next(&mut events).await;
        assert!(matches!(event, EgressEvent::Refused { reason: Refusal::Range("private"), .. }), "{event:?}");
        lab.assert_reset("missing.test", far).await;
        let event = next(&mut events).await;
        assert!(matches!(event, EgressEvent::UpstreamFailed { error: UpstreamError::Resolve { .. }, .. }), "{event:?}");
        let mut reached = 0;
        for _ in 0..20 {
            reached += usize::from(lab.ask("flip.test", far).await.is_ok());
        }
        assert!((1..20).contains(&reached), "{reached} of 20: the name has to change its address meanwhile");
        assert!(secret.accept().is_err(), "loopback is never reached");
        egress.stop().await;
    });
}
