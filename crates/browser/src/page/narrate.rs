//! Telling a connection that may call what happens, what it may do, and where the watched page is scrolled to.

use super::call::Caller;
use super::method::Method;
use crate::screen::Geometry;
use crate::view::message::ToViewer;
use crate::view::viewer::{Left, Viewer};
use serde_json::json;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;
use vitrine_model::embed::Capability;

/// Between two places of a page that scrolls: 30 a second.
const SCROLL_PAUSE: Duration = Duration::from_millis(33);

/// What the connection may do now.
pub(crate) fn policy(caller: &Caller) -> ToViewer {
    ToViewer::Policy { policy: caller.snapshot(), methods: Method::public().map(str::to_owned).collect() }
}

/// Tells it until it is dropped.
pub(crate) async fn narrate(viewer: &Viewer<'_>) -> Left {
    let Some(caller) = &viewer.caller else { return std::future::pending().await };
    tokio::select! {
        left = events(viewer, caller) => left,
        left = places(viewer, caller) => left,
    }
}

async fn events(viewer: &Viewer<'_>, caller: &Caller) -> Left {
    let mut events = viewer.stage.chronicle.events();
    let mut policies = viewer.stage.policy.subscribe();
    let mut modes = caller.mode.subscribe();
    loop {
        tokio::select! {
            biased;
            changed = policies.changed() => {
                if changed.is_err() {
                    return Left::Browser;
                }
                viewer.send(&policy(caller)).await;
            }
            changed = modes.changed() => {
                if changed.is_err() {
                    return Left::Browser;
                }
                viewer.send(&policy(caller)).await;
            }
            event = events.recv() => match event {
                Ok(event) if caller.allows(Capability::EventsRead) => {
                    let (name, detail) = (event.name.to_owned(), event.detail.clone());
                    viewer.send(&ToViewer::Event { name, detail }).await;
                }
                // It was too slow for the oldest; what comes next is newer.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Left::Browser,
            },
        }
    }
}

async fn places(viewer: &Viewer<'_>, caller: &Caller) -> Left {
    let (mut list, mut wishes) = (viewer.stage.tabs.watch(), viewer.wishes());
    let mut shapes = viewer.stage.metrics.watch();
    loop {
        list.mark_unchanged();
        wishes.mark_unchanged();
        let tab = viewer.watched();
        let Some((tab, screen)) = tab.and_then(|tab| Some((tab.clone(), viewer.stage.tabs.screen(&tab)?))) else {
            tokio::select! {
                _ = list.changed() => {}
                _ = wishes.changed() => {}
            }
            continue;
        };
        let mut geometry = screen.geometry();
        let mut told = None;
        loop {
            shapes.mark_unchanged();
            let zoom = viewer.stage.metrics.zoom(&tab);
            let now = geometry.borrow_and_update().map(|now| place(now, zoom));
            if let Some(detail) = now
                && told.as_ref() != Some(&detail)
                && caller.allows(Capability::EventsRead)
            {
                viewer.send(&ToViewer::Event { name: "page-viewport".into(), detail: detail.clone() }).await;
                told = Some(detail);
            }
            sleep(SCROLL_PAUSE).await;
            tokio::select! {
                changed = geometry.changed() => if changed.is_err() { break },
                _ = shapes.changed() => {}
                _ = list.changed() => {}
                _ = wishes.changed() => {}
            }
            if viewer.watched().as_ref() != Some(&tab) {
                break;
            }
        }
    }
}

/// In CSS pixels of the page.
fn place(geometry: Geometry, zoom: f64) -> serde_json::Value {
    let zoom = zoom * geometry.page_scale.max(f64::MIN_POSITIVE);
    json!({
        "scrollX": geometry.scroll_x,
        "scrollY": geometry.scroll_y,
        "width": geometry.width / zoom,
        "height": geometry.height / zoom,
        "zoom": zoom,
    })
}
