//! A HAR 1.2 file of a session.
//!
//! Assumes a connection of its own to the browser. Promises that no request is missed (targets wait for us when they start,
//! and are let go at once), that a client's own work is never held up, that memory stays bounded whatever pages do, that
//! what had ended is in the file even when this process dies, and that secrets are not in it unless they were asked for.

mod archive;
mod exchange;
mod listener;
mod pages;
mod socket;
mod spool;
mod text;

pub use spool::{Assembled, BODIES_UNTIL_BYTES, SPOOL_BYTES_MAX, assemble};
pub use text::REDACTED;

use archive::Program;
use listener::Listener;
use spool::{Line, Spool};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vitrine_cdp::protocol::browser::GetVersion;
use vitrine_cdp::protocol::target::SetAutoAttach;
use vitrine_cdp::{CdpError, Connection};
use vitrine_model::HarSpec;

/// Events that may wait for us, in bytes. What comes beyond is lost, and the file says so.
const FEED_BYTES_MAX: usize = 32 << 20;

/// Why there is no HAR file. Each reads after "could not …:".
#[derive(Debug, Error)]
pub enum HarError {
    #[error("the file failed: {0}")]
    File(#[from] io::Error),
    #[error("the browser did not answer: {0}")]
    Protocol(#[from] CdpError),
}

/// A HAR file in the making. Ends, without being put together, when it is dropped.
pub struct Har {
    spool: PathBuf,
    stop: oneshot::Sender<()>,
    listener: JoinHandle<io::Result<()>>,
}

impl Har {
    /// Begins to listen, on a connection that nobody else uses. What is at `spool` already is gone on with.
    pub async fn start(connection: Connection, spool: &Path, spec: HarSpec) -> Result<Har, HarError> {
        let path = spool.to_owned();
        let (spool, pages) = Spool::open(&path).await?;
        let product = connection.call(GetVersion {}).await?.product;
        let (name, version) = product.split_once('/').unwrap_or((&product, ""));
        let browser = Program { name: name.into(), version: version.into() };
        let creator = Program { name: "Vitrine".into(), version: env!("CARGO_PKG_VERSION").into() };
        let mut feed = connection.feed(FEED_BYTES_MAX);
        let mut listener = Listener::new(connection.clone(), spool, spec, pages);
        listener.put(&Line::Log { creator, browser });
        connection.call(attach_to_all()).await?;
        listener.settle_in(&mut feed).await;
        let (stop, stopped) = oneshot::channel();
        let listener = tokio::spawn(listener.run(feed, stopped));
        Ok(Har { spool: path, stop, listener })
    }

    /// Ends and puts the file together. The spool stays.
    pub async fn finish(self, target: &Path) -> Result<Assembled, HarError> {
        // Fails only when the listener has ended with the browser.
        let _ = self.stop.send(());
        self.listener.await.map_err(io::Error::other)??;
        let (spool, target) = (self.spool, target.to_owned());
        tokio::task::spawn_blocking(move || assemble(&spool, &target)).await.map_err(io::Error::other)?
    }
}

/// Attaches to what is there, and to what starts before it runs.
fn attach_to_all() -> SetAutoAttach {
    SetAutoAttach { auto_attach: true, wait_for_debugger_on_start: true, flatten: Some(true), filter: None }
}
