//! What a browser's tabs look like from outside. Everything in it was said by pages: bounded here, escaped by whoever shows it.

use std::sync::Arc;
use vitrine_cdp::protocol::browser::BrowserContextId;
use vitrine_cdp::protocol::target::{TargetId, TargetInfo};

/// A title longer than this is of no use to a tab strip.
pub(super) const TITLE_BYTES_MAX: usize = 1024;
/// `data:` addresses hold whole documents.
const URL_BYTES_MAX: usize = 8 * 1024;

/// The tabs in the order in which they were opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TabList {
    /// The one in front: the most recently opened or activated.
    pub active: Option<TargetId>,
    pub tabs: Arc<[Tab]>,
}

/// One tab.
#[derive(Clone, Debug, PartialEq)]
pub struct Tab {
    pub id: TargetId,
    pub context: Option<BrowserContextId>,
    pub title: String,
    pub url: String,
    /// A `data:` address; only while somebody asked for them.
    pub favicon: Option<Arc<str>>,
    pub loading: bool,
    pub can_go_back: bool,
    pub can_go_forward: bool,
    /// Its renderer is gone; a reload brings it back.
    pub crashed: bool,
}

impl TabList {
    pub fn get(&self, id: &TargetId) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.id == *id)
    }
}

impl Tab {
    pub(super) fn new(info: &TargetInfo) -> Tab {
        Tab {
            id: info.target_id.clone(),
            context: info.browser_context_id.clone(),
            title: bounded(&info.title, TITLE_BYTES_MAX),
            url: bounded(&info.url, URL_BYTES_MAX),
            favicon: None,
            loading: true,
            can_go_back: false,
            can_go_forward: false,
            crashed: false,
        }
    }

    /// Takes over another address.
    pub(super) fn show(&mut self, url: &str) {
        self.url = bounded(url, URL_BYTES_MAX);
    }

    /// Takes over what the browser says now. True when that is news.
    pub(super) fn update(&mut self, info: &TargetInfo) -> bool {
        let (title, url) = (bounded(&info.title, TITLE_BYTES_MAX), bounded(&info.url, URL_BYTES_MAX));
        let changed = self.title != title || self.url != url;
        (self.title, self.url) = (title, url);
        changed
    }
}

/// The beginning of a text, cut between characters.
pub(crate) fn bounded(text: &str, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(bounded("日本語", 7), "日本");
        assert_eq!(bounded("abc", 7), "abc");
    }
}
