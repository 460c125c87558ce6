//! Taking a checkpoint of a directory.
//!
//! One thread reads and names, a second one compresses and hands the packs on: the time until the capsule may go on is that
//! of the slower one.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::fs::{FileType, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::index::{Index, Mark, Place};
use super::manifest::{Entry, Kind, Manifest, PackInfo, Piece, Pieces};
use super::mapped::mapped;
use super::pack::Pack;
use super::{CheckpointError, Fingerprint, PACK_BYTES, PACK_BYTES_MAX, PIECE_BYTES};
use crate::Capsule;
use crate::files::walk::{Found, walk};
use crate::files::{Files, Skipped, TreeLimits, open_regular};

/// Packs that wait to be compressed.
const WAITING_MAX: usize = 1;
/// How often a file is read that changes although everything is frozen: our own uploads do that.
const TRIES_MAX: usize = 2;
/// Whose what belongs to nobody of the capsule is.
const NOBODY: u32 = 65_534;
const BLOCK_BYTES: i64 = 512;

/// A checkpoint that was taken. It is one when the manifest and all packs are kept.
#[derive(Clone, Debug)]
pub struct Taken {
    pub manifest: Manifest,
    /// For the next checkpoint of the same directory, once this one is kept.
    pub index: Index,
    pub skipped: Skipped,
}

impl Capsule {
    /// Take a checkpoint of a directory. The capsule is to be frozen. `index` is that of the last checkpoint of this directory
    /// that is kept; `keep` gets the packs that are new, each once, in a thread of its own.
    pub fn checkpoint(
        &self,
        directory: impl AsRef<Path>,
        index: &Index,
        limits: TreeLimits,
        keep: &mut (dyn FnMut(Pack) -> io::Result<()> + Send),
    ) -> Result<Taken, CheckpointError> {
        let now = Index::now();
        let mapped = mapped(&self.members());
        let files = self.files()?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let (taking, packs) = std::thread::scope(|scope| {
            let packs = scope.spawn(move || pack(receiver, keep));
            let taking = Taking::new(&files, index, limits, sender);
            let taking = taking.take(directory.as_ref());
            (taking, packs.join())
        });
        let packs = packs.map_err(|_| CheckpointError::Keep(io::Error::other("the thread for packs ended")))??;
        let taking = taking?;
        let (manifest, marks, skipped) = taking.finish(&packs);
        let index = Index::after(&manifest, marks, mapped.as_ref(), now);
        Ok(Taken { manifest, index, skipped })
    }
}

/// Make packs until no more comes.
fn pack(
    contents: Receiver<Vec<u8>>,
    keep: &mut (dyn FnMut(Pack) -> io::Result<()> + Send),
) -> Result<Vec<PackInfo>, CheckpointError> {
    let mut packs = Vec::new();
    for content in contents {
        let (pack, info) = Pack::close(&content)
            .map_err(|source| CheckpointError::System { what: "compress a pack of the checkpoint", source })?;
        packs.push(info);
        keep(pack).map_err(CheckpointError::Keep)?;
    }
    Ok(packs)
}

/// Which pack: one of before, or the nth of now.
#[derive(Clone, Copy)]
enum Where {
    Before(Place),
    Now { pack: u32, offset: u32, length: u32 },
}

struct Taking<'a> {
    files: &'a Files,
    index: &'a Index,
    remnants: HashSet<Fingerprint>,
    limits: TreeLimits,
    bytes: u64,
    entries: Vec<Entry>,
    marks: Vec<(u32, Mark)>,
    pieces: Vec<(Fingerprint, Where)>,
    numbers: HashMap<Fingerprint, u32>,
    /// The entries of files with several names.
    names: HashMap<(u64, u64), u32>,
    content: Vec<u8>,
    closed: u32,
    packs: Option<SyncSender<Vec<u8>>>,
    buffer: Vec<u8>,
    skipped: Skipped,
}

impl<'a> Taking<'a> {
    fn new(files: &'a Files, index: &'a Index, limits: TreeLimits, packs: SyncSender<Vec<u8>>) -> Self {
        Self {
            files,
            index,
            remnants: index.remnants(),
            limits,
            bytes: 0,
            entries: Vec::new(),
            marks: Vec::new(),
            pieces: Vec::new(),
            numbers: HashMap::new(),
            names: HashMap::new(),
            content: Vec::new(),
            closed: 0,
            packs: Some(packs),
            buffer: vec![0; PIECE_BYTES],
            skipped: Skipped::default(),
        }
    }

