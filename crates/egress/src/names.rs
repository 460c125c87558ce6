//! Host names, and the synthetic addresses that stand for them inside one session.
//!
//! The capsule's programs are told an address of 198.18.0.0/15 for every name; the connection to that address leads back to
//! the name. The map is bounded: the name not asked for the longest goes first, but never one with a live connection. Fresh
//! names take addresses in a circle over the whole range, from a random place on, so that an address some program still
//! remembers fails rather than leads elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Cidr;
use crate::journal::Journal;
use crate::session::CONNECTIONS_MAX;

/// Bytes of a whole name (RFC 1035, without the root's length byte).
const NAME_BYTES_MAX: usize = 253;
/// Bytes of one label (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;
/// Names one session remembers. At most 2 MiB in the hands of a program that asks for the longest names there are.
const NAMES_MAX: usize = 4096;
// There is always a name without a live connection to forget.
const _: () = assert!(NAMES_MAX > CONNECTIONS_MAX);

/// The range of synthetic addresses. Its first /24 is never given out: it is free for the namespace's own interface.
const SYNTHETIC: Cidr = Cidr::v4([198, 18, 0, 0], 15);
const SYNTHETIC_FIRST: u32 = Ipv4Addr::new(198, 18, 1, 0).to_bits();
const SYNTHETIC_LAST: u32 = Ipv4Addr::new(198, 19, 255, 254).to_bits();

/// Names that are never looked up outside, because they mean something near by: RFC 6761, 6762, 8375, 9476 and custom.
const NEARBY: &[&str] = &["localhost", "local", "internal", "localdomain", "home.arpa"];

/// A host name in the one form that is compared: lower case, no final dot. `None` for what is no host name, and for what some
/// resolvers would read as an IPv4 address (`127.1`, `0x7f.1`): such a name could pass a proxy as a private literal.
pub(crate) fn canonical(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label_is_valid = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(label_is_valid) || ends_in_number(name) {
        return None;
    }
    Some(name.to_ascii_lowercase())
}

/// The URL standard's rule for hosts that are to be read as IPv4 addresses.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a canonical name may exist outside of this machine and its neighbours.
pub(crate) fn is_far(name: &str) -> bool {
    let is_under =
        |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    name.contains('.') && !NEARBY.iter().any(is_under)
}

/// Whether the address is one that stands for a name.
pub(crate) fn is_synthetic(address: Ipv4Addr) -> bool {
    SYNTHETIC.contains(address.into())
}

/// One session's names and their synthetic addresses.
#[derive(Clone)]
pub(crate) struct Names {
    map: Arc<Mutex<Map>>,
}

struct Map {
    by_name: HashMap<Arc<str>, u32>,
    by_address: HashMap<u32, Entry>,
    /// When each address was last used → the address. The first is the one to forget.
    by_age: BTreeMap<u64, u32>,
    clock: u64,
    /// The address given out last.
    fresh: u32,
    journal: Option<Journal>,
}

struct Entry {
    name: Arc<str>,
    used: u64,
    live: usize,
}

/// Keeps a name's address from being forgotten while a connection uses it.
pub(crate) struct Lease {
    names: Names,
    address: u32,
    pub name: Arc<str>,
}

impl Default for Names {
    fn default() -> Names {
        let random = RandomState::new().hash_one(0) % u64::from(SYNTHETIC_LAST - SYNTHETIC_FIRST);
        let map = Map {
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            by_age: BTreeMap::new(),
            clock: 0,
            fresh: SYNTHETIC_FIRST + random as u32,
            journal: None,
        };
        Names { map: Arc::new(Mutex::new(map)) }
    }
}

