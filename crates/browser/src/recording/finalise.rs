//! From fragments to a file that plays at once: the whole header first, then the pictures as they are.

use super::avc::ParameterSets;
use super::fragment::Note;
use super::movie::{self, Look, Samples};
use super::recorder::RecordingError;
use super::scan::Scan;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// A recording that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    pub bytes: u64,
    pub duration: Duration,
    /// The size that was shown longest, in pixels.
    pub width: u16,
    pub height: u16,
}

/// Finishes what is at `path`, also what a dead process left there: written beside and renamed, so that at any moment the
/// one or the other is whole. What is finished already stays as it is.
pub fn finalise(path: &Path) -> Result<Finished, RecordingError> {
    let mut source = File::open(path)?;
    let scan = Scan::read(&source)?;
    if let Some(summary) = scan.finished {
        return Ok(Finished {
            bytes: scan.end,
            duration: Duration::from_millis(summary.duration_ms),
            width: summary.width,
            height: summary.height,
        });
    }
    let plan = Plan::make(&source, &scan)?;
    let beside = path.with_extension("finishing");
    let mut target = BufWriter::new(File::create(&beside)?);
    plan.write(&mut source, &mut target)?;
    let target = target.into_inner().map_err(io::IntoInnerError::into_error)?;
    target.sync_all()?;
    let bytes = target.metadata()?.len();
    std::fs::rename(&beside, path)?;
    let (width, height) = (plan.look.width, plan.look.height);
    Ok(Finished { bytes, duration: Duration::from_millis(plan.duration_ms), width, height })
}

/// What the finished file will hold, and where it comes from.
struct Plan {
    look: Look,
    duration_ms: u64,
    video: Samples,
    chapters: Samples,
    texts: Vec<u8>,
    /// Stretches of the source that become the pictures, in order.
    stretches: Vec<(u64, u64)>,
}

impl Plan {
    fn make(source: &File, scan: &Scan) -> Result<Plan, RecordingError> {
        let sets = scan.sets.clone().filter(|_| !scan.samples.is_empty()).ok_or(RecordingError::Empty)?;
        let duration_ms = scan.samples.iter().map(|sample| u64::from(sample.duration_ms)).sum();
        let (width, height) = longest_size(&scan.notes, duration_ms).ok_or(RecordingError::Empty)?;
        let of_keys = scan.sets_of_keys(source)?;
        let constant = of_keys.iter().all(|found| found.as_ref().is_some_and(|(found, _)| *found == sets));
        let started = scan.notes.iter().find_map(|(_, note)| match note {
            Note::Started { at } => Some(*at),
            _ => None,
        });
        let started = started.unwrap_or(0);
        let look = Look { width, height, sets, sets_in_pictures: !constant, started };
        let (chapters, texts) = chapter_samples(&scan.notes, duration_ms);
        let (video, stretches) = pictures(scan, &of_keys, constant);
        let mut plan = Plan { look, duration_ms, video, chapters, texts, stretches };
        plan.place();
        Ok(plan)
    }

    /// Moves the chunks to where they will be. The header's length does not depend on what it says of them.
    fn place(&mut self) {
        let header = movie::finished(&self.look, &self.video, &self.chapters).len();
        let mut at = u32::try_from(header + 8).unwrap_or(u32::MAX);
        if let Some(chunk) = self.chapters.chunks.first_mut() {
            chunk.1 = at;
        }
        at += super::boxes::length(&self.texts);
        let mut sizes = self.video.sizes.iter();
        for (count, offset) in &mut self.video.chunks {
            *offset = at;
            at += sizes.by_ref().take(*count as usize).sum::<u32>();
        }
    }

