//! The capsule's name server. It asks nobody: every name that may exist outside gets a synthetic address at once, and is
//! resolved when a connection needs it.
//!
//! Questions about IPv6 and service bindings are answered "none" at once, so that clients fall back to IPv4 without a wait.
//! Packets are hostile: what is no question is dropped, what is malformed is told so, nothing is followed or allocated beyond
//! the packet's own size.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::HostExceptions;
use crate::names::{Names, canonical, is_far, is_synthetic};
use crate::pace::Pace;

/// Questions one session may ask in a second, over UDP and per TCP connection.
const QUESTIONS_PER_SECOND_MAX: u32 = 2000;
/// Bytes of one question. The longest name with extensions takes less than 600.
const MESSAGE_BYTES_MAX: usize = 4096;
/// How long a TCP connection may wait with its next question.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// How long programs may remember an answer, in seconds.
const TTL_SECONDS: u32 = 60;
/// How long to wait after a failing receive, which would otherwise spin.
const RECEIVE_RETRY: Duration = Duration::from_millis(100);

const HEADER_BYTES: usize = 12;
/// A compression pointer to the question's name, which directly follows the header.
const QUESTION_NAME: [u8; 2] = [0xc0, HEADER_BYTES as u8];
const FLAG_RESPONSE: u8 = 0x80;
const FLAGS_KEPT: u8 = 0b0111_1001;
const FLAG_RECURSION_AVAILABLE: u8 = 0x80;
const OPCODE: u8 = 0b0111_1000;
const CLASS_IN: u16 = 1;

/// Record types (IANA).
mod kind {
    pub const A: u16 = 1;
    pub const PTR: u16 = 12;
    pub const AAAA: u16 = 28;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
}

/// What the answer says, with the response codes of RFC 1035.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Address(Ipv4Addr),
    Pointer(String),
    Nothing,
    Malformed,
    NoSuchName,
    NotImplemented,
    Refused,
}

impl Outcome {
    fn code(&self) -> u8 {
        match self {
            Outcome::Address(_) | Outcome::Pointer(_) | Outcome::Nothing => 0,
            Outcome::Malformed => 1,
            Outcome::NoSuchName => 3,
            Outcome::NotImplemented => 4,
            Outcome::Refused => 5,
        }
    }
}

struct Question<'packet> {
    /// As it came, to be repeated in the answer: some resolvers vary the case and compare.
    bytes: &'packet [u8],
    /// `None` for a name that no host can have.
    name: Option<String>,
    kind: u16,
    class: u16,
}

/// The names of one session, and what the operator added.
pub(crate) struct NameServer<'session> {
    pub names: &'session Names,
    pub hosts: &'session HostExceptions,
}

