//! The file while it grows. A fragment is there as soon as its head is, which is written last, and the only bytes that are
//! ever changed are the four that say how long the last picture was shown; so whatever dies, the file plays up to its last
//! whole fragment.

use super::avc::{self, ParameterSets};
use super::boxes::HEAD_BYTES;
use super::finalise::{Finished, finalise};
use super::fragment::{self, Note, Sample};
use super::movie::{self, Look};
use super::scan::Scan;
use crate::screen::{Coding, Picture};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use vitrine_model::EpochMs;

/// Longest recording, in bytes: offsets are 32 bits wide, and the finished header has to fit before the pictures. At the
/// 2 Mbit/s that a screen may take it is three and a half hours of unbroken motion, at the usual 0.6 more than ten.
pub const BYTES_MAX: u64 = 3 << 30;
/// Pictures in memory beyond which a fragment is due, in bytes.
pub const FRAGMENT_BYTES_MAX: usize = 1 << 20;
/// How long pictures stay in memory before a fragment is due: what a death may cost.
pub const FRAGMENT_LIMIT: Duration = Duration::from_secs(1);
/// Chapters of one recording. A page that opens tabs without end gets no more.
pub const CHAPTERS_MAX: usize = 1000;
/// Longest title of a chapter, in bytes.
pub const TITLE_BYTES_MAX: usize = 255;

/// Why a recording cannot go on. Each reads after "could not record:".
#[derive(Debug, Error)]
pub enum RecordingError {
    #[error("the file failed: {0}")]
    File(#[from] io::Error),
    #[error("the recording has reached {BYTES_MAX} bytes")]
    Full,
    #[error("nothing was recorded")]
    Empty,
    #[error("the recording is finished already")]
    Finished,
}

/// A recording that grows.
pub struct Recorder {
    path: PathBuf,
    file: File,
    started: EpochMs,
    /// Bytes in the file.
    written: u64,
    sequence: u32,
    chapters: usize,
    size: Option<(u16, u16)>,
    pending: Pending,
    last: Option<Last>,
}

/// What is not in the file yet.
#[derive(Default)]
struct Pending {
    header: Option<(Look, Note)>,
    notes: Vec<(u64, Note)>,
    samples: Vec<Sample>,
    start_ms: u64,
    /// When the newest picture began.
    newest_ms: u64,
    data: Vec<u8>,
}

/// The newest picture in the file: it is shown until the next one comes.
#[derive(Clone, Copy)]
struct Last {
    start_ms: u64,
    /// Where its duration stands in the file.
    place: u64,
}

impl Recorder {
    /// Begins a recording at `path`, or goes on with what a dead process left there. `now` is time zero of a new one.
    pub fn open(path: &Path, now: EpochMs) -> Result<Recorder, RecordingError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let scan = Scan::read(&file)?;
        if scan.finished.is_some() {
            return Err(RecordingError::Finished);
        }
        file.set_len(scan.end)?;
        let started = scan.notes.iter().find_map(|(_, note)| match note {
            Note::Started { at } => Some(*at),
            _ => None,
        });
        let last = scan.last_start_ms().zip(scan.fragments.last());
        Ok(Recorder {
            path: path.to_owned(),
            file,
            started: started.unwrap_or(now),
            written: scan.end,
            sequence: u32::try_from(scan.fragments.len()).unwrap_or(u32::MAX),
            chapters: scan.notes.iter().filter(|(_, note)| matches!(note, Note::Chapter { .. })).count(),
            size: None,
            pending: Pending::default(),
            last: last.map(|(start_ms, fragment)| Last { start_ms, place: fragment.last_duration }),
        })
    }

    /// The time of day at time zero; after a death it is earlier than this process.
    pub fn started(&self) -> EpochMs {
        self.started
    }

    /// Adds a picture that is shown from `at` on. Nothing is written: see `is_due`. What cannot be decoded, because no key
    /// picture came before it, is left out, and so is JPEG.
    pub fn push(&mut self, picture: &Picture, at: Duration) -> Result<(), RecordingError> {
        if picture.coding != Coding::H264 || (self.size.is_none() && !picture.key) {
            return Ok(());
        }
        if self.bytes() + picture.data.len() as u64 > BYTES_MAX {
            return Err(RecordingError::Full);
        }
        let before = self.pending.data.len();
        let sets = avc::append(&mut self.pending.data, &picture.data);
        let bytes = u32::try_from(self.pending.data.len() - before).unwrap_or(u32::MAX);
        if self.size.is_none() && sets.is_none() {
            self.pending.data.truncate(before);
            return Ok(());
        }
        let at_ms = self.begin(at);
        self.resize(picture, at_ms, sets);
        self.pending.samples.push(Sample { duration_ms: 1, bytes, key: picture.key, droppable: picture.droppable });
        Ok(())
    }

