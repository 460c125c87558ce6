//! The tabs of a browser: which there are, what they show, which is in front.
//!
//! Assumes a connection of our own. Promises a list that follows the browser's pages, in whatever context a client opened
//! them; that nothing of it is noticed by a page or a client (no domain that pages or dialogs could feel is enabled); and that a
//! page that changes its title all the time costs no more than one that does so ten times a second.
//!
//! Chromium does not tell others that a client brought a tab to the front, and in the headless shell every page is visible: in
//! front is what was opened or activated here last.

mod follow;
mod list;

pub(crate) use follow::WORLD;
pub(crate) use list::bounded;
pub use list::{Tab, TabList};

use crate::screen::{Screen, Settings};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use vitrine_cdp::protocol::browser::BrowserContextId;
use vitrine_cdp::protocol::page::BringToFront;
use vitrine_cdp::protocol::target::{
    CloseTarget, CreateBrowserContext, CreateTarget, DisposeBrowserContext, GetTargets, SetDiscoverTargets,
    TargetCrashed, TargetCreated, TargetDestroyed, TargetId, TargetInfo, TargetInfoChanged,
};
use vitrine_cdp::{CdpError, Connection, Missed, Session};

/// Tabs beyond that are not listed: whoever opens so many does not look at them.
pub const TABS_MAX: usize = 256;
/// Between two looks at the browser's list.
const LIST_PAUSE: Duration = Duration::from_millis(50);
/// How long a tab that was opened may take to be listed.
const LISTED_LIMIT: Duration = Duration::from_secs(5);
/// What a warm browser's own page shows.
const BLANK: &str = "about:blank";

/// A handle to the tabs of one browser; clones share it. What runs for it ends with the last one.
#[derive(Clone)]
pub struct Tabs {
    shared: Arc<Shared>,
    _running: Arc<Running>,
}

struct Running(AbortHandle);

struct Shared {
    connection: Connection,
    screen: Settings,
    list: watch::Sender<TabList>,
    seats: Mutex<Seats>,
    /// How many look at the list. For nobody's eyes no favicon is fetched, which is a request that the site sees.
    lookers: AtomicUsize,
    /// The contexts that were made here, the latest last: where new tabs belong when there is no other.
    apart: Mutex<Vec<BrowserContextId>>,
}

#[derive(Default)]
struct Seats {
    known: HashMap<TargetId, Seat>,
    /// In the order in which they came to the front, the latest last.
    fronts: Vec<TargetId>,
    /// The tab in front while some are opened behind it, once for each.
    held: Vec<TargetId>,
}

/// What we have of one tab beside what is listed.
struct Seat {
    task: AbortHandle,
    wake: Arc<Notify>,
    /// None until it is attached; only then the tab is listed.
    session: Option<Session>,
    screen: Weak<Screen>,
}

/// Somebody looks at the list: while one of these exists, favicons are fetched and titles looked for.
pub(crate) struct Looker(Arc<Shared>);

impl Tabs {
    /// Finds the tabs that there are and follows what becomes of them until the connection ends.
    pub async fn open(connection: Connection, screen: Settings) -> Result<Tabs, CdpError> {
        let shared = Arc::new(Shared {
            connection,
            screen,
            list: watch::Sender::default(),
            seats: Mutex::default(),
            lookers: AtomicUsize::new(0),
            apart: Mutex::default(),
        });
        let changes = Changes::of(&shared.connection).await?;
        let task = tokio::spawn(run(shared.clone(), changes));
        Ok(Tabs { shared, _running: Arc::new(Running(task.abort_handle())) })
    }

    /// The connection that all of this goes over.
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// The list and its changes. When the browser is gone it stays as it was: see `connection`.
    pub fn watch(&self) -> watch::Receiver<TabList> {
        self.shared.list.subscribe()
    }

    /// Our session of a listed tab.
    pub fn session(&self, tab: &TargetId) -> Option<Session> {
        self.shared.seats().known.get(tab)?.session.clone()
    }

    /// The screen of a listed tab, one for all who look at it. It lives as long as somebody holds it.
    pub fn screen(&self, tab: &TargetId) -> Option<Arc<Screen>> {
        let mut seats = self.shared.seats();
        let seat = seats.known.get_mut(tab)?;
        let session = seat.session.clone()?;
        Some(seat.screen.upgrade().unwrap_or_else(|| {
            let screen = Arc::new(Screen::new(session, self.shared.screen));
            seat.screen = Arc::downgrade(&screen);
            screen
        }))
    }

    /// Brings a tab to the front.
    pub async fn activate(&self, tab: &TargetId) -> Result<(), CdpError> {
        if let Some(session) = self.session(tab) {
            session.call(BringToFront {}).await?;
            self.shared.to_front(tab);
        }
        Ok(())
    }

