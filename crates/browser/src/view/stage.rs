//! What all viewers of one browser share.

use super::attend::Attendance;
use super::message::Download;
use super::metrics::Metrics;
use super::permissions::Permissions;
use super::prompts::Prompts;
use super::{Setup, Viewers};
use crate::downloads;
use crate::page::{Chronicle, Memory};
use crate::tabs::{Tabs, bounded};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, watch};
use tokio::time::timeout;
use vitrine_cdp::Session;
use vitrine_cdp::protocol::target::TargetId;
use vitrine_model::embed::Policy;

/// The latest downloads, which a viewer that comes is told of.
const DOWNLOADS_KEPT_MAX: usize = 100;
/// Each has queues of its own, and a session's bearer can open as many as it likes.
const VIEWERS_MAX: usize = 64;
const DOWNLOAD_TEXT_BYTES_MAX: usize = 4096;
/// How long a browser that was handed out just now may take to tell of its first tab.
const FIRST_TAB_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Stage {
    pub tabs: Tabs,
    pub setup: Setup,
    pub prompts: Prompts,
    pub attendance: Attendance,
    pub metrics: Metrics,
    pub permissions: Permissions,
    pub viewers: watch::Sender<Viewers>,
    pub downloads: watch::Sender<Vec<Arc<Download>>>,
    /// What callers may do, and pages.
    pub policy: watch::Sender<Arc<Policy>>,
    pub chronicle: Chronicle,
    pub memory: Memory,
    /// Set once the first tab was there, or was waited for long enough.
    first_tab: OnceCell<()>,
}

/// One viewer's place among those that are counted.
pub(crate) struct Seated<'a> {
    stage: &'a Stage,
    control: bool,
}

impl Stage {
    pub fn new(tabs: Tabs, setup: Setup) -> Stage {
        let policy = watch::Sender::new(Arc::new(setup.policy.clone()));
        Stage {
            policy,
            chronicle: Chronicle::new(),
            memory: Memory::default(),
            first_tab: OnceCell::new(),
            tabs,
            setup,
            prompts: Prompts::new(),
            attendance: Attendance::new(),
            metrics: Metrics::new(),
            permissions: Permissions::default(),
            viewers: watch::Sender::default(),
            downloads: watch::Sender::default(),
        }
    }

    /// Waits until the list of tabs was read for the first time.
    pub async fn first_tab(&self) {
        let mut list = self.tabs.watch();
        let seen = || async move {
            // A browser that has none in time is taken as it is.
            let _ = timeout(FIRST_TAB_LIMIT, list.wait_for(|list| list.active.is_some())).await;
        };
        self.first_tab.get_or_init(seen).await;
    }

    /// None when as many look as may.
    pub fn seat(&self, control: bool) -> Option<Seated<'_>> {
        if self.viewers.borrow().all >= VIEWERS_MAX {
            return None;
        }
        self.count(control, 1);
        Some(Seated { stage: self, control })
    }

    fn count(&self, control: bool, change: isize) {
        self.viewers.send_modify(|viewers| {
            viewers.all = viewers.all.saturating_add_signed(change);
            if control {
                viewers.controlling = viewers.controlling.saturating_add_signed(change);
            }
        });
    }

    pub fn download(&self, mut download: Download) {
        for text in [&mut download.name, &mut download.url] {
            *text = bounded(text, DOWNLOAD_TEXT_BYTES_MAX);
        }
        let download = Arc::new(download);
        self.downloads.send_modify(|kept| match kept.iter_mut().find(|other| other.id == download.id) {
            Some(other) => *other = download,
            None => {
                if kept.len() == DOWNLOADS_KEPT_MAX {
                    kept.remove(0);
                }
                kept.push(download);
            }
        });
    }

    /// Lets pages that were opened apart download as the policy says: the rest of the browser has been told already.
    pub async fn permit_downloads(&self) {
        let Some(context) = self.tabs.apart() else { return };
        let allowed = self.policy.borrow().downloads;
        let folder = allowed.then_some(self.setup.downloads.as_str());
        if let Err(error) = downloads::permit(self.tabs.connection(), Some(context), folder).await {
            tracing::debug!(%error, "a context was not told where downloads go");
        }
    }

    /// Where a tab takes input: the session that attends it, or ours while it is not attended yet.
    pub fn page(&self, tab: &TargetId) -> Option<Session> {
        match self.attendance.of(tab) {
            Some(attended) => Some(attended.page.clone()),
            None => self.tabs.session(tab),
        }
    }
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        self.stage.count(self.control, -1);
    }
}
