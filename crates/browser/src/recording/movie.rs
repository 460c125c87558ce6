//! The header of the file: what is in it, in either form. While the recording runs it lists no pictures (they are in
//! fragments); finished it lists them all, with the chapters, so that a player starts at once.

use super::avc::ParameterSets;
use super::boxes::{Kind, put, put_full, u16s, u32s, u64s};
use vitrine_model::EpochMs;

/// Units of time in a second: times are whole milliseconds.
pub const TIMESCALE: u32 = 1000;
pub const VIDEO_TRACK: u32 = 1;
const CHAPTER_TRACK: u32 = 2;
/// Seconds from 1904, where the format begins to count, to 1970.
const EPOCH_OFFSET_S: u64 = 2_082_844_800;
/// No rotation, no scale.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// `und`: undetermined, as the format packs a language.
const LANGUAGE: u16 = 0x55c4;
/// A player skips a track without this flag when it plays, which is right for chapters.
const TRACK_ENABLED: u32 = 1;
const TRACK_IN_MOVIE: u32 = 2;
/// A description of text in the dialect that chapter tracks are read in: no style, no box, one nameless font.
const TEXT_STYLE: [u8; 43] = [
    0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, b'f', b't',
    b'a', b'b', 0, 1, 0, 1, 0,
];

/// What is said of the pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub width: u16,
    pub height: u16,
    pub sets: ParameterSets,
    /// Key pictures bring parameter sets of their own, since the size or the encoder may change.
    pub sets_in_pictures: bool,
    pub started: EpochMs,
}

/// Samples of one track, as its tables list them.
#[derive(Debug, Default)]
pub struct Samples {
    /// How long each is shown, in milliseconds.
    pub durations_ms: Vec<u32>,
    pub sizes: Vec<u32>,
    /// Those that need no other, from 1. Empty: all.
    pub keys: Vec<u32>,
    /// Samples in each chunk, and where it begins in the file.
    pub chunks: Vec<(u32, u32)>,
}

/// The beginning of a recording that runs: `ftyp` and a `moov` that announces fragments.
pub fn fragmented(look: &Look) -> Vec<u8> {
    let mut out = Vec::new();
    file_type(&mut out);
    put(&mut out, b"moov", |out| {
        movie_header(out, look.started, 0);
        video_track(out, look, &Samples::default(), 0, false);
        put(out, b"mvex", |out| {
            put_full(out, b"trex", 0, 0, |out| u32s(out, &[VIDEO_TRACK, 1, 0, 0, 0]));
        });
    });
    out
}

/// The beginning of a finished recording: `ftyp` and a whole `moov`.
pub fn finished(look: &Look, video: &Samples, chapters: &Samples) -> Vec<u8> {
    let duration_ms = video.durations_ms.iter().map(|duration| u64::from(*duration)).sum();
    let has_chapters = !chapters.sizes.is_empty();
    let mut out = Vec::new();
    file_type(&mut out);
    put(&mut out, b"moov", |out| {
        movie_header(out, look.started, duration_ms);
        video_track(out, look, video, duration_ms, has_chapters);
        if has_chapters {
            chapter_track(out, look.started, chapters, duration_ms);
        }
    });
    out
}

fn file_type(out: &mut Vec<u8>) {
    put(out, b"ftyp", |out| {
        out.extend(b"isom");
        u32s(out, &[0x200]);
        out.extend(b"isomiso6avc1mp41");
    });
}

fn created(started: EpochMs) -> u64 {
    u64::try_from(started / 1000).unwrap_or(0) + EPOCH_OFFSET_S
}

fn movie_header(out: &mut Vec<u8>, started: EpochMs, duration_ms: u64) {
    put_full(out, b"mvhd", 1, 0, |out| {
        u64s(out, &[created(started); 2]);
        u32s(out, &[TIMESCALE]);
        u64s(out, &[duration_ms]);
        u32s(out, &[0x1_0000, 0x0100_0000, 0, 0]);
        u32s(out, &MATRIX);
        u32s(out, &[0, 0, 0, 0, 0, 0, CHAPTER_TRACK + 1]);
    });
}

fn track_header(out: &mut Vec<u8>, id: u32, flags: u32, started: EpochMs, duration_ms: u64, size: (u16, u16)) {
    put_full(out, b"tkhd", 1, flags, |out| {
        u64s(out, &[created(started); 2]);
        u32s(out, &[id, 0]);
        u64s(out, &[duration_ms]);
        u32s(out, &[0, 0, 0, 0]);
        u32s(out, &MATRIX);
        u32s(out, &[u32::from(size.0) << 16, u32::from(size.1) << 16]);
    });
}

fn media_header(out: &mut Vec<u8>, started: EpochMs, duration_ms: u64, handler: &Kind, name: &[u8]) {
    put_full(out, b"mdhd", 1, 0, |out| {
        u64s(out, &[created(started); 2]);
        u32s(out, &[TIMESCALE]);
        u64s(out, &[duration_ms]);
        u16s(out, &[LANGUAGE, 0]);
    });
    put_full(out, b"hdlr", 0, 0, |out| {
        u32s(out, &[0]);
        out.extend(handler);
        u32s(out, &[0, 0, 0]);
        out.extend(name);
        out.push(0);
    });
}

