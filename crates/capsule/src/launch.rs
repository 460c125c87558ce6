//! Starting the helper that confines a capsule.
//!
//! The helper is part of this library and runs from a sealed copy in memory, so nothing on disk, and nothing that a
//! capsule could reach, can replace it. It is freshly executed, never a fork of this many-threaded process.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use vitrine_init::{Order, PROCESS, READY};

use crate::CapsuleError;
use crate::error::Doing;

pub(crate) static PROGRAM: &[u8] = include_bytes!(env!("VITRINE_INIT"));
/// A confinement takes about ten milliseconds; a machine that needs this long is beyond help.
const DEADLINE: Duration = Duration::from_secs(20);
/// The longest report that is read, in bytes.
const REPORT_BYTES_MAX: u64 = 4096;

/// The helper's program, ready to be executed.
#[derive(Debug)]
pub(crate) struct Helper {
    program: OwnedFd,
}

impl Helper {
    pub fn new() -> Result<Self, CapsuleError> {
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        let make = || {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let memory = match rustix::fs::memfd_create("vitrine-init", flags | MemfdFlags::EXEC) {
                // Linux before 6.3 has no such flag and makes every memory file executable.
                Err(Errno::INVAL) => rustix::fs::memfd_create("vitrine-init", flags)?,
                other => other?,
            };
            let mut file = File::from(memory);
            file.write_all(PROGRAM)?;
            rustix::fs::fcntl_add_seals(&file, seals)?;
            // Executing needs a descriptor that nobody may write through.
            let read_only = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
            io::Result::Ok(Self { program: read_only.into() })
        };
        make().doing(|| "prepare the helper".into())
    }

    /// Returns when process 1 of the capsule answers on its control socket. It is our child; `born` is told of it even
    /// when it fails.
    pub async fn confine(&self, order: &Order, born: impl FnOnce(OwnedFd)) -> Result<(), CapsuleError> {
        let input = in_memory(order).doing(|| "write the order".into())?;
        let mut command = Command::new(format!("/proc/self/fd/{}", self.program.as_raw_fd()));
        command
            .arg0("vitrine-init")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(input))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Whoever spawns stands still until the kernel has read the program, which may take tens of milliseconds.
        let spawned = tokio::task::spawn_blocking(move || command.spawn()).await;
        let mut helper =
            spawned.map_err(io::Error::other).and_then(|spawned| spawned).doing(|| "start the helper".into())?;
        let mut report = String::new();
        if let Some(output) = helper.stdout.take() {
            let read = async { output.take(REPORT_BYTES_MAX).read_to_string(&mut report).await };
            let read = tokio::time::timeout(DEADLINE, read).await;
            let read = read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            read.doing(|| "read the helper's report".into())?;
        }
        helper.wait().await.doing(|| "wait for the helper".into())?;
        let (process, rest): (Vec<&str>, Vec<&str>) = report.lines().partition(|line| line.starts_with(PROCESS));
        if let Some(process) = process.first().and_then(|line| open_process(line)) {
            born(process);
        }
        // Two processes report where a runtime confines: one may be ready and the other fail.
        let (ready, failures): (Vec<&str>, Vec<&str>) = rest.into_iter().partition(|line| *line == READY);
        match failures.join("; ").as_str() {
            "" if ready.is_empty() => Err(CapsuleError::Confine("finish: the helper was killed".into())),
            "" => Ok(()),
            failure => Err(CapsuleError::Confine(failure.to_owned())),
        }
    }
}

/// The process keeps its id until it is buried, which is ours to do.
fn open_process(line: &str) -> Option<OwnedFd> {
    let pid = Pid::from_raw(line.strip_prefix(PROCESS)?.parse().ok()?)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn in_memory(order: &Order) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("order", MemfdFlags::CLOEXEC)?);
    // Written at once: the filters alone are some thousand numbers.
    file.write_all(&serde_json::to_vec(order)?)?;
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}
