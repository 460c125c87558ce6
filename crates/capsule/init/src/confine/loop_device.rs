//! A block device over a file, by `LOOP_CONFIGURE` (Linux 5.8).
//!
//! Assumes root and a machine whose `/dev` shows loop devices as they are made. Promises that the kernel takes the device
//! back when its last user is gone, however that one ended, and that the file stays locked (as by `flock`) until then.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::fs::{Advice, FlockOperation, SeekFrom};
use rustix::io::Errno;

use crate::error::{Failure, Step};

const CONTROL: &str = "/dev/loop-control";
/// From the kernel's `linux/loop.h`.
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const AUTOCLEAR: u32 = 4;
/// What the file systems on such a device read and write at once, in bytes.
const BLOCK_BYTES: u32 = 4096;
/// How much is read before it is asked for, at the two places where a file system begins: its own tables, and its first
/// folders. In bytes.
const READ_AHEAD_BYTES: u64 = 256 * 1024;
/// Programs that are not ours may take a free device before we do.
const ATTEMPTS_MAX: u32 = 64;
/// An earlier user's last writes may be on their way still.
const LOCK_ATTEMPTS_MAX: u32 = 300;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The kernel's `struct loop_info64`, as far as it is used.
#[repr(C)]
#[derive(Default)]
struct Info {
    _places: [u64; 5],
    _number: u32,
    _encryption: [u32; 2],
    flags: u32,
    _names: [[u64; 10]; 2],
    _init: [u64; 2],
}

/// The kernel's `struct loop_config`.
#[repr(C)]
#[derive(Default)]
struct Config {
    file: u32,
    block_bytes: u32,
    info: Info,
    _reserved: [u64; 8],
}

/// The device exists at least as long as this.
pub struct LoopDevice {
    pub path: String,
    _device: File,
}

impl LoopDevice {
    /// Fails when the file stays locked by another.
    pub fn attach(file: &File) -> Result<Self, Failure> {
        lock(file).step(|| "have the disk, which another capsule has".into())?;
        // The kernel flushes the file below: what is much is written before others have to wait for it.
        write_back(file).step(|| "write the disk back".into())?;
        let control = read_write(CONTROL).step(|| format!("open {CONTROL}"))?;
        // What is free is taken in one step, so that many capsules at once do not race for the same.
        rustix::fs::flock(&control, FlockOperation::LockExclusive).step(|| format!("lock {CONTROL}"))?;
        for _ in 0..ATTEMPTS_MAX {
            let path = free(&control).step(|| "find a free loop device".into())?;
            let device = read_write(&path).step(|| format!("open {path}"))?;
            match configure(&device, file) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                other => {
                    other.step(|| format!("attach the disk to {path}"))?;
                    read_ahead(&device, file);
                    return Ok(Self { path, _device: device });
                }
            }
        }
        Err("others take them all").step(|| "find a free loop device".into())
    }
}

/// Otherwise every block on the way to the first file is waited for by itself.
fn read_ahead(device: &File, file: &File) {
    let folders = rustix::fs::seek(file, SeekFrom::Data(READ_AHEAD_BYTES)).unwrap_or(READ_AHEAD_BYTES);
    for start in [0, folders] {
        // Whatever is not read now is read later.
        let _ = rustix::fs::fadvise(device, start, NonZeroU64::new(READ_AHEAD_BYTES), Advice::WillNeed);
    }
}

/// The lock belongs to the opened file, which the device keeps open.
fn lock(file: &File) -> Result<(), Errno> {
    for _ in 0..LOCK_ATTEMPTS_MAX {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    Err(Errno::WOULDBLOCK)
}

fn write_back(file: &File) -> io::Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: touches no memory of this process.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn read_write(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn free(control: &File) -> io::Result<String> {
    // SAFETY: this request takes no argument.
    match unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) } {
        -1 => Err(io::Error::last_os_error()),
        number => Ok(format!("/dev/loop{number}")),
    }
}

fn configure(device: &File, file: &File) -> io::Result<()> {
    let descriptor = file.as_fd().as_raw_fd() as u32;
    let info = Info { flags: AUTOCLEAR, ..Info::default() };
    let config = Config { file: descriptor, block_bytes: BLOCK_BYTES, info, ..Config::default() };
    // SAFETY: the argument is the structure that this request reads, alive for the call.
    match unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Their sizes are part of what the kernel expects.
const _: () = assert!(size_of::<Info>() == 232 && size_of::<Config>() == 304);
