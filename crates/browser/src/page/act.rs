//! The methods that do to a page what a person would do, by real input events, and `evaluate`.

use super::arguments::Arguments;
use super::call::Call;
use super::failure::Failure;
use super::memory::Answer;
use super::method::Method;
use super::typing;
use super::world::Found;
use crate::view::attend::Attended;
use crate::view::input::mouse;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use vitrine_cdp::protocol::input::{DispatchMouseEvent, DispatchMouseEventType, InsertText, MouseButton};
use vitrine_cdp::protocol::runtime::{Evaluate, ExceptionDetails, RemoteObject};
use vitrine_cdp::{CdpError, Session};

/// What one call types.
const TEXT_CHARS_MAX: usize = 64 * 1024;
/// More than this is not typed key by key but inserted as a whole, as a paste is.
const KEYS_MAX: usize = 1024;
/// Between two keys, at most.
const KEY_DELAY_MAX_MS: u64 = 1000;
/// Of an expression's value, as JSON.
const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Of the whole answer, where a value of ASCII may stand with six bytes for each of its own.
const ANSWER_BYTES_MAX: usize = 6 * VALUE_BYTES_MAX + 64 * 1024;
const EXPRESSION_BYTES_MAX: usize = 1024 * 1024;
/// A page that answers no input event has still got it.
const INPUT_LIMIT: Duration = Duration::from_secs(5);
/// The fields of `act`, and the methods that they stand for.
const ACTIONS: [(&str, Method); 6] = [
    ("navigate", Method::NavigateTo),
    ("click", Method::Click),
    ("type", Method::Type),
    ("evaluate", Method::Evaluate),
    ("waitForSelector", Method::WaitForSelector),
    ("waitForNavigation", Method::WaitForNavigation),
];

impl Call<'_> {
    pub async fn click(&self) -> Answer {
        let selector = self.arguments.text(0, "selector")?;
        let options = self.arguments.options(1);
        let tab = self.tab(1)?;
        let attended = self.attended(&tab.id).await?;
        renew(&attended);
        let Found::Ready { x, y, .. } = self.find(&tab.id, "locate", selector, Value::Null).await? else {
            return Err(Failure::missing("the element"));
        };
        let (button, bit) = match options.text("button") {
            Some("right") => (MouseButton::Right, 2),
            Some("middle") => (MouseButton::Middle, 4),
            _ => (MouseButton::Left, 1),
        };
        let zoom = self.stage.metrics.zoom(&tab.id);
        let at = (x * zoom, y * zoom);
        let event = |r#type, buttons, clicks| DispatchMouseEvent {
            button: Some(button.clone()),
            buttons: Some(buttons),
            click_count: Some(clicks),
            ..mouse(r#type, at, 0)
        };
        let mut events = vec![mouse(DispatchMouseEventType::MouseMoved, at, 0)];
        for click in 1..=options.count("clickCount", 1, 3) as i64 {
            events.push(event(DispatchMouseEventType::MousePressed, bit, click));
            events.push(event(DispatchMouseEventType::MouseReleased, 0, click));
        }
        // All at once, in order: the page deals with one after the other.
        let clicked = join_all(events.into_iter().map(|event| attended.page.call_within(INPUT_LIMIT, event)));
        tokio::select! {
            // What the page opened lets it answer nothing more: it was clicked.
            () = self.dialog(&tab.id) => {}
            done = clicked => { done.into_iter().collect::<Result<Vec<_>, _>>()?; }
        }
        Ok(json!({ "result": true }))
    }

    pub async fn type_text(&self) -> Answer {
        let selector = self.arguments.text(0, "selector")?;
        let text = self.arguments.at(1).and_then(Value::as_str);
        let text = text.ok_or_else(|| Failure::requires("type", "a non-empty text"))?;
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(Failure::requires("type", &format!("a non-empty text of at most {TEXT_CHARS_MAX} characters")));
        }
        let options = self.arguments.options(2);
        let (clear, submit) = (options.is("clear"), options.is("submit"));
        let tab = self.tab(2)?;
        let attended = self.attended(&tab.id).await?;
        renew(&attended);
        let Found::Ready { filled, .. } = self.find(&tab.id, "focus", selector, json!({ "clear": clear })).await?
        else {
            return Err(Failure::missing("the element"));
        };
        let delay = Duration::from_millis(options.count("delayMs", 0, KEY_DELAY_MAX_MS));
        let typed = async {
            if clear && filled {
                press(&attended.page, typing::DELETE).await?;
            }
            write(&attended.page, text, delay).await?;
            if submit {
                press(&attended.page, typing::ENTER).await?;
            }
            Ok::<_, Failure>(json!({ "result": true }))
        };
        tokio::select! {
            typed = typed => typed,
            () = self.dialog(&tab.id) => match submit || text.contains('\n') {
                true => Ok(json!({ "result": true })),
                false => Err(Failure::conflict("a dialog opened in the page while it was typed into")),
            },
        }
    }

    /// Runs in the page's own world: what it sees, and what it may have changed.
    pub async fn evaluate(&self) -> Answer {
        let expression = self.arguments.text(0, "expression")?;
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(Failure::requires("evaluate", "a non-empty expression of at most 1 MiB"));
        }
        let tab = self.tab(1)?;
        let attended = self.attended(&tab.id).await?;
        let left = self.left();
        let command = Evaluate {
            expression: expression.to_owned(),
            return_by_value: Some(true),
            await_promise: Some(true),
            user_gesture: Some(true),
            // Ends a script that runs for ever, so that the page can be used again.
            timeout: Some(left.as_secs_f64() * 1000.0),
            ..Evaluate::default()
        };
        let late = || Failure::late("evaluate", self.arguments.limit());
        let asked = attended.page.call_bounded(left, ANSWER_BYTES_MAX, command);
        let answer = timeout(left, asked).await.map_err(|_| late())?;
        let answer = match answer {
            Err(CdpError::TimedOut { .. }) => return Err(late()),
            Err(CdpError::TooLarge { .. }) => return Err(too_large()),
            answer => answer?,
        };
        match answer.exception_details {
            Some(thrown) => Err(Failure::told(&said(&thrown))),
            None => Ok(json!({ "result": value_of(answer.result)? })),
        }
    }

    /// Whether the selector matches something in the time of the call.
    pub async fn wait_for_selector(&self) -> Answer {
        let selector = self.arguments.text(0, "selector")?;
        let tab = self.tab(1)?;
        let verb = if self.arguments.options(1).is("visible") { "locate" } else { "has" };
        match self.find(&tab.id, verb, selector, Value::Null).await {
            Ok(_) => Ok(json!(true)),
            Err(failure) if failure.is_invalid() || self.list().get(&tab.id).is_none() => Err(failure),
            Err(_) => Ok(json!(false)),
        }
    }

    /// One action, named by the field of an object; answered with what the method of that name answers.
    pub async fn act(&self) -> Answer {
        let fields =
            self.arguments.at(0).and_then(Value::as_object).ok_or_else(|| Failure::requires("act", "an object"))?;
        let action = ACTIONS.iter().find_map(|(name, method)| Some((*name, *method, fields.get(*name)?)));
        let (action, method, given) = action.ok_or_else(|| Failure::requires("act", "an object with an action"))?;
        let values = match (given, action) {
            (Value::Object(given), "waitForNavigation") => vec![json!(given)],
            (_, "waitForNavigation") => Vec::new(),
            (Value::Object(options), _) => {
                let first = match action {
                    "navigate" => "url",
                    "evaluate" => "expression",
                    _ => "selector",
                };
                let mut values = vec![options.get(first).cloned().unwrap_or_default()];
                if action == "type" {
                    values.push(options.get("text").cloned().unwrap_or_default());
                }
                values.push(given.clone());
                values
            }
            (plain, _) => vec![plain.clone()],
        };
        let arguments = Arguments::new(method.name(), values);
        let deadline = self.deadline.min(tokio::time::Instant::now() + arguments.limit());
        let call = Call { stage: self.stage, caller: self.caller, arguments, deadline };
        let value = call.run(method).await?;
        Ok(json!({ "ok": true, "action": action, "value": value }))
    }
}