    fn take(mut self, directory: &Path) -> Result<Self, CheckpointError> {
        let top = self.files.directory(directory)?;
        let status = rustix::fs::fstat(&top).map_err(system)?;
        self.add(Path::new(""), &status, Kind::Directory);
        let mut skipped = Skipped::default();
        walk(&top, self.limits.entries_max, &mut skipped, |found, skipped| self.visit(found, skipped))?;
        self.skipped = skipped;
        self.close()?;
        self.packs = None;
        Ok(self)
    }

    fn visit(&mut self, found: &Found<'_>, skipped: &mut Skipped) -> Result<(), CheckpointError> {
        let kind = match found.kind() {
            FileType::RegularFile => return self.visit_file(found, skipped),
            FileType::Directory => Kind::Directory,
            FileType::Symlink => match rustix::fs::readlinkat(found.folder, found.name, Vec::new()) {
                Ok(target) => Kind::Link { target: target.as_bytes().into() },
                Err(_) => {
                    skipped.add(found.path, "changed meanwhile");
                    return Ok(());
                }
            },
            _ => {
                skipped.add(found.path, "no regular file");
                return Ok(());
            }
        };
        self.add(found.path, found.status, kind);
        Ok(())
    }

    fn visit_file(&mut self, found: &Found<'_>, skipped: &mut Skipped) -> Result<(), CheckpointError> {
        let inode = (found.status.st_dev, found.status.st_ino);
        if found.status.st_nlink > 1
            && let Some(entry) = self.names.get(&inode)
        {
            let kind = Kind::Again { entry: *entry };
            self.add(found.path, found.status, kind);
            return Ok(());
        }
        let Some((mark, pieces)) = self.content_of(found)? else {
            skipped.add(found.path, "changed meanwhile");
            return Ok(());
        };
        let kind = Kind::File { size: mark.size(), pieces };
        let entry = self.add(found.path, found.status, kind);
        self.marks.push((entry, mark));
        if found.status.st_nlink > 1 {
            self.names.insert(inode, entry);
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, status: &Stat, kind: Kind) -> u32 {
        let mark = Mark::of(status);
        let own =
            |id: u32| id.checked_sub(self.files.uid_base()).filter(|id| *id < vitrine_init::IDS).unwrap_or(NOBODY);
        let permissions = if kind == Kind::Directory { 0o7777 } else { 0o777 };
        self.entries.push(Entry {
            path: path.as_os_str().as_bytes().into(),
            mode: status.st_mode & permissions,
            uid: own(status.st_uid),
            gid: own(status.st_gid),
            modified: mark.modified(),
            kind,
        });
        self.entries.len() as u32 - 1
    }

    /// The pieces of a file, read only when it is not as it was.
    fn content_of(&mut self, found: &Found<'_>) -> Result<Option<(Mark, Pieces)>, CheckpointError> {
        let mark = Mark::of(found.status);
        if let Some(pieces) = self.known(found.path, mark)? {
            return Ok(Some((mark, pieces)));
        }
        for _ in 0..TRIES_MAX {
            let (file, status) = match open_regular(found.folder, found.name, OFlags::RDONLY) {
                Ok(opened) => opened,
                Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
                Err(error) => return Err(system(error)),
            };
            let mark = Mark::of(&status);
            let pieces = self.read(&file, &status, found.path)?;
            if Mark::of(&rustix::fs::fstat(&file).map_err(system)?) == mark
                && let Some(pieces) = pieces
            {
                return Ok(Some((mark, pieces)));
            }
        }
        Ok(None)
    }

    fn known(&mut self, path: &Path, mark: Mark) -> Result<Option<Pieces>, CheckpointError> {
        let Some(pieces) = self.index.pieces(path.as_os_str().as_bytes(), mark) else { return Ok(None) };
        let found = |(place, piece): &(u32, Fingerprint)| Some((*place, *piece, self.kept(piece)?));
        let Some(pieces) = pieces.iter().map(found).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let mut numbers = Vec::with_capacity(pieces.len());
        for (place, piece, before) in pieces {
            self.count(path, before.length as usize)?;
            numbers.push((place, self.number(piece, Where::Before(before))));
        }
        Ok(Some(numbers))
    }

    /// Where a piece is that an earlier checkpoint has.
    fn kept(&self, piece: &Fingerprint) -> Option<Place> {
        self.index.place(piece).filter(|place| !self.remnants.contains(&place.pack.fingerprint))
    }

    /// Nothing when the file became shorter meanwhile.
    fn read(&mut self, file: &File, status: &Stat, path: &Path) -> Result<Option<Pieces>, CheckpointError> {
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let has_holes = status.st_blocks.saturating_mul(BLOCK_BYTES) < status.st_size;
        let mut pieces = Vec::new();
        let mut offset = 0;
        while offset < size {
            if has_holes {
                match rustix::fs::seek(file, SeekFrom::Data(offset)) {
                    Ok(data) => offset = data / PIECE_BYTES as u64 * PIECE_BYTES as u64,
                    Err(Errno::NXIO) => break,
                    Err(error) => return Err(system(error)),
                }
            }
            let length = (size - offset).min(PIECE_BYTES as u64) as usize;
            match file.read_exact_at(&mut self.buffer[..length], offset) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                other => other.map_err(|source| CheckpointError::System { what: READ, source })?,
            }
            self.count(path, length)?;
            let place = u32::try_from(offset / PIECE_BYTES as u64)
                .map_err(|_| CheckpointError::TooLarge(format!("{} is too large", path.display())))?;
            pieces.push((place, self.piece(length)?));
            offset += length as u64;
        }
        Ok(Some(pieces))
    }

