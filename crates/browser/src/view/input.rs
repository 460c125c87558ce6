//! A viewer's hands: its mouse, wheel, fingers and keys as Chromium's own input events, in the order in which they came.
//!
//! Chromium answers an event when the page has dealt with it: not while the page shows a dialog, late when it is busy. So
//! answers are not waited for; what is under way is bounded, and movements that the page cannot follow become one.

use super::keys;
use super::message::{Act, Button, KeyKind, MouseKind, Point, TouchKind};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::collections::BTreeMap;
use vitrine_cdp::protocol::input::{
    DispatchKeyEvent, DispatchKeyEventType, DispatchMouseEvent, DispatchMouseEventType, DispatchTouchEvent,
    DispatchTouchEventType, ImeSetComposition, InsertText, MouseButton, TouchPoint,
};
use vitrine_cdp::{CdpError, Session};

/// Events that a page has not dealt with; what comes then is refused.
const UNDER_WAY_MAX: usize = 64;
/// Movements wait when the page is so far behind.
const BEHIND: usize = 4;
/// No hand has more fingers.
const FINGERS_MAX: usize = 16;
/// Farther than this is on no screen.
const COORDINATE_MAX: f64 = 100_000.0;
/// Names of keys are a few characters.
const KEY_BYTES_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Hands {
    under_way: FuturesUnordered<BoxFuture<'static, ()>>,
    /// The newest movement, when the page is behind.
    movement: Option<(Session, Event)>,
    /// The fingers that touch, as they were last.
    fingers: BTreeMap<u32, Point>,
}

enum Event {
    Mouse(DispatchMouseEvent),
    Touch(DispatchTouchEvent),
    Key(DispatchKeyEvent),
    Insert(InsertText),
    Compose(ImeSetComposition),
}

impl Hands {
    /// Passes an input message on; false when the page is too far behind for it. Messages that are no input do nothing.
    pub fn act(&mut self, page: &Session, act: Act) -> bool {
        let events = match act {
            Act::Mouse { kind, x, y, button, buttons, clicks, modifiers } => {
                let r#type = match kind {
                    MouseKind::Move => DispatchMouseEventType::MouseMoved,
                    MouseKind::Down => DispatchMouseEventType::MousePressed,
                    MouseKind::Up => DispatchMouseEventType::MouseReleased,
                };
                let event = mouse(r#type, (x, y), modifiers);
                vec![Event::Mouse(DispatchMouseEvent {
                    button: Some(name_of(button)),
                    buttons: Some(buttons.into()),
                    click_count: Some(clicks.into()),
                    ..event
                })]
            }
            Act::Wheel { x, y, dx, dy, modifiers } => {
                let event = mouse(DispatchMouseEventType::MouseWheel, (x, y), modifiers);
                vec![Event::Mouse(DispatchMouseEvent { delta_x: Some(sane(dx)), delta_y: Some(sane(dy)), ..event })]
            }
            Act::Touch { kind, points, modifiers } => self.touch(kind, &points, modifiers),
            Act::Key { kind, key, code, location, modifiers, repeat, text } => {
                if key.len().max(code.len()) > KEY_BYTES_MAX {
                    return true;
                }
                vec![Event::Key(key_event(kind, key, code, location, modifiers, repeat, text))]
            }
            Act::Insert { text } => vec![Event::Insert(InsertText { text })],
            Act::Compose { text, from, to } => vec![Event::Compose(ImeSetComposition {
                text,
                selection_start: from.into(),
                selection_end: to.into(),
                ..ImeSetComposition::default()
            })],
            _ => Vec::new(),
        };
        events.into_iter().all(|event| self.put(page, event))
    }

    /// Waits until the page has dealt with something, and goes on with what waits. Pends for ever when nothing is under way.
    pub async fn settle(&mut self) {
        if self.under_way.next().await.is_none() {
            std::future::pending::<()>().await;
        }
        if self.under_way.len() < BEHIND
            && let Some((page, event)) = self.movement.take()
        {
            self.dispatch(&page, event);
        }
    }

    /// Whether the page has dealt with all of it.
    pub fn are_idle(&self) -> bool {
        self.under_way.is_empty() && self.movement.is_none()
    }

    fn put(&mut self, page: &Session, event: Event) -> bool {
        if event.is_movement() && self.under_way.len() >= BEHIND {
            let event = match self.movement.take() {
                Some((_, earlier)) => event.after(earlier),
                None => event,
            };
            self.movement = Some((page.clone(), event));
            return true;
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            return false;
        }
        if let Some((page, earlier)) = self.movement.take() {
            self.dispatch(&page, earlier);
        }
        self.dispatch(page, event);
        true
    }

    fn dispatch(&self, page: &Session, event: Event) {
        let page = page.clone();
        let mut call = async move {
            if let Err(error) = event.call(&page).await {
                tracing::debug!(%error, "an input event got lost");
            }
        }
        .boxed();
        // Polled once at once, which is what sends it: the set polls in no order.
        if (&mut call).now_or_never().is_none() {
            self.under_way.push(call);
        }
    }