    fn write(&self, source: &mut File, target: &mut BufWriter<File>) -> io::Result<()> {
        target.write_all(&movie::finished(&self.look, &self.video, &self.chapters))?;
        let data = self.stretches.iter().map(|(_, length)| length).sum::<u64>() + self.texts.len() as u64;
        target.write_all(&u32::try_from(data + 8).unwrap_or(u32::MAX).to_be_bytes())?;
        target.write_all(b"mdat")?;
        target.write_all(&self.texts)?;
        for (at, length) in &self.stretches {
            source.seek(SeekFrom::Start(*at))?;
            let copied = io::copy(&mut Read::take(&mut *source, *length), target)?;
            if copied != *length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// The pictures' table, without the parameter sets in them when all are the header's; and what of the source they are.
fn pictures(
    scan: &Scan,
    sets_of_keys: &[Option<(ParameterSets, usize)>],
    constant: bool,
) -> (Samples, Vec<(u64, u64)>) {
    let mut video = Samples::default();
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    let mut of_keys = sets_of_keys.iter();
    for fragment in &scan.fragments {
        let mut at = fragment.data;
        for sample in &scan.samples[fragment.first..fragment.first + fragment.count] {
            let mut left_out = 0;
            if sample.key {
                video.keys.push(u32::try_from(video.sizes.len() + 1).unwrap_or(u32::MAX));
                let sets = of_keys.next().and_then(Option::as_ref).filter(|_| constant);
                left_out = sets.map_or(0, |(_, bytes)| *bytes as u64);
            }
            let stretch = (at + left_out, u64::from(sample.bytes) - left_out);
            match stretches.last_mut() {
                Some((start, length)) if *start + *length == stretch.0 => *length += stretch.1,
                _ => stretches.push(stretch),
            }
            video.durations_ms.push(sample.duration_ms);
            video.sizes.push(u32::try_from(stretch.1).unwrap_or(u32::MAX));
            at += u64::from(sample.bytes);
        }
        video.chunks.push((u32::try_from(fragment.count).unwrap_or(u32::MAX), 0));
    }
    (video, stretches)
}

/// The chapters' table and their texts. Of chapters at one moment the last is meant; the first begins at zero.
fn chapter_samples(notes: &[(u64, Note)], duration_ms: u64) -> (Samples, Vec<u8>) {
    let mut titles: Vec<(u64, &str)> = Vec::new();
    for (at_ms, note) in notes {
        let Note::Chapter { title } = note else { continue };
        if *at_ms < duration_ms {
            titles.retain(|(start_ms, _)| start_ms < at_ms);
            titles.push((*at_ms, title));
        }
    }
    if let Some((start_ms, _)) = titles.first_mut() {
        *start_ms = 0;
    }
    let mut samples = Samples::default();
    let mut texts = Vec::new();
    for (number, (at_ms, title)) in titles.iter().enumerate() {
        let end_ms = titles.get(number + 1).map_or(duration_ms, |(next_ms, _)| *next_ms);
        let text = movie::chapter_text(title);
        samples.durations_ms.push(u32::try_from(end_ms - at_ms).unwrap_or(u32::MAX));
        samples.sizes.push(super::boxes::length(&text));
        texts.extend(text);
    }
    if !titles.is_empty() {
        samples.chunks.push((u32::try_from(titles.len()).unwrap_or(u32::MAX), 0));
    }
    (samples, texts)
}

/// Players that do not follow a change of size show everything in one: in the size that was shown longest.
fn longest_size(notes: &[(u64, Note)], duration_ms: u64) -> Option<(u16, u16)> {
    let mut shown: Vec<((u16, u16), u64)> = Vec::new();
    let mut sizes = notes
        .iter()
        .filter_map(|(at_ms, note)| match note {
            Note::Size { width, height } => Some((*at_ms, (*width, *height))),
            _ => None,
        })
        .peekable();
    while let Some((at_ms, size)) = sizes.next() {
        let until_ms = sizes.peek().map_or(duration_ms, |(next_ms, _)| *next_ms);
        let for_ms = until_ms.saturating_sub(at_ms);
        match shown.iter_mut().find(|(known, _)| *known == size) {
            Some((_, total_ms)) => *total_ms += for_ms,
            None => shown.push((size, for_ms)),
        }
    }
    shown.into_iter().max_by_key(|(_, total_ms)| *total_ms).map(|(size, _)| size)
}