fn data_is_here(out: &mut Vec<u8>) {
    put(out, b"dinf", |out| {
        put_full(out, b"dref", 0, 0, |out| {
            u32s(out, &[1]);
            put_full(out, b"url ", 0, 1, |_| {});
        });
    });
}

fn video_track(out: &mut Vec<u8>, look: &Look, samples: &Samples, duration_ms: u64, has_chapters: bool) {
    put(out, b"trak", |out| {
        let size = (look.width, look.height);
        track_header(out, VIDEO_TRACK, TRACK_ENABLED | TRACK_IN_MOVIE, look.started, duration_ms, size);
        if has_chapters {
            put(out, b"tref", |out| put(out, b"chap", |out| u32s(out, &[CHAPTER_TRACK])));
        }
        put(out, b"mdia", |out| {
            media_header(out, look.started, duration_ms, b"vide", b"screen");
            put(out, b"minf", |out| {
                put_full(out, b"vmhd", 0, 1, |out| u64s(out, &[0]));
                data_is_here(out);
                put(out, b"stbl", |out| {
                    put_full(out, b"stsd", 0, 0, |out| {
                        u32s(out, &[1]);
                        video_entry(out, look);
                    });
                    tables(out, samples);
                });
            });
        });
    });
}

/// `avc1` promises that no picture brings parameter sets, `avc3` allows it.
fn video_entry(out: &mut Vec<u8>, look: &Look) {
    let kind = if look.sets_in_pictures { b"avc3" } else { b"avc1" };
    put(out, kind, |out| {
        u16s(out, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, look.width, look.height]);
        // 72 dots an inch, one frame a sample, no name, 24 bits, no colour table.
        u32s(out, &[0x48_0000, 0x48_0000, 0]);
        u16s(out, &[1]);
        out.extend([0; 32]);
        u16s(out, &[24, 0xffff]);
        put(out, b"avcC", |out| out.extend(look.sets.configuration()));
    });
}

/// Chapters as a track of texts that the video track refers to: what QuickTime made and everybody reads.
fn chapter_track(out: &mut Vec<u8>, started: EpochMs, samples: &Samples, duration_ms: u64) {
    put(out, b"trak", |out| {
        track_header(out, CHAPTER_TRACK, TRACK_IN_MOVIE, started, duration_ms, (0, 0));
        put(out, b"mdia", |out| {
            media_header(out, started, duration_ms, b"text", b"chapters");
            put(out, b"minf", |out| {
                put(out, b"gmhd", |out| {
                    put_full(out, b"gmin", 0, 0, |out| u16s(out, &[0x40, 0x8000, 0x8000, 0x8000, 0, 0]));
                    put(out, b"text", |out| u32s(out, &MATRIX));
                });
                data_is_here(out);
                put(out, b"stbl", |out| {
                    put_full(out, b"stsd", 0, 0, |out| {
                        u32s(out, &[1]);
                        put(out, b"text", |out| {
                            u16s(out, &[0, 0, 0, 1]);
                            out.extend(TEXT_STYLE);
                        });
                    });
                    tables(out, samples);
                });
            });
        });
    });
}

fn tables(out: &mut Vec<u8>, samples: &Samples) {
    let runs = runs(&samples.durations_ms);
    put_full(out, b"stts", 0, 0, |out| counted(out, &runs));
    if !samples.keys.is_empty() {
        put_full(out, b"stss", 0, 0, |out| {
            u32s(out, &[u32::try_from(samples.keys.len()).unwrap_or(u32::MAX)]);
            u32s(out, &samples.keys);
        });
    }
    let mut in_chunks: Vec<[u32; 3]> = Vec::new();
    for (number, (count, _)) in (1..).zip(&samples.chunks) {
        if in_chunks.last().is_none_or(|[_, last, _]| last != count) {
            in_chunks.push([number, *count, 1]);
        }
    }
    put_full(out, b"stsc", 0, 0, |out| counted(out, &in_chunks));
    put_full(out, b"stsz", 0, 0, |out| {
        u32s(out, &[0, u32::try_from(samples.sizes.len()).unwrap_or(u32::MAX)]);
        u32s(out, &samples.sizes);
    });
    let offsets: Vec<[u32; 1]> = samples.chunks.iter().map(|(_, offset)| [*offset]).collect();
    put_full(out, b"stco", 0, 0, |out| counted(out, &offsets));
}

fn counted<const N: usize>(out: &mut Vec<u8>, rows: &[[u32; N]]) {
    u32s(out, &[u32::try_from(rows.len()).unwrap_or(u32::MAX)]);
    u32s(out, rows.as_flattened());
}

fn runs(values: &[u32]) -> Vec<[u32; 2]> {
    values.chunk_by(|one, next| one == next).map(|run| [u32::try_from(run.len()).unwrap_or(u32::MAX), run[0]]).collect()
}

/// A chapter's title as its track holds it: its length, its bytes, and that they are UTF-8.
pub fn chapter_text(title: &str) -> Vec<u8> {
    let mut out = Vec::new();
    u16s(&mut out, &[u16::try_from(title.len()).unwrap_or(u16::MAX)]);
    out.extend(title.as_bytes());
    put(&mut out, b"encd", |out| u32s(out, &[0x100]));
    out
}