    /// Opens a tab beside the active one, with the same cookies.
    pub async fn create(&self, url: &str, place: Place) -> Result<TargetId, CdpError> {
        let list = self.shared.list.borrow().clone();
        let active = list.active.as_ref().and_then(|active| list.get(active));
        let context = match active {
            Some(active) => active.context.clone(),
            None => self.shared.apart().last().cloned(),
        };
        let held = active.filter(|_| place == Place::Behind).map(|active| self.shared.hold(&active.id));
        let command = CreateTarget {
            url: url.to_owned(),
            browser_context_id: context,
            background: held.is_some().then_some(true),
            ..CreateTarget::default()
        };
        let id = self.shared.connection.call(command).await?.target_id;
        if let Some(held) = held {
            // Released only when it is listed, or it would come to the front then.
            let mut listed = self.shared.list.subscribe();
            let _ = timeout(LISTED_LIMIT, listed.wait_for(|list| list.get(&id).is_some())).await;
            held.release(&id);
        }
        Ok(id)
    }

    /// Opens a blank tab that shares nothing with any other, where those that are opened later belong too.
    pub(crate) async fn create_apart(&self) -> Result<TargetId, CdpError> {
        let connection = &self.shared.connection;
        let context = connection.call(CreateBrowserContext::default()).await?.browser_context_id;
        self.shared.apart().push(context.clone());
        let command =
            CreateTarget { url: BLANK.to_owned(), browser_context_id: Some(context), ..CreateTarget::default() };
        Ok(connection.call(command).await?.target_id)
    }

    /// Where a tab that was opened apart belongs; none when none was.
    pub(crate) fn apart(&self) -> Option<BrowserContextId> {
        self.shared.apart().last().cloned()
    }

    /// Closes what was opened apart before the latest, with all that pages left there.
    pub(crate) async fn forget_apart(&self) {
        let latest = self.shared.apart().len().saturating_sub(1);
        let earlier: Vec<_> = self.shared.apart().drain(..latest).collect();
        for context in earlier {
            if let Err(error) = self.shared.connection.call(DisposeBrowserContext { browser_context_id: context }).await
            {
                tracing::debug!(%error, "what an earlier tab left was not removed");
            }
        }
    }

    pub async fn close(&self, tab: &TargetId) -> Result<(), CdpError> {
        self.shared.connection.call(CloseTarget { target_id: tab.clone() }).await?;
        Ok(())
    }

    /// What somebody who hears the page's own events knows sooner.
    pub(crate) fn set_loading(&self, tab: &TargetId, loading: bool) {
        self.shared.change(tab, |tab| tab.loading = loading);
        self.shared.wake(tab);
    }

    /// Another document, or another place in it, is shown.
    pub(crate) fn set_url(&self, tab: &TargetId, url: &str) {
        self.shared.change(tab, |tab| tab.show(url));
        self.shared.wake(tab);
    }

    pub(crate) fn look(&self) -> Looker {
        self.shared.lookers.fetch_add(1, Ordering::Relaxed);
        for seat in self.shared.seats().known.values() {
            seat.wake.notify_one();
        }
        Looker(self.shared.clone())
    }
}

/// Where a new tab is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Front,
    Behind,
}

/// Keeps a tab in front while another one is opened.
struct Held<'a> {
    shared: &'a Shared,
    front: TargetId,
}

