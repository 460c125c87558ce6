//! Who looks at a screen, what was painted last, and what the encoder has to do next. Decides; waits for nothing.

use super::encoder::Thrift;
use super::seat::Seat;
use super::{Coding, Picture, Wants};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Between two key pictures that were asked for by those who had pictures before. A key picture weighs as much as a second
/// of scrolling; newcomers do not wait.
const KEY_PAUSE: Duration = Duration::from_millis(500);

/// What Chromium painted.
#[derive(Clone)]
pub struct Frame {
    pub jpeg: Bytes,
    pub at: Duration,
    pub width: u16,
    pub height: u16,
}

/// What the encoder made of a frame.
pub struct Coded {
    pub key: bool,
    pub droppable: bool,
    pub width: u16,
    pub height: u16,
    pub data: Bytes,
}

/// The next thing for the encoder.
pub enum Work {
    Encode {
        frame: Frame,
        key: bool,
        thrift: Thrift,
    },
    /// Nothing to do before this moment, unless something happens.
    Wait(Option<Instant>),
    /// Nobody takes H.264 any more.
    Leave,
}

#[derive(Default)]
pub struct Audience {
    pub seats: Vec<Seat>,
    pub ended: bool,
    /// A thread encodes.
    pub encoding: bool,
    pub started: Option<Instant>,
    seats_ever: u64,
    frame: Option<Frame>,
    /// The encoder has not seen `frame`.
    fresh: bool,
    /// The encoder's newest picture.
    coded: Option<Picture>,
    key_due: Option<Instant>,
    keyed_at: Option<Instant>,
    coded_ever: u32,
    painted_ever: u32,
}

impl Audience {
    pub fn join(&mut self, wants: Wants, now: Instant) -> (u64, Arc<Notify>) {
        self.seats_ever += 1;
        let mut seat = Seat::new(self.seats_ever, wants);
        match (wants.coding, &self.frame, &self.coded) {
            (Coding::Jpeg, Some(frame), _) => seat.offer(&jpeg(frame, self.painted_ever)),
            // On a still page the newest picture is often a key picture already.
            (Coding::H264, _, Some(coded)) if coded.key => seat.offer(coded),
            (Coding::H264, ..) => self.key_due = Some(now),
            _ => {}
        }
        let arrived = seat.arrived.clone();
        self.seats.push(seat);
        (self.seats_ever, arrived)
    }

    pub fn leave(&mut self, id: u64) {
        self.seats.retain(|seat| seat.id != id);
    }

    /// A picture for a seat, `None` inside when there is none yet, outside when none will come.
    pub fn take(&mut self, id: u64, now: Instant) -> Option<Option<Picture>> {
        if self.ended {
            return None;
        }
        let seat = self.seats.iter_mut().find(|seat| seat.id == id)?;
        let picture = seat.take();
        if picture.is_none() && seat.lost && seat.served && seat.takes(Coding::H264) {
            self.request_key(now);
        }
        Some(picture)
    }

    pub fn request_key(&mut self, now: Instant) {
        let due = self.keyed_at.map_or(now, |keyed| now.max(keyed + KEY_PAUSE));
        self.key_due = Some(self.key_due.map_or(due, |earlier| earlier.min(due)));
    }

    pub fn wants_h264(&self) -> bool {
        !self.ended && self.seats.iter().any(|seat| seat.takes(Coding::H264))
    }

    /// Nobody looks but the recorder.
    pub fn is_only_recorded(&self) -> bool {
        !self.seats.is_empty() && self.seats.iter().all(|seat| seat.wants.every)
    }

    pub fn is_watched(&self) -> bool {
        !self.ended && !self.seats.is_empty()
    }

    /// Whether a new frame would be of use now: somebody waits for one and the encoder is not behind.
    pub fn has_room(&self) -> bool {
        let behind = self.fresh && self.encoding;
        !behind && self.seats.iter().any(|seat| seat.hungry)
    }

    /// Takes a frame in, for those who take JPEG and for the encoder, unless it is the last one again: says whether it was new.
    pub fn paint(&mut self, frame: Frame) -> bool {
        if self.frame.as_ref().is_some_and(|last| last.jpeg == frame.jpeg) {
            return false;
        }
        self.painted_ever = self.painted_ever.wrapping_add(1);
        let picture = jpeg(&frame, self.painted_ever);
        self.seats.iter_mut().filter(|seat| seat.takes(Coding::Jpeg)).for_each(|seat| seat.offer(&picture));
        self.frame = Some(frame);
        self.fresh = true;
        true
    }

    /// Forgets what was painted: it will be old when somebody looks again.
    pub fn clear(&mut self) {
        self.frame = None;
        self.coded = None;
        self.fresh = false;
    }

    pub fn has_frame(&self) -> bool {
        self.frame.is_some()
    }

    pub fn next_work(&mut self, now: Instant) -> Work {
        if !self.wants_h264() {
            return Work::Leave;
        }
        let Some(frame) = &self.frame else { return Work::Wait(None) };
        let key = self.key_due.is_some_and(|due| due <= now);
        if !self.fresh && !key {
            return Work::Wait(self.key_due);
        }
        self.fresh = false;
        if key {
            self.key_due = None;
        }
        let frame = frame.clone();
        let thrift = if self.is_only_recorded() { Thrift::Processor } else { Thrift::Bits };
        Work::Encode { frame, key, thrift }
    }

    pub fn deliver(&mut self, coded: Coded, at: Duration, now: Instant) {
        self.coded_ever = self.coded_ever.wrapping_add(1);
        if coded.key {
            self.keyed_at = Some(now);
            // Whoever asked for one meanwhile gets this one.
            self.key_due = None;
        }
        let picture = Picture {
            coding: Coding::H264,
            key: coded.key,
            droppable: coded.droppable,
            sequence: self.coded_ever,
            at,
            width: coded.width,
            height: coded.height,
            data: coded.data,
        };
        self.seats.iter_mut().filter(|seat| seat.takes(Coding::H264)).for_each(|seat| seat.offer(&picture));
        self.coded = Some(picture);
    }

    /// The encoder's thread is about to end.
    pub fn encoder_left(&mut self) {
        self.encoding = false;
        self.coded = None;
    }
}

fn jpeg(frame: &Frame, sequence: u32) -> Picture {
    Picture {
        coding: Coding::Jpeg,
        key: true,
        droppable: true,
        sequence,
        at: frame.at,
        width: frame.width,
        height: frame.height,
        data: frame.jpeg.clone(),
    }
}
