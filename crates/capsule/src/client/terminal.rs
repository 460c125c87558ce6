//! The terminal of a program in a capsule, from where a person would sit.
//!
//! Assumes one reader at a time: what one has read, no other sees. Promises that reading and writing wait for nobody but
//! the program, and never hold a thread.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// The device number of every master of a terminal: `/dev/ptmx`.
const MASTER: (u32, u32) = (5, 2);

/// Dropping it leaves the program alone; see [`crate::Capsule::attach`].
#[derive(Debug)]
pub struct Terminal {
    master: AsyncFd<Arc<OwnedFd>>,
}

impl Terminal {
    /// Takes what init says is a master.
    pub(super) fn new(master: OwnedFd) -> io::Result<Self> {
        let status = rustix::fs::fstat(&master)?;
        let device = (rustix::fs::major(status.st_rdev), rustix::fs::minor(status.st_rdev));
        if FileType::from_raw_mode(status.st_mode) != FileType::CharacterDevice || device != MASTER {
            return Err(ErrorKind::InvalidData.into());
        }
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        Ok(Self { master: sys::watch(Arc::new(master))? })
    }

    /// What the program writes; 0 when nobody has the terminal open any more. The kernel keeps some kilobytes, then the
    /// program waits.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |master: &Arc<OwnedFd>| match rustix::io::read(master, &mut *buffer) {
            Err(Errno::IO) => Ok(0),
            other => Ok(other?),
        };
        self.master.async_io(Interest::READABLE, read).await
    }

    /// Type all of this. Waits as long as the program reads nothing and the kernel has no more room.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |master: &Arc<OwnedFd>| Ok(rustix::io::write(master, bytes)?);
            let count = self.master.async_io(Interest::WRITABLE, write).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// The program in the foreground is told.
    pub fn resize(&self, cols: u16, rows: u16) -> io::Result<()> {
        sys::set_window_size(self.master.get_ref().as_fd(), cols, rows)
    }
}
