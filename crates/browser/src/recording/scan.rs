//! Reading a recording back: after the process that wrote it died, or to finish it.

use super::avc::{self, ParameterSets};
use super::boxes::{HEAD_BYTES, broken, children, descend, u16_at, u32_at, u64_at};
use super::fragment::{Note, SAMPLE_BYTES, SCHEME, Sample};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Longest box that is read into memory: a `moof` of the longest fragment, or the header of a finished recording of a day.
const BOX_BYTES_MAX: u64 = 256 << 20;
/// What is read of a key picture to find its parameter sets, which are some thirty bytes.
const SETS_BYTES_MAX: u32 = 1024;

/// All that a recording holds, apart from the pictures themselves.
#[derive(Debug, Default)]
pub struct Scan {
    /// It has been finished: everything else is as the header says, and nothing can be added.
    pub finished: Option<Summary>,
    pub sets: Option<ParameterSets>,
    pub notes: Vec<(u64, Note)>,
    pub samples: Vec<Sample>,
    pub fragments: Vec<Fragment>,
    /// Where the last whole fragment or note ends; what follows was cut off by the writer's death.
    pub end: u64,
}

/// What the header of a finished recording says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub duration_ms: u64,
    pub width: u16,
    pub height: u16,
}

#[derive(Debug)]
pub struct Fragment {
    pub start_ms: u64,
    /// Its samples' places in `Scan::samples`.
    pub first: usize,
    pub count: usize,
    /// Where its pictures begin in the file.
    pub data: u64,
    /// Where the last picture's duration stands in the file.
    pub last_duration: u64,
}

impl Scan {
    /// Reads what is whole. An empty file, or one cut within its header, gives an empty result.
    pub fn read(file: &File) -> io::Result<Scan> {
        let length = file.metadata()?.len();
        let mut scan = Scan::default();
        let mut at = 0;
        let mut announced: Option<Fragment> = None;
        while at + HEAD_BYTES as u64 <= length {
            let mut head = [0; HEAD_BYTES];
            file.read_exact_at(&mut head, at)?;
            let size = u64::from(u32_at(&head, 0).unwrap_or(0));
            if size < HEAD_BYTES as u64 || at + size > length {
                break;
            }
            let body = (at + HEAD_BYTES as u64, size - HEAD_BYTES as u64);
            match &head[4..] {
                b"moov" => scan.header(&read(file, body)?)?,
                b"emsg" => {
                    scan.notes.extend(note(&read(file, body)?));
                    scan.end = at + size;
                }
                b"moof" => announced = Some(scan.fragment(&read(file, body)?, body.0)?),
                b"mdat" => {
                    let Some(mut fragment) = announced.take() else { break };
                    fragment.data = body.0;
                    scan.fragments.push(fragment);
                    scan.end = at + size;
                }
                b"ftyp" => {}
                _ => return Err(broken("a box of another kind")),
            }
            if scan.finished.is_some() {
                scan.end = length;
                break;
            }
            at += size;
        }
        // Without a picture there is nothing to go on with.
        if scan.fragments.is_empty() && scan.finished.is_none() {
            return Ok(Scan::default());
        }
        // A fragment that was announced and did not come: its samples are not there.
        scan.samples.truncate(scan.fragments.last().map_or(0, |last| last.first + last.count));
        scan.settle();
        Ok(scan)
    }

    /// Where the last picture begins, in milliseconds.
    pub fn last_start_ms(&self) -> Option<u64> {
        let last = self.fragments.last()?;
        let before = self.samples[last.first..last.first + last.count - 1].iter();
        Some(last.start_ms + before.map(|sample| u64::from(sample.duration_ms)).sum::<u64>())
    }

    /// The parameter sets that each key picture brings, and how many bytes they take at its head.
    pub fn sets_of_keys(&self, file: &File) -> io::Result<Vec<Option<(ParameterSets, usize)>>> {
        let mut found = Vec::new();
        for fragment in &self.fragments {
            let mut at = fragment.data;
            for sample in &self.samples[fragment.first..fragment.first + fragment.count] {
                if sample.key {
                    let mut head = vec![0; sample.bytes.min(SETS_BYTES_MAX) as usize];
                    file.read_exact_at(&mut head, at)?;
                    found.push(avc::leading(&head));
                }
                at += u64::from(sample.bytes);
            }
        }
        Ok(found)
    }

