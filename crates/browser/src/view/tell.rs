//! Telling a viewer what changed. It is told what is, not what happened: a viewer that was slow hears of the newest state, and one
//! that comes late of all of it.

use super::attend::Report;
use super::message::{Code, Download, Rect, TabShown, ToViewer, VERSION};
use super::metrics::{Shape, viewport};
use super::prompts::Prompt;
use super::viewer::{Left, Viewer};
use crate::page;
use crate::screen::{Geometry, Screen};
use crate::tabs::TabList;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use vitrine_cdp::protocol::target::TargetId;

/// Between two lists of tabs: titles can change with every frame.
const TABS_PAUSE: Duration = Duration::from_millis(100);
/// Of all favicons in one list; a few tabs' worth of the largest.
const FAVICONS_BYTES_MAX: usize = 256 * 1024;

/// What a viewer knows.
struct Told {
    tabs: Option<ToViewer>,
    watching: Option<TargetId>,
    viewport: Option<ToViewer>,
    cursor: Option<&'static str>,
    focus: Option<ToViewer>,
    prompts: Vec<Arc<Prompt>>,
    downloads: Vec<Arc<Download>>,
    viewers: usize,
}

/// The geometry of the watched tab's screen. Holding the screen costs nothing: only who takes its pictures makes it run.
struct Watched {
    tab: TargetId,
    _screen: Arc<Screen>,
    geometry: watch::Receiver<Option<Geometry>>,
}

/// Tells a viewer all that it should know, until it is dropped.
pub(super) async fn tell(viewer: &Viewer<'_>, coding: Code) -> Left {
    let stage = viewer.stage;
    let (mut list, mut wishes) = (stage.tabs.watch(), viewer.wishes());
    let (mut prompts, mut reports) = (stage.prompts.watch(), stage.attendance.reports.subscribe());
    let (mut shapes, mut downloads) = (stage.metrics.watch(), stage.downloads.subscribe());
    let mut viewers = stage.viewers.subscribe();
    let count = viewers.borrow().all;
    let session = stage.setup.session.clone();
    viewer.send(&ToViewer::Hello { version: VERSION, session, mode: viewer.mode(), coding, viewers: count }).await;
    if let Some(caller) = &viewer.caller {
        viewer.send(&page::policy(caller)).await;
    }
    let mut told = Told::nothing(count);
    let mut watched: Option<Watched> = None;
    loop {
        let tabs = list.borrow_and_update().clone();
        told.tabs(viewer, &tabs).await;
        wishes.mark_unchanged();
        let tab = viewer.watched();
        if watched.as_ref().map(|watched| &watched.tab) != tab.as_ref() {
            watched = tab.as_ref().and_then(|tab| {
                let screen = stage.tabs.screen(tab)?;
                Some(Watched { tab: tab.clone(), geometry: screen.geometry(), _screen: screen })
            });
        }
        if let Some(watched) = &mut watched {
            told.watching(viewer, &watched.tab).await;
            let shape = shapes.borrow_and_update().get(&watched.tab).copied();
            let geometry = *watched.geometry.borrow_and_update();
            told.viewport(viewer, &watched.tab, geometry, shape).await;
            let report = reports.borrow_and_update().get(&watched.tab).cloned().unwrap_or_default();
            told.report(viewer, &report, shape).await;
        }
        let open = prompts.borrow_and_update().clone();
        told.prompts(viewer, open, |tab| shapes.borrow().get(tab).copied()).await;
        let latest = downloads.borrow_and_update().clone();
        told.downloads(viewer, latest).await;
        let count = viewers.borrow_and_update().all;
        told.viewers(viewer, count).await;
        let changed = tokio::select! {
            changed = list.changed() => {
                sleep(TABS_PAUSE).await;
                changed.is_ok()
            }
            changed = wishes.changed() => changed.is_ok(),
            changed = prompts.changed() => changed.is_ok(),
            changed = reports.changed() => changed.is_ok(),
            changed = shapes.changed() => changed.is_ok(),
            changed = downloads.changed() => changed.is_ok(),
            changed = viewers.changed() => changed.is_ok(),
            () = moved(&mut watched) => true,
        };
        if !changed {
            return Left::Browser;
        }
    }
}

/// Waits until the watched tab's picture is another size.
async fn moved(watched: &mut Option<Watched>) {
    let Some(watched) = watched else { return std::future::pending().await };
    let size = |geometry: &Option<Geometry>| geometry.map(|geometry| (geometry.width, geometry.height));
    let before = size(&watched.geometry.borrow());
    if watched.geometry.wait_for(|geometry| size(geometry) != before).await.is_err() {
        std::future::pending().await
    }
}

