//! The last output of a program that outlives whoever started it.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use vitrine_init::TAIL_BYTES_MAX;

/// What is read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// How much is read before others get their turn; a program that floods us must not stop us.
const TURN_CHUNKS: usize = 8;

pub struct Tail {
    source: Option<OwnedFd>,
    kept: VecDeque<u8>,
}

impl Tail {
    /// Assumes the reading end of a pipe that does not block.
    pub fn new(source: OwnedFd) -> Self {
        Self { source: Some(source), kept: VecDeque::new() }
    }

    pub fn source(&self) -> Option<&OwnedFd> {
        self.source.as_ref()
    }

    /// At the end of the output, the descriptor to let go of.
    pub fn collect(&mut self) -> Option<OwnedFd> {
        let source = self.source.as_ref()?;
        let mut chunk = [0; CHUNK_BYTES];
        for _ in 0..TURN_CHUNKS {
            match rustix::io::read(source, &mut chunk) {
                Ok(0) => return self.source.take(),
                Ok(count) => {
                    let surplus = (self.kept.len() + count).saturating_sub(TAIL_BYTES_MAX);
                    self.kept.drain(..surplus.min(self.kept.len()));
                    self.kept.extend(&chunk[..count]);
                }
                Err(Errno::AGAIN | Errno::INTR) => return None,
                Err(_) => return self.source.take(),
            }
        }
        None
    }

    /// Write all that the pipe takes without waiting.
    pub fn write(&self, target: BorrowedFd<'_>) -> Result<(), Errno> {
        rustix::fs::fcntl_setfl(target, OFlags::NONBLOCK)?;
        for mut part in <[&[u8]; 2]>::from(self.kept.as_slices()) {
            while !part.is_empty() {
                match rustix::io::write(target, part) {
                    Ok(count) => part = &part[count..],
                    Err(Errno::AGAIN) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
