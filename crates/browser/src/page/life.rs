//! What an attended tab's main frame goes through, in the order in which it does: loads that begin and end, documents that come.

use super::chronicle::Chronicle;
use crate::tabs::Tabs;
use crate::view::pace::Pace;
use tokio::sync::watch;
use vitrine_cdp::protocol::page::{
    Frame, FrameId, FrameNavigated, FrameStartedLoading, FrameStartedNavigating, FrameStoppedLoading, GetFrameTree,
    NavigatedWithinDocument,
};
use vitrine_cdp::protocol::target::TargetId;
use vitrine_cdp::{Event, Heard, Missed, Session, Several};

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
            let told = match event.method.as_str() {
                FrameStartedNavigating::METHOD => {
                    going_to =
                        self.own(&event, |event: FrameStartedNavigating| (event.frame_id, event.url)).or(going_to);
                    false
                }
                FrameStartedLoading::METHOD => {
                    let is_own = self.own(&event, |event: FrameStartedLoading| (event.frame_id, ()));
                    is_own.is_some_and(|()| self.started(going_to.take()))
                }
                FrameStoppedLoading::METHOD => {
                    let is_own = self.own(&event, |event: FrameStoppedLoading| (event.frame_id, ()));
                    is_own.is_some_and(|()| {
                        going_to = None;
                        self.stopped()
                    })
                }
                FrameNavigated::METHOD => {
                    let frame = self.own(&event, |event: FrameNavigated| (event.frame.id.clone(), event.frame));
                    frame.filter(|frame| first.take().as_ref() != Some(&frame.loader_id.0)).is_some_and(|frame| {
                        self.committed(address(frame));
                        true
                    })
                }
                _ => {
                    self.own(&event, |event: NavigatedWithinDocument| (event.frame_id, event.url)).is_some_and(|url| {
                        self.committed(url);
                        true
                    })
                }
            };
            if told {
                pace.keep().await;
            }
        }
    }

    /// A tab that was opened just now may have gone somewhere before it was heard. Names the document that was told of.
    async fn catch_up(&self) -> Option<String> {
        let frame = self.page.call(GetFrameTree {}).await.ok()?.frame_tree.frame;
        let (loader, url) = (frame.loader_id.0.clone(), address(frame));
        self.life.send_modify(|life| life.url.clone_from(&url));
        let list = self.tabs.watch();
        if !self.chronicle.is_fresh(&list, self.tab) || matches!(url.as_str(), "" | "about:blank") {
            return None;
        }
        self.started(Some(url.clone()));
        self.committed(url);
        if list.borrow().get(self.tab).is_some_and(|tab| !tab.loading) {
            self.stopped();
        }
        Some(loader)
    }

    /// What is told of the main frame; none of any other.
    fn own<E: Event, T>(&self, heard: &Heard, part: impl FnOnce(E) -> (FrameId, T)) -> Option<T> {
        let (frame, part) = part(heard.read().ok()?);
        (frame.0 == self.tab.0).then_some(part)
    }

    fn tell(&self, name: &'static str, url: &str) {
        self.chronicle.happened(&self.tabs.watch(), self.tab, name, url);
    }

    /// False when it was told before.
    fn started(&self, going_to: Option<String>) -> bool {
        let url = going_to.unwrap_or_else(|| self.life.borrow().url.clone());
        let is_news = self.life.send_if_modified(|life| !std::mem::replace(&mut life.loading, true));
        if is_news {
            self.tell("did-start-loading", &url);
        }
        is_news
    }

    fn committed(&self, url: String) {
        self.tabs.set_url(self.tab, &url);
        self.tell("did-navigate", &url);
        self.life.send_modify(|life| {
            life.commits += 1;
            life.url = url;
        });
    }

    /// False when it was told before.
    fn stopped(&self) -> bool {
        let is_news = self.life.send_if_modified(|life| std::mem::replace(&mut life.loading, false));
        if is_news {
            let url = self.life.borrow().url.clone();
            self.tell("did-stop-loading", &url);
        }
        is_news
    }
}

/// What was to be shown, also where it could not be.
fn address(frame: Frame) -> String {
    frame.unreachable_url.unwrap_or_else(|| frame.url + frame.url_fragment.as_deref().unwrap_or_default())
}
