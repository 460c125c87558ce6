//! The capsule's user namespace: its ids from 0 are the host's from `uid_base`.
//!
//! It is made by a short-lived child, since the mapping of the image needs it before anyone may live in it. A second one,
//! in which nobody ever lives, maps the owners on a disk.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use rustix::process::WaitOptions;
use rustix::thread::UnshareFlags;
use vitrine_init::{IDS, Plan};

use crate::error::{Failure, Step};
use crate::sys;

/// Who owns what.
pub struct Users {
    /// The namespace that the capsule lives in.
    pub capsule: OwnedFd,
    /// How the owners on its disk are seen, if it has one: as the capsule's, and one more id as the host's root, which
    /// could otherwise not make a file there to give it away.
    pub disk: Option<OwnedFd>,
}

impl Users {
    pub fn of(plan: &Plan) -> Result<Self, Failure> {
        let own = format!("0 {} {IDS}", plan.uid_base);
        let disk = plan.disk.as_ref().map(|_| namespace(&format!("{own}\n{IDS} 0 1"))).transpose()?;
        Ok(Self { capsule: namespace(&own)?, disk })
    }
}

/// A descriptor that keeps a namespace alive.
fn namespace(map: &str) -> Result<OwnedFd, Failure> {
    let (made, says_made) = rustix::pipe::pipe().step(|| "make a pipe".into())?;
    let (may_leave, lets_leave) = rustix::pipe::pipe().step(|| "make a pipe".into())?;
    let Some(child) = sys::fork().step(|| "start the holder of the user namespace".into())? else {
        drop((made, lets_leave));
        hold(&says_made, &may_leave)
    };
    drop((says_made, may_leave));
    let mut word = [0];
    let count = rustix::io::read(&made, &mut word).step(|| "wait for the user namespace".into())?;
    let join = || rustix::process::waitpid(Some(child), WaitOptions::empty()).step(|| "join the holder".into());
    if count == 0 {
        // In a container the server may be its process 1, which would inherit the dead one.
        join()?;
        return Err("its holder was refused").step(|| "make a user namespace".into());
    }
    let holder = format!("/proc/{}", child.as_raw_nonzero());
    for file in ["uid_map", "gid_map"] {
        fs::write(format!("{holder}/{file}"), map).step(|| format!("write {map:?} as {file}"))?;
    }
    let users = File::open(format!("{holder}/ns/user")).step(|| "open the user namespace".into())?;
    drop(lets_leave);
    join()?;
    Ok(users.into())
}

fn hold(says_made: &OwnedFd, may_leave: &OwnedFd) -> ! {
    if sys::unshare(UnshareFlags::NEWUSER).is_ok() && rustix::io::write(says_made, b"m").is_ok() {
        // Returns when the other end is closed, by whatever happened to the parent.
        let _ = rustix::io::read(may_leave, &mut [0]);
    }
    std::process::exit(0)
}
