//! What happens to the tabs, as clients are told: one order for all of it, each thing once, bounded however much a page does.
//!
//! The list of tabs says what is; what changed is worked out here. A tab is told of as created before anything else that it does,
//! and nothing is told of it after it was closed. While a page loads, its title and address are told only now and then.

use super::modals;
use crate::tabs::{Tab, TabList, Tabs};
use crate::view::prompts::Prompt;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep};
use vitrine_cdp::protocol::target::TargetId;

/// Events that a slow client may be behind; then the oldest are lost.
const EVENTS_KEPT_MAX: usize = 512;
/// Between two looks at the list: what changes together is told once.
const LIST_PAUSE: Duration = Duration::from_millis(40);
/// How often a page that loads is told of.
const LOADING_PAUSE: Duration = Duration::from_millis(500);

/// How long what a new tab is called waits for its first page.
const FIRST_LIMIT: Duration = Duration::from_secs(2);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub name: &'static str,
    pub detail: Value,
}

pub(crate) struct Chronicle {
    told: Mutex<Told>,
    events: broadcast::Sender<Arc<Event>>,
}

#[derive(Default)]
struct Told {
    list: TabList,
    /// When a tab's title and address were told last.
    updated: HashMap<TargetId, Instant>,
    /// Tabs that were opened since, and whose first page was not told yet.
    fresh: HashMap<TargetId, Instant>,
    modals: Vec<Arc<Prompt>>,
    refused: HashMap<TargetId, (Instant, &'static str)>,
}

impl Chronicle {
    pub fn new() -> Chronicle {
        Chronicle { told: Mutex::default(), events: broadcast::channel(EVENTS_KEPT_MAX).0 }
    }

    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, name: &'static str, detail: Value) {
        // Fails when nobody listens.
        let _ = self.events.send(Arc::new(Event { name, detail }));
    }

    /// What a tab does, which is told after all that the list says of it. The list is read only once no other can tell of an
    /// older one.
    pub fn happened(&self, list: &watch::Receiver<TabList>, tab: &TargetId, name: &'static str, url: &str) {
        let mut told = self.told();
        self.tell_list(&mut told, &list.borrow().clone());
        if told.list.get(tab).is_some() {
            self.say(name, json!({ "tabId": tab.0, "url": url }));
        }
        if name == "did-navigate" {
            told.fresh.remove(tab);
        }
    }

    /// Whether a tab was opened while somebody listened, and its first page is still to be told of.
    pub fn is_fresh(&self, list: &watch::Receiver<TabList>, tab: &TargetId) -> bool {
        let mut told = self.told();
        self.tell_list(&mut told, &list.borrow().clone());
        told.fresh.contains_key(tab)
    }

    /// A request of a tab's main frame that the policy did not let through.
    pub fn refused(&self, frame: &TargetId, url: &str, reason: &'static str) {
        let mut told = self.told();
        if told.list.get(frame).is_some() {
            told.refused.insert(frame.clone(), (Instant::now(), reason));
        }
        drop(told);
        self.denied(url, reason);
    }

