//! Boxes of the ISO base media file format: how they are written, and how those of a file are walked.

use std::io;
use std::ops::Range;

/// Size and kind.
pub const HEAD_BYTES: usize = 8;

/// Kind of a box.
pub type Kind = [u8; 4];

/// Writes a box around what `body` writes.
pub fn put(out: &mut Vec<u8>, kind: &Kind, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    body(out);
    // No box of ours comes near 4 GiB: `recorder::BYTES_MAX` bounds the whole file.
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Writes a box with version and flags.
pub fn put_full(out: &mut Vec<u8>, kind: &Kind, version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    put(out, kind, |out| {
        u32s(out, &[u32::from(version) << 24 | flags]);
        body(out);
    });
}

pub fn u16s(out: &mut Vec<u8>, values: &[u16]) {
    out.extend(values.iter().flat_map(|value| value.to_be_bytes()));
}

pub fn u32s(out: &mut Vec<u8>, values: &[u32]) {
    out.extend(values.iter().flat_map(|value| value.to_be_bytes()));
}

pub fn u64s(out: &mut Vec<u8>, values: &[u64]) {
    out.extend(values.iter().flat_map(|value| value.to_be_bytes()));
}

/// A length as the format counts: 32 bits.
pub fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// What a box says of itself, and where its body is in what was walked.
pub struct Found {
    pub kind: Kind,
    pub body: Range<usize>,
}

/// The boxes that lie whole in `bytes`, one after the other.
pub fn children(bytes: &[u8], within: Range<usize>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = within.start;
    while at + HEAD_BYTES <= within.end {
        let size = u32_at(bytes, at).map_or(0, |size| size as usize);
        if size < HEAD_BYTES || at + size > within.end {
            break;
        }
        let mut kind = [0; 4];
        kind.copy_from_slice(&bytes[at + 4..at + 8]);
        found.push(Found { kind, body: at + HEAD_BYTES..at + size });
        at += size;
    }
    found
}

/// The body of the box that the kinds of `path` lead to.
pub fn descend(bytes: &[u8], within: Range<usize>, path: &[&Kind]) -> Option<Range<usize>> {
    path.iter().try_fold(within, |within, kind| {
        children(bytes, within).into_iter().find(|child| child.kind == **kind).map(|child| child.body)
    })
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// What is there is not what this program wrote.
pub fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a recording of ours: {what}"))
}
