//! Files that pages give: where they are, what they are called, when they are whole.
//!
//! How Chromium (156, both builds) behaves, which this relies on: the folder is a property of a browser context and the last
//! `Browser.setDownloadBehavior` wins; when the connection that set it closes, the context falls back to Chromium's own
//! (the headless shell cancels, the full browser writes to `$HOME/Downloads`). Events go to every connection that asked for
//! them, for all contexts, wherever the file lands, also for a folder that a client has chosen. Therefore we set a folder
//! only where no client can have set one: in the default context, before the first client and after the last. A context
//! that a client makes for itself has what the client gives it. A file of a name that is there already replaces it, in any
//! folder whose owner did not ask for names of their own: take each file when it is whole.
//!
//! Promises bounded memory and strings, whatever pages do.

use futures_util::FutureExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use vitrine_cdp::protocol::browser::{
    BrowserContextId, DownloadProgress, DownloadProgressState, DownloadWillBegin, SetDownloadBehavior,
    SetDownloadBehaviorBehavior,
};
use vitrine_cdp::{CdpError, Connection, Events, Missed};

/// Downloads under way that are remembered; of one beyond that only the end is told, with its file's name.
const UNDER_WAY_MAX: usize = 256;
/// Addresses longer than this are cut: a `data:` URL holds the whole file.
const URL_BYTES_MAX: usize = 2048;
/// The longest name of a file.
const NAME_BYTES_MAX: usize = 255;
/// Chromium's own is 36 characters; a longer one is not Chromium's.
const GUID_BYTES_MAX: usize = 64;
/// Between two words on one download's progress: what a person can see.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// One file on its way, or whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Names it for as long as the browser lives.
    pub guid: String,
    pub url: String,
    /// What the site calls it: one path component. The file's own name may differ.
    pub name: String,
    pub received_bytes: u64,
    /// 0 when the site does not say.
    pub total_bytes: u64,
    pub state: State,
    /// Where the whole file is, as the browser sees it: anywhere that its user may write, and written by what is hostile.
    pub path: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    InProgress,
    Completed,
    Cancelled,
}

/// Lets a context (the default one when it has no name) download into `folder`, or not at all, and the connection hear of all
/// downloads. For as long as the connection is open; call it before the first client comes and, since a client's going takes its folder with it, some 100 ms after the
/// last has left: Chromium notices the going on a connection of its own, in no order with ours.
pub async fn permit(
    connection: &Connection,
    context: Option<BrowserContextId>,
    folder: Option<&str>,
) -> Result<(), CdpError> {
    let behavior = SetDownloadBehavior {
        behavior: match folder {
            Some(_) => SetDownloadBehaviorBehavior::Allow,
            None => SetDownloadBehaviorBehavior::Deny,
        },
        browser_context_id: context,
        download_path: folder.map(str::to_owned),
        events_enabled: Some(true),
    };
    connection.call(behavior).await.map(drop)
}

/// The downloads of a browser, as they go on. Holds nothing of the browser's: drop it to stop.
pub struct Downloads {
    beginnings: Events<DownloadWillBegin>,
    progress: Events<DownloadProgress>,
    under_way: HashMap<String, UnderWay>,
}

struct UnderWay {
    url: String,
    name: String,
    told: Instant,
}

impl Downloads {
    /// Listens on a connection for which [`permit`] is called; any number may.
    pub fn watch(connection: &Connection) -> Downloads {
        Downloads { beginnings: connection.events(), progress: connection.events(), under_way: HashMap::new() }
    }

    /// The next download that began, went on or ended; `None` when the connection has ended. May be cancelled.
    pub async fn next(&mut self) -> Option<Download> {
        loop {
            let told = tokio::select! {
                biased;
                begun = self.beginnings.next() => heard(begun)?.and_then(|begun| self.begin(begun)),
                changed = self.progress.next() => {
                    let changed = heard(changed)?;
                    changed.and_then(|changed| self.change(changed))
                }
            };
            if told.is_some() {
                return told;
            }
        }
    }

    fn begin(&mut self, begun: DownloadWillBegin) -> Option<Download> {
        if begun.guid.len() > GUID_BYTES_MAX || self.under_way.len() >= UNDER_WAY_MAX {
            return None;
        }
        let (url, name) = (cut(&begun.url, URL_BYTES_MAX).to_owned(), file_name(&begun.suggested_filename));
        let state = UnderWay { url: url.clone(), name: name.clone(), told: Instant::now() };
        self.under_way.insert(begun.guid.clone(), state);
        let (state, path) = (State::InProgress, None);
        Some(Download { guid: begun.guid, url, name, received_bytes: 0, total_bytes: 0, state, path })
    }

    fn change(&mut self, changed: DownloadProgress) -> Option<Download> {
        // The two kinds of events come in two queues: the beginning may have come between two looks.
        while !self.under_way.contains_key(&changed.guid) {
            let Some(Ok(begun)) = self.beginnings.next().now_or_never() else { break };
            self.begin(begun);
        }
        let state = match changed.state {
            DownloadProgressState::Completed => State::Completed,
            DownloadProgressState::Canceled => State::Cancelled,
            DownloadProgressState::InProgress | DownloadProgressState::Unlisted(_) => State::InProgress,
        };
        let path = changed.file_path.filter(|_| state == State::Completed);
        let (url, name) = if state == State::InProgress {
            let known = self.under_way.get_mut(&changed.guid)?;
            if known.told.elapsed() < PROGRESS_EVERY {
                return None;
            }
            known.told = Instant::now();
            (known.url.clone(), known.name.clone())
        } else {
            match self.under_way.remove(&changed.guid) {
                Some(known) => (known.url, known.name),
                None => (String::new(), file_name(path.as_deref()?)),
            }
        };
        let [received_bytes, total_bytes] = [changed.received_bytes, changed.total_bytes].map(|bytes| bytes as u64);
        Some(Download { guid: changed.guid, url, name, received_bytes, total_bytes, state, path })
    }
}

/// `None` at the end of the connection, `Some(None)` for what cannot be used.
fn heard<E>(event: Result<E, Missed>) -> Option<Option<E>> {
    match event {
        Ok(event) => Some(Some(event)),
        Err(Missed::Closed(_) | Missed::Detached) => None,
        Err(missed) => {
            tracing::warn!(%missed, "not every download of this browser is seen");
            Some(None)
        }
    }
}

/// The last component of what may be a path, without what a terminal or a header would obey.
fn file_name(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|letter| !letter.is_control()).collect();
    match cut(&plain, NAME_BYTES_MAX) {
        "" | "." | ".." => "download".into(),
        name => name.into(),
    }
}

/// The first bytes of a text, at most `bytes_max`.
fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_harmless_component() {
        assert_eq!(file_name("report.pdf"), "report.pdf");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(file_name("C:\\x\\y.txt"), "y.txt");
        assert_eq!(file_name("a\r\nX: b\u{1b}[2J"), "aX: b[2J");
        assert_eq!(file_name(".."), "download");
        assert_eq!(file_name("a/"), "download");
        assert_eq!(file_name(&"日".repeat(1000)).len(), 255);
    }
}
