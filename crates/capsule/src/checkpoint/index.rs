//! What is known from the last checkpoint, so that the next one reads and keeps only what has changed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

use super::Fingerprint;
use super::manifest::{Kind, Manifest, PackInfo, Time};

/// Two changes so close to each other may bear the same time: the kernel's clock for files goes in steps of at most 10 ms.
const STEP: Duration = Duration::from_millis(20);
/// A pack of which so little is in use is not used again: who restores has to fetch all of it.
const IN_USE_MIN: u64 = 4;
/// When there are more packs than this that are much smaller than they could be, their pieces are put together anew.
const SMALL_PACKS_MAX: usize = 32;
const SMALL_PACK_BYTES: u32 = 1024 * 1024;

/// Belongs to one directory and to the checkpoint that it came with: it is of use when that checkpoint is kept, with all its
/// packs. An empty one makes a checkpoint that needs no other.
#[derive(Clone, Debug, Default)]
pub struct Index {
    files: HashMap<Box<[u8]>, Seen>,
    places: HashMap<Fingerprint, Place>,
    packs: HashMap<Fingerprint, PackInfo>,
}

/// A file as it was when its pieces were read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mark: Mark,
    pieces: Box<[(u32, Fingerprint)]>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    device: u64,
    inode: u64,
    size: i64,
    modified: Time,
    changed: Time,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub pack: PackInfo,
    pub offset: u32,
    pub length: u32,
}

impl Mark {
    pub fn of(status: &Stat) -> Self {
        let time = |seconds, nanoseconds| (seconds, u32::try_from(nanoseconds).unwrap_or(0));
        Self {
            device: status.st_dev,
            inode: status.st_ino,
            size: status.st_size,
            modified: time(status.st_mtime, status.st_mtime_nsec),
            changed: time(status.st_ctime, status.st_ctime_nsec),
        }
    }

    pub fn modified(&self) -> Time {
        self.modified
    }

    pub fn size(&self) -> u64 {
        u64::try_from(self.size).unwrap_or(0)
    }

    /// Whether any later change would show.
    fn is_settled(&self, now: Duration) -> bool {
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        now.checked_sub(Duration::new(changed, self.changed.1)).is_some_and(|age| age > STEP)
    }
}

impl Index {
    /// What a checkpoint that was restored has, without what is known of files: those are read, but not kept again.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            files: HashMap::new(),
            places: places(manifest).collect(),
            packs: manifest.packs.iter().map(|pack| (pack.fingerprint, *pack)).collect(),
        }
    }

    /// What the next checkpoint may rely on, once this one is kept: the files whose mark tells of any later change.
    pub(super) fn after(
        manifest: &Manifest,
        marks: Vec<(u32, Mark)>,
        mapped: Option<&HashSet<u64>>,
        taken: Duration,
    ) -> Self {
        let mut index = Self::of(manifest);
        for (entry, mark) in marks {
            let entry = &manifest.entries[entry as usize];
            // A program that has a file in its memory changes it without a trace.
            if let Kind::File { pieces, .. } = &entry.kind
                && mark.is_settled(taken)
                && mapped.is_some_and(|mapped| !mapped.contains(&mark.inode))
            {
                let name = |(place, piece): &(u32, u32)| (*place, manifest.pieces[*piece as usize].fingerprint);
                index.files.insert(entry.path.clone(), Seen { mark, pieces: pieces.iter().map(name).collect() });
            }
        }
        index
    }

    /// The time that files are marked with.
    #[expect(clippy::disallowed_methods, reason = "compared with the times of files, which are the kernel's")]
    pub(super) fn now() -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// The pieces of a file that has not changed.
    pub(super) fn pieces(&self, path: &[u8], mark: Mark) -> Option<&[(u32, Fingerprint)]> {
        self.files.get(path).filter(|seen| seen.mark == mark).map(|seen| &*seen.pieces)
    }

    pub(super) fn place(&self, piece: &Fingerprint) -> Option<Place> {
        self.places.get(piece).copied()
    }

    /// The packs that are not worth being used again.
    pub(super) fn remnants(&self) -> HashSet<Fingerprint> {
        let mut in_use: HashMap<Fingerprint, u64> = HashMap::new();
        for place in self.places.values() {
            *in_use.entry(place.pack.fingerprint).or_default() += u64::from(place.length);
        }
        let is_small = |pack: &PackInfo| pack.content_bytes < SMALL_PACK_BYTES;
        let too_many = self.packs.values().filter(|pack| is_small(pack)).count() > SMALL_PACKS_MAX;
        let is_remnant = |pack: &&PackInfo| {
            let used = in_use.get(&pack.fingerprint).copied().unwrap_or(0);
            used * IN_USE_MIN < u64::from(pack.content_bytes) || too_many && is_small(pack)
        };
        self.packs.values().filter(is_remnant).map(|pack| pack.fingerprint).collect()
    }
}

fn places(manifest: &Manifest) -> impl Iterator<Item = (Fingerprint, Place)> {
    manifest.pieces.iter().map(|piece| {
        let pack = manifest.packs[piece.pack as usize];
        (piece.fingerprint, Place { pack, offset: piece.offset, length: piece.length })
    })
}
