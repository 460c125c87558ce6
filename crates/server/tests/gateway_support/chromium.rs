//! A real headless shell for tests and benchmarks.
//!
//! Assumes `chromium-headless-shell` in the path. As root the browser runs as an ordinary user, because its own sandbox, which stays on,
//! refuses to run as root.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// An ordinary user.
const USER: u32 = 1000;

/// A headless shell of our own; dropping it leaves nothing behind.
pub struct Chromium {
    process: Child,
    pub address: SocketAddr,
    /// Of its own WebSocket.
    pub path: String,
    _directory: TempDir,
}

impl Chromium {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = if rustix::process::getuid().is_root() {
            std::os::unix::fs::chown(directory.path(), Some(USER), Some(USER)).unwrap();
            let mut command = Command::new("setpriv");
            let user = [format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".to_owned()];
            command.args(user).arg("chromium-headless-shell");
            command
        } else {
            Command::new("chromium-headless-shell")
        };
        let mut process = command
            .args(["--remote-debugging-port=0", "--no-first-run", "about:blank"])
            .arg(format!("--user-data-dir={}", directory.path().display()))
            .env("HOME", directory.path())
            .env("TMPDIR", directory.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium-headless-shell is installed");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let url = lines.find_map(|line| Some(line.ok()?.strip_prefix("DevTools listening on ws://")?.to_owned()));
        let url = url.expect("Chromium says where it listens");
        // It goes on to write warnings; a pipe that nobody reads would stop it one day.
        std::thread::spawn(move || lines.for_each(drop));
        let (address, path) = url.split_once('/').unwrap();
        Self { process, address: address.parse().unwrap(), path: format!("/{path}"), _directory: directory }
    }

    /// Waits until it has ended by itself.
    #[allow(dead_code, reason = "only some users let it end")]
    pub fn wait(&mut self) {
        self.process.wait().unwrap();
    }

    /// Kills it with all its processes, and waits until none is left: the command is a script around the real one.
    pub fn kill(&mut self) {
        let group = Pid::from_child(&self.process);
        while kill_process_group(group, Signal::KILL).is_ok() {
            let _ = self.process.try_wait();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.kill();
    }
}
