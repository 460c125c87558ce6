//! JavaScript dialogs of pages: what is asked now, and how it is answered.

use super::call::Call;
use super::failure::Failure;
use super::memory::Answer;
use crate::view::message::DialogKind;
use crate::view::prompts::{Asks, Prompt};
use serde_json::{Value, json};
use std::sync::Arc;

/// A dialog as clients see it; none of other prompts.
pub(super) fn shown(prompt: &Prompt) -> Option<Value> {
    let Asks::Dialog(dialog) = &prompt.asks else { return None };
    let mut shown = json!({
        "id": prompt.id,
        "tabId": prompt.tab.0,
        "type": dialog.kind,
        "message": dialog.message,
        "url": dialog.url,
    });
    if dialog.kind == DialogKind::Prompt {
        shown["defaultValue"] = json!(dialog.default.as_deref().unwrap_or_default());
    }
    Some(shown)
}

impl Call<'_> {
    /// The dialog of that name, else the one of the active tab, else the oldest.
    fn modal(&self, id: Option<&str>) -> Option<Arc<Prompt>> {
        let open = self.stage.prompts.watch().borrow().clone();
        let active = self.list().active;
        let mut dialogs = open.iter().filter(|prompt| prompt.is_dialog());
        match id {
            Some(id) => dialogs.find(|prompt| prompt.id == id).cloned(),
            None => {
                dialogs.clone().find(|prompt| Some(&prompt.tab) == active.as_ref()).or_else(|| dialogs.next()).cloned()
            }
        }
    }

    pub fn current_modal(&self) -> Value {
        self.modal(None).and_then(|prompt| shown(&prompt)).unwrap_or_default()
    }

    /// `(accept, text?)`, `({id?, accept, text?})` or `(id, {accept, text?})`.
    pub async fn respond_to_modal(&self) -> Answer {
        let first = self.arguments.at(0);
        let options =
            if first.is_some_and(Value::is_object) { self.arguments.options(0) } else { self.arguments.options(1) };
        let id = first.and_then(Value::as_str).or(options.text("id"));
        let accept = first.and_then(Value::as_bool).or(options.get("accept").and_then(Value::as_bool));
        let accept = accept.ok_or_else(|| Failure::requires("respondToModal", "an object with accept"))?;
        let text = options.text("text").or(self.arguments.at(1).and_then(Value::as_str));
        self.answer_modal(id, accept, text).await
    }

    pub async fn dismiss_modal(&self) -> Answer {
        let id = self.arguments.at(0).and_then(Value::as_str).or(self.arguments.options(0).text("id"));
        self.answer_modal(id, false, None).await
    }

    async fn answer_modal(&self, id: Option<&str>, accept: bool, text: Option<&str>) -> Answer {
        let modal = self.modal(id).ok_or_else(|| Failure::missing("the dialog"))?;
        let answered = self.stage.answer_dialog(&modal.id, accept, text.map(str::to_owned)).await;
        answered.map_err(|why| Failure::told(&why))?;
        Ok(json!({ "ok": true }))
    }
}
