//! File system trees by descriptor: make one, map its ids, put it where it belongs.
//!
//! Every target is looked up with `RESOLVE_IN_ROOT`, so a symbolic link of the image leads into the capsule, never out.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::error::{Failure, Step};

/// A detached file system of the given kind.
pub fn filesystem(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd, Failure> {
    let make = || {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in options {
            match *value {
                "" => rustix::mount::fsconfig_set_flag(&context, *key)?,
                value => rustix::mount::fsconfig_set_string(&context, *key, value)?,
            }
        }
        rustix::mount::fsconfig_create(&context)?;
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().step(|| format!("make the {kind} with {options:?}"))
}

/// A detached copy of the mount of a host path.
pub fn copy(source: impl AsFd, path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(source, path, flags).step(|| format!("take {}", path.display()))
}

/// Attach a detached tree at an opened place.
pub fn attach(tree: &OwnedFd, place: impl AsFd) -> Result<(), Failure> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", place, "", flags).step(|| "attach a mount".into())
}

/// A place on the host.
pub fn host(path: &Path) -> Result<OwnedFd, Failure> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .step(|| format!("open {}", path.display()))
}

/// A capsule's root under construction.
pub struct Root {
    top: OwnedFd,
    owner: u32,
}

impl Root {
    pub fn new(top: OwnedFd, owner: u32) -> Self {
        Self { top, owner }
    }

    pub fn top(&self) -> &OwnedFd {
        &self.top
    }

    /// The place in the capsule, if it exists.
    pub fn find(&self, path: &Path) -> Result<Option<OwnedFd>, Failure> {
        let path = path.strip_prefix("/").unwrap_or(path);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.top, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(place) => Ok(Some(place)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error).step(|| format!("open {} in the capsule", path.display())),
        }
    }

    /// The place in the capsule, made as a directory or an empty file when it is missing.
    pub fn ensure(&self, path: &Path, kind: FileType) -> Result<OwnedFd, Failure> {
        if let Some(place) = self.find(path)? {
            return Ok(place);
        }
        let mut so_far = Path::new("/").to_owned();
        let names: Vec<&OsStr> = path
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        for (index, name) in names.iter().enumerate() {
            let parent = self.find(&so_far)?.ok_or("it vanished").step(|| format!("find {}", so_far.display()))?;
            so_far.push(name);
            if self.find(&so_far)?.is_none() {
                let last = index + 1 == names.len();
                self.make(&parent, name, if last { kind } else { FileType::Directory })
                    .step(|| format!("make {} in the capsule", so_far.display()))?;
            }
        }
        self.find(path)?.ok_or("it leads nowhere").step(|| format!("make {} in the capsule", path.display()))
    }

    fn make(&self, parent: &OwnedFd, name: &OsStr, kind: FileType) -> Result<(), Errno> {
        if kind == FileType::Directory {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))?;
        }
        let (user, group) = (Uid::from_raw(self.owner), Gid::from_raw(self.owner));
        rustix::fs::chownat(parent, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
    }
}