impl NameServer<'_> {
    /// Answers one packet. `None` for what is no question at all and gets no answer.
    pub fn answer(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let header: &[u8; HEADER_BYTES] = packet.first_chunk()?;
        if header[2] & FLAG_RESPONSE != 0 {
            return None;
        }
        let (outcome, question) = if header[2] & OPCODE != 0 {
            (Outcome::NotImplemented, None)
        } else {
            match question(header, packet) {
                Some(question) => (self.outcome(&question), Some(question)),
                None => (Outcome::Malformed, None),
            }
        };
        Some(encode(header, question.map_or(&[], |question| question.bytes), &outcome))
    }

    fn outcome(&self, question: &Question<'_>) -> Outcome {
        if question.class != CLASS_IN {
            return Outcome::Refused;
        }
        match question.kind {
            kind::A | kind::AAAA | kind::HTTPS | kind::SVCB => {}
            kind::PTR => return self.pointer(question),
            _ => return Outcome::Refused,
        }
        let Some(name) = &question.name else { return Outcome::NoSuchName };
        if !is_far(name) && self.hosts.address(name).is_none() {
            return Outcome::NoSuchName;
        }
        if question.kind == kind::A { Outcome::Address(self.names.address(name)) } else { Outcome::Nothing }
    }

    fn pointer(&self, question: &Question<'_>) -> Outcome {
        let name = question.name.as_deref().and_then(|name| name.strip_suffix(".in-addr.arpa"));
        let address = name.and_then(|reversed| reversed.parse::<Ipv4Addr>().ok()).map(|reversed| {
            let [d, c, b, a] = reversed.octets();
            Ipv4Addr::new(a, b, c, d)
        });
        match address.filter(|address| is_synthetic(*address)).and_then(|address| self.names.name(address)) {
            Some(name) => Outcome::Pointer(name.to_string()),
            None => Outcome::NoSuchName,
        }
    }

    /// Answers over UDP until it is dropped.
    pub async fn serve_udp(&self, socket: &UdpSocket) {
        let mut packet = [0; MESSAGE_BYTES_MAX];
        let mut pace = Pace::new(QUESTIONS_PER_SECOND_MAX);
        loop {
            pace.step().await;
            let Ok((bytes, client)) = socket.recv_from(&mut packet).await else {
                tokio::time::sleep(RECEIVE_RETRY).await;
                continue;
            };
            if let Some(answer) = self.answer(&packet[..bytes]) {
                // UDP may lose answers; a client that does not read must not hold up the others.
                let _ = socket.try_send_to(&answer, client);
            }
        }
    }

    /// Answers over one TCP connection until the client closes it or has nothing to ask.
    pub async fn serve_tcp(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut pace = Pace::new(QUESTIONS_PER_SECOND_MAX);
        loop {
            pace.step().await;
            let exchange = async {
                let bytes = usize::from(stream.read_u16().await?);
                if bytes > MESSAGE_BYTES_MAX {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let mut packet = vec![0; bytes];
                stream.read_exact(&mut packet).await?;
                let answer = self.answer(&packet).ok_or(io::ErrorKind::InvalidData)?;
                let mut message = (answer.len() as u16).to_be_bytes().to_vec();
                message.extend_from_slice(&answer);
                stream.write_all(&message).await
            };
            match timeout(TCP_IDLE, exchange).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Reads the one question of a packet. `None` when it is malformed or not exactly one.
fn question<'packet>(header: &[u8; HEADER_BYTES], packet: &'packet [u8]) -> Option<Question<'packet>> {
    if u16::from_be_bytes([header[4], header[5]]) != 1 {
        return None;
    }
    let mut name = String::new();
    let mut is_host_name = true;
    let mut position = HEADER_BYTES;
    loop {
        let label_bytes = usize::from(*packet.get(position)?);
        position += 1;
        if label_bytes == 0 {
            break;
        }
        // Lengths from 64 on are compression pointers: there is nothing before the first name that they could point to.
        if label_bytes >= 64 {
            return None;
        }
        let label = packet.get(position..position + label_bytes)?;
        position += label_bytes;
        if position - HEADER_BYTES >= 255 {
            return None;
        }
        // A dot inside a label would read as two labels.
        is_host_name &= label.iter().all(|byte| byte.is_ascii() && *byte != b'.');
        name.extend(label.iter().map(|byte| char::from(*byte)));
        name.push('.');
    }
    let &[kind_high, kind_low, class_high, class_low] = packet.get(position..position + 4)?.first_chunk::<4>()?;
    let kind = u16::from_be_bytes([kind_high, kind_low]);
    // The name before `in-addr.arpa` is numbers, but it ends in a word, so that it is canonical as well.
    let name = canonical(&name).filter(|_| is_host_name);
    let bytes = &packet[HEADER_BYTES..position + 4];
    Some(Question { bytes, name, kind, class: u16::from_be_bytes([class_high, class_low]) })
}

fn encode(header: &[u8; HEADER_BYTES], question: &[u8], outcome: &Outcome) -> Vec<u8> {
    let (kind, data) = match outcome {
        Outcome::Address(address) => (kind::A, address.octets().to_vec()),
        Outcome::Pointer(name) => (kind::PTR, encode_name(name)),
        _ => (0, Vec::new()),
    };
    let answers = u8::from(!data.is_empty());
    let mut message = Vec::with_capacity(HEADER_BYTES + question.len() + 12 + data.len());
    message.extend_from_slice(&header[..2]);
    message.push(header[2] & FLAGS_KEPT | FLAG_RESPONSE);
    message.push(FLAG_RECURSION_AVAILABLE | outcome.code());
    message.extend_from_slice(&[0, u8::from(!question.is_empty()), 0, answers, 0, 0, 0, 0]);
    message.extend_from_slice(question);
    if answers == 1 {
        message.extend_from_slice(&QUESTION_NAME);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&CLASS_IN.to_be_bytes());
        message.extend_from_slice(&TTL_SECONDS.to_be_bytes());
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(&data);
    }
    message
}

