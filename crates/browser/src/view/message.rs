//! The messages of the live view (`docs/api/live-view.md`), as both sides write them. What a viewer sends is untrusted; what a
//! server sends was said by pages and is bounded where it is made.

use crate::page::Failure;
use crate::screen::{Coding, Picture};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vitrine_model::embed::InteractionMode;

/// Version of the protocol.
pub const VERSION: u32 = 1;
/// Before each picture's bytes.
pub const PICTURE_HEADER_BYTES: usize = 20;
/// A message of a viewer, but for what it pastes.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// A pasted image, in base64, with what is around it.
pub const PASTE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    H264,
    Jpeg,
}

/// What a viewer says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromViewer {
    Start {
        version: u32,
        codings: Vec<Code>,
    },
    Ack {
        sequence: u32,
    },
    Refresh,
    Coding {
        coding: Code,
    },
    Visible {
        visible: bool,
    },
    Ping {
        at: f64,
    },
    Watch {
        tab: Option<String>,
    },
    Permissions {
        origin: String,
    },
    Call {
        id: String,
        call_id: Option<String>,
        method: String,
        #[serde(default)]
        args: Vec<Value>,
    },
    Interaction {
        mode: InteractionMode,
    },
    #[serde(untagged)]
    Act(Act),
}

/// What only a viewer with control may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Act {
    Mouse {
        kind: MouseKind,
        x: f64,
        y: f64,
        button: Button,
        buttons: u8,
        clicks: u8,
        modifiers: u8,
    },
    Wheel {
        x: f64,
        y: f64,
        dx: f64,
        dy: f64,
        modifiers: u8,
    },
    Touch {
        kind: TouchKind,
        points: Vec<Point>,
        modifiers: u8,
    },
    Key {
        kind: KeyKind,
        key: String,
        code: String,
        location: u8,
        modifiers: u8,
        repeat: bool,
        text: Option<String>,
    },
    Insert {
        text: String,
    },
    Compose {
        text: String,
        from: u32,
        to: u32,
    },
    Paste {
        text: Option<String>,
        html: Option<String>,
        image: Option<String>,
    },
    Copy {
        cut: bool,
    },
    Activate {
        tab: String,
    },
    NewTab {
        url: Option<String>,
    },
    CloseTab {
        tab: String,
    },
    Navigate {
        url: String,
    },
    Back,
    Forward,
    Reload {
        hard: bool,
    },
    Stop,
    Dialog {
        id: String,
        accept: bool,
        text: Option<String>,
    },
    Select {
        id: String,
        indices: Option<Vec<u32>>,
        #[serde(default)]
        cancelled: bool,
    },
    Files {
        id: String,
        paths: Option<Vec<String>>,
        #[serde(default)]
        cancelled: bool,
    },
    Permission {
        origin: String,
        name: String,
        state: PermissionState,
    },
    Zoom {
        factor: f64,
    },
    Resize {
        width: Option<u32>,
        height: Option<u32>,
        scale: Option<f64>,
        #[serde(default)]
        reset: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MouseKind {
    Move,
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Button {
    None,
    Left,
    Middle,
    Right,
    Back,
    Forward,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TouchKind {
    Start,
    Move,
    End,
    Cancel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub id: u32,
    pub x: f64,
    pub y: f64,
    pub radius: Option<f64>,
    pub force: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionState {
    Granted,
    Denied,
    Prompt,
}

/// What a viewer is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToViewer {
    Hello {
        version: u32,
        session: String,
        mode: Mode,
        coding: Code,
        viewers: usize,
    },
    Viewers {
        count: usize,
    },
    Pong {
        at: f64,
    },
    Tabs {
        #[serde(skip_serializing_if = "Option::is_none")]
        active: Option<String>,
        tabs: Vec<TabShown>,
    },
    Viewport {
        tab: String,
        width: f64,
        height: f64,
        scale: f64,
        zoom: f64,
    },
    Watching {
        tab: String,
    },
    Cursor {
        cursor: String,
    },
    Clipboard {
        #[serde(flatten)]
        content: Clip,
    },
    Focus {
        editable: bool,
        #[serde(flatten)]
        caret: Option<Rect>,
    },
    Dialog {
        id: String,
        tab: String,
        #[serde(flatten)]
        dialog: Dialog,
    },
    DialogClosed {
        id: String,
    },
    Select {
        id: String,
        tab: String,
        #[serde(flatten)]
        rect: Rect,
        multiple: bool,
        options: Vec<Choice>,
    },
    SelectClosed {
        id: String,
    },
    FileChooser {
        id: String,
        tab: String,
        multiple: bool,
        accept: Vec<String>,
    },
    FileChooserClosed {
        id: String,
    },
    Download(Download),
    Permissions {
        origin: String,
        states: Vec<Permitted>,
    },
    Result {
        id: String,
        #[serde(flatten)]
        outcome: Outcome,
    },
    Event {
        name: String,
        detail: Value,
    },
    Policy {
        policy: Value,
        methods: Vec<String>,
    },
    Error {
        about: String,
        message: String,
    },
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Value(Value),
    Error(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    View,
    Control,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct TabShown {
    pub id: String,
    pub title: String,
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favicon: Option<String>,
    pub loading: bool,
    pub can_go_back: bool,
    pub can_go_forward: bool,
    pub crashed: bool,
}

/// In the units of `viewport`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clip {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// A PNG, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Dialog {
    pub kind: DialogKind,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    pub url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DialogKind {
    Alert,
    Confirm,
    Prompt,
    Beforeunload,
}

/// One option of a select list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub label: String,
    pub selected: bool,
    pub disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A file on its way from a page, as viewers are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Download {
    pub id: String,
    pub name: String,
    pub url: String,
    /// None when the site does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    pub received: u64,
    pub state: DownloadState,
    /// Within the session's files, once it can be fetched from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DownloadState {
    InProgress,
    Completed,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Permitted {
    pub name: String,
    pub state: PermissionState,
}

impl Act {
    /// Its type on the wire.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Act::Mouse { .. } => "mouse",
            Act::Wheel { .. } => "wheel",
            Act::Touch { .. } => "touch",
            Act::Key { .. } => "key",
            Act::Insert { .. } => "insert",
            Act::Compose { .. } => "compose",
            Act::Paste { .. } => "paste",
            Act::Copy { .. } => "copy",
            Act::Activate { .. } => "activate",
            Act::NewTab { .. } => "newTab",
            Act::CloseTab { .. } => "closeTab",
            Act::Navigate { .. } => "navigate",
            Act::Back => "back",
            Act::Forward => "forward",
            Act::Reload { .. } => "reload",
            Act::Stop => "stop",
            Act::Dialog { .. } => "dialog",
            Act::Select { .. } => "select",
            Act::Files { .. } => "files",
            Act::Permission { .. } => "permission",
            Act::Zoom { .. } => "zoom",
            Act::Resize { .. } => "resize",
        }
    }

    /// What changes how the page is shown, and nothing in it.
    pub(super) fn is_of_the_picture(&self) -> bool {
        matches!(self, Act::Zoom { .. } | Act::Resize { .. })
    }

    /// What is done to what the keys before it selected, and before the keys after it type.
    pub(super) fn is_clipboard(&self) -> bool {
        matches!(self, Act::Paste { .. } | Act::Copy { .. })
    }

    /// An event of the mouse, the keyboard or a finger: what must stay in order.
    pub(super) fn is_input(&self) -> bool {
        matches!(
            self,
            Act::Mouse { .. }
                | Act::Wheel { .. }
                | Act::Touch { .. }
                | Act::Key { .. }
                | Act::Insert { .. }
                | Act::Compose { .. }
        )
    }
}

impl From<Code> for Coding {
    fn from(code: Code) -> Coding {
        match code {
            Code::H264 => Coding::H264,
            Code::Jpeg => Coding::Jpeg,
        }
    }
}

/// A picture as one binary message.
pub(super) fn frame(picture: &Picture) -> Vec<u8> {
    let coding = match picture.coding {
        Coding::H264 => 1,
        Coding::Jpeg => 2,
    };
    let flags = u8::from(picture.key) | u8::from(picture.droppable) << 1;
    let at_us = u64::try_from(picture.at.as_micros()).unwrap_or(u64::MAX);
    let mut frame = Vec::with_capacity(PICTURE_HEADER_BYTES + picture.data.len());
    frame.extend([VERSION as u8, coding, flags, 0]);
    frame.extend(picture.sequence.to_be_bytes());
    frame.extend(at_us.to_be_bytes());
    frame.extend(picture.width.to_be_bytes());
    frame.extend(picture.height.to_be_bytes());
    frame.extend_from_slice(&picture.data);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const VIEWER: &str = include_str!("../../../../web/fixtures/live-view/viewer.json");
    const SERVER: &str = include_str!("../../../../web/fixtures/live-view/server.json");
    const PICTURES: &str = include_str!("../../../../web/fixtures/live-view/pictures.json");

    /// 1 and 1.0 are the same number in JSON; a field that is null is one that is left out; so is a flag that is false where the
    /// fixture leaves it out.
    fn plain(value: Value) -> Value {
        match value {
            Value::Number(number) => number.as_f64().into(),
            Value::Array(items) => items.into_iter().map(plain).collect(),
            Value::Object(fields) => {
                let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
                Value::Object(kept.map(|(name, value)| (name, plain(value))).collect())
            }
            other => other,
        }
    }

    fn without_defaults(mut value: Value) -> Value {
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, value| !(matches!(name.as_str(), "cancelled" | "reset") && *value == false));
            // A hint that is read by nobody.
            if fields["type"] == "start" {
                fields.retain(|name, _| !matches!(name.as_str(), "width" | "height" | "scale"));
            }
        }
        plain(value)
    }

    #[test]
    fn every_message_of_the_fixtures_is_read_and_written_as_it_stands_there() {
        for fixture in serde_json::from_str::<Vec<Value>>(VIEWER).expect("fixtures") {
            let read: FromViewer = serde_json::from_value(fixture.clone()).expect("a message");
            let written = serde_json::to_value(&read).expect("JSON");
            assert_eq!(without_defaults(written), without_defaults(fixture));
        }
        for fixture in serde_json::from_str::<Vec<Value>>(SERVER).expect("fixtures") {
            let read: ToViewer = serde_json::from_value(fixture.clone()).expect("a message");
            assert_eq!(plain(serde_json::to_value(&read).expect("JSON")), plain(fixture));
        }
    }

    #[test]
    fn a_picture_has_the_header_of_the_fixtures() {
        for fixture in serde_json::from_str::<Vec<Value>>(PICTURES).expect("fixtures") {
            let number = |name: &str| fixture[name].as_u64().expect(name);
            let picture = Picture {
                coding: if fixture["coding"] == "h264" { Coding::H264 } else { Coding::Jpeg },
                key: fixture["key"] == true,
                droppable: fixture["droppable"] == true,
                sequence: number("sequence") as u32,
                at: Duration::from_micros(number("atMicroseconds")),
                width: number("width") as u16,
                height: number("height") as u16,
                data: b"\xab\xcd".as_slice().into(),
            };
            let hex: String = frame(&picture).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, format!("{}abcd", fixture["hex"].as_str().expect("hex")));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in [r#"{"type":"fly"}"#, r#"{"type":"ack"}"#, r#"{"type":"mouse","kind":"move"}"#, "[]", "1"] {
            assert!(serde_json::from_str::<FromViewer>(text).is_err(), "{text}");
        }
    }
}
