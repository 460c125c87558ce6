//! The list of what a checkpoint holds, and its form as bytes.
//!
//! The bytes are a mark with the version and, compressed, the packs, the pieces and the entries, parents before what is in
//! them. Numbers are of variable length (seven bits a byte, the lowest first), and each path is told by what it has in
//! common with the one before.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::{CheckpointError, Fingerprint, PACK_BYTES_MAX, PIECE_BYTES};
use crate::files::walk::PATH_BYTES_MAX;

/// The last number is the version.
const MARK: &[u8; 8] = b"vitrine\x01";
/// The most that is unpacked of a manifest: a million entries with long names and pieces of their own.
const BYTES_MAX: u64 = 512 * 1024 * 1024;
const COMPRESSION: i32 = 1;
/// The ids of a capsule.
const ID_MAX: u64 = vitrine_init::IDS as u64 - 1;

/// What a checkpoint holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub(super) packs: Vec<PackInfo>,
    pub(super) pieces: Vec<Piece>,
    pub(super) entries: Vec<Entry>,
}

/// One pack that a checkpoint needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackInfo {
    pub fingerprint: Fingerprint,
    /// As it is kept.
    pub bytes: u64,
    /// What it holds.
    pub(super) content_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub fingerprint: Fingerprint,
    pub pack: u32,
    pub offset: u32,
    pub length: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Below the top; empty for the top itself, which is the first.
    pub path: Box<[u8]>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub modified: Time,
    pub kind: Kind,
}

/// Seconds and nanoseconds.
pub(super) type Time = (i64, u32);

/// A file's places, counted in [`PIECE_BYTES`], with the number of the piece that is there. What is between them is a hole.
pub(super) type Pieces = Vec<(u32, u32)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File {
        size: u64,
        pieces: Pieces,
    },
    Link {
        target: Box<[u8]>,
    },
    /// One more name of an earlier file.
    Again {
        entry: u32,
    },
}

impl Entry {
    pub fn path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(&self.path))
    }
}

impl Manifest {
    /// The packs that must be kept for this checkpoint to be whole.
    pub fn packs(&self) -> &[PackInfo] {
        &self.packs
    }

    pub fn files(&self) -> u64 {
        self.entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. })).count() as u64
    }

    /// The content of all files, without holes and before compression.
    pub fn content_bytes(&self) -> u64 {
        let pieces = self.entries.iter().flat_map(|entry| match &entry.kind {
            Kind::File { pieces, .. } => pieces.as_slice(),
            _ => &[],
        });
        pieces.filter_map(|(_, piece)| self.pieces.get(*piece as usize)).map(|piece| u64::from(piece.length)).sum()
    }

    pub fn encode(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut body = Vec::new();
        put_number(&mut body, self.packs.len() as u64);
        for pack in &self.packs {
            body.extend_from_slice(&pack.fingerprint.0);
            put_number(&mut body, pack.bytes);
            put_number(&mut body, u64::from(pack.content_bytes));
        }
        put_number(&mut body, self.pieces.len() as u64);
        for piece in &self.pieces {
            body.extend_from_slice(&piece.fingerprint.0);
            for number in [piece.pack, piece.offset, piece.length] {
                put_number(&mut body, u64::from(number));
            }
        }
        put_number(&mut body, self.entries.len() as u64);
        let mut before: &[u8] = &[];
        for entry in &self.entries {
            put_entry(&mut body, entry, before);
            before = &entry.path;
        }
        if body.len() as u64 > BYTES_MAX {
            return Err(CheckpointError::TooLarge("its list has too many entries".into()));
        }
        let compressed = zstd::bulk::compress(&body, COMPRESSION)
            .map_err(|source| CheckpointError::System { what: "compress the checkpoint's list", source })?;
        Ok([MARK.as_slice(), &compressed].concat())
    }

    /// Fails for anything that [`Manifest::encode`] does not make of what a workspace can hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let compressed = bytes.strip_prefix(MARK).ok_or_else(|| damaged("its list is of another version"))?;
        let mut body = Vec::new();
        zstd::stream::read::Decoder::new(compressed)
            .and_then(|decoder| decoder.take(BYTES_MAX + 1).read_to_end(&mut body))
            .map_err(|_| damaged("its list cannot be unpacked"))?;
        if body.len() as u64 > BYTES_MAX {
            return Err(damaged("its list is too long"));
        }
        let mut reader = Reader { rest: &body };
        let manifest = reader.manifest().ok_or_else(|| damaged("its list makes no sense"))?;
        if reader.rest.is_empty() { Ok(manifest) } else { Err(damaged("its list goes on after its end")) }
    }
}

fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn put_entry(to: &mut Vec<u8>, entry: &Entry, before: &[u8]) {
    let common = entry.path.iter().zip(before).take_while(|(one, other)| one == other).count();
    put_number(to, common as u64);
    put_bytes(to, &entry.path[common..]);
    let (seconds, nanoseconds) = entry.modified;
    // The sign goes last, so that small numbers stay small.
    let seconds = ((seconds << 1) ^ (seconds >> 63)) as u64;
    let numbers = [u64::from(entry.mode), u64::from(entry.uid), u64::from(entry.gid), seconds, u64::from(nanoseconds)];
    numbers.into_iter().for_each(|number| put_number(to, number));
    match &entry.kind {
        Kind::Directory => to.push(0),
        Kind::File { size, pieces } => {
            to.push(1);
            put_number(to, *size);
            put_number(to, pieces.len() as u64);
            let mut next = 0;
            for (place, piece) in pieces {
                put_number(to, u64::from(place - next));
                put_number(to, u64::from(*piece));
                next = place + 1;
            }
        }
        Kind::Link { target } => {
            to.push(2);
            put_bytes(to, target);
        }
        Kind::Again { entry } => {
            to.push(3);
            put_number(to, u64::from(*entry));
        }
    }
}

/// Reads what was put; nothing where that makes no sense.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn manifest(&mut self) -> Option<Manifest> {
        let mut manifest = Manifest::default();
        for _ in 0..self.number(u64::MAX)? {
            manifest.packs.push(PackInfo {
                fingerprint: self.fingerprint()?,
                bytes: self.number(2 * PACK_BYTES_MAX as u64)?,
                content_bytes: self.number(PACK_BYTES_MAX as u64)? as u32,
            });
        }
        for _ in 0..self.number(u64::MAX)? {
            let fingerprint = self.fingerprint()?;
            let pack = self.number(manifest.packs.len().checked_sub(1)? as u64)? as u32;
            let offset = self.number(PACK_BYTES_MAX as u64)? as u32;
            let length = self.number(PIECE_BYTES as u64)? as u32;
            if offset + length > manifest.packs[pack as usize].content_bytes || length == 0 {
                return None;
            }
            manifest.pieces.push(Piece { fingerprint, pack, offset, length });
        }
        for number in 0..self.number(u64::from(u32::MAX))? {
            let before = manifest.entries.last().map(|entry: &Entry| &*entry.path).unwrap_or_default();
            let path = self.path(before, number == 0)?;
            let entry = self.entry(path, &manifest)?;
            if number == 0 && entry.kind != Kind::Directory {
                return None;
            }
            manifest.entries.push(entry);
        }
        Some(manifest)
    }

    fn path(&mut self, before: &[u8], is_top: bool) -> Option<Box<[u8]>> {
        let common = self.number(before.len() as u64)? as usize;
        let path = [&before[..common], self.bytes(PATH_BYTES_MAX)?].concat();
        let below = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        // Without the empty names and the dots that the comparison by components overlooks.
        let whole = |path: &Path| path.components().map(|part| part.as_os_str().len() + 1).sum::<usize>();
        let as_path = Path::new(std::ffi::OsStr::from_bytes(&path));
        let fits = path.len() < PATH_BYTES_MAX && !path.contains(&0) && below(as_path);
        let fits = fits && if is_top { path.is_empty() } else { whole(as_path) == path.len() + 1 };
        fits.then(|| path.into_boxed_slice())
    }

    fn entry(&mut self, path: Box<[u8]>, before: &Manifest) -> Option<Entry> {
        let (mode, uid, gid) = (self.number(0o7777)? as u32, self.number(ID_MAX)? as u32, self.number(ID_MAX)? as u32);
        let seconds = self.number(u64::MAX)?;
        let seconds = (seconds >> 1) as i64 ^ -((seconds & 1) as i64);
        let modified = (seconds, self.number(999_999_999)? as u32);
        let kind = match self.number(3)? {
            0 => Kind::Directory,
            1 => self.file(&before.pieces)?,
            2 => Kind::Link { target: self.bytes(PATH_BYTES_MAX)?.into() },
            _ => {
                let entry = self.number(before.entries.len().checked_sub(1)? as u64)? as u32;
                matches!(before.entries[entry as usize].kind, Kind::File { .. }).then_some(Kind::Again { entry })?
            }
        };
        Some(Entry { path, mode, uid, gid, modified, kind })
    }

    fn file(&mut self, known: &[Piece]) -> Option<Kind> {
        let size = self.number(i64::MAX as u64)?;
        let mut pieces = Vec::new();
        let mut next = 0_u64;
        for _ in 0..self.number(u64::from(u32::MAX))? {
            let place = next.checked_add(self.number(u64::from(u32::MAX))?)?;
            let piece = self.number(known.len().checked_sub(1)? as u64)? as u32;
            let length = size.checked_sub(place.checked_mul(PIECE_BYTES as u64)?)?.min(PIECE_BYTES as u64);
            if u64::from(known[piece as usize].length) != length {
                return None;
            }
            pieces.push((u32::try_from(place).ok()?, piece));
            next = place + 1;
        }
        Some(Kind::File { size, pieces })
    }

    fn number(&mut self, max: u64) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return (number <= max).then_some(number);
            }
        }
        None
    }

    fn bytes(&mut self, max: usize) -> Option<&'a [u8]> {
        let count = self.number(max as u64)? as usize;
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    fn fingerprint(&mut self) -> Option<Fingerprint> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(Fingerprint(*bytes))
    }
}

