//! What a browser needs from the place it runs in. Assumes nothing of how that place is made; the browser promises to
//! start programs, dial ports and end processes only through here.

use futures_util::future::BoxFuture;
use std::io;
use thiserror::Error;
use tokio::net::TcpStream;

/// A place where programs run: a capsule, or this machine in tests.
pub trait Host: Send + Sync + 'static {
    /// Starts a program as the place's ordinary user.
    fn spawn(&self, command: Command) -> BoxFuture<'_, Result<Box<dyn Running>, HostError>>;
    /// Connects to a port of the place's loopback interface.
    fn dial(&self, port: u16) -> BoxFuture<'_, io::Result<TcpStream>>;
}

/// A program that a host started. Dropping it leaves the program running: it outlives who started it.
pub trait Running: Send + Sync {
    /// A name under which the host finds the program again.
    fn id(&self) -> String;
    /// Waits for the end; any number of callers, before and after it.
    fn wait(&self) -> BoxFuture<'_, Exit>;
    /// Ends the program and all that it started, at once.
    fn kill(&self) -> BoxFuture<'_, ()>;
    /// The last of what the program printed, for error texts.
    fn tail(&self) -> BoxFuture<'_, String>;
}

/// A program to start. The environment is complete: nothing is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Exit {
    #[error("exit code {0}")]
    Code(i32),
    #[error("signal {0}")]
    Signal(i32),
}

/// Why a host did not start a program.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct HostError(pub String);
