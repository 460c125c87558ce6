//! Packs: pieces one after another, compressed together.

use std::io;

use super::manifest::{PackInfo, damaged};
use super::{CheckpointError, Fingerprint, PACK_BYTES_MAX};

/// The fastest level of which text still becomes a third.
const COMPRESSION: i32 = 1;

/// New pieces, to be kept under their fingerprint for as long as a checkpoint names it.
#[derive(Clone, Debug)]
pub struct Pack {
    pub fingerprint: Fingerprint,
    pub bytes: Vec<u8>,
}

impl Pack {
    pub(super) fn close(content: &[u8]) -> io::Result<(Self, PackInfo)> {
        let bytes = zstd::bulk::compress(content, COMPRESSION)?;
        let fingerprint = Fingerprint::of(&bytes);
        let content_bytes = u32::try_from(content.len()).map_err(io::Error::other)?;
        let info = PackInfo { fingerprint, bytes: bytes.len() as u64, content_bytes };
        Ok((Self { fingerprint, bytes }, info))
    }
}

/// The content of a pack, when its bytes are those that were written.
pub(super) fn open(bytes: &[u8], info: &PackInfo) -> Result<Vec<u8>, CheckpointError> {
    if Fingerprint::of(bytes) != info.fingerprint {
        return Err(damaged(&format!("pack {} has other bytes", info.fingerprint)));
    }
    let content = zstd::bulk::decompress(bytes, PACK_BYTES_MAX).ok();
    content
        .filter(|content| content.len() == info.content_bytes as usize)
        .ok_or_else(|| damaged(&format!("pack {} cannot be unpacked", info.fingerprint)))
}