    /// From `at` on something else is shown.
    pub fn chapter(&mut self, title: &str, at: Duration) {
        if self.chapters < CHAPTERS_MAX {
            self.chapters += 1;
            let ends = title.char_indices().map(|(start, letter)| start + letter.len_utf8());
            let end = ends.take_while(|end| *end <= TITLE_BYTES_MAX).last().unwrap_or(0);
            let title = title[..end].to_owned();
            self.pending.notes.push((milliseconds(at), Note::Chapter { title }));
        }
    }

    /// Whether so much waits in memory that `flush` should not wait.
    pub fn is_due(&self) -> bool {
        let waited_ms = self.pending.newest_ms - self.pending.start_ms;
        self.pending.data.len() >= FRAGMENT_BYTES_MAX
            || (!self.pending.samples.is_empty() && u128::from(waited_ms) >= FRAGMENT_LIMIT.as_millis())
    }

    /// Writes what waits; the newest picture has been shown until `at` at least. On a still page it changes four bytes.
    pub fn flush(&mut self, at: Duration) -> Result<(), RecordingError> {
        let until_ms = milliseconds(at);
        if self.pending.samples.is_empty() {
            self.extend_last(until_ms)?;
            return self.write_notes();
        }
        let mut pending = std::mem::take(&mut self.pending);
        self.extend_last(pending.start_ms)?;
        if let Some(newest) = pending.samples.last_mut() {
            newest.duration_ms = shown_ms(pending.newest_ms, until_ms);
        }
        let mut out = Vec::with_capacity(pending.data.len() + 1024);
        if let Some((look, note)) = &pending.header {
            out.extend(movie::fragmented(look));
            fragment::note(&mut out, 0, note);
        }
        for (at_ms, note) in &pending.notes {
            fragment::note(&mut out, *at_ms, note);
        }
        self.sequence += 1;
        let place = fragment::append(&mut out, self.sequence, pending.start_ms, &pending.samples, &pending.data);
        self.last = Some(Last { start_ms: pending.newest_ms, place: self.written + place as u64 });
        Ok(self.append(&out)?)
    }

    /// Ends the recording at `at` and makes it a file that plays at once.
    pub fn finish(mut self, at: Duration) -> Result<Finished, RecordingError> {
        self.flush(at)?;
        finalise(&self.path)
    }

    fn bytes(&self) -> u64 {
        self.written + self.pending.data.len() as u64
    }

    /// Settles how long the picture before is shown, and gives the beginning of the new one. The first begins at zero:
    /// what a session shows before its first picture is that picture.
    fn begin(&mut self, at: Duration) -> u64 {
        let newest_ms = self.pending.samples.last().map(|_| self.pending.newest_ms);
        let before_ms = newest_ms.or(self.last.map(|last| last.start_ms));
        let at_ms = before_ms.map_or(0, |before_ms| milliseconds(at).max(before_ms + 1));
        match self.pending.samples.last_mut() {
            Some(newest) => newest.duration_ms = shown_ms(self.pending.newest_ms, at_ms),
            None => self.pending.start_ms = at_ms,
        }
        self.pending.newest_ms = at_ms;
        at_ms
    }

    /// Notes a new size, and with the very first picture what the header is made of.
    fn resize(&mut self, picture: &Picture, at_ms: u64, sets: Option<ParameterSets>) {
        let (width, height) = (picture.width, picture.height);
        if self.size == Some((width, height)) {
            return;
        }
        self.size = Some((width, height));
        self.pending.notes.push((at_ms, Note::Size { width, height }));
        if let Some(sets) = sets.filter(|_| self.last.is_none() && self.pending.header.is_none()) {
            let look = Look { width, height, sets, sets_in_pictures: true, started: self.started };
            self.pending.header = Some((look, Note::Started { at: self.started }));
        }
    }

    /// Notes without pictures; before the first picture they wait for it.
    fn write_notes(&mut self) -> Result<(), RecordingError> {
        if self.last.is_none() || self.pending.notes.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        for (at_ms, note) in self.pending.notes.drain(..) {
            fragment::note(&mut out, at_ms, &note);
        }
        Ok(self.append(&out)?)
    }

    /// Its head last: until then a player finds the end of the file there, and not half a fragment.
    fn append(&mut self, out: &[u8]) -> io::Result<()> {
        self.file.write_all_at(&out[HEAD_BYTES..], self.written + HEAD_BYTES as u64)?;
        self.file.write_all_at(&out[..HEAD_BYTES], self.written)?;
        self.written += out.len() as u64;
        Ok(())
    }

    fn extend_last(&mut self, until_ms: u64) -> io::Result<()> {
        let Some(last) = self.last else { return Ok(()) };
        self.file.write_all_at(&shown_ms(last.start_ms, until_ms).to_be_bytes(), last.place)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How long a picture is shown: at least one unit of time.
fn shown_ms(from_ms: u64, until_ms: u64) -> u32 {
    u32::try_from(until_ms.saturating_sub(from_ms)).unwrap_or(u32::MAX).max(1)
}
