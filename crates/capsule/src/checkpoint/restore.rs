//! Bringing a checkpoint back: into a folder of the host's, or in place of what a capsule's directory holds.
//!
//! Packs are asked for once each, in turn. Everything is made from the top down by descriptors: whoever renames and links in
//! the capsule meanwhile spoils the capsule's own files only.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::manifest::{Entry, Kind, Manifest, PackInfo, damaged};
use super::{CheckpointError, Fingerprint, PIECE_BYTES, pack};
use crate::files::{FileError, Files, draft_name, look_up, remove};

/// Brings the bytes of a pack.
pub type Source<'a> = &'a mut dyn FnMut(&PackInfo) -> io::Result<Vec<u8>>;

/// Make a folder of the host's with what a checkpoint holds, owned by the capsule's plain ids: what a capsule's workspace can
/// lie over. It appears when it is whole. Its parent must be closed to other users of the machine; what was broken off, by
/// the machine's end too, is for the caller to clear away.
pub fn unpack_checkpoint(folder: &Path, manifest: &Manifest, source: Source<'_>) -> Result<(), CheckpointError> {
    let unfinished = unfinished(folder)?;
    let mut unpack = || {
        std::fs::DirBuilder::new().mode(0o700).create(&unfinished).map_err(system)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::openat(CWD, &unfinished, flags, Mode::empty()).map_err(system)?;
        Restoring::new(top, 0, manifest).run(source)?;
        std::fs::rename(&unfinished, folder).map_err(system)
    };
    let unpacked = unpack();
    if unpacked.is_err() {
        let _ = crate::delete::delete(&unfinished);
    }
    unpacked
}

fn unfinished(folder: &Path) -> Result<PathBuf, CheckpointError> {
    let mut name = OsString::from(draft_name().map_err(system)?);
    name.push(folder.file_name().unwrap_or_default());
    Ok(folder.with_file_name(name))
}

impl Files {
    /// Replace what a directory holds by what a checkpoint does. Until all of it is there and checked, nothing is touched;
    /// for that long, both need room on the disk.
    pub fn restore(
        &self,
        directory: impl AsRef<Path>,
        manifest: &Manifest,
        source: Source<'_>,
    ) -> Result<(), CheckpointError> {
        let directory = directory.as_ref();
        let _identity = self.identity(directory)?;
        let top = self.directory(directory)?;
        let (new, old) = (draft_name().map_err(system)?, draft_name().map_err(system)?);
        let staged = folder(&top, &new)?;
        let unpacked = staged.try_clone().map_err(system).and_then(|staged| {
            Restoring::new(staged, self.uid_base(), manifest).run(source)?;
            folder(&top, &old)
        });
        let exchanged = unpacked.and_then(|away| {
            exchange(&top, &staged, &away).inspect_err(|_| {
                // Back, so that nothing is lost.
                for name in names(&away).unwrap_or_default() {
                    let _ = rustix::fs::renameat_with(&away, &name, &top, &name, RenameFlags::NOREPLACE);
                }
            })
        });
        let done = exchanged.is_ok();
        let cleared = remove(&top, new.as_str(), true).and_then(|()| remove(&top, old.as_str(), done));
        exchanged?;
        cleared.map_err(system)?;
        let entry = manifest.entries.first();
        entry.map_or(Ok(()), |entry| finish(&top, entry, self.uid_base())).map_err(system)
    }
}

/// Everything in `top` goes `away`, and everything in `staged` comes up.
fn exchange(top: &OwnedFd, staged: &OwnedFd, away: &OwnedFd) -> Result<(), CheckpointError> {
    let inode = |place: &OwnedFd| rustix::fs::fstat(place).map(|status| status.st_ino).map_err(system);
    let own = [inode(staged)?, inode(away)?];
    for name in names(top)? {
        let is_own = rustix::fs::statat(top, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|it| own.contains(&it.st_ino));
        match if is_own { Ok(()) } else { rustix::fs::renameat(top, &name, away, &name) } {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(system(error)),
        }
    }
    for name in names(staged)? {
        rustix::fs::renameat(staged, &name, top, &name).map_err(system)?;
    }
    Ok(())
}

/// A new directory that nobody but root enters.
fn folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, CheckpointError> {
    rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(system)?;
    open(parent, Path::new(name), OFlags::RDONLY | OFlags::DIRECTORY).map_err(system)
}

