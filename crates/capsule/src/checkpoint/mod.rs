//! Checkpoints: what a directory of a capsule holds, in pieces that are kept once however many checkpoints have them.
//!
//! Files are cut into pieces of [`PIECE_BYTES`], each named by its hash. Pieces that no earlier checkpoint has are put into
//! packs, which are compressed, named by the hash of what is written, and never changed; a manifest says which piece of
//! which pack goes where. So a checkpoint costs what has changed, and one that was broken off damages no other.
//!
//! Assumes that the capsule is frozen while one is taken, and that the content is hostile: names, sizes and numbers. Promises
//! that nothing but what was checked against its hash is restored, and that a damaged pack or manifest is an error.
//!
//! Kept are directories, files with their holes, hard and symbolic links, permissions, owners and times of modification. Not
//! kept are extended attributes, the set-user-ID bits (a workspace does not heed them), pipes, sockets and what no path can
//! name.

mod error;
mod index;
mod manifest;
mod mapped;
mod pack;
mod restore;
mod take;

use std::fmt;

use sha2::{Digest, Sha256};

pub use error::CheckpointError;
pub use index::Index;
pub use manifest::{Manifest, PackInfo};
pub use pack::Pack;
pub use restore::{Source, unpack_checkpoint};
pub use take::Taken;

/// A change in a large file costs that much; smaller files are one piece.
const PIECE_BYTES: usize = 1024 * 1024;
/// A pack is closed when it holds that much, before compression.
const PACK_BYTES: usize = 8 * 1024 * 1024;
/// The most that a pack can hold: one more piece came when it was nearly full.
const PACK_BYTES_MAX: usize = PACK_BYTES + PIECE_BYTES;

/// The SHA-256 of something; shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
