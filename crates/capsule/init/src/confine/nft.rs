//! The firewall of a capsule's network namespace, by raw netlink: what would leave by `eth0` is redirected to the
//! host's listeners or refused, and a browser capsule's loopback belongs to the host.
//!
//! Promises that nothing waits for a timeout: what is refused is refused with an answer, so QUIC falls back at once.

use rustix::net::netlink::NETFILTER;
use vitrine_init::{Profile, REDIRECT_DNS_PORT, REDIRECT_TCP_PORT, SOCKET_MARK};

use super::links::{ETHERNET, LOOPBACK};
use super::netlink::{ACKNOWLEDGE, APPEND, Attributes, Batch, CREATE};
use crate::error::{Failure, Step};

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const INET: u8 = 2;

const TABLE: &str = "vitrine";
const REDIRECT: &str = "redirect";
const REFUSE: &str = "refuse";
const HOOK_OUTPUT: u32 = 3;
const PRIORITY_NAT: i32 = -100;
const PRIORITY_FILTER: i32 = 0;

const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS: u16 = 53;

const REGISTER: u32 = 1;
const VERDICT: u32 = 0;

/// One condition or action of a rule.
enum Expression {
    /// The packet leaves by this link.
    Output(u32),
    Protocol(u8),
    DestinationPort(u16),
    Mark(u32),
    /// Any of these bits of the connection's state or status.
    Connection(ConnectionKey, u32),
    RedirectTo(u16),
    Accept,
    ResetTcp,
    PortUnreachable,
}

#[derive(Clone, Copy)]
enum ConnectionKey {
    State = 0,
    Status = 2,
}

const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const DESTINATION_TRANSLATED: u32 = 1 << 5;

pub fn configure(profile: Profile) -> Result<(), Failure> {
    use Expression as E;
    let mut batch = Batch::default();
    batch.message(BATCH_BEGIN, 0, &header(0, SUBSYSTEM), |_| {});
    batch.message(NEW_TABLE, CREATE | ACKNOWLEDGE, &header(INET, 0), |attributes| attributes.text(1, TABLE));
    chain(&mut batch, REDIRECT, "nat", PRIORITY_NAT);
    chain(&mut batch, REFUSE, "filter", PRIORITY_FILTER);

    rule(&mut batch, REDIRECT, &[E::Output(ETHERNET), E::Protocol(TCP), E::RedirectTo(REDIRECT_TCP_PORT)]);
    let dns = [E::Output(ETHERNET), E::Protocol(UDP), E::DestinationPort(DNS), E::RedirectTo(REDIRECT_DNS_PORT)];
    rule(&mut batch, REDIRECT, &dns);

    // The output link seen here is the one from before the redirection.
    rule(&mut batch, REFUSE, &[E::Connection(ConnectionKey::Status, DESTINATION_TRANSLATED), E::Accept]);
    rule(&mut batch, REFUSE, &[E::Output(ETHERNET), E::PortUnreachable]);
    if profile == Profile::Browser {
        rule(&mut batch, REFUSE, &[E::Output(LOOPBACK), E::Mark(SOCKET_MARK), E::Accept]);
        let answers = E::Connection(ConnectionKey::State, ESTABLISHED_OR_RELATED);
        rule(&mut batch, REFUSE, &[E::Output(LOOPBACK), answers, E::Accept]);
        rule(&mut batch, REFUSE, &[E::Output(LOOPBACK), E::Protocol(TCP), E::ResetTcp]);
        rule(&mut batch, REFUSE, &[E::Output(LOOPBACK), E::PortUnreachable]);
    }
    batch.message(BATCH_END, 0, &header(0, SUBSYSTEM), |_| {});
    batch.send(Some(NETFILTER)).step(|| "set the capsule's firewall".into())
}

/// `struct nfgenmsg`.
fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn chain(batch: &mut Batch, name: &str, kind: &str, priority: i32) {
    batch.message(NEW_CHAIN, CREATE | ACKNOWLEDGE, &header(INET, 0), |attributes| {
        attributes.text(1, TABLE);
        attributes.text(3, name);
        attributes.nest(4, |hook| {
            hook.big(1, HOOK_OUTPUT);
            hook.big(2, priority as u32);
        });
        attributes.text(7, kind);
    });
}

fn rule(batch: &mut Batch, chain: &str, expressions: &[Expression]) {
    batch.message(NEW_RULE, CREATE | APPEND | ACKNOWLEDGE, &header(INET, 0), |attributes| {
        attributes.text(1, TABLE);
        attributes.text(2, chain);
        attributes.nest(4, |list| expressions.iter().for_each(|expression| expression.encode(list)));
    });
}

impl Expression {
    fn encode(&self, list: &mut Attributes) {
        const META_MARK: u32 = 3;
        const META_OUTPUT: u32 = 5;
        const META_PROTOCOL: u32 = 16;
        match self {
            Self::Output(index) => meta_is(list, META_OUTPUT, &index.to_ne_bytes()),
            Self::Protocol(protocol) => meta_is(list, META_PROTOCOL, &[*protocol]),
            Self::Mark(mark) => meta_is(list, META_MARK, &mark.to_ne_bytes()),
            Self::DestinationPort(port) => destination_port_is(list, *port),
            Self::Connection(key, bits) => connection_has(list, *key, *bits),
            Self::RedirectTo(port) => {
                put(list, "immediate", |data| {
                    data.big(1, REGISTER);
                    data.nest(2, |value| value.bytes(1, &port.to_be_bytes()));
                });
                put(list, "redir", |data| data.big(1, REGISTER));
            }
            Self::Accept => put(list, "immediate", |data| {
                let accept = 1;
                data.big(1, VERDICT);
                data.nest(2, |value| value.nest(2, |verdict| verdict.big(1, accept)));
            }),
            Self::ResetTcp => put(list, "reject", |data| data.big(1, 1)),
            Self::PortUnreachable => put(list, "reject", |data| {
                let port_unreachable = 3;
                data.big(1, 0);
                data.bytes(2, &[port_unreachable]);
            }),
        }
    }
}

fn put(list: &mut Attributes, name: &str, fill: impl FnOnce(&mut Attributes)) {
    list.nest(1, |element| {
        element.text(1, name);
        element.nest(2, fill);
    });
}

fn compare(list: &mut Attributes, equal: bool, value: &[u8]) {
    put(list, "cmp", |data| {
        data.big(1, REGISTER);
        data.big(2, u32::from(!equal));
        data.nest(3, |inner| inner.bytes(1, value));
    });
}

fn meta_is(list: &mut Attributes, key: u32, value: &[u8]) {
    put(list, "meta", |data| {
        data.big(1, REGISTER);
        data.big(2, key);
    });
    compare(list, true, value);
}

fn destination_port_is(list: &mut Attributes, port: u16) {
    let (transport_header, offset, length) = (2, 2, 2);
    put(list, "payload", |data| {
        data.big(1, REGISTER);
        data.big(2, transport_header);
        data.big(3, offset);
        data.big(4, length);
    });
    compare(list, true, &port.to_be_bytes());
}

fn connection_has(list: &mut Attributes, key: ConnectionKey, bits: u32) {
    put(list, "ct", |data| {
        data.big(1, REGISTER);
        data.big(2, key as u32);
    });
    put(list, "bitwise", |data| {
        data.big(1, REGISTER);
        data.big(2, REGISTER);
        data.big(3, size_of::<u32>() as u32);
        data.nest(4, |mask| mask.bytes(1, &bits.to_ne_bytes()));
        data.nest(5, |xor| xor.bytes(1, &[0; 4]));
    });
    compare(list, false, &[0; 4]);
}
