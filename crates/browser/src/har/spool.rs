//! The file that grows while a session runs: one line of JSON for each fact, so that memory stays small and a death costs a
//! line. From it the HAR file is put together, by whoever is there to do it.

use super::HarError;
use super::archive::{Entry, Page, Program};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;

/// Bytes from which on bodies are left out.
pub const BODIES_UNTIL_BYTES: u64 = 512 << 20;
/// Bytes from which on nothing more is kept.
pub const SPOOL_BYTES_MAX: u64 = 640 << 20;
/// Lines that wait for the disk.
const LINES_WAITING_MAX: usize = 4096;

const ENTRY_HEAD: &[u8] = b"{\"entry\":";

/// One fact.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Line<'a> {
    Log {
        creator: Program,
        browser: Program,
    },
    /// A later line about the same page replaces an earlier one.
    Page(&'a Page),
    Entry(Box<Entry>),
    /// Something is missing from here on, and why.
    Missing(&'a str),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Known<'a> {
    #[serde(borrow)]
    Log(&'a RawValue),
    #[serde(borrow)]
    Page(&'a RawValue),
    #[serde(borrow)]
    Entry(&'a RawValue),
    Missing(String),
}

/// The writing end. Lines are written by a task of its own: a slow disk must not hold up pages that start.
pub struct Spool {
    lines: mpsc::Sender<(Vec<u8>, OwnedSemaphorePermit)>,
    bytes: Arc<AtomicU64>,
    writer: JoinHandle<io::Result<()>>,
}

impl Spool {
    /// Begins a spool, or goes on with what a dead process left. Gives the number of pages that are in it.
    pub async fn open(path: &Path) -> Result<(Spool, usize), HarError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || mend(&path)).await;
        let (file, bytes, pages) = opened.map_err(|error| HarError::File(io::Error::other(error)))??;
        let (lines, queue) = mpsc::channel(LINES_WAITING_MAX);
        let writer = tokio::spawn(write(tokio::fs::File::from_std(file), queue));
        Ok((Spool { lines, bytes: Arc::new(bytes.into()), writer }, pages))
    }

    /// Bytes in the file and on their way there.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the line will be written; it is not when the file is full or the disk too slow.
    pub fn put(&self, line: Vec<u8>, memory: OwnedSemaphorePermit) -> bool {
        let bytes = line.len() as u64;
        let kept = self.bytes() + bytes <= SPOOL_BYTES_MAX && self.lines.try_send((line, memory)).is_ok();
        if kept {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        kept
    }

    /// Waits until all is written.
    pub async fn close(self) -> io::Result<()> {
        drop(self.lines);
        self.writer.await.map_err(io::Error::other)?
    }
}

async fn write(
    mut file: tokio::fs::File,
    mut queue: mpsc::Receiver<(Vec<u8>, OwnedSemaphorePermit)>,
) -> io::Result<()> {
    while let Some((line, _memory)) = queue.recv().await {
        file.write_all(&line).await?;
    }
    file.flush().await
}

/// A line's bytes.
pub fn encode(line: &Line) -> Vec<u8> {
    // Texts and numbers: there is nothing in a line that does not encode.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Opens the spool at its end, without the line that a death cut off.
fn mend(path: &Path) -> io::Result<(File, u64, usize)> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut pages = 0;
    let mut end = 0;
    let mut reader = BufReader::new(&file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        end += line.len() as u64;
        pages += usize::from(line.starts_with(b"{\"page\""));
        line.clear();
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok((file, end, pages))
}

/// A HAR file that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assembled {
    pub bytes: u64,
    pub entries: usize,
}

/// Where an entry stands in the spool, in the order in which entries are to stand in the file.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    started: String,
    at: u64,
    length: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    started_date_time: String,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

/// What the spool holds beside the entries themselves.
#[derive(Default)]
struct Index {
    log: Option<Box<RawValue>>,
    /// By when they began: the number in their name.
    pages: BTreeMap<usize, Box<RawValue>>,
    entries: Vec<Place>,
    missing: Vec<String>,
}

/// Puts the HAR file together from a spool, also from one that a dead process left. Written beside and renamed.
pub fn assemble(spool: &Path, target: &Path) -> Result<Assembled, HarError> {
    let mut source = File::open(spool)?;
    let mut index = Index::read(&source)?;
    index.entries.sort();
    let beside = target.with_extension("assembling");
    let mut out = BufWriter::new(File::create(&beside)?);
    index.write(&mut source, &mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    std::fs::rename(&beside, target)?;
    Ok(Assembled { bytes, entries: index.entries.len() })
}

impl Index {
    fn read(source: &File) -> io::Result<Index> {
        let mut index = Index::default();
        let mut reader = BufReader::new(source);
        let mut line = Vec::new();
        let mut at = 0;
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            // A line that cannot be read was torn by a crash of the machine; the others are good.
            if let Ok(known) = serde_json::from_slice::<Known>(&line) {
                index.add(known, at);
            }
            at += line.len() as u64;
            line.clear();
        }
        Ok(index)
    }

    fn add(&mut self, known: Known, at: u64) {
        match known {
            Known::Log(log) => self.log = Some(log.to_owned()),
            Known::Page(page) => {
                let identified = serde_json::from_str::<Identified>(page.get());
                let number = identified.ok().and_then(|page| page.id.strip_prefix("page_")?.parse().ok());
                self.pages.insert(number.unwrap_or_default(), page.to_owned());
            }
            Known::Entry(entry) => {
                if let Ok(Started { started_date_time: started }) = serde_json::from_str(entry.get()) {
                    let (at, length) = (at + ENTRY_HEAD.len() as u64, entry.get().len() as u64);
                    self.entries.push(Place { started, at, length });
                }
            }
            Known::Missing(why) if !self.missing.contains(&why) => self.missing.push(why),
            Known::Missing(_) => {}
        }
    }

    fn write(&self, source: &mut File, out: &mut BufWriter<File>) -> io::Result<()> {
        out.write_all(b"{\"log\":{\"version\":\"1.2\",")?;
        if let Some(programs) = self.log.as_ref().and_then(|log| log.get().strip_prefix('{')?.strip_suffix('}')) {
            out.write_all(programs.as_bytes())?;
            out.write_all(b",")?;
        }
        if !self.missing.is_empty() {
            out.write_all(b"\"comment\":")?;
            serde_json::to_writer(&mut *out, &self.missing.join("; "))?;
            out.write_all(b",")?;
        }
        out.write_all(b"\"pages\":[")?;
        for (number, page) in self.pages.values().enumerate() {
            out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
            out.write_all(page.get().as_bytes())?;
        }
        out.write_all(b"],\"entries\":[")?;
        for (number, place) in self.entries.iter().enumerate() {
            out.write_all(if number == 0 { b"\n" } else { b",\n" })?;
            source.seek(SeekFrom::Start(place.at))?;
            io::copy(&mut Read::take(&mut *source, place.length), out)?;
        }
        out.write_all(b"]}}\n")
    }
}