impl Names {
    /// Names that are kept in a file, with those that are in it already.
    pub fn kept_in(path: &Path) -> io::Result<Names> {
        let names = Names::default();
        let (mut journal, entries) = Journal::open(path)?;
        let mut map = names.lock();
        for (name, address) in entries {
            map.insert(name.into(), address.to_bits());
        }
        // Afresh, because its last line may be cut off.
        journal.replace(map.by_age())?;
        map.journal = Some(journal);
        drop(map);
        Ok(names)
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address that stands for this canonical name, the same as long as it is remembered.
    pub fn address(&self, name: &str) -> Ipv4Addr {
        let mut map = self.lock();
        if let Some(address) = map.by_name.get(name).copied() {
            map.touch(address);
            return Ipv4Addr::from_bits(address);
        }
        let address = map.fresh_address();
        map.insert(name.into(), address);
        map.write_down(name, address);
        Ipv4Addr::from_bits(address)
    }

    /// The name that the address stands for.
    pub fn name(&self, address: Ipv4Addr) -> Option<Arc<str>> {
        self.lock().by_address.get(&address.to_bits()).map(|entry| entry.name.clone())
    }

    /// The name that the address stands for, kept as long as the lease lives.
    pub fn lease(&self, address: Ipv4Addr) -> Option<Lease> {
        let address = address.to_bits();
        let mut map = self.lock();
        map.touch(address);
        let entry = map.by_address.get_mut(&address)?;
        entry.live += 1;
        Some(Lease { names: self.clone(), address, name: entry.name.clone() })
    }
}

impl Map {
    fn touch(&mut self, address: u32) {
        let Some(entry) = self.by_address.get_mut(&address) else { return };
        self.clock += 1;
        self.by_age.remove(&entry.used);
        entry.used = self.clock;
        self.by_age.insert(self.clock, address);
    }

    /// Lets the address stand for the name, instead of what was known of either.
    fn insert(&mut self, name: Arc<str>, address: u32) {
        self.forget(address);
        if let Some(former) = self.by_name.get(&name).copied() {
            self.forget(former);
        }
        if self.by_name.len() >= NAMES_MAX {
            self.forget_oldest();
        }
        self.by_name.insert(name.clone(), address);
        self.by_address.insert(address, Entry { name, used: 0, live: 0 });
        self.touch(address);
    }

    /// All names, the one that was not used the longest first.
    fn by_age(&self) -> impl Iterator<Item = (Ipv4Addr, &str)> {
        let named =
            |address: &u32| self.by_address.get(address).map(|entry| (Ipv4Addr::from_bits(*address), &*entry.name));
        self.by_age.values().filter_map(named)
    }

    /// A journal that cannot be written is given up: names work without, until the process is replaced.
    fn write_down(&mut self, name: &str, address: u32) {
        let Some(mut journal) = self.journal.take() else { return };
        let written = journal.add(name, Ipv4Addr::from_bits(address)).and_then(|is_long| {
            let named =
                |address: &u32| self.by_address.get(address).map(|entry| (Ipv4Addr::from_bits(*address), &*entry.name));
            if is_long { journal.replace(self.by_age.values().filter_map(named)) } else { Ok(()) }
        });
        match written {
            Ok(()) => self.journal = Some(journal),
            Err(error) => tracing::warn!(%error, "could not keep a session's names"),
        }
    }

    fn forget_oldest(&mut self) {
        let is_idle = |address: &u32| self.by_address.get(address).is_some_and(|entry| entry.live == 0);
        if let Some(address) = self.by_age.values().copied().find(is_idle) {
            self.forget(address);
        }
    }

    fn forget(&mut self, address: u32) {
        if let Some(entry) = self.by_address.remove(&address) {
            self.by_age.remove(&entry.used);
            self.by_name.remove(&entry.name);
        }
    }

