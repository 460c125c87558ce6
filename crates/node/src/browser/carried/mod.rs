//! What a session carries besides its browser, and what is left of it when the browser is gone.
//!
//! Promises: what a page gives is copied out of the capsule as soon as it is whole, within limits; nothing here runs when the
//! run is over, and a connection to the browser that is lost is made again.

mod captchas;
mod downloads;
mod profile;
mod records;
mod viewing;

pub(crate) use downloads::Downloaded;
pub(crate) use records::conclude;

use crate::browser::BrowserCapsule;
use crate::browser::wish::Wish;
use crate::clock;
use crate::config::CarriedConfig;
use crate::error::StartError;
use crate::report::Reporter;
use crate::spool::{Folder, Made, Publisher, Setback};
use downloads::Kept;
use profile::Profile;
use records::Records;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use viewing::Gallery;
use vitrine_browser::BrowserError;
use vitrine_browser::captcha::Solve;
use vitrine_browser::view::Viewing;
use vitrine_model::embed::Policy;
use vitrine_model::wire::Object;
use vitrine_model::{ArtifactKind, BrowserSpec, Happening};

/// Where pages' files go, and where files are put for them, below `/session`.
pub(crate) const DOWNLOADS: &str = "downloads";
pub(crate) const UPLOADS: &str = "uploads";
/// Between two tries to bring files or to reach the browser.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a recording and a HAR file may take to begin.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);
/// How long a session that ends is held up by copying files out of it.
const COLLECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a session that ends is held up by bringing what it left.
const BRING_LIMIT: Duration = Duration::from_secs(15);

/// What one run carries.
pub(crate) struct Carried {
    folder: Arc<Folder>,
    publisher: Arc<Publisher>,
    reporter: Reporter,
    spec: BrowserSpec,
    downloads: Kept,
    profile: Profile,
    profile_bytes_max: u64,
    records: Mutex<Records>,
    solver: Option<Arc<dyn Solve>>,
    gallery: Gallery,
    search_url: String,
    /// What the session's pages and its embedder may do now.
    policy: watch::Sender<Policy>,
}

impl Carried {
    pub(crate) fn new(
        folder: Arc<Folder>,
        publisher: Arc<Publisher>,
        reporter: Reporter,
        spec: BrowserSpec,
        config: &CarriedConfig,
        solver: Option<Arc<dyn Solve>>,
    ) -> Self {
        let downloads = Kept::new(folder.clone(), config);
        let issued = spec.embed.as_ref().map(|embed| embed.policy.clone());
        let policy = watch::Sender::new(issued.unwrap_or_else(|| Policy::open(clock::now())));
        Self {
            folder,
            publisher,
            reporter,
            spec,
            downloads,
            profile: Profile::default(),
            profile_bytes_max: config.profile_bytes_max,
            records: Mutex::default(),
            solver,
            gallery: Gallery::default(),
            search_url: config.search_url.clone(),
            policy,
        }
    }

    /// What its browser is to be started with; `None` when one of the pool will do.
    pub(crate) async fn wish(&self, config: &CarriedConfig) -> Result<Option<Wish>, StartError> {
        if !self.spec.stealth && self.spec.profile_key.is_none() {
            return Ok(None);
        }
        let profile = match self.spec.profile_key {
            Some(_) => profile::fetch(&self.folder, &self.publisher).await?,
            None => None,
        };
        Ok(Some(Wish { stealth: self.spec.stealth.then(|| Wish::stealthy(config)), profile }))
    }

    /// Begins what has to see everything, before the first client comes.
    pub(crate) async fn begin(&self, browser: &BrowserCapsule) -> Result<(), StartError> {
        let begun = timeout(BEGIN_LIMIT, Records::begin(&self.spec, browser, &self.folder)).await;
        let begun = begun.map_err(|late| StartError::failed("begin to record the session", late))??;
        *self.records.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        let policy = self.policy();
        if !policy.downloads || has_rules(&policy) {
            self.enforce(browser).await?;
        }
        Ok(())
    }

    /// How long the session may be without clients, once it has had one.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        (self.spec.idle_timeout_ms > 0).then(|| Duration::from_millis(self.spec.idle_timeout_ms))
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

    /// What serves viewers.
    pub(crate) async fn viewing(&self, browser: &BrowserCapsule) -> Result<Viewing, BrowserError> {
        let session = self.folder.owner.session.as_str();
        let policy = self.policy();
        self.gallery.viewing(browser, session, &self.search_url, &policy, &self.downloads).await
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy.borrow().clone()
    }

    /// Another policy, from now on; one that is older than what is known changes nothing.
    pub(crate) async fn set_policy(&self, browser: &BrowserCapsule, policy: Policy) -> Result<(), StartError> {
        let is_newer = self.policy.send_if_modified(|known| {
            let is_newer = policy.version >= known.version;
            if is_newer {
                known.clone_from(&policy);
            }
            is_newer
        });
        if is_newer {
            self.gallery.set_policy(&policy).await;
            self.enforce(browser).await?;
        }
        Ok(())
    }

    /// Has the browser keep to the policy, also while nobody looks.
    async fn enforce(&self, browser: &BrowserCapsule) -> Result<(), StartError> {
        if has_rules(&self.policy()) {
            let viewing = self.viewing(browser).await;
            viewing.map_err(|error| StartError::failed("guard the session's pages", error))?;
        }
        self.permit_downloads(browser).await
    }

    /// Tells the browser whether pages may download.
    pub(crate) async fn permit_downloads(&self, browser: &BrowserCapsule) -> Result<(), StartError> {
        let allowed = self.policy.borrow().downloads;
        browser.permit_downloads(allowed).await
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
            never = captchas::follow(browser, &self.reporter, self.solver.clone()), if self.spec.captcha => never,
            never = self.profile.follow(browser), if self.spec.profile_key.is_some() => never,
        }
    }

    async fn watch(&self, browser: &BrowserCapsule) -> ! {
        loop {
            match browser.downloads().await {
                Ok(downloads) => self.downloads.watch(downloads, |told| self.gallery.tell(told)).await,
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

    /// The clients have left: copies what is whole out of the capsule, which is about to go, and has the profile kept when the
    /// end is an orderly one.
    pub(crate) async fn collect(&self, browser: &BrowserCapsule, orderly: bool) {
        let session = &self.folder.owner.session;
        if timeout(COLLECT_LIMIT, self.downloads.keep_rest(browser)).await.is_err() {
            tracing::warn!(%session, "not every file was copied out of a session that ends");
        }
        if orderly && self.spec.profile_key.is_some() {
            let saved = self.profile.save(browser, &self.folder, &self.publisher, self.profile_bytes_max).await;
            if let Err(error) = saved {
                tracing::warn!(%session, error, "a profile was not kept; the last good one stays");
            }
        }
    }

    /// The clients have left: ends the recording and the HAR file. Needs the browser no more.
    pub(crate) async fn conclude(&self) {
        let records = std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        records.finish(&self.folder).await;
    }

    /// The capsule is gone and the session is about to be over: brings what is left, as far as it goes in time.
    pub(crate) async fn settle(&self) {
        if timeout(BRING_LIMIT, self.bring()).await.is_err() {
            tracing::info!(session = %self.folder.owner.session, "what a session left is brought after its end");
        }
    }
}

fn has_rules(policy: &Policy) -> bool {
    !policy.allow_urls.is_empty() || !policy.deny_urls.is_empty()
}