fn names(folder: &OwnedFd) -> Result<Vec<OsString>, CheckpointError> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder).map_err(system)? {
        let name = OsString::from_vec(entry.map_err(system)?.file_name().to_bytes().to_vec());
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// One place where a piece of a pack goes.
struct Use {
    pack: u32,
    entry: u32,
    place: u32,
    piece: u32,
}

struct Restoring<'a> {
    top: OwnedFd,
    uid_base: u32,
    manifest: &'a Manifest,
    uses: Vec<Use>,
    /// How many pieces each entry still lacks.
    lacking: Vec<u32>,
    /// The directory that was used last: mostly the next one too.
    folder: Option<(PathBuf, OwnedFd)>,
    /// The file that was written to last.
    file: Option<(u32, File)>,
}

impl<'a> Restoring<'a> {
    fn new(top: OwnedFd, uid_base: u32, manifest: &'a Manifest) -> Self {
        let mut uses = Vec::new();
        let mut lacking = vec![0; manifest.entries.len()];
        for (number, entry) in manifest.entries.iter().enumerate() {
            if let Kind::File { pieces, .. } = &entry.kind {
                lacking[number] = pieces.len() as u32;
                uses.extend(pieces.iter().map(|(place, piece)| {
                    let pack = manifest.pieces[*piece as usize].pack;
                    Use { pack, entry: number as u32, place: *place, piece: *piece }
                }));
            }
        }
        uses.sort_by_key(|one| (one.pack, one.entry, one.place));
        Self { top, uid_base, manifest, uses, lacking, folder: None, file: None }
    }

