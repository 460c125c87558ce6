//! The log: to standard error, as text for a person or JSON for a machine, never through a progress bar.

use crate::config::{Log, LogFormat};
use crate::progress;
use std::io::{self, IsTerminal as _, Write};
use tracing_subscriber::EnvFilter;

/// Starts logging for the process. A second call changes nothing.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| BesideBars);
    // Ignored: in tests several servers share one process and its first log.
    let _ = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
    };
    Ok(())
}

/// Standard error, with progress bars taken away while a line is written.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::bars().suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