pub(super) fn damaged(what: &str) -> CheckpointError {
    CheckpointError::Damaged(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let entry = |path: &str, modified, kind| Entry {
            path: path.as_bytes().into(),
            mode: 0o755,
            uid: 0,
            gid: 33,
            modified,
            kind,
        };
        let pack = PackInfo { fingerprint: Fingerprint::of(b"pack"), bytes: 70, content_bytes: 3_000_000 };
        let piece = |name: &[u8], offset, length| Piece { fingerprint: Fingerprint::of(name), pack: 0, offset, length };
        Manifest {
            packs: vec![pack],
            pieces: vec![piece(b"one", 0, 1 << 20), piece(b"two", 1 << 20, 5)],
            entries: vec![
                entry("", (0, 0), Kind::Directory),
                entry("a", (-5, 999_999_999), Kind::Directory),
                entry("a/sparse", (1, 2), Kind::File { size: (9 << 20) + 5, pieces: vec![(0, 0), (3, 0), (9, 1)] }),
                entry("a/small\u{ff}", (i64::MAX, 2), Kind::File { size: 5, pieces: vec![(0, 1)] }),
                entry("b", (i64::MIN, 0), Kind::Again { entry: 2 }),
                entry("c", (0, 0), Kind::Link { target: (*b"/etc").into() }),
            ],
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let bytes = manifest().encode().expect("encoded");
        assert_eq!(Manifest::decode(&bytes).expect("decoded"), manifest());
        assert_eq!((manifest().files(), manifest().content_bytes()), (2, (2 << 20) + 5 + 5));
    }

    #[test]
    fn what_leads_outside_or_makes_no_sense_is_refused() {
        let changes: [fn(&mut Manifest); 11] = [
            |it| it.entries[1].path = (*b"..").into(),
            |it| it.entries[1].path = (*b"/a").into(),
            |it| it.entries[2].path = (*b"a/../../x").into(),
            |it| it.entries[2].path = (*b"a//x").into(),
            |it| it.entries[2].path = (*b"a/./x").into(),
            |it| it.entries[2].path = (*b"a\0x").into(),
            |it| it.entries[1].path = (*b"").into(),
            |it| it.entries[4].kind = Kind::Again { entry: 1 },
            |it| it.entries[0].kind = Kind::Again { entry: 0 },
            |it| it.entries[3].uid = 65_536,
            |it| it.pieces[1].offset = 3_000_000,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = manifest();
            change(&mut changed);
            assert!(Manifest::decode(&changed.encode().expect("encoded")).is_err(), "{number}");
        }
        let bytes = manifest().encode().expect("encoded");
        for cut in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
