//! The links of a capsule's network namespace: loopback, and an `eth0` that leads nowhere.
//!
//! `eth0` is one end of a veth pair whose other end lies in the same namespace: with loopback alone Chromium reports
//! `navigator.onLine` false. IPv6 is off, so that clients that try it fail at once and fall back; a
//! sandbox has it on loopback, for servers that listen on `::1` alone.

use std::fs;
use std::io::ErrorKind;

use vitrine_init::{CAPSULE_ADDRESS, Profile, RESOLVER_ADDRESS};

use super::netlink::{ACKNOWLEDGE, Attributes, Batch, CREATE, EXCLUSIVE};
use crate::error::{Failure, Step};

pub const LOOPBACK: u32 = 1;
/// Above the tunnel devices that some kernels put into every new namespace.
pub const ETHERNET: u32 = 100;
const PEER: u32 = 101;
const PREFIX_BITS: u8 = 30;

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const INET: u8 = 2;
const UP: u32 = 1;
const DOWN: u32 = 0;

pub fn configure(profile: Profile) -> Result<(), Failure> {
    limit_ipv6(profile)?;
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").step(|| "free the low ports".into())?;
    let mut batch = Batch::default();
    batch.message(NEW_LINK, ACKNOWLEDGE, &link(LOOPBACK, UP), |_| {});
    batch.message(NEW_LINK, ACKNOWLEDGE | CREATE | EXCLUSIVE, &link(ETHERNET, DOWN), |attributes| {
        let (name, link_info, info_kind, info_data, peer) = (3, 18, 1, 2, 1);
        // Asked for by number, they are not first made for every processor and then, slowly, taken back.
        let one_queue = |attributes: &mut Attributes| {
            let (transmit_queues, receive_queues) = (31, 32);
            attributes.bytes(transmit_queues, &1_u32.to_ne_bytes());
            attributes.bytes(receive_queues, &1_u32.to_ne_bytes());
        };
        attributes.text(name, "eth0");
        one_queue(attributes);
        attributes.nest(link_info, |info| {
            info.text(info_kind, "veth");
            let other = |other: &mut Attributes| {
                other.text(name, "peer0");
                one_queue(other);
            };
            info.nest(info_data, |data| data.nest_after(peer, &link(PEER, DOWN), other));
        });
    });
    // Neither end can be up before it has another.
    batch.message(NEW_LINK, ACKNOWLEDGE, &link(PEER, UP), |_| {});
    batch.message(NEW_LINK, ACKNOWLEDGE, &link(ETHERNET, UP), |_| {});
    let (address, local) = (1, 2);
    batch.message(NEW_ADDRESS, ACKNOWLEDGE | CREATE | EXCLUSIVE, &address_header(), |attributes| {
        attributes.bytes(address, &CAPSULE_ADDRESS);
        attributes.bytes(local, &CAPSULE_ADDRESS);
    });
    let (output, gateway) = (4, 5);
    batch.message(NEW_ROUTE, ACKNOWLEDGE | CREATE | EXCLUSIVE, &route_header(), |attributes| {
        attributes.bytes(output, &ETHERNET.to_ne_bytes());
        attributes.bytes(gateway, &RESOLVER_ADDRESS);
    });
    batch.send(None).step(|| "configure the capsule's links".into())
}

fn limit_ipv6(profile: Profile) -> Result<(), Failure> {
    let loopback = if profile == Profile::Sandbox { "0" } else { "1" };
    for (scope, disabled) in [("all", "1"), ("default", "1"), ("lo", loopback)] {
        match fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), disabled) {
            // A kernel without IPv6 has nothing to switch off.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other.step(|| "limit IPv6".into())?,
        }
    }
    Ok(())
}

/// `struct ifinfomsg`: a link of this index, in this state.
fn link(index: u32, state: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&state.to_ne_bytes());
    header[12..16].copy_from_slice(&UP.to_ne_bytes());
    header
}

/// `struct ifaddrmsg`.
fn address_header() -> [u8; 8] {
    let [a, b, c, d] = ETHERNET.to_ne_bytes();
    [INET, PREFIX_BITS, 0, 0, a, b, c, d]
}

/// `struct rtmsg`: the default route of the main table, set up by hand, unicast.
fn route_header() -> [u8; 12] {
    let (table_main, protocol_boot, scope_universe, type_unicast) = (254, 3, 0, 1);
    [INET, 0, 0, 0, table_main, protocol_boot, scope_universe, type_unicast, 0, 0, 0, 0]
}
