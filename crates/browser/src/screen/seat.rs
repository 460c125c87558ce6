//! The place of one subscriber: its queue, and what happens when it is full.
//!
//! A viewer wants what is new: a key picture replaces all that waits before it. A full queue gives up pictures that nothing
//! depends on; when that does not help all of it goes, and the seat waits for a key picture.

use super::{Coding, Picture, Wants};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Pictures that wait for a viewer: a quarter of a second at 30 a second. What is older, nobody wants to see.
const VIEWER_PICTURES_MAX: usize = 8;
/// Pictures that wait for a recorder: four seconds, a slow disk's.
const RECORDER_PICTURES_MAX: usize = 120;

pub struct Seat {
    pub id: u64,
    pub wants: Wants,
    pub arrived: Arc<Notify>,
    /// Has had a picture.
    pub served: bool,
    /// Only a key picture is of use to it.
    pub lost: bool,
    /// Somebody asked for a picture and there was none.
    pub hungry: bool,
    queue: VecDeque<Picture>,
}

impl Seat {
    pub fn new(id: u64, wants: Wants) -> Seat {
        Seat { id, wants, arrived: Arc::default(), served: false, lost: true, hungry: true, queue: VecDeque::new() }
    }

    pub fn takes(&self, coding: Coding) -> bool {
        self.wants.coding == coding
    }

    pub fn offer(&mut self, picture: &Picture) {
        if self.lost && !picture.key {
            return;
        }
        if picture.key && !self.wants.every {
            self.queue.clear();
        }
        let pictures_max = if self.wants.every { RECORDER_PICTURES_MAX } else { VIEWER_PICTURES_MAX };
        if self.queue.len() >= pictures_max {
            // Not this one, though it may be droppable: it is the newest, and nothing may come after it.
            self.queue.retain(|waiting| !waiting.droppable);
        }
        if self.queue.len() >= pictures_max {
            self.queue.clear();
            if !picture.key {
                self.lost = true;
                return;
            }
        }
        self.lost = false;
        self.hungry = false;
        self.queue.push_back(picture.clone());
        self.arrived.notify_one();
    }

    pub fn take(&mut self) -> Option<Picture> {
        let picture = self.queue.pop_front();
        self.hungry = picture.is_none();
        self.served |= picture.is_some();
        picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    fn picture(sequence: u32, key: bool, droppable: bool) -> Picture {
        Picture {
            coding: Coding::H264,
            key,
            droppable,
            sequence,
            at: Duration::ZERO,
            width: 16,
            height: 16,
            data: Bytes::new(),
        }
    }

    fn seat(every: bool) -> Seat {
        Seat::new(1, Wants { coding: Coding::H264, every })
    }

    fn sequences(seat: &mut Seat) -> Vec<u32> {
        std::iter::from_fn(|| seat.take()).map(|picture| picture.sequence).collect()
    }

    #[test]
    fn nothing_comes_before_a_key_picture() {
        let mut seat = seat(false);
        seat.offer(&picture(1, false, false));
        assert!(seat.take().is_none());
        seat.offer(&picture(2, true, false));
        seat.offer(&picture(3, false, false));
        assert_eq!(sequences(&mut seat), [2, 3]);
    }

    #[test]
    fn a_viewer_that_lags_skips_to_the_key_picture_and_a_recorder_gets_all() {
        for (every, expected) in [(false, vec![4, 5]), (true, vec![1, 2, 3, 4, 5])] {
            let mut seat = seat(every);
            for sequence in 1..=5 {
                seat.offer(&picture(sequence, sequence == 1 || sequence == 4, false));
            }
            assert_eq!(sequences(&mut seat), expected);
        }
    }

    #[test]
    fn a_full_queue_gives_up_droppable_pictures_first() {
        let mut seat = seat(false);
        seat.offer(&picture(0, true, false));
        for sequence in 1..=12 {
            seat.offer(&picture(sequence, false, sequence % 2 == 1));
        }
        assert!(!seat.lost);
        assert_eq!(sequences(&mut seat), [0, 2, 4, 6, 8, 10, 12]);
    }

    #[test]
    fn a_full_queue_of_needed_pictures_waits_for_the_next_key_picture() {
        let mut seat = seat(false);
        seat.offer(&picture(0, true, false));
        for sequence in 1..=20 {
            seat.offer(&picture(sequence, false, false));
        }
        assert!(seat.lost);
        assert!(seat.take().is_none());
        seat.offer(&picture(21, true, false));
        assert_eq!(sequences(&mut seat), [21]);
    }
}
