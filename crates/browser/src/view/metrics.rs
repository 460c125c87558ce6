//! The size of a tab's page and its zoom. A zoomed page is laid out smaller and shown larger, so its picture stays as large and
//! sharp as it was; points of the picture stay points of the viewer.

use super::message::ToViewer;
use std::collections::BTreeMap;
use tokio::sync::watch;
use vitrine_cdp::protocol::emulation::{ClearDeviceMetricsOverride, SetDeviceMetricsOverride};
use vitrine_cdp::protocol::page::GetLayoutMetrics;
use vitrine_cdp::protocol::target::TargetId;
use vitrine_cdp::{CdpError, Session};

/// In CSS pixels. Larger pages are scaled down in the picture anyway.
const WIDTH: std::ops::RangeInclusive<u32> = 160..=3840;
const HEIGHT: std::ops::RangeInclusive<u32> = 120..=2400;
/// Device pixels for one CSS pixel.
const SCALE: (f64, f64) = (0.5, 4.0);
/// What browsers offer.
const ZOOM: (f64, f64) = (0.25, 5.0);

/// What viewers changed of the tabs' own sizes. Lasts for as long as the tab is attended.
pub(crate) struct Metrics {
    changed: watch::Sender<BTreeMap<TargetId, Shape>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// As it was before the first change.
    natural: (i64, i64),
    resized: Option<(i64, i64)>,
    pub scale: f64,
    pub zoom: f64,
}

/// A change that a viewer asks for.
pub(crate) enum Change {
    Zoom(f64),
    Resize(u32, u32, f64),
    Reset,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics { changed: watch::Sender::default() }
    }

    pub fn watch(&self) -> watch::Receiver<BTreeMap<TargetId, Shape>> {
        self.changed.subscribe()
    }

    /// Pixels of the picture for one of the page.
    pub fn zoom(&self, tab: &TargetId) -> f64 {
        self.changed.borrow().get(tab).map_or(1.0, |shape| shape.zoom)
    }

    /// The sessions that hold the changes are gone, and the changes with them.
    pub fn forget(&self) {
        self.changed.send_modify(BTreeMap::clear);
    }

    pub async fn change(&self, tab: &TargetId, page: &Session, change: Change) -> Result<(), CdpError> {
        let known = self.changed.borrow().get(tab).copied();
        let mut shape = match known {
            Some(shape) => shape,
            None => {
                let view = page.call(GetLayoutMetrics {}).await?.css_layout_viewport;
                Shape { natural: (view.client_width, view.client_height), resized: None, scale: 1.0, zoom: 1.0 }
            }
        };
        match change {
            Change::Zoom(factor) => shape.zoom = factor.clamp(ZOOM.0, ZOOM.1),
            Change::Resize(width, height, scale) => {
                let width = width.clamp(*WIDTH.start(), *WIDTH.end());
                let height = height.clamp(*HEIGHT.start(), *HEIGHT.end());
                shape.resized = Some((width.into(), height.into()));
                shape.scale = scale.clamp(SCALE.0, SCALE.1);
            }
            Change::Reset => (shape.resized, shape.scale) = (None, 1.0),
        }
        shape.apply(page).await?;
        self.changed.send_modify(|changed| {
            changed.insert(tab.clone(), shape);
        });
        Ok(())
    }
}

impl Shape {
    async fn apply(&self, page: &Session) -> Result<(), CdpError> {
        // The visible size first: a zoom leaves it as it is.
        match self.resized {
            None => page.call(ClearDeviceMetricsOverride {}).await?,
            Some((width, height)) => page.call(plain(width, height, self.scale)).await?,
        };
        if self.zoom == 1.0 {
            return Ok(());
        }
        let (width, height) = self.resized.unwrap_or(self.natural);
        let laid_out = |length: i64| (length as f64 / self.zoom).round() as i64;
        let zoomed = SetDeviceMetricsOverride {
            scale: Some(self.zoom),
            dont_set_visible_size: Some(true),
            ..plain(laid_out(width), laid_out(height), self.scale * self.zoom)
        };
        page.call(zoomed).await?;
        Ok(())
    }
}

fn plain(width: i64, height: i64, scale: f64) -> SetDeviceMetricsOverride {
    SetDeviceMetricsOverride { width, height, device_scale_factor: scale, mobile: false, ..Default::default() }
}

/// What a viewer is told of a tab's size.
pub(crate) fn viewport(tab: &TargetId, (width, height): (f64, f64), shape: Option<Shape>) -> ToViewer {
    let (scale, zoom) = shape.map_or((1.0, 1.0), |shape| (shape.scale, shape.zoom));
    ToViewer::Viewport { tab: tab.0.clone(), width, height, scale, zoom }
}