    fn run(mut self, source: Source<'_>) -> Result<(), CheckpointError> {
        for entry in self.manifest.entries.iter().filter(|entry| entry.kind == Kind::Directory).skip(1) {
            let (folder, name) = self.place(entry)?;
            rustix::fs::mkdirat(folder, name, Mode::RWXU).map_err(system)?;
        }
        let uses = std::mem::take(&mut self.uses);
        for uses in uses.chunk_by(|one, other| one.pack == other.pack) {
            let info = &self.manifest.packs[uses[0].pack as usize];
            let content = pack::open(&source(info).map_err(CheckpointError::Get)?, info)?;
            self.check(uses, &content)?;
            for one in uses {
                self.write(one, &content)?;
            }
        }
        self.file = None;
        let entries = &self.manifest.entries;
        for (number, entry) in entries.iter().enumerate() {
            match &entry.kind {
                Kind::File { pieces, .. } if pieces.is_empty() => {
                    let file = self.open_file(number as u32, true)?;
                    self.finish_file(number as u32, &file)?;
                }
                Kind::Link { target } => self.link(entry, target)?,
                Kind::Again { entry: first } => self.link_again(entry, &entries[*first as usize])?,
                _ => {}
            }
        }
        // What is in a directory changes its time: the inner ones first.
        for entry in entries.iter().rev().filter(|entry| entry.kind == Kind::Directory) {
            let path = if entry.path.is_empty() { Path::new(".") } else { entry.path() };
            let folder = open(&self.top, path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(system)?;
            finish(&folder, entry, self.uid_base).map_err(system)?;
        }
        Ok(())
    }

    /// Each piece that is used of a pack.
    fn check(&self, uses: &[Use], content: &[u8]) -> Result<(), CheckpointError> {
        let mut pieces: Vec<u32> = uses.iter().map(|one| one.piece).collect();
        pieces.sort_unstable();
        pieces.dedup();
        for number in pieces {
            let piece = &self.manifest.pieces[number as usize];
            if Fingerprint::of(self.bytes(number, content)) != piece.fingerprint {
                return Err(damaged(&format!("a piece of pack {} has other bytes", piece.fingerprint)));
            }
        }
        Ok(())
    }

    fn bytes<'b>(&self, piece: u32, content: &'b [u8]) -> &'b [u8] {
        let piece = &self.manifest.pieces[piece as usize];
        &content[piece.offset as usize..][..piece.length as usize]
    }

    fn write(&mut self, one: &Use, content: &[u8]) -> Result<(), CheckpointError> {
        let file = match self.file.take().filter(|(entry, _)| *entry == one.entry) {
            Some((_, file)) => file,
            None => self.open_file(one.entry, self.is_untouched(one.entry))?,
        };
        let offset = u64::from(one.place) * PIECE_BYTES as u64;
        file.write_all_at(self.bytes(one.piece, content), offset).map_err(system)?;
        self.lacking[one.entry as usize] -= 1;
        if self.lacking[one.entry as usize] == 0 {
            self.finish_file(one.entry, &file)?;
        } else {
            self.file = Some((one.entry, file));
        }
        Ok(())
    }

    fn is_untouched(&self, entry: u32) -> bool {
        match &self.manifest.entries[entry as usize].kind {
            Kind::File { pieces, .. } => self.lacking[entry as usize] as usize == pieces.len(),
            _ => true,
        }
    }

    fn open_file(&mut self, entry: u32, is_new: bool) -> Result<File, CheckpointError> {
        let (folder, name) = self.place(&self.manifest.entries[entry as usize])?;
        let opened = if is_new {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
        } else {
            crate::files::open_regular(folder, name, OFlags::WRONLY).map(|(file, _)| file)
        };
        opened.map_err(system)
    }

    fn finish_file(&self, entry: u32, file: &File) -> Result<(), CheckpointError> {
        let entry = &self.manifest.entries[entry as usize];
        if let Kind::File { size, pieces } = &entry.kind {
            let written = pieces.last().map_or(0, |(place, piece)| {
                let length = self.manifest.pieces[*piece as usize].length;
                u64::from(*place) * PIECE_BYTES as u64 + u64::from(length)
            });
            if written < *size {
                file.set_len(*size).map_err(system)?;
            }
        }
        finish(file, entry, self.uid_base).map_err(system)
    }

    fn link(&mut self, entry: &Entry, target: &[u8]) -> Result<(), CheckpointError> {
        let uid_base = self.uid_base;
        let (folder, name) = self.place(entry)?;
        let (uid, gid) = owner(entry, uid_base);
        rustix::fs::symlinkat(target, folder, name)
            .and_then(|()| rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW))
            .and_then(|()| rustix::fs::utimensat(folder, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW))
            .map_err(system)
    }

    fn link_again(&mut self, entry: &Entry, first: &Entry) -> Result<(), CheckpointError> {
        let (from, old_name) = split(first)?;
        let from = open(&self.top, from, OFlags::PATH | OFlags::DIRECTORY).map_err(system)?;
        let (folder, name) = self.place(entry)?;
        rustix::fs::linkat(&from, old_name, folder, name, AtFlags::empty()).map_err(system)
    }

    /// The directory that an entry is in, and its name there.
    fn place<'e>(&mut self, entry: &'e Entry) -> Result<(&OwnedFd, &'e OsStr), CheckpointError> {
        let (path, name) = split(entry)?;
        let known = match self.folder.take().filter(|(known, _)| known == path) {
            Some(known) => known,
            None => (path.to_owned(), open(&self.top, path, OFlags::PATH | OFlags::DIRECTORY).map_err(system)?),
        };
        Ok((&self.folder.insert(known).1, name))
    }
}

fn split(entry: &Entry) -> Result<(&Path, &OsStr), CheckpointError> {
    let path = entry.path();
    let name = path.file_name().ok_or_else(|| damaged("its list has a nameless entry"))?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, name))
}

fn open(top: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    look_up(top, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV)
}

/// What is known of an entry besides its content. The owner first: changing it clears permissions.
fn finish(file: impl AsFd, entry: &Entry, uid_base: u32) -> Result<(), Errno> {
    let (uid, gid) = owner(entry, uid_base);
    rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode))?;
    rustix::fs::futimens(&file, &times(entry))
}

fn owner(entry: &Entry, uid_base: u32) -> (Uid, Gid) {
    (Uid::from_raw(uid_base + entry.uid), Gid::from_raw(uid_base + entry.gid))
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.modified.0, tv_nsec: i64::from(entry.modified.1) };
    Timestamps { last_access: time, last_modification: time }
}

fn system(error: impl Into<io::Error>) -> CheckpointError {
    let error = error.into();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            CheckpointError::File(FileError::Full("the checkpoint's files".into()))
        }
        _ => CheckpointError::System { what: "write the checkpoint's files", source: error },
    }
}