    fn count(&mut self, path: &Path, length: usize) -> Result<(), CheckpointError> {
        self.bytes += length as u64;
        if self.bytes <= self.limits.bytes_max {
            return Ok(());
        }
        let what = format!("with {} there are more than {} bytes", path.display(), self.limits.bytes_max);
        Err(CheckpointError::TooLarge(what))
    }

    /// The number of the piece in the buffer, which is put into a pack when it is new.
    fn piece(&mut self, length: usize) -> Result<u32, CheckpointError> {
        let piece = Fingerprint::of(&self.buffer[..length]);
        if let Some(number) = self.numbers.get(&piece) {
            return Ok(*number);
        }
        if let Some(before) = self.kept(&piece) {
            return Ok(self.number(piece, Where::Before(before)));
        }
        if self.content.is_empty() {
            self.content.reserve_exact(PACK_BYTES_MAX);
        }
        let offset = self.content.len() as u32;
        self.content.extend_from_slice(&self.buffer[..length]);
        let number = self.number(piece, Where::Now { pack: self.closed, offset, length: length as u32 });
        if self.content.len() >= PACK_BYTES {
            self.close()?;
        }
        Ok(number)
    }

    fn number(&mut self, piece: Fingerprint, place: Where) -> u32 {
        match self.numbers.entry(piece) {
            Slot::Occupied(known) => *known.get(),
            Slot::Vacant(free) => {
                self.pieces.push((piece, place));
                *free.insert(self.pieces.len() as u32 - 1)
            }
        }
    }

    fn close(&mut self) -> Result<(), CheckpointError> {
        let content = std::mem::take(&mut self.content);
        let Some(packs) = self.packs.as_ref().filter(|_| !content.is_empty()) else { return Ok(()) };
        self.closed += 1;
        // Whoever packs says himself why he ended.
        packs.send(content).map_err(|_| CheckpointError::Keep(io::ErrorKind::BrokenPipe.into()))
    }

    fn finish(self, new: &[PackInfo]) -> (Manifest, Vec<(u32, Mark)>, Skipped) {
        let mut packs: Vec<PackInfo> = Vec::new();
        let mut numbers: HashMap<Fingerprint, u32> = HashMap::new();
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for (fingerprint, place) in self.pieces {
            let (info, offset, length) = match place {
                Where::Before(place) => (place.pack, place.offset, place.length),
                Where::Now { pack, offset, length } => (new[pack as usize], offset, length),
            };
            let pack = *numbers.entry(info.fingerprint).or_insert_with(|| {
                packs.push(info);
                packs.len() as u32 - 1
            });
            pieces.push(Piece { fingerprint, pack, offset, length });
        }
        (Manifest { packs, pieces, entries: self.entries }, self.marks, self.skipped)
    }
}

const READ: &str = "read the workspace for the checkpoint";

fn system(error: Errno) -> CheckpointError {
    CheckpointError::System { what: READ, source: error.into() }
}
