//! What the script in a page tells us. It runs apart from the page's own scripts, but in the page's process: what comes is taken
//! for no better than what a page says.

use super::Focus;
use crate::tabs::bounded;
use crate::view::message::{Choice, Rect};
use serde::Deserialize;

/// The longest select list is less.
const REPORT_BYTES_MAX: usize = 4 * 1024 * 1024;
pub(super) const OPTIONS_MAX: usize = 10_000;
pub(super) const LABEL_BYTES_MAX: usize = 1024;
/// Farther than this is on no screen.
const COORDINATE_MAX: f64 = 1_000_000.0;
/// CSS: the only words that a viewer gets to see as a cursor.
const CURSORS: [&str; 35] = [
    "alias",
    "all-scroll",
    "cell",
    "col-resize",
    "context-menu",
    "copy",
    "crosshair",
    "default",
    "e-resize",
    "ew-resize",
    "grab",
    "grabbing",
    "help",
    "move",
    "n-resize",
    "ne-resize",
    "nesw-resize",
    "no-drop",
    "none",
    "not-allowed",
    "ns-resize",
    "nw-resize",
    "nwse-resize",
    "pointer",
    "progress",
    "row-resize",
    "s-resize",
    "se-resize",
    "sw-resize",
    "text",
    "vertical-text",
    "w-resize",
    "wait",
    "zoom-in",
    "zoom-out",
];

#[derive(Debug, Deserialize)]
#[serde(tag = "about", rename_all = "camelCase")]
pub(super) enum Told {
    Cursor { cursor: String },
    Focus { editable: bool, rect: Option<Rect> },
    Select { number: u64, rect: Rect, options: Vec<Choice> },
    SelectClosed { number: u64 },
}

/// None for what the script does not say.
pub(super) fn read(payload: &str) -> Option<Told> {
    (payload.len() <= REPORT_BYTES_MAX).then(|| serde_json::from_str(payload).ok())?
}

pub(super) fn cursor(word: &str) -> &'static str {
    CURSORS.iter().find(|cursor| **cursor == word).copied().unwrap_or("default")
}

pub(super) fn focus(editable: bool, caret: Option<Rect>, (x, y): (f64, f64)) -> Focus {
    Focus { editable, caret: caret.filter(|_| editable).map(|caret| placed(caret, (x, y))) }
}

/// A rectangle of a frame, in its page.
pub(super) fn placed(rect: Rect, (x, y): (f64, f64)) -> Rect {
    let sane = |value: f64| value.clamp(-COORDINATE_MAX, COORDINATE_MAX);
    Rect { x: sane(rect.x + x), y: sane(rect.y + y), width: sane(rect.width), height: sane(rect.height) }
}

pub(super) fn options(options: Vec<Choice>) -> Vec<Choice> {
    let short = |choice: Choice| Choice {
        label: bounded(&choice.label, LABEL_BYTES_MAX),
        group: choice.group.map(|group| bounded(&group, LABEL_BYTES_MAX)),
        ..choice
    };
    options.into_iter().take(OPTIONS_MAX).map(short).collect()
}
