//! What is appended while a recording runs: fragments of pictures, and notes between them.

use super::boxes::{length, put, put_full, u32s, u64s};
use super::movie::{TIMESCALE, VIDEO_TRACK};
use serde::{Deserialize, Serialize};
use vitrine_model::EpochMs;

/// Names our notes among other programs' events.
pub const SCHEME: &[u8] = b"urn:vitrine:recording\0";

/// A fact about the recording that its pictures do not tell, as a timed event (`emsg`): players pass over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Note {
    /// The time of day at time zero.
    Started { at: EpochMs },
    /// From here on pictures have this size.
    Size { width: u16, height: u16 },
    /// From here on this is shown.
    Chapter { title: String },
}

/// One picture, as a fragment lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub duration_ms: u32,
    pub bytes: u32,
    pub key: bool,
    pub droppable: bool,
}

impl Sample {
    /// The format's flags: what it needs, and whether others need it.
    fn flags(self) -> u32 {
        let needs = if self.key { 2 << 24 } else { 1 << 24 | 1 << 16 };
        let needed = if self.droppable { 2 << 22 } else { 0 };
        needs | needed
    }

    pub fn new(duration_ms: u32, bytes: u32, flags: u32) -> Sample {
        Sample { duration_ms, bytes, key: flags & 1 << 16 == 0, droppable: flags >> 22 & 3 == 2 }
    }
}

/// Appends a note.
pub fn note(out: &mut Vec<u8>, at_ms: u64, note: &Note) {
    // A note is a word and numbers, or a text: there is nothing in it that does not encode.
    let text = serde_json::to_vec(note).unwrap_or_default();
    put_full(out, b"emsg", 1, 0, |out| {
        u32s(out, &[TIMESCALE]);
        u64s(out, &[at_ms]);
        u32s(out, &[0, 0]);
        out.extend(SCHEME);
        out.push(0);
        out.extend(text);
    });
}

/// Appends a fragment. Gives the place of the last picture's duration, counted from the beginning of `out`.
pub fn append(out: &mut Vec<u8>, sequence: u32, start_ms: u64, samples: &[Sample], data: &[u8]) -> usize {
    let start = out.len();
    let mut data_offset_at = 0;
    let mut end_of_list = 0;
    put(out, b"moof", |out| {
        put_full(out, b"mfhd", 0, 0, |out| u32s(out, &[sequence]));
        put(out, b"traf", |out| {
            // Offsets count from the moof.
            put_full(out, b"tfhd", 0, 0x02_0000, |out| u32s(out, &[VIDEO_TRACK]));
            put_full(out, b"tfdt", 1, 0, |out| u64s(out, &[start_ms]));
            // An offset, and for each sample duration, size and flags.
            put_full(out, b"trun", 0, 0x701, |out| {
                u32s(out, &[u32::try_from(samples.len()).unwrap_or(u32::MAX)]);
                data_offset_at = out.len();
                u32s(out, &[0]);
                for sample in samples {
                    u32s(out, &[sample.duration_ms, sample.bytes, sample.flags()]);
                }
                end_of_list = out.len();
            });
        });
    });
    let data_offset = length(&out[start..]) + 8;
    out[data_offset_at..data_offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
    put(out, b"mdat", |out| out.extend(data));
    end_of_list - SAMPLE_BYTES
}

/// A sample's row in a fragment's list; the duration comes first.
pub const SAMPLE_BYTES: usize = 12;