impl Told {
    fn nothing(viewers: usize) -> Told {
        Told {
            tabs: None,
            watching: None,
            viewport: None,
            cursor: None,
            focus: None,
            prompts: Vec::new(),
            downloads: Vec::new(),
            viewers,
        }
    }

    async fn tabs(&mut self, viewer: &Viewer<'_>, list: &TabList) {
        let mut favicons = 0;
        let tabs = list.tabs.iter().map(|tab| {
            favicons += tab.favicon.as_ref().map_or(0, |favicon| favicon.len());
            TabShown {
                id: tab.id.0.clone(),
                title: tab.title.clone(),
                url: tab.url.clone(),
                favicon: tab.favicon.as_deref().filter(|_| favicons <= FAVICONS_BYTES_MAX).map(str::to_owned),
                loading: tab.loading,
                can_go_back: tab.can_go_back,
                can_go_forward: tab.can_go_forward,
                crashed: tab.crashed,
            }
        });
        let message = ToViewer::Tabs { tabs: tabs.collect(), active: list.active.as_ref().map(|id| id.0.clone()) };
        say(viewer, &mut self.tabs, message).await;
    }

    async fn watching(&mut self, viewer: &Viewer<'_>, tab: &TargetId) {
        if self.watching.as_ref() != Some(tab) {
            viewer.send(&ToViewer::Watching { tab: tab.0.clone() }).await;
            self.watching = Some(tab.clone());
            (self.viewport, self.cursor, self.focus) = (None, None, None);
        }
    }

    async fn viewport(
        &mut self,
        viewer: &Viewer<'_>,
        tab: &TargetId,
        geometry: Option<Geometry>,
        shape: Option<Shape>,
    ) {
        if let Some(geometry) = geometry {
            let message = viewport(tab, (geometry.width, geometry.height), shape);
            say(viewer, &mut self.viewport, message).await;
        }
    }

    async fn report(&mut self, viewer: &Viewer<'_>, report: &Report, shape: Option<Shape>) {
        let cursor = report.cursor.unwrap_or("default");
        if self.cursor.is_some_and(|told| told != cursor) || (self.cursor.is_none() && report.cursor.is_some()) {
            self.cursor = Some(cursor);
            viewer.send(&ToViewer::Cursor { cursor: cursor.to_owned() }).await;
        }
        if let Some(focus) = report.focus {
            let caret = focus.caret.map(|caret| zoomed(caret, shape));
            say(viewer, &mut self.focus, ToViewer::Focus { editable: focus.editable, caret }).await;
        }
    }

    async fn prompts(
        &mut self,
        viewer: &Viewer<'_>,
        open: Vec<Arc<Prompt>>,
        shape: impl Fn(&TargetId) -> Option<Shape>,
    ) {
        let is_in = |prompts: &[Arc<Prompt>], prompt: &Prompt| prompts.iter().any(|other| other.id == prompt.id);
        for prompt in self.prompts.iter().filter(|prompt| !is_in(&open, prompt)) {
            viewer.send(&prompt.closed()).await;
        }
        for prompt in open.iter().filter(|prompt| !is_in(&self.prompts, prompt)) {
            let mut message = prompt.opened();
            if let ToViewer::Select { rect, .. } = &mut message {
                *rect = zoomed(*rect, shape(&prompt.tab));
            }
            viewer.send(&message).await;
        }
        self.prompts = open;
    }

    async fn downloads(&mut self, viewer: &Viewer<'_>, latest: Vec<Arc<Download>>) {
        for download in latest.iter().filter(|download| !self.downloads.contains(download)) {
            viewer.send(&ToViewer::Download(Download::clone(download))).await;
        }
        self.downloads = latest;
    }

    async fn viewers(&mut self, viewer: &Viewer<'_>, count: usize) {
        if self.viewers != count {
            self.viewers = count;
            viewer.send(&ToViewer::Viewers { count }).await;
        }
    }
}

async fn say(viewer: &Viewer<'_>, told: &mut Option<ToViewer>, message: ToViewer) {
    if told.as_ref() != Some(&message) {
        viewer.send(&message).await;
        *told = Some(message);
    }
}

/// From the page's coordinates to those of its picture.
fn zoomed(rect: Rect, shape: Option<Shape>) -> Rect {
    let zoom = shape.map_or(1.0, |shape| shape.zoom);
    Rect { x: rect.x * zoom, y: rect.y * zoom, width: rect.width * zoom, height: rect.height * zoom }
}
