//! What a viewer does that is no input event: tabs, navigation, answers, the clipboard. Each may take its time; none holds up the
//! viewer that asked, nor anybody else.

use super::message::{Act, Clip, ToViewer};
use super::metrics::Change;
use super::prompts::Asks;
use super::stage::Stage;
use crate::page;
use crate::tabs::Place;
use serde_json::json;
use vitrine_cdp::protocol::dom::SetFileInputFiles;
use vitrine_cdp::protocol::input::InsertText;
use vitrine_cdp::protocol::page::{
    GetNavigationHistory, HandleJavaScriptDialog, Navigate, NavigateToHistoryEntry, Reload, StopLoading,
};
use vitrine_cdp::protocol::target::TargetId;
use vitrine_cdp::{CdpError, Session};

/// Files for one field.
const FILES_MAX: usize = 100;
/// A file's name, as file systems have it.
const NAME_BYTES_MAX: usize = 255;
pub(crate) const URL_BYTES_MAX: usize = 64 * 1024;
/// What a person may open: not the machine's files, not the browser's own pages, no script in the page's name.
pub(crate) const SCHEMES: [&str; 5] = ["http", "https", "data", "blob", "about"];
/// What Chromium says of a navigation that became a download or gave way to the next one.
pub(crate) const NO_FAILURE: &str = "net::ERR_ABORTED";

/// An answer for the viewer alone, or why there is none.
pub(crate) type Done = Result<Option<ToViewer>, String>;

impl Stage {
    /// Does what a viewer of `tab` asked for.
    pub async fn act(&self, tab: Option<TargetId>, act: Act) -> Done {
        match act {
            Act::Activate { tab } => done(self.tabs.activate(&TargetId(tab)).await),
            Act::CloseTab { tab } => done(self.tabs.close(&TargetId(tab)).await),
            Act::NewTab { url } => {
                let url = url.unwrap_or_else(|| "about:blank".into());
                done(self.tabs.create(self.open(&url)?, Place::Front).await)
            }
            Act::Dialog { id, accept, text } => self.answer_dialog(&id, accept, text).await,
            Act::Select { id, indices, cancelled } => {
                let index = indices.and_then(|indices| indices.first().copied()).filter(|_| !cancelled);
                self.answer_select(&id, index).await
            }
            Act::Files { id, paths, cancelled } => {
                let paths = if cancelled { Vec::new() } else { paths.unwrap_or_default() };
                self.answer_chooser(&id, &paths).await
            }
            act => {
                let tab = tab.ok_or("there is no tab")?;
                let page = self.page(&tab).ok_or("the tab is closed")?;
                self.act_in(&tab, &page, act).await
            }
        }
    }