impl Held<'_> {
    /// The new tab is there: it goes behind all others.
    fn release(self, new: &TargetId) {
        let mut seats = self.shared.seats();
        if let Some(place) = seats.fronts.iter().position(|front| front == new) {
            let new = seats.fronts.remove(place);
            seats.fronts.insert(0, new);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut seats = self.shared.seats();
        if let Some(place) = seats.held.iter().position(|held| *held == self.front) {
            seats.held.remove(place);
        }
        self.shared.choose_active(&seats);
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.0.lookers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apart(&self) -> MutexGuard<'_, Vec<BrowserContextId>> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, front: &TargetId) -> Held<'_> {
        self.seats().held.push(front.clone());
        Held { shared: self, front: front.clone() }
    }

    fn wake(&self, tab: &TargetId) {
        if let Some(seat) = self.seats().known.get(tab) {
            seat.wake.notify_one();
        }
    }

    fn change(&self, id: &TargetId, change: impl FnOnce(&mut Tab)) {
        self.list.send_if_modified(|list| {
            let Some(place) = list.tabs.iter().position(|tab| tab.id == *id) else { return false };
            let mut changed = list.tabs[place].clone();
            change(&mut changed);
            let news = changed != list.tabs[place];
            if news {
                // Not `make_mut`: a slice that a watcher still holds is left as it is.
                list.tabs = list.tabs.iter().map(|tab| if tab.id == *id { &changed } else { tab }).cloned().collect();
            }
            news
        });
    }

    fn to_front(&self, tab: &TargetId) {
        let mut seats = self.seats();
        if seats.known.contains_key(tab) {
            seats.fronts.retain(|front| front != tab);
            seats.fronts.push(tab.clone());
        }
        self.choose_active(&seats);
    }

    /// The one that is held there, or the latest of those that came to the front and are listed.
    fn choose_active(&self, seats: &Seats) {
        self.list.send_if_modified(|list| {
            let mut fronts = seats.held.iter().rev().chain(seats.fronts.iter().rev());
            let active = fronts.find(|front| list.get(front).is_some()).cloned();
            let news = list.active != active;
            list.active = active;
            news
        });
    }

    /// A tab is attached: it is one of the list from now on, and the active one when nothing came to the front since.
    fn seat(&self, info: &TargetInfo, session: Session) {
        let mut seats = self.seats();
        let Some(seat) = seats.known.get_mut(&info.target_id) else { return };
        seat.session = Some(session);
        self.list.send_modify(|list| {
            list.tabs = list.tabs.iter().cloned().chain([Tab::new(info)]).collect();
        });
        self.choose_active(&seats);
    }

    /// Makes what we know agree with what the browser says.
    fn reconcile(self: &Arc<Self>, pages: &[TargetInfo], tasks: &mut JoinSet<()>) {
        let mut seats = self.seats();
        seats.known.retain(|id, seat| {
            let stays = pages.iter().any(|page| page.target_id == *id);
            if !stays {
                seat.task.abort();
            }
            stays
        });
        let Seats { known, fronts, .. } = &mut *seats;
        fronts.retain(|id| known.contains_key(id));
        self.list.send_if_modified(|list| {
            let gone = list.tabs.iter().any(|tab| !known.contains_key(&tab.id));
            if gone {
                list.tabs = list.tabs.iter().filter(|tab| known.contains_key(&tab.id)).cloned().collect();
            }
            gone
        });
        self.choose_active(&seats);
        // Chromium lists them in no order. Of those that were there before anybody looked, one that shows something is in front.
        let mut pages: Vec<_> = pages.iter().collect();
        pages.sort_by_key(|page| page.url != BLANK);
        for page in pages {
            if let Some(seat) = seats.known.get(&page.target_id) {
                let mut news = false;
                self.change(&page.target_id, |tab| news = tab.update(page));
                if news {
                    seat.wake.notify_one();
                }
            } else if seats.known.len() < TABS_MAX {
                let wake = Arc::new(Notify::new());
                let task = tasks.spawn(follow::follow(self.clone(), page.clone(), wake.clone()));
                seats.known.insert(page.target_id.clone(), Seat { task, wake, session: None, screen: Weak::new() });
                seats.fronts.push(page.target_id.clone());
            }
        }
    }
}

/// What the browser tells of its targets. Only that something changed is taken from most of it: the list is asked for, so
/// nothing depends on an event that was lost.
struct Changes {
    created: vitrine_cdp::Events<TargetCreated>,
    destroyed: vitrine_cdp::Events<TargetDestroyed>,
    changed: vitrine_cdp::Events<TargetInfoChanged>,
    crashed: vitrine_cdp::Events<TargetCrashed>,
}

impl Changes {
    async fn of(connection: &Connection) -> Result<Changes, CdpError> {
        let changes = Changes {
            created: connection.events(),
            destroyed: connection.events(),
            changed: connection.events(),
            crashed: connection.events(),
        };
        connection.call(SetDiscoverTargets { discover: true, filter: None }).await?;
        Ok(changes)
    }

    /// Waits for a change; says which tab crashed when that is what happened.
    async fn next(&mut self) -> Result<Option<TargetId>, Missed> {
        let change = tokio::select! {
            created = self.created.next() => created.map(|_| None),
            destroyed = self.destroyed.next() => destroyed.map(|_| None),
            changed = self.changed.next() => changed.map(|_| None),
            crashed = self.crashed.next() => crashed.map(|crashed| Some(crashed.target_id)),
        };
        match change {
            Err(Missed::Lost(_) | Missed::Malformed { .. }) => Ok(None),
            other => other,
        }
    }
}

/// Follows the browser's list until the connection ends.
async fn run(shared: Arc<Shared>, mut changes: Changes) {
    let mut tasks = JoinSet::new();
    loop {
        match shared.connection.call(GetTargets::default()).await {
            Ok(answer) => {
                // A page that is rendered before anybody asked for it is no tab yet.
                let is_tab = |info: &TargetInfo| info.r#type == "page" && info.subtype.is_none();
                let pages: Vec<_> = answer.target_infos.into_iter().filter(is_tab).collect();
                shared.reconcile(&pages, &mut tasks);
            }
            Err(error @ (CdpError::Closed(_) | CdpError::Detached)) => {
                return tracing::debug!(%error, "the tabs are followed no more");
            }
            Err(error) => tracing::debug!(%error, "the browser did not list its tabs"),
        }
        match changes.next().await {
            Ok(crashed) => {
                if let Some(id) = crashed {
                    shared.change(&id, |tab| (tab.crashed, tab.loading) = (true, false));
                }
            }
            Err(missed) => return tracing::debug!(%missed, "the tabs are followed no more"),
        }
        // What changes together is looked at once.
        sleep(LIST_PAUSE).await;
        while tasks.try_join_next().is_some() {}
    }
}