    /// The next address in the circle that stands for nothing. There is one: the range holds thirty times more than [`NAMES_MAX`].
    fn fresh_address(&mut self) -> u32 {
        loop {
            self.fresh =
                if (SYNTHETIC_FIRST..SYNTHETIC_LAST).contains(&self.fresh) { self.fresh + 1 } else { SYNTHETIC_FIRST };
            if !self.by_address.contains_key(&self.fresh) {
                return self.fresh;
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(entry) = self.names.lock().by_address.get_mut(&self.address) {
            entry.live -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names() {
        assert_eq!(canonical("WWW.Example.COM.").as_deref(), Some("www.example.com"));
        assert_eq!(canonical("_dmarc.xn--bcher-kva.example").as_deref(), Some("_dmarc.xn--bcher-kva.example"));
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        assert!(canonical(&long).is_some());
        let too_long = long.clone() + "e";
        let label = "a".repeat(64) + ".test";
        for name in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b.test",
            "a\r\nb.test",
            "bücher.test",
            "a/b.test",
            "a:1.test",
            "a%00.test",
            "10.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "a.0x",
            "a.0XA9",
            "1.2.3.4.",
            &too_long,
            &label,
        ] {
            assert_eq!(canonical(name), None, "{name:?}");
        }
    }

    #[test]
    fn nearby_names() {
        for name in ["localhost", "a.localhost", "printer", "nas.local", "metadata.google.internal", "x.home.arpa"] {
            assert!(!is_far(name), "{name}");
        }
        for name in ["example.com", "notlocal.test", "local.example.com", "mylocalhost.test", "a.xlocal"] {
            assert!(is_far(name), "{name}");
        }
    }

    #[test]
    fn a_name_keeps_its_address_and_the_oldest_is_forgotten() {
        let names = Names::default();
        let kept = names.address("kept.test");
        let lease = names.lease(kept).unwrap();
        let second = names.address("second.test");
        let third = names.address("third.test");
        assert_eq!(names.address("second.test"), second);
        for index in 0..NAMES_MAX - 2 {
            names.address(&format!("{index}.test"));
        }
        assert_eq!(names.name(kept).as_deref(), Some("kept.test"), "a live connection holds it");
        assert_eq!(names.name(third), None, "asked for the longest ago");
        assert_eq!(names.name(second).as_deref(), Some("second.test"));
        assert_eq!(names.lock().by_name.len(), NAMES_MAX);
        drop(lease);
        for index in 0..NAMES_MAX {
            names.address(&format!("{index}.more.test"));
        }
        assert_eq!(names.name(kept), None);
        let map = names.lock();
        assert_eq!((map.by_address.len(), map.by_age.len()), (NAMES_MAX, NAMES_MAX));
    }

    #[test]
    fn the_circle_closes_without_giving_an_address_twice() {
        let names = Names::default();
        let held = names.address("held.test");
        let _lease = names.lease(held).unwrap();
        for index in 0..(SYNTHETIC_LAST - SYNTHETIC_FIRST + 10) {
            let address = names.address(&format!("{index}.test"));
            assert!(is_synthetic(address) && address != held);
        }
        assert_eq!(names.name(held).as_deref(), Some("held.test"));
    }

    #[test]
    fn a_successor_knows_the_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names");
        let before = Names::kept_in(&path).unwrap();
        let first = before.address("first.test");
        for index in 0..40_000 {
            before.address(&format!("{index}.test"));
        }
        let last = before.address("last.test");
        assert!(std::fs::metadata(&path).unwrap().len() < 1024 * 1024, "it is written afresh at times");
        let after = Names::kept_in(&path).unwrap();
        assert_eq!(after.name(last).as_deref(), Some("last.test"));
        assert_eq!(after.address("last.test"), last);
        assert_eq!(after.name(first), None, "forgotten before");
        assert_eq!(after.lock().by_name.len(), NAMES_MAX);
        assert!(Names::kept_in(&folder.path().join("missing/names")).is_err());
    }

    #[test]
    fn unknown_addresses_have_no_name() {
        let names = Names::default();
        assert!(names.lease(Ipv4Addr::new(198, 18, 1, 1)).is_none());
        assert!(names.name(Ipv4Addr::new(8, 8, 8, 8)).is_none());
    }
}
