//! Deleting a directory that hostile programs have filled.
//!
//! Promises to go by descriptors only, to follow no link, to enter no other mount, and to bear any depth and number.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

/// Deeper directories are first moved up: neither descriptors nor the stack grow with the depth that somebody made.
const DEPTH_MAX: usize = 32;

/// Delete a directory and all below it. `ENOENT` is success; `EXDEV` tells of a mount that was left alone.
pub(crate) fn delete(path: &Path) -> Result<(), Errno> {
    let top = match open(CWD, path, ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    empty(top)?;
    match rustix::fs::rmdir(path) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Delete all that is in a directory, opened for reading.
pub(crate) fn empty(top: OwnedFd) -> Result<(), Errno> {
    let mut eraser = Eraser { top, moved: 0 };
    // What is moved up lands in a directory that is being read and may be missed; then it is read again.
    loop {
        let before = eraser.moved;
        let top = eraser.top.try_clone().map_err(|_| Errno::MFILE)?;
        eraser.empty(&top, 0)?;
        if eraser.moved == before {
            return Ok(());
        }
    }
}

struct Eraser {
    top: OwnedFd,
    moved: u64,
}

impl Eraser {
    fn empty(&mut self, directory: &OwnedFd, depth: usize) -> Result<(), Errno> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let unlinked = match entry.file_type() {
                FileType::Directory => Err(Errno::ISDIR),
                _ => rustix::fs::unlinkat(directory, name, AtFlags::empty()),
            };
            match unlinked {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => self.remove(directory, name, depth)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn remove(&mut self, parent: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Errno> {
        // Often empty already; a mount is busy, and reported by opening it below.
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => {}
            Err(error) => return Err(error),
        }
        if depth >= DEPTH_MAX {
            return self.move_up(parent, name);
        }
        let alone = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        let directory = open(parent, name, alone)?;
        self.empty(&directory, depth + 1)?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            // Emptied while it was read; the caller of all this tries again.
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    fn move_up(&mut self, parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved += 1;
            let new_name = format!(".deep-{}", self.moved);
            match rustix::fs::renameat_with(parent, name, &self.top, new_name, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                other => return other,
            }
        }
    }
}

fn open(parent: impl AsFd, name: impl rustix::path::Arg, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn depth_links_and_pipes_are_no_obstacle() {
        let folder = tempfile::tempdir().expect("a folder");
        let outside = folder.path().join("outside");
        fs::write(&outside, "kept").expect("written");
        let victim = folder.path().join("victim");
        fs::create_dir(&victim).expect("made");
        let mut place = rustix::fs::open(&victim, OFlags::PATH, Mode::empty()).expect("opened");
        for _ in 0..2000 {
            rustix::fs::mkdirat(&place, "d", Mode::RWXU).expect("made");
            rustix::fs::symlinkat(&outside, &place, "link").expect("linked");
            place = rustix::fs::openat(&place, "d", OFlags::PATH, Mode::empty()).expect("opened");
        }
        delete(&victim).expect("deleted");
        assert!(!victim.exists());
        assert_eq!(fs::read_to_string(outside).expect("still there"), "kept");
        delete(&victim).expect("deleting twice is fine");
    }
}
