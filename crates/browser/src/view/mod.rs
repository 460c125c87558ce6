//! A person at the screen: what a viewer is told and what it may do, by the protocol of `docs/api/live-view.md`.
//!
//! Assumes the browser's tabs and, for each viewer, a stream that a WebSocket client is at the other end of; who may view and who
//! may act was decided before. Promises that a viewer without control changes nothing, that a slow viewer holds up nobody, that
//! all queues are bounded, and that a browser nobody watches with control behaves as if none of this were there.

pub(crate) mod actions;
pub(crate) mod attend;
pub(crate) mod input;
mod keys;
pub(crate) mod message;
mod metrics;
pub(crate) mod pace;
mod permissions;
pub(crate) mod prompts;
pub(crate) mod stage;
mod tell;
pub(crate) mod viewer;

pub use message::{Download, DownloadState};
pub use viewer::Left;

use stage::Stage;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::page;
use crate::tabs::Tabs;
use vitrine_model::embed::Policy;

/// What a viewing needs to know of its session.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The session's id, for viewers to show.
    pub session: String,
    /// The folder, as the browser sees it, in which `uploads/NAME` of the session's files lies.
    pub uploads: String,
    /// The folder, as the browser sees it, into which pages download.
    pub downloads: String,
    /// Where a person's query is searched for: an address with `{query}` in it.
    pub search: String,
    pub policy: Policy,
}

/// What a viewer may do beside looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// It may act.
    pub control: bool,
    /// It may call the embed API's methods, as far as the policy goes.
    pub calls: bool,
}

/// How many look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Viewers {
    pub all: usize,
    pub controlling: usize,
}

/// All that viewers of one browser share. Clones share it; what runs for it ends with the last one.
#[derive(Clone)]
pub struct Viewing {
    stage: Arc<Stage>,
    _attending: Arc<Running>,
}

struct Running(AbortHandle);

impl Viewing {
    /// Must be called within a runtime. Nothing is asked of the browser before the first viewer comes.
    pub fn new(tabs: Tabs, setup: Setup) -> Viewing {
        let stage = Arc::new(Stage::new(tabs, setup));
        let attending = tokio::spawn({
            let stage = stage.clone();
            async move {
                let told = stage.chronicle.follow(&stage.tabs, stage.prompts.watch());
                tokio::join!(attend::run(stage.clone()), told, page::guard(&stage))
            }
        });
        Viewing { stage, _attending: Arc::new(Running(attending.abort_handle())) }
    }

    /// Serves one viewer until it leaves, breaks the protocol or the browser is gone.
    pub async fn serve<S>(&self, stream: S, rights: Rights) -> Left
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        viewer::serve(&self.stage, stream, rights).await
    }

    /// Another policy: all who may call are told of it at once.
    pub async fn set_policy(&self, policy: Policy) {
        self.stage.policy.send_replace(Arc::new(policy));
        self.stage.permit_downloads().await;
    }

    /// How many look, and how that changes.
    pub fn viewers(&self) -> watch::Receiver<Viewers> {
        self.stage.viewers.subscribe()
    }

    /// Tells viewers of a download: its beginning, progress or end. Those that come later hear of the latest.
    pub fn download(&self, download: Download) {
        self.stage.download(download);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}
