//! The last output of a terminal, by its place in all that it ever said.

use std::collections::VecDeque;

/// What is kept.
pub(super) const RING_BYTES: usize = 1024 * 1024;

/// Bytes up to the newest; older ones are forgotten.
#[derive(Debug, Default)]
pub(super) struct Ring {
    kept: VecDeque<u8>,
    end: u64,
}

impl Ring {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        self.kept.drain(..self.kept.len().saturating_sub(RING_BYTES));
        self.end += bytes.len() as u64;
    }

    /// Where the next byte will be.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The first place that is remembered.
    fn start(&self) -> u64 {
        self.end - self.kept.len() as u64
    }

    /// Up to `bytes_max` from a place on, or from the first that is remembered; and where they begin.
    pub(super) fn since(&self, place: u64, bytes_max: usize) -> (u64, Vec<u8>) {
        let place = place.clamp(self.start(), self.end);
        // The difference fits: no more than the ring is kept.
        let skipped = (place - self.start()) as usize;
        (place, self.kept.iter().skip(skipped).take(bytes_max).copied().collect())
    }

    /// Forgets what was kept.
    pub(super) fn forget(&mut self) {
        self.kept = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_what_they_are_when_old_bytes_are_forgotten() {
        let mut ring = Ring::default();
        ring.push(b"hello ");
        ring.push(b"world");
        assert_eq!(ring.since(6, 3), (6, b"wor".to_vec()));
        assert_eq!(ring.since(99, 9), (11, Vec::new()));
        ring.push(&vec![b'x'; RING_BYTES - 5]);
        assert_eq!(ring.since(0, 6), (6, b"worldx".to_vec()));
        ring.forget();
        assert_eq!((ring.end(), ring.since(0, 9)), (RING_BYTES as u64 + 6, (RING_BYTES as u64 + 6, Vec::new())));
    }
}
