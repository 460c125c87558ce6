//! What a session carries besides its browser, and what is left of it when the browser is gone.
//!
//! Promises: what a page gives is copied out of the capsule as soon as it is whole, within limits; nothing here runs when the
//! run is over, and a connection to the browser that is lost is made again.

mod downloads;

pub(crate) use downloads::Downloaded;

use crate::browser_capsule::BrowserCapsule;
use crate::config::CarriedConfig;
use crate::report::Reporter;
use crate::spool::{Folder, Made, Publisher, Setback};
use downloads::Kept;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use vitrine_model::wire::Object;
use vitrine_model::{ArtifactKind, Happening};

/// Where pages' files go, and where files are put for them, below `/session`.
pub(crate) const DOWNLOADS: &str = "downloads";
pub(crate) const UPLOADS: &str = "uploads";
/// Between two tries to bring files or to reach the browser.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a session that ends is held up by copying files out of it.
const COLLECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a session that ends is held up by bringing what it left.
const BRING_LIMIT: Duration = Duration::from_secs(15);

/// What one run carries.
pub(crate) struct Carried {
    folder: Arc<Folder>,
    publisher: Arc<Publisher>,
    reporter: Reporter,
    downloads: Kept,
}

impl Carried {
    pub(crate) fn new(
        folder: Arc<Folder>,
        publisher: Arc<Publisher>,
        reporter: Reporter,
        config: &CarriedConfig,
    ) -> Arc<Self> {
        let downloads = Kept::new(folder.clone(), config);
        Arc::new(Self { folder, publisher, reporter, downloads })
    }

    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// The files that pages gave.
    pub(crate) fn downloads(&self) -> Vec<Downloaded> {
        self.downloads.list()
    }

    /// Where a file that a page gave is in the capsule.
    pub(crate) fn find(&self, path: &str) -> Option<String> {
        self.downloads.find(path)
    }

    /// Brings one file at once, past what waits.
    pub(crate) async fn put(&self, object: Object, file: &Path) -> Result<Option<String>, Setback> {
        self.publisher.put(&self.publisher.request(&self.folder, object), file).await
    }

    /// Does what is to be done while the run lives; never ends by itself.
    pub(crate) async fn work(&self, browser: &BrowserCapsule) -> ! {
        tokio::select! {
            never = self.watch(browser) => never,
            never = self.downloads.keep(browser) => never,
            never = self.bring_added() => never,
        }
    }

    async fn watch(&self, browser: &BrowserCapsule) -> ! {
        loop {
            match browser.downloads().await {
                Ok(downloads) => self.downloads.watch(downloads).await,
                Err(error) => tracing::debug!(%error, "a browser's downloads cannot be watched"),
            }
            // The browser is gone, most likely: the run's end is near.
            sleep(AGAIN).await;
        }
    }

    async fn bring_added(&self) -> ! {
        loop {
            match self.bring().await {
                true => self.folder.added.notified().await,
                false => sleep(AGAIN).await,
            }
        }
    }

    /// Brings what waits, and tells of it; false when it must be tried again.
    async fn bring(&self) -> bool {
        let brought = match self.publisher.bring(&self.folder).await {
            Ok(brought) => brought,
            Err(setback) => {
                tracing::warn!(session = %self.folder.owner.session, %setback, "a session's files are not at the server yet");
                return false;
            }
        };
        for record in brought.into_iter().filter(|record| record.made.kind == ArtifactKind::Download) {
            let Made { name, size, sha256, .. } = record.made;
            let data = serde_json::json!({ "name": name, "size": size, "sha256": sha256, "key": record.key });
            self.reporter.happened(Happening::DownloadCompleted, data).await;
        }
        true
    }

    /// The clients have left: copies what is whole out of the capsule, which is about to go.
    pub(crate) async fn collect(&self, browser: &BrowserCapsule) {
        if timeout(COLLECT_LIMIT, self.downloads.keep_rest(browser)).await.is_err() {
            tracing::warn!(session = %self.folder.owner.session, "not every file was copied out of a session that ends");
        }
    }

    /// The capsule is gone and the session is about to be over: brings what is left, as far as it goes in time.
    pub(crate) async fn settle(&self) {
        if timeout(BRING_LIMIT, self.bring()).await.is_err() {
            tracing::info!(session = %self.folder.owner.session, "what a session left is brought after its end");
        }
    }

    /// The run is over.
    pub(crate) fn leave(&self) {
        self.publisher.left(&self.folder);
    }
}