    /// An address that may be opened, as far as it tells by itself.
    fn open<'a>(&self, url: &'a str) -> Result<&'a str, String> {
        let url = allowed(url)?;
        match page::refusal(&self.policy.borrow(), url) {
            None => Ok(url),
            Some(reason) => {
                self.chronicle.denied(url, reason);
                Err(reason.to_owned())
            }
        }
    }

    async fn act_in(&self, tab: &TargetId, page: &Session, act: Act) -> Done {
        match act {
            Act::Navigate { url } => {
                let navigate = Navigate { url: self.open(&url)?.to_owned(), ..Navigate::default() };
                match page.call(navigate).await.map_err(text_of)?.error_text {
                    Some(error) if error != NO_FAILURE => Err(error),
                    _ => Ok(None),
                }
            }
            Act::Back => go(page, -1).await,
            Act::Forward => go(page, 1).await,
            Act::Reload { hard } => done(page.call(Reload { ignore_cache: Some(hard), ..Reload::default() }).await),
            Act::Stop => done(page.call(StopLoading {}).await),
            Act::Paste { text, html, image } => self.paste(tab, page, Clip { text, html, image }).await,
            Act::Copy { cut } => {
                let attended = self.attendance.of(tab).ok_or("the tab is not ready yet")?;
                let copied = attended.call_focused("copy", cut.into()).await.ok_or("the page did not answer")?;
                let content = serde_json::from_value(copied).map_err(|_| "the page did not answer")?;
                Ok(Some(ToViewer::Clipboard { content }))
            }
            Act::Permission { origin, name, state } => {
                let states = self.permit(tab, &origin, &name, state).await?;
                Ok(Some(ToViewer::Permissions { origin, states }))
            }
            Act::Zoom { factor } => done(self.metrics.change(tab, page, Change::Zoom(factor)).await),
            Act::Resize { width: Some(width), height: Some(height), scale, reset: false } => {
                let change = Change::Resize(width, height, scale.unwrap_or(1.0));
                done(self.metrics.change(tab, page, change).await)
            }
            Act::Resize { reset: true, .. } => done(self.metrics.change(tab, page, Change::Reset).await),
            Act::Resize { .. } => Err("a size needs width and height".into()),
            _ => Ok(None),
        }
    }

    /// The page gets a paste event; what it leaves alone is typed.
    async fn paste(&self, tab: &TargetId, page: &Session, clip: Clip) -> Done {
        let pasted = match self.attendance.of(tab) {
            Some(attended) => attended.call_focused("paste", json!(clip)).await,
            None => None,
        };
        match (pasted, clip.text) {
            (Some(serde_json::Value::Bool(false)), _) | (_, None) => Ok(None),
            (_, Some(text)) => done(page.call(InsertText { text }).await),
        }
    }

    pub(crate) async fn answer_dialog(&self, id: &str, accept: bool, text: Option<String>) -> Done {
        let prompt = self.prompts.take(id, |asks| matches!(asks, Asks::Dialog(_))).ok_or(TOO_LATE)?;
        done(prompt.root.session.call(HandleJavaScriptDialog { accept, prompt_text: text }).await)
    }

    async fn answer_select(&self, id: &str, index: Option<u32>) -> Done {
        let prompt = self.prompts.take(id, |asks| matches!(asks, Asks::Select { .. })).ok_or(TOO_LATE)?;
        let Asks::Select { context, number, .. } = &prompt.asks else { return Ok(None) };
        let call = format!("vitrine.pick({number}, {})", json!(index));
        match prompt.root.evaluate(*context, call).await {
            Some(serde_json::Value::Bool(true)) => Ok(None),
            _ => Err("the list is not there any more".into()),
        }
    }

    async fn answer_chooser(&self, id: &str, paths: &[String]) -> Done {
        let mut files = Vec::new();
        for path in paths {
            let name = path.strip_prefix("uploads/").filter(|name| is_name(name));
            files.push(format!("{}/{}", self.setup.uploads, name.ok_or("only files under uploads/ can be chosen")?));
        }
        let fits = |asks: &Asks| match asks {
            Asks::Chooser { multiple, .. } => files.len() <= if *multiple { FILES_MAX } else { 1 },
            _ => false,
        };
        let prompt = self.prompts.take(id, fits).ok_or(TOO_LATE)?;
        match &prompt.asks {
            Asks::Chooser { node, .. } if !files.is_empty() => {
                let command = SetFileInputFiles { files, backend_node_id: Some(*node), ..SetFileInputFiles::default() };
                done(prompt.root.session.call(command).await)
            }
            _ => Ok(None),
        }
    }
}

const TOO_LATE: &str = "that was answered already";

fn done<T>(result: Result<T, CdpError>) -> Done {
    result.map(|_| None).map_err(text_of)
}

fn text_of(error: CdpError) -> String {
    error.to_string()
}

async fn go(page: &Session, steps: i64) -> Done {
    let history = page.call(GetNavigationHistory {}).await.map_err(text_of)?;
    let place = usize::try_from(history.current_index + steps).ok();
    match place.and_then(|place| history.entries.get(place)) {
        Some(entry) => done(page.call(NavigateToHistoryEntry { entry_id: entry.id }).await),
        None => Ok(None),
    }
}

fn allowed(url: &str) -> Result<&str, String> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let known = scheme.is_some_and(|scheme| SCHEMES.contains(&scheme.as_str()));
    if known && url.len() <= URL_BYTES_MAX { Ok(url) } else { Err("that address cannot be opened".into()) }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES_MAX && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_can_be_opened() {
        for url in ["https://example.com/", "HTTP://a", "about:blank", "data:text/html,x"] {
            assert_eq!(allowed(url), Ok(url));
        }
        for url in ["", "example.com", "file:///etc/passwd", "chrome://version", "javascript:alert(1)", " https://a"] {
            assert!(allowed(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_file_to_choose_is_one_name() {
        assert!(is_name("a b.png"));
        for name in ["", "..", "a/b", "../x", "a\0"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