/// A person acts: the scripts that tell viewers of lists and carets go on. Polled once, which sends it.
fn renew(attended: &std::sync::Arc<Attended>) {
    if let Some(renewal) = attended.renew() {
        let _ = renewal.now_or_never();
    }
}

async fn press(page: &Session, key: typing::Key) -> Result<(), Failure> {
    let [down, up] = typing::strokes(key);
    let (down, up) = tokio::join!(page.call_within(INPUT_LIMIT, down), page.call_within(INPUT_LIMIT, up));
    down?;
    up?;
    Ok(())
}

/// Types what has keys and inserts the rest.
async fn write(page: &Session, text: &str, delay: Duration) -> Result<(), Failure> {
    let text = text.replace("\r\n", "\n");
    if text.chars().count() > KEYS_MAX {
        page.call_within(INPUT_LIMIT, InsertText { text }).await?;
        return Ok(());
    }
    let mut rest = text.as_str();
    while let Some(char) = rest.chars().next() {
        if let Some(key) = typing::key_of(char) {
            press(page, key).await?;
            rest = &rest[char.len_utf8()..];
        } else {
            let end = rest.find(|char| typing::key_of(char).is_some()).unwrap_or(rest.len());
            page.call_within(INPUT_LIMIT, InsertText { text: rest[..end].to_owned() }).await?;
            rest = &rest[end..];
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
    }
    Ok(())
}

/// The first line of what was thrown.
fn said(thrown: &ExceptionDetails) -> String {
    let description = thrown.exception.as_ref().and_then(|exception| {
        let plain =
            exception.value.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        exception.description.clone().or(plain)
    });
    let text = description.unwrap_or_else(|| thrown.text.clone());
    text.lines().next().unwrap_or_default().to_owned()
}

fn too_large() -> Failure {
    Failure::internal("the value is larger than 1 MiB")
}

fn value_of(object: RemoteObject) -> Answer {
    let kind = serde_json::to_value(&object.r#type).unwrap_or_default();
    let value = match (object.value, object.unserializable_value) {
        (Some(value), _) => value,
        (None, Some(text)) => json!(text),
        (None, None) => Value::Null,
    };
    if value.to_string().len() > VALUE_BYTES_MAX {
        return Err(too_large());
    }
    Ok(json!({ "type": kind, "value": value }))
}