    /// A message names all fingers that touch (when it ends: none). Chromium wants those that touch, or those that left.
    fn touch(&mut self, kind: TouchKind, points: &[Point], modifiers: u8) -> Vec<Event> {
        let event = |r#type, points: Vec<TouchPoint>| {
            Event::Touch(DispatchTouchEvent {
                r#type,
                touch_points: points,
                modifiers: Some(modifiers.into()),
                timestamp: None,
            })
        };
        let down: BTreeMap<u32, Point> = points.iter().take(FINGERS_MAX).map(|point| (point.id, *point)).collect();
        let before = std::mem::take(&mut self.fingers);
        let mut events = Vec::new();
        if kind == TouchKind::Cancel {
            if !before.is_empty() {
                events.push(event(DispatchTouchEventType::TouchCancel, Vec::new()));
            }
            return events;
        }
        let left: Vec<_> = before.values().filter(|point| !down.contains_key(&point.id)).map(finger).collect();
        let come = down.keys().any(|id| !before.contains_key(id));
        if !left.is_empty() {
            // An empty list is all of them.
            let all = left.len() == before.len();
            events.push(event(DispatchTouchEventType::TouchEnd, if all { Vec::new() } else { left }));
        }
        if come {
            events.push(event(DispatchTouchEventType::TouchStart, down.values().map(finger).collect()));
        } else if !down.is_empty() && down != before {
            events.push(event(DispatchTouchEventType::TouchMove, down.values().map(finger).collect()));
        }
        self.fingers = down;
        events
    }
}

impl Event {
    fn is_movement(&self) -> bool {
        match self {
            Event::Mouse(mouse) => {
                matches!(mouse.r#type, DispatchMouseEventType::MouseMoved | DispatchMouseEventType::MouseWheel)
            }
            Event::Touch(touch) => touch.r#type == DispatchTouchEventType::TouchMove,
            Event::Key(_) | Event::Insert(_) | Event::Compose(_) => false,
        }
    }

    /// One movement for two: turns of the wheel add up, else the later one counts.
    fn after(mut self, earlier: Event) -> Event {
        if let (Event::Mouse(later), Event::Mouse(earlier)) = (&mut self, earlier) {
            let add =
                |later: Option<f64>, earlier: Option<f64>| later.map(|delta| sane(delta + earlier.unwrap_or(0.0)));
            later.delta_x = add(later.delta_x, earlier.delta_x);
            later.delta_y = add(later.delta_y, earlier.delta_y);
        }
        self
    }

    async fn call(self, page: &Session) -> Result<(), CdpError> {
        match self {
            Event::Mouse(event) => page.call(event).await,
            Event::Touch(event) => page.call(event).await,
            Event::Key(event) => page.call(event).await,
            Event::Insert(event) => page.call(event).await,
            Event::Compose(event) => page.call(event).await,
        }
        .map(|_| ())
    }
}

fn sane(coordinate: f64) -> f64 {
    coordinate.clamp(-COORDINATE_MAX, COORDINATE_MAX)
}

pub(crate) fn mouse(r#type: DispatchMouseEventType, (x, y): (f64, f64), modifiers: u8) -> DispatchMouseEvent {
    DispatchMouseEvent {
        r#type,
        x: sane(x),
        y: sane(y),
        modifiers: Some(modifiers.into()),
        timestamp: None,
        button: None,
        buttons: None,
        click_count: None,
        force: None,
        tangential_pressure: None,
        tilt_x: None,
        tilt_y: None,
        twist: None,
        delta_x: None,
        delta_y: None,
        pointer_type: None,
    }
}

fn name_of(button: Button) -> MouseButton {
    match button {
        Button::None => MouseButton::None,
        Button::Left => MouseButton::Left,
        Button::Middle => MouseButton::Middle,
        Button::Right => MouseButton::Right,
        Button::Back => MouseButton::Back,
        Button::Forward => MouseButton::Forward,
    }
}

fn finger(point: &Point) -> TouchPoint {
    let radius = point.radius.map(|radius| radius.clamp(0.0, COORDINATE_MAX));
    TouchPoint {
        x: sane(point.x),
        y: sane(point.y),
        radius_x: radius,
        radius_y: radius,
        rotation_angle: None,
        force: point.force.map(|force| force.clamp(0.0, 1.0)),
        tangential_pressure: None,
        tilt_x: None,
        tilt_y: None,
        twist: None,
        id: Some(point.id.into()),
    }
}

pub(crate) fn key_event(
    kind: KeyKind,
    key: String,
    code: String,
    location: u8,
    modifiers: u8,
    repeat: bool,
    text: Option<String>,
) -> DispatchKeyEvent {
    let (r#type, text) = match (kind, text) {
        (KeyKind::Up, _) => (DispatchKeyEventType::KeyUp, None),
        // A key that types is a `char` too; Enter types what it does in a text field.
        (KeyKind::Down, None) if key == "Enter" => (DispatchKeyEventType::KeyDown, Some("\r".to_owned())),
        (KeyKind::Down, None) => (DispatchKeyEventType::RawKeyDown, None),
        (KeyKind::Down, text) => (DispatchKeyEventType::KeyDown, text),
    };
    let commands = if kind == KeyKind::Down { keys::commands(&key, modifiers) } else { Vec::new() };
    let key_code = keys::windows_key_code(&key, &code, location);
    DispatchKeyEvent {
        r#type,
        modifiers: Some(modifiers.into()),
        timestamp: None,
        unmodified_text: text.clone(),
        text,
        key_identifier: None,
        code: Some(code),
        key: Some(key),
        windows_virtual_key_code: Some(key_code),
        native_virtual_key_code: Some(key_code),
        auto_repeat: Some(repeat),
        is_keypad: Some(location == 3),
        is_system_key: None,
        location: Some(i64::from(location)).filter(|location| (1..=2).contains(location)),
        commands: (!commands.is_empty()).then_some(commands),
    }
}
