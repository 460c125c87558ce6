//! Visits to pages: which requests belong to which, and when each was loaded.
//!
//! The moments are asked of the page itself, in a world that its scripts cannot reach. Chromium's `Page` events would tell
//! them too, but who enables those has to answer the page's dialogs.

use super::archive::{Page, PageTimings};
use super::text;
use std::collections::HashMap;
use std::time::Duration;
use vitrine_cdp::protocol::network::{RequestId, RequestWillBeSent, ResourceType};
use vitrine_cdp::protocol::page::{CreateIsolatedWorld, FrameId};
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::{SessionId, TargetId};
use vitrine_cdp::{CdpError, Session};

/// How long after its document a page may go on loading, to be told when it was done.
const LOAD_LIMIT: Duration = Duration::from_secs(120);
/// Longest title, in letters.
const TITLE_MAX: usize = 500;

const MOMENTS: &str = "new Promise(done => {
    const tell = () => setTimeout(() => {
        const moments = performance.getEntriesByType('navigation')[0];
        done([moments.domContentLoadedEventEnd, moments.loadEventEnd, document.title]);
    });
    if (document.readyState === 'complete') tell(); else addEventListener('load', tell);
})";

/// The tabs, and which session belongs to which tab.
#[derive(Default)]
pub struct Pages {
    tabs: HashMap<SessionId, Tab>,
    /// Sessions of frames and workers, and of tabs themselves.
    of: HashMap<SessionId, SessionId>,
    ever: usize,
}

struct Tab {
    target: TargetId,
    page: Option<(Page, RequestId)>,
}

impl Pages {
    pub fn new(ever: usize) -> Pages {
        Pages { ever, ..Pages::default() }
    }

    pub fn tab(&mut self, session: SessionId, target: TargetId) {
        self.of.insert(session.clone(), session.clone());
        self.tabs.insert(session, Tab { target, page: None });
    }

    /// A frame or a worker, of the tab that `parent` belongs to.
    pub fn part(&mut self, session: SessionId, parent: Option<&SessionId>) {
        if let Some(tab) = parent.and_then(|parent| self.of.get(parent)) {
            self.of.insert(session, tab.clone());
        }
    }

    pub fn detached(&mut self, session: &SessionId) {
        self.of.remove(session);
        self.tabs.remove(session);
    }

    /// The visit that a request of this session belongs to.
    pub fn of(&self, session: &SessionId) -> Option<String> {
        let (page, _) = self.tabs.get(self.of.get(session)?)?.page.as_ref()?;
        Some(page.id.clone())
    }

    /// A new visit, when the request is for a tab's own document.
    pub fn begin(&mut self, session: &SessionId, sent: &RequestWillBeSent) -> Option<&Page> {
        let tab = self.tabs.get_mut(session)?;
        let of_tab = sent.frame_id.as_ref().is_some_and(|frame| frame.0 == tab.target.0);
        let document = sent.r#type == Some(ResourceType::Document) && sent.loader_id.0 == sent.request_id.0;
        if !of_tab || !document || sent.redirect_response.is_some() {
            return None;
        }
        self.ever += 1;
        let page = Page {
            started_date_time: text::moment(sent.wall_time),
            id: format!("page_{}", self.ever),
            title: sent.request.url.chars().take(TITLE_MAX).collect(),
            page_timings: PageTimings { on_content_load: -1.0, on_load: -1.0 },
        };
        tab.page = Some((page, sent.request_id.clone()));
        tab.page.as_ref().map(|(page, _)| page)
    }

    /// The visit whose document this is, and its frame.
    pub fn whose_document(&self, session: &SessionId, request: &RequestId) -> Option<(Page, FrameId)> {
        let tab = self.tabs.get(session)?;
        let (page, _) = tab.page.as_ref().filter(|(_, document)| document == request)?;
        Some((page.clone(), FrameId(tab.target.0.clone())))
    }
}

/// Waits until the page is loaded and completes what is known of it.
pub async fn loaded(session: Session, mut page: Page, frame_id: FrameId) -> Result<Page, CdpError> {
    let world = CreateIsolatedWorld { frame_id, ..CreateIsolatedWorld::default() };
    let context = session.call(world).await?.execution_context_id;
    let ask = Evaluate {
        expression: MOMENTS.into(),
        context_id: Some(context),
        await_promise: Some(true),
        return_by_value: Some(true),
        ..Evaluate::default()
    };
    let told = session.call_within(LOAD_LIMIT, ask).await?.result.value.unwrap_or_default();
    let moment = |at: usize| told[at].as_f64().map_or(-1.0, |ms| (ms * 1e3).round() / 1e3);
    page.page_timings = PageTimings { on_content_load: moment(0), on_load: moment(1) };
    if let Some(title) = told[2].as_str().filter(|title| !title.is_empty()) {
        page.title = title.chars().take(TITLE_MAX).collect();
    }
    Ok(page)
}