/// Writes a canonical name, whose labels are 63 bytes at most.
fn encode_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_resolver::proto::rr::{Name, RData, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn ask_raw(names: &Names, packet: &[u8]) -> Option<Vec<u8>> {
        let hosts = "printer=127.0.0.1,nas.local=127.0.0.1".parse().unwrap();
        NameServer { names, hosts: &hosts }.answer(packet)
    }

    /// Asks with the resolver library's own encoder and reads the answer with its decoder.
    fn ask(names: &Names, name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let answer = ask_raw(names, &message.to_vec().unwrap()).unwrap();
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(answer.metadata.id, 7);
        assert_eq!(answer.queries, message.queries);
        answer
    }

    fn code(names: &Names, name: &str, kind: RecordType) -> ResponseCode {
        let answer = ask(names, name, kind);
        assert!(answer.answers.is_empty());
        answer.metadata.response_code
    }

    #[test]
    fn names_get_addresses_and_addresses_names() {
        let names = Names::default();
        let answer = ask(&names, "WWW.Example.com.", RecordType::A);
        let RData::A(address) = answer.answers[0].data else { panic!("{answer:?}") };
        assert_eq!(names.name(address.0).as_deref(), Some("www.example.com"));
        assert_eq!(ask(&names, "www.example.COM.", RecordType::A).answers[0].data, answer.answers[0].data);
        let [a, b, c, d] = address.0.octets();
        let pointer = ask(&names, &format!("{d}.{c}.{b}.{a}.in-addr.arpa."), RecordType::PTR);
        let RData::PTR(name) = &pointer.answers[0].data else { panic!("{pointer:?}") };
        assert_eq!(name.0.to_string(), "www.example.com.");
    }

    #[test]
    fn what_there_is_not_is_said_at_once() {
        let names = Names::default();
        for kind in [RecordType::AAAA, RecordType::HTTPS, RecordType::SVCB] {
            assert_eq!(code(&names, "example.com.", kind), ResponseCode::NoError);
        }
        for kind in [RecordType::TXT, RecordType::MX, RecordType::SRV, RecordType::NS, RecordType::ANY] {
            assert_eq!(code(&names, "example.com.", kind), ResponseCode::Refused);
        }
        for name in ["localhost.", "a.localhost.", "wpad.", "x.local.", "db.internal.", "10.0.0.1.", "127.1.", "."] {
            assert_eq!(code(&names, name, RecordType::A), ResponseCode::NXDomain, "{name}");
            assert_eq!(code(&names, name, RecordType::AAAA), ResponseCode::NXDomain, "{name}");
        }
        for name in ["1.0.0.127.in-addr.arpa.", "9.9.18.198.in-addr.arpa.", "example.com.", "1.in-addr.arpa."] {
            assert_eq!(code(&names, name, RecordType::PTR), ResponseCode::NXDomain, "{name}");
        }
    }

    #[test]
    fn the_operators_names_are_answered() {
        let names = Names::default();
        for name in ["printer.", "NAS.local."] {
            assert_eq!(ask(&names, name, RecordType::A).answers.len(), 1);
            assert_eq!(code(&names, name, RecordType::AAAA), ResponseCode::NoError);
        }
    }

    #[test]
    fn hostile_packets() {
        let names = Names::default();
        let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let with = |rest: &[u8]| [&header[..], rest].concat();
        let code = |packet: &[u8]| ask_raw(&names, packet).map(|answer| answer[3] & 0x0f);
        assert_eq!(code(&[]), None);
        assert_eq!(code(&header[..11]), None);
        assert_eq!(code(&header), Some(1), "no question");
        assert_eq!(code(&with(&[0xc0, 12, 0, 1, 0, 1])), Some(1), "a pointer to itself");
        assert_eq!(code(&with(&[5, b'a'])), Some(1), "a label past the end");
        assert_eq!(code(&with(&[1, b'a', 0, 0, 1])), Some(1), "cut off");
        let long = [[63; 64].as_slice(), &[63; 64], &[63; 64], &[63; 64], &[0, 0, 1, 0, 1]].concat();
        assert_eq!(code(&with(&long)), Some(1), "a name of 256 bytes");
        assert_eq!(code(&with(&[3, b'a', b'.', b'b', 4, b't', b'e', b's', b't', 0, 0, 1, 0, 1])), Some(3));
        assert_eq!(code(&with(&[3, b'a', 0xff, b'b', 4, b't', b'e', b's', b't', 0, 0, 1, 0, 1])), Some(3));
        assert_eq!(code(&with(&[1, b'a', 1, b'b', 0, 0, 1, 0, 3])), Some(5), "class CHAOS");
        let mut response = with(&[0, 0, 1, 0, 1]);
        response[2] |= FLAG_RESPONSE;
        assert_eq!(code(&response), None);
        let mut update = with(&[0, 0, 1, 0, 1]);
        update[2] |= 5 << 3;
        assert_eq!(code(&update), Some(4));
        let mut two = with(&[1, b'a', 1, b'b', 0, 0, 1, 0, 1]);
        two[5] = 2;
        assert_eq!(code(&two), Some(1));
    }

    proptest! {
        #[test]
        fn any_packet_is_survived(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
            let names = Names::default();
            if let Some(answer) = ask_raw(&names, &packet) {
                prop_assert_eq!(&answer[..2], &packet[..2]);
                prop_assert!(answer[2] & FLAG_RESPONSE != 0);
                prop_assert!(answer.len() <= packet.len() + 16);
            }
        }

        #[test]
        fn any_question_is_answered_readably(labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..70), 0..8), kind: u16) {
            let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            for label in &labels {
                packet.push(label.len() as u8);
                packet.extend_from_slice(label);
            }
            packet.push(0);
            packet.extend_from_slice(&kind.to_be_bytes());
            packet.extend_from_slice(&[0, 1]);
            let names = Names::default();
            let answer = ask_raw(&names, &packet).unwrap();
            prop_assert!(Message::from_vec(&answer).is_ok());
        }
    }
}