    fn header(&mut self, moov: &[u8]) -> io::Result<()> {
        let all = 0..moov.len();
        if descend(moov, all.clone(), &[b"mvex"]).is_none() {
            self.finished = Some(summary(moov).ok_or_else(|| broken("its header"))?);
            return Ok(());
        }
        let entries = descend(moov, all, &[b"trak", b"mdia", b"minf", b"stbl", b"stsd"])
            .ok_or_else(|| broken("no description of pictures"))?;
        // Version, flags, count; then the entry's own head and 78 bytes about the picture come before `avcC`.
        let entry = entries.start + 8 + HEAD_BYTES + 78..entries.end;
        let configuration = descend(moov, entry, &[b"avcC"]).and_then(|body| moov.get(body));
        self.sets = configuration.and_then(ParameterSets::from_configuration);
        Ok(())
    }

    fn fragment(&mut self, moof: &[u8], at: u64) -> io::Result<Fragment> {
        let within = |path| descend(moof, 0..moof.len(), path).ok_or_else(|| broken("a fragment"));
        let time = within(&[b"traf", b"tfdt"])?;
        let run = within(&[b"traf", b"trun"])?;
        let short = || broken("a fragment's list");
        let start_ms = u64_at(moof, time.start + 4).ok_or_else(short)?;
        let count = u32_at(moof, run.start + 4).ok_or_else(short)? as usize;
        let rows = moof.get(run.start + 12..run.end).ok_or_else(short)?;
        if count == 0 || rows.len() != count.saturating_mul(SAMPLE_BYTES) {
            return Err(short());
        }
        let first = self.samples.len();
        for row in rows.chunks_exact(SAMPLE_BYTES) {
            let [duration_ms, bytes, flags] = [0, 4, 8].map(|at| u32_at(row, at).unwrap_or(0));
            self.samples.push(Sample::new(duration_ms, bytes, flags));
        }
        let last_duration = at + (run.end - SAMPLE_BYTES) as u64;
        Ok(Fragment { start_ms, first, count, data: 0, last_duration })
    }

    /// A fragment's beginning is the truth about how long the picture before it was shown.
    fn settle(&mut self) {
        for number in 1..self.fragments.len() {
            let [before, next] = [&self.fragments[number - 1], &self.fragments[number]];
            let samples = &mut self.samples[before.first..next.first];
            let Some((last, earlier)) = samples.split_last_mut() else { continue };
            let start = before.start_ms + earlier.iter().map(|sample| u64::from(sample.duration_ms)).sum::<u64>();
            last.duration_ms = u32::try_from(next.start_ms.saturating_sub(start)).unwrap_or(u32::MAX);
        }
    }
}

fn read(file: &File, (at, length): (u64, u64)) -> io::Result<Vec<u8>> {
    if length > BOX_BYTES_MAX {
        return Err(broken("a box too long"));
    }
    let mut body = vec![0; length as usize];
    file.read_exact_at(&mut body, at)?;
    Ok(body)
}

/// A note of ours, and when. Others are none of our business.
fn note(body: &[u8]) -> Option<(u64, Note)> {
    let at_ms = u64_at(body, 8)?;
    let text = body.get(24..)?.strip_prefix(SCHEME)?.strip_prefix(&[0])?;
    Some((at_ms, serde_json::from_slice(text).ok()?))
}

fn summary(moov: &[u8]) -> Option<Summary> {
    let duration_ms = u64_at(moov, descend(moov, 0..moov.len(), &[b"mvhd"])?.start + 24)?;
    let track = children(moov, 0..moov.len()).into_iter().find(|child| child.kind == *b"trak")?;
    let header = descend(moov, track.body, &[b"tkhd"])?;
    let [width, height] = [8, 4].map(|from_end| u16_at(moov, header.end - from_end));
    Some(Summary { duration_ms, width: width?, height: height? })
}