    /// Why a tab did not get where it was to go since that moment, when that was the policy's doing.
    pub fn refusal_since(&self, tab: &TargetId, since: Instant) -> Option<&'static str> {
        self.told().refused.get(tab).filter(|(at, _)| *at >= since).map(|(_, reason)| *reason)
    }

    /// An address that the policy kept closed.
    pub fn denied(&self, url: &str, reason: &str) {
        self.say("policy-denied", json!({ "url": url, "reason": reason }));
    }

    /// Follows the list and the dialogs for as long as the future lives.
    pub async fn follow(&self, tabs: &Tabs, mut prompts: watch::Receiver<Vec<Arc<Prompt>>>) {
        let mut list = tabs.watch();
        // What is there before anybody listens is nothing new.
        self.told().list = list.borrow_and_update().clone();
        loop {
            let waits = {
                let mut told = self.told();
                let now = list.borrow_and_update().clone();
                self.tell_list(&mut told, &now);
                self.tell_modals(&mut told, prompts.borrow_and_update().clone());
                told.list != now
            };
            let changed = tokio::select! {
                changed = list.changed() => changed.is_ok(),
                changed = prompts.changed() => changed.is_ok(),
                () = sleep(LOADING_PAUSE), if waits => true,
            };
            if !changed {
                return;
            }
            sleep(LIST_PAUSE).await;
        }
    }

    fn tell_list(&self, told: &mut Told, now: &TabList) {
        for (index, tab) in now.tabs.iter().enumerate().filter(|(_, tab)| told.list.get(&tab.id).is_none()) {
            self.say("tab-created", json!({ "index": index, "id": tab.id.0, "url": tab.url }));
            if self.events.receiver_count() > 0 {
                told.fresh.insert(tab.id.clone(), Instant::now());
            }
        }
        for (index, tab) in told.list.tabs.iter().enumerate().filter(|(_, tab)| now.get(&tab.id).is_none()) {
            self.say("tab-closed", json!({ "index": index, "id": tab.id.0 }));
        }
        told.fresh.retain(|id, at| now.get(id).is_some() && at.elapsed() < FIRST_LIMIT);
        told.updated.retain(|id, _| now.get(id).is_some());
        told.refused.retain(|id, _| now.get(id).is_some());
        if told.list.active != now.active
            && let Some(active) = &now.active
        {
            let index = now.tabs.iter().position(|tab| tab.id == *active);
            self.say("active-tab-changed", json!({ "index": index, "id": active.0 }));
        }
        let tabs = now.tabs.iter().map(|tab| match told.list.get(&tab.id).cloned() {
            // Its first page is told of first.
            Some(before) if told.fresh.contains_key(&tab.id) => before,
            Some(before) => self.tell_tab(&mut told.updated, before, tab),
            // As it was created; its title and icon are told when they come.
            None => Tab { title: String::new(), favicon: None, ..tab.clone() },
        });
        told.list = TabList { tabs: tabs.collect(), active: now.active.clone() };
    }

    /// Tells of a tab's title, address and icon; gives back what is told of it by then.
    fn tell_tab(&self, updated: &mut HashMap<TargetId, Instant>, before: Tab, tab: &Tab) -> Tab {
        let is_same = before.title == tab.title && before.url == tab.url && before.favicon == tab.favicon;
        let is_early = updated.get(&tab.id).is_some_and(|at| at.elapsed() < LOADING_PAUSE);
        if is_same {
            return tab.clone();
        }
        if tab.loading && is_early {
            return before;
        }
        updated.insert(tab.id.clone(), Instant::now());
        let icon = tab.favicon.as_deref();
        self.say("tab-updated", json!({ "id": tab.id.0, "url": tab.url, "title": tab.title, "faviconDataURI": icon }));
        if before.favicon != tab.favicon {
            self.say("favicon-changed", json!({ "tabId": tab.id.0, "faviconDataURI": icon }));
        }
        tab.clone()
    }

    fn tell_modals(&self, told: &mut Told, open: Vec<Arc<Prompt>>) {
        let open: Vec<_> = open.into_iter().filter(|prompt| prompt.is_dialog()).collect();
        let is_in = |list: &[Arc<Prompt>], id: &str| list.iter().any(|prompt| prompt.id == id);
        let of_tab = |list: &[Arc<Prompt>], tab: &TargetId| list.iter().any(|prompt| prompt.tab == *tab);
        for closed in told.modals.iter().filter(|prompt| !is_in(&open, &prompt.id) && !of_tab(&open, &prompt.tab)) {
            self.say("modal-closed", json!({ "id": closed.id, "tabId": closed.tab.0 }));
        }
        for opened in open.iter().filter(|prompt| !is_in(&told.modals, &prompt.id)) {
            // A page's next dialog takes the place of the one before.
            let name = if of_tab(&told.modals, &opened.tab) { "modal-updated" } else { "modal-opened" };
            self.say(name, modals::shown(opened).unwrap_or_default());
        }
        told.modals = open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tab(id: &str, title: &str, loading: bool) -> Tab {
        Tab {
            id: TargetId(id.into()),
            context: None,
            title: title.into(),
            url: "https://a/".into(),
            favicon: None,
            loading,
            can_go_back: false,
            can_go_forward: false,
            crashed: false,
        }
    }

    fn list(active: &str, tabs: &[Tab]) -> TabList {
        TabList { active: Some(TargetId(active.into())), tabs: tabs.into() }
    }

    fn names(events: &mut broadcast::Receiver<Arc<Event>>) -> Vec<&'static str> {
        std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.name).collect()
    }

    #[tokio::test]
    async fn what_a_tab_does_is_told_between_its_creation_and_its_end() {
        let chronicle = Chronicle::new();
        let mut events = chronicle.events();
        let a = TargetId("a".into());
        let (tabs, now) = watch::channel(list("a", &[tab("a", "early", true)]));
        chronicle.happened(&now, &a, "did-start-loading", "https://a/");
        assert!(chronicle.is_fresh(&now, &a));
        chronicle.happened(&now, &a, "did-navigate", "https://a/");
        assert_eq!(names(&mut events), ["tab-created", "active-tab-changed", "did-start-loading", "did-navigate"]);
        assert!(!chronicle.is_fresh(&now, &a));
        for title in ["1", "2", "3"] {
            chronicle.tell_list(&mut chronicle.told(), &list("a", &[tab("a", title, true)]));
        }
        tabs.send_replace(list("a", &[tab("a", "3", false)]));
        chronicle.happened(&now, &a, "did-stop-loading", "https://a/");
        assert_eq!(names(&mut events), ["tab-updated", "tab-updated", "did-stop-loading"], "the first and the last");
        tabs.send_replace(TabList::default());
        chronicle.happened(&now, &a, "did-navigate", "https://a/");
        assert_eq!(names(&mut events), ["tab-closed"]);
    }
}
