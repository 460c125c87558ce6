//! From an archive to a browser's folder.

use super::{Budget, COOKIES, DEPTH_MAX, ProfileError, SessionCookies, is_kept};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};
use tar::{Archive, EntryType};

/// 128 MiB: what the packer's level never needs, and no archive may ask for more.
const WINDOW_LOG_MAX: u32 = 27;
/// The cookies, as text.
const COOKIES_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Who the files belong to: the browser's user, as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Unpacks a profile into `folder`, the empty one of a browser that has not started, and gives the cookies to restore once it has.
pub fn unpack(archive: impl Read, folder: &Path, owner: Owner) -> Result<SessionCookies, ProfileError> {
    let damaged = |error: io::Error| ProfileError::Malformed(error.to_string());
    let mut decoder = zstd::Decoder::new(archive).map_err(damaged)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
    let top = rustix::fs::openat(CWD, folder, FOLDER_ONLY, Mode::empty());
    let top = top.map_err(ProfileError::io("open the browser's folder"))?;
    let (mut budget, mut cookies) = (Budget::new(), SessionCookies::default());
    for entry in Archive::new(decoder).entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        budget.take(entry.size())?;
        match entry.header().entry_type() {
            EntryType::Regular if path == Path::new(COOKIES) => {
                let text = io::read_to_string(entry.take(COOKIES_BYTES_MAX)).map_err(damaged)?;
                cookies = serde_json::from_str(&text).map_err(|error| ProfileError::Malformed(error.to_string()))?;
            }
            kind @ (EntryType::Regular | EntryType::Directory) if is_kept(&path) => {
                if path.components().count() > DEPTH_MAX {
                    return Err(ProfileError::TooDeep);
                }
                let failed = ProfileError::io(format!("unpack {}", path.display()));
                place(&top, &path, kind, entry, owner).map_err(failed)?;
            }
            kind => return Err(ProfileError::Malformed(format!("{} is {kind:?}", path.display()))),
        }
    }
    Ok(cookies)
}

const FOLDER_ONLY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn place(top: &OwnedFd, path: &Path, kind: EntryType, mut content: impl Read, owner: Owner) -> io::Result<()> {
    let mut folder = top.try_clone()?;
    let mut names = path.components().peekable();
    // `is_kept` has let only plain names through.
    while let Some(Component::Normal(name)) = names.next() {
        if names.peek().is_none() && kind == EntryType::Regular {
            let mut file = File::from(rustix::fs::openat(&folder, name, NEW_FILE, Mode::RUSR | Mode::WUSR)?);
            io::copy(&mut content, &mut file)?;
            return give(&file, owner);
        }
        match rustix::fs::mkdirat(&folder, name, Mode::RWXU) {
            Err(Errno::EXIST) => folder = rustix::fs::openat(&folder, name, FOLDER_ONLY, Mode::empty())?,
            made => {
                made?;
                folder = rustix::fs::openat(&folder, name, FOLDER_ONLY, Mode::empty())?;
                give(&folder, owner)?;
            }
        }
    }
    Ok(())
}

fn give(file: impl AsFd, owner: Owner) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    Ok(rustix::fs::fchown(file, Some(uid), Some(gid))?)
}
