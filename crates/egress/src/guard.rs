//! The guard: which addresses no capsule may reach, each with the reason.
//!
//! One table, read from the top; the first range that holds the address decides. It is closed on the IPv6 side: what is not
//! global unicast is refused. The documentation ranges 192.0.2.0/24, 198.51.100.0/24 and 203.0.113.0/24 are left reachable on
//! purpose: laboratories and tests route them.

use std::net::{IpAddr, Ipv4Addr};

use crate::Cidr;

/// What happens to an address in a [`Range`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Never connected to, for this reason.
    Refuse(&'static str),
    /// Carries an IPv4 address from this byte on, which decides: a translator would deliver to it.
    Embeds { first_byte: usize },
}

/// One row of the guard's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub cidr: Cidr,
    pub treatment: Treatment,
}

const fn v4(network: [u8; 4], prefix: u8, reason: &'static str) -> Range {
    Range { cidr: Cidr::v4(network, prefix), treatment: Treatment::Refuse(reason) }
}

const fn v6(network: [u16; 8], prefix: u8, reason: &'static str) -> Range {
    Range { cidr: Cidr::v6(network, prefix), treatment: Treatment::Refuse(reason) }
}

const fn embeds(network: [u16; 8], prefix: u8, first_byte: usize) -> Range {
    Range { cidr: Cidr::v6(network, prefix), treatment: Treatment::Embeds { first_byte } }
}

/// Every range that the guard knows (IANA special-purpose registries, and one cloud's address outside of them).
pub const RANGES: &[Range] = &[
    v4([0, 0, 0, 0], 8, "this network"),
    v4([10, 0, 0, 0], 8, "private"),
    v4([100, 64, 0, 0], 10, "shared by a carrier's customers"),
    v4([127, 0, 0, 0], 8, "loopback"),
    v4([168, 63, 129, 16], 32, "cloud metadata"),
    v4([169, 254, 0, 0], 16, "link-local and metadata"),
    v4([172, 16, 0, 0], 12, "private"),
    v4([192, 0, 0, 0], 24, "protocol assignments"),
    v4([192, 88, 99, 0], 24, "6to4 relay"),
    v4([192, 168, 0, 0], 16, "private"),
    v4([198, 18, 0, 0], 15, "synthetic"),
    v4([224, 0, 0, 0], 4, "multicast"),
    v4([240, 0, 0, 0], 4, "reserved and broadcast"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),
    embeds([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, 12),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "protocol assignments and tunnels"),
    embeds([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, 2),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "private"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 3, "not global unicast"),
    v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2, "not global unicast"),
    v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1, "not global unicast"),
];

/// Why the address must not be reached; `None` when it may be. IPv4 addresses mapped into IPv6 are judged as IPv4.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    let range = RANGES.iter().find(|range| range.cidr.contains(address))?;
    match (range.treatment, address) {
        (Treatment::Refuse(reason), _) => Some(reason),
        (Treatment::Embeds { first_byte }, IpAddr::V6(outer)) => {
            let bytes = outer.octets();
            let embedded =
                Ipv4Addr::new(bytes[first_byte], bytes[first_byte + 1], bytes[first_byte + 2], bytes[first_byte + 3]);
            refusal(IpAddr::V4(embedded))
        }
        (Treatment::Embeds { .. }, IpAddr::V4(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(address: &str) -> Option<&'static str> {
        refusal(address.parse().unwrap())
    }

    #[test]
    fn special_addresses_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "8000::1",
            "5f00::1",
            "::2",
        ] {
            assert!(judge(address).is_some(), "{address}");
        }
    }

    #[test]
    fn public_and_documentation_addresses_pass() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.2.1",
            "198.51.100.1",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.113.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:db8::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(judge(address), None, "{address}");
        }
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for (index, row) in RANGES.iter().enumerate() {
            for earlier in &RANGES[..index] {
                let network: IpAddr = row.cidr.to_string().split('/').next().unwrap().parse().unwrap();
                let swallowed = earlier.cidr.contains(network) && earlier.cidr.prefix() <= row.cidr.prefix();
                assert!(!swallowed, "{} hides {}", earlier.cidr, row.cidr);
            }
        }
    }

    proptest! {
        #[test]
        fn ipv4_agrees_with_the_standard_library(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_unspecified();
            prop_assert!(!special || refusal(IpAddr::V4(address)).is_some());
        }

        #[test]
        fn every_spelling_of_an_ipv4_address_is_judged_alike(bits: u32, low: u64) {
            let address = Ipv4Addr::from_bits(bits);
            let verdict = refusal(IpAddr::V4(address));
            prop_assert_eq!(refusal(IpAddr::V6(address.to_ipv6_mapped())), verdict);
            let nat64 = (0x64_ff9b_u128 << 96) | u128::from(bits);
            prop_assert_eq!(refusal(IpAddr::V6(nat64.into())), verdict);
            let six_to_four = (0x2002_u128 << 112) | (u128::from(bits) << 80) | u128::from(low);
            prop_assert_eq!(refusal(IpAddr::V6(six_to_four.into())), verdict);
        }

        #[test]
        fn outside_global_unicast_only_translated_addresses_pass(bits: u128) {
            let address = std::net::Ipv6Addr::from_bits(bits);
            if refusal(IpAddr::V6(address)).is_none() {
                let translated = bits >> 32 == 0x64_ff9b_u128 << 64 || address.to_ipv4_mapped().is_some();
                prop_assert!(bits >> 125 == 1 || translated);
            }
        }
    }
}
