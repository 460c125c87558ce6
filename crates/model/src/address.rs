//! Which addresses our own requests to a client's target never reach: what is private, local or special.
//!
//! The same judgement as that of capsules' egress, which keeps a table of its own because it knows nothing of ours; a test
//! of the binary, which links both, holds them against each other. The documentation ranges pass: laboratories route them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 ranges that are refused (IANA's special-purpose registry, and one cloud's address outside of it).
const IPV4: [([u8; 4], u32, &str); 13] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by a carrier's customers"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([168, 63, 129, 16], 32, "cloud metadata"),
    ([169, 254, 0, 0], 16, "link-local and metadata"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocol assignments"),
    ([192, 88, 99, 0], 24, "6to4 relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "synthetic"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved and broadcast"),
];

/// Why the address must not be reached; `None` when it may be. IPv6 addresses that carry an IPv4 address are judged by it:
/// a translator would deliver to it.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| refusal_v6(address), refusal_v4),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let differs = |network: [u8; 4]| address.to_bits() ^ Ipv4Addr::from(network).to_bits();
    let range = IPV4.iter().find(|(network, prefix, _)| differs(*network).leading_zeros() >= *prefix);
    range.map(|(_, _, reason)| *reason)
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0x2001, second, ..] if second < 0x200 => Some("protocol assignments and tunnels"),
        [0x2000..=0x3fff, ..] => None,
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        _ => Some("not global unicast"),
    }
}

/// The IPv4 address in a NAT64 or 6to4 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_refused_in_every_spelling() {
        let refused = |text: &str| refusal(text.parse().unwrap()).is_some();
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2001::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(refused(address), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.0", "192.0.2.1", "203.0.113.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(!refused(address), "{address}");
        }
    }
}
