//! What an attended tab's main frame goes through, in the order in which it does: loads that begin and end, documents that come.

use super::chronicle::Chronicle;
use crate::tabs::Tabs;
use crate::view::pace::Pace;
use tokio::sync::watch;
use vitrine_cdp::protocol::page::{
    FrameNavigated, FrameStartedLoading, FrameStartedNavigating, FrameStoppedLoading, GetFrameTree,
    NavigatedWithinDocument,
};
use vitrine_cdp::protocol::target::TargetId;
use vitrine_cdp::{Event, Missed, Session, Several};

/// What a page may do of this in a second; the rest waits, and what is too much is lost.
const EVENTS_PER_SECOND_MAX: u32 = 50;
const HEARD: &[&str] = &[
    FrameStartedNavigating::METHOD,
    FrameStartedLoading::METHOD,
    FrameNavigated::METHOD,
    NavigatedWithinDocument::METHOD,
    FrameStoppedLoading::METHOD,
];

/// Where a tab is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    /// It is heard: what it says is not missed any more.
    pub ready: bool,
    pub loading: bool,
    /// Documents and places in them so far.
    pub commits: u64,
    pub url: String,
}

/// To be called before the session is asked to tell.
pub(crate) fn listen(page: &Session) -> Several {
    page.several(HEARD)
}

/// One tab and who is told of it.
pub(crate) struct Teller<'a> {
    pub chronicle: &'a Chronicle,
    pub tabs: &'a Tabs,
    pub tab: &'a TargetId,
    pub page: &'a Session,
    pub life: &'a watch::Sender<Life>,
}

impl Teller<'_> {
    /// Follows the tab until its session ends.
    pub async fn follow(&self, mut heard: Several) {
        let mut life = self.life.subscribe();
        if life.wait_for(|life| life.ready).await.is_err() {
            return;
        }
        drop(life);
        let mut first = self.catch_up().await;
        let mut pace = Pace::new(EVENTS_PER_SECOND_MAX);
        let mut going_to = None;
        loop {
            let event = match heard.next().await {
                Ok(event) => event,
                Err(Missed::Lost(_)) => {
                    // Its end may be among what was lost.
                    self.stopped();
                    continue;
                }
                Err(Missed::Malformed { .. }) => continue,
                Err(Missed::Detached | Missed::Closed(_)) => return,
            };
            if let Ok(event) = event.read::<FrameStartedNavigating>()
                && event.frame_id.0 == self.tab.0
            {
                going_to = Some(event.url);
            } else if event.method == FrameStartedLoading::METHOD {
                if event.read::<FrameStartedLoading>().is_ok_and(|event| event.frame_id.0 == self.tab.0) {
                    self.started(going_to.take());
                    pace.keep().await;
                }
            } else if event.method == FrameStoppedLoading::METHOD {
                if event.read::<FrameStoppedLoading>().is_ok_and(|event| event.frame_id.0 == self.tab.0) {
                    going_to = None;
                    self.stopped();
                    pace.keep().await;
                }
            } else if let Ok(event) = event.read::<FrameNavigated>() {
                let is_told = first.take().is_some_and(|loader| loader == event.frame.loader_id.0);
                if event.frame.id.0 == self.tab.0 && !is_told {
                    let url = event.frame.url + event.frame.url_fragment.as_deref().unwrap_or_default();
                    self.committed(url);
                    pace.keep().await;
                }
            } else if let Ok(event) = event.read::<NavigatedWithinDocument>()
                && event.frame_id.0 == self.tab.0
            {
                self.committed(event.url);
                pace.keep().await;
            }
        }
    }

    /// A tab that was opened just now may have gone somewhere before it was heard. Names the document that was told of.
    async fn catch_up(&self) -> Option<String> {
        let list = self.tabs.watch().borrow().clone();
        let tab = list.get(self.tab)?;
        let loading = tab.loading;
        let frame = self.page.call(GetFrameTree {}).await.ok()?.frame_tree.frame;
        self.life.send_modify(|life| life.url.clone_from(&frame.url));
        if !self.chronicle.is_fresh(&list, self.tab) || matches!(frame.url.as_str(), "" | "about:blank") {
            return None;
        }
        self.started(Some(frame.url.clone()));
        self.committed(frame.url);
        if !loading {
            self.stopped();
        }
        Some(frame.loader_id.0)
    }

    fn tell(&self, name: &'static str, url: &str) {
        let list = self.tabs.watch().borrow().clone();
        self.chronicle.happened(&list, self.tab, name, url);
    }

    fn started(&self, going_to: Option<String>) {
        let url = going_to.unwrap_or_else(|| self.life.borrow().url.clone());
        if self.life.send_if_modified(|life| !std::mem::replace(&mut life.loading, true)) {
            self.tell("did-start-loading", &url);
        }
    }

    fn committed(&self, url: String) {
        self.tabs.set_url(self.tab, &url);
        self.tell("did-navigate", &url);
        self.life.send_modify(|life| {
            life.commits += 1;
            life.url = url;
        });
    }

    fn stopped(&self) {
        if self.life.send_if_modified(|life| std::mem::replace(&mut life.loading, false)) {
            let url = self.life.borrow().url.clone();
            self.tell("did-stop-loading", &url);
        }
    }
}
