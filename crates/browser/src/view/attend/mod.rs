//! Tabs while somebody with control looks: sessions of their own that hear what a page asks of a person.
//!
//! `Page.enable` makes dialogs ours to answer and an intercepted file chooser ours to fill, so none of this exists while nobody
//! with control is there. It ends by detaching: Chromium itself then undoes all that the sessions asked for (and dismisses a
//! dialog that is still open, as it would have done at once without us).

mod report;
mod root;

pub(crate) use root::Root;

use super::Viewers;
use super::message::Rect;
use super::prompts::Prompts;
use super::stage::Stage;
use crate::page::Life;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use vitrine_cdp::Session;
use vitrine_cdp::protocol::page::FrameId;
use vitrine_cdp::protocol::runtime::ExecutionContextId;
use vitrine_cdp::protocol::target::TargetId;

/// Frames of one tab in which we have a script.
const FRAMES_MAX: usize = 128;
/// The script in a page works for 15 s after it was renewed; renewed no more often than this while somebody acts.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// What a page's script may take.
const SCRIPT_LIMIT: Duration = Duration::from_secs(5);
/// A dialog that is open when the last controlling viewer leaves waits so long for the next: a page may be loaded anew.
const LINGER: Duration = Duration::from_secs(10);
const DETACH_LIMIT: Duration = Duration::from_secs(2);

/// The tabs that are attended now, and what they report.
pub(crate) struct Attendance {
    attended: watch::Sender<HashMap<TargetId, Arc<Attended>>>,
    pub reports: watch::Sender<BTreeMap<TargetId, Report>>,
}

/// What viewers of a tab are told beside its picture. Coordinates are those of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub cursor: Option<&'static str>,
    pub focus: Option<Focus>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Focus {
    pub editable: bool,
    pub caret: Option<Rect>,
}

/// One tab that is attended.
pub(crate) struct Attended {
    tab: TargetId,
    pub page: Session,
    pub life: watch::Sender<Life>,
    frames: Mutex<Frames>,
}

#[derive(Default)]
struct Frames {
    worlds: HashMap<FrameId, World>,
    focused: Option<FrameId>,
    renewed: Option<Instant>,
    /// The main frame's world and the commits before it.
    asked: Option<(u64, ExecutionContextId)>,
}

/// Where our script runs in a frame.
#[derive(Clone)]
struct World {
    root: Arc<Root>,
    context: ExecutionContextId,
}

impl Attendance {
    pub fn new() -> Attendance {
        Attendance { attended: watch::Sender::default(), reports: watch::Sender::default() }
    }

    pub fn of(&self, tab: &TargetId) -> Option<Arc<Attended>> {
        self.attended.borrow().get(tab).cloned()
    }

    /// Waits until a tab is attended and heard; none when nothing is attended any more.
    pub async fn ready(&self, tab: &TargetId) -> Option<Arc<Attended>> {
        let mut table = self.attended.subscribe();
        let attended = table.wait_for(|table| table.contains_key(tab)).await.ok()?.get(tab).cloned()?;
        attended.life.subscribe().wait_for(|life| life.ready).await.ok()?;
        Some(attended)
    }

    fn report(&self, tab: &TargetId, change: impl FnOnce(&mut Report)) {
        self.reports.send_if_modified(|reports| {
            let mut report = reports.get(tab).cloned().unwrap_or_default();
            change(&mut report);
            let news = reports.get(tab) != Some(&report);
            if news {
                reports.insert(tab.clone(), report);
            }
            news
        });
    }
}

/// Attends the tabs whenever somebody with control looks, for as long as the future lives.
pub(super) async fn run(stage: Arc<Stage>) {
    let mut viewers = stage.viewers.subscribe();
    while viewers.wait_for(|viewers| viewers.controlling > 0).await.is_ok() {
        let (going, ending) = watch::channel(());
        let mut tasks = JoinSet::new();
        let mut list = stage.tabs.watch();
        let mut known = HashSet::new();
        loop {
            let now: HashSet<TargetId> = list.borrow_and_update().tabs.iter().map(|tab| tab.id.clone()).collect();
            for id in now.difference(&known) {
                tasks.spawn(root::attend(stage.clone(), id.clone(), ending.clone()));
            }
            // The task of a closed tab ends by itself: its session is gone.
            known = now;
            tokio::select! {
                changed = list.changed() => if changed.is_err() { break },
                () = nobody(&mut viewers, &stage.prompts) => break,
                Some(_) = tasks.join_next() => {}
            }
        }
        drop(going);
        if timeout(DETACH_LIMIT, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::debug!("a tab was slow to be left");
        }
        stage.metrics.forget();
    }
}

/// Waits until nobody with control is there, nor comes back for a prompt that is open.
async fn nobody(viewers: &mut watch::Receiver<Viewers>, prompts: &Prompts) {
    loop {
        if viewers.wait_for(|viewers| viewers.controlling == 0).await.is_err() {
            return;
        }
        let mut open = prompts.watch();
        tokio::select! {
            back = timeout(LINGER, viewers.wait_for(|viewers| viewers.controlling > 0)) => if back.is_err() { return },
            _ = open.wait_for(Vec::is_empty) => return,
        }
    }
}

impl Attended {
    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our world in the main frame's document, when that is the one after so many commits. Another process counts its worlds anew,
    /// so a number says nothing of another document.
    pub fn world_of(&self, commits: u64) -> Option<ExecutionContextId> {
        self.frames().asked.filter(|(known, _)| *known == commits).map(|(_, context)| context)
    }

    pub fn keep_world(&self, commits: u64, context: ExecutionContextId) {
        self.frames().asked = Some((commits, context));
    }

    /// Somebody acts: the scripts go on. Does not wait for them.
    pub fn renew(self: &Arc<Self>) -> Option<impl Future<Output = ()> + use<>> {
        let mut frames = self.frames();
        if frames.renewed.is_some_and(|at| at.elapsed() < RENEW_EVERY) {
            return None;
        }
        frames.renewed = Some(Instant::now());
        let worlds: Vec<World> = frames.worlds.values().cloned().collect();
        Some(async move {
            let renewals = worlds.iter().map(|world| world.call("vitrine.renew()".into()));
            futures_util::future::join_all(renewals).await;
        })
    }

    /// Calls one of the script's functions in the frame that has the keyboard.
    pub async fn call_focused(&self, function: &str, argument: serde_json::Value) -> Option<serde_json::Value> {
        let world = {
            let frames = self.frames();
            let focused = frames.focused.as_ref().and_then(|frame| frames.worlds.get(frame));
            focused.or_else(|| frames.worlds.get(&main_frame(&self.tab))).cloned()
        }?;
        world.call(format!("vitrine.{function}({argument})")).await
    }
}

impl World {
    async fn call(&self, expression: String) -> Option<serde_json::Value> {
        self.root.evaluate(self.context, expression).await
    }
}

/// A page's main frame has the page's name.
fn main_frame(tab: &TargetId) -> FrameId {
    FrameId(tab.0.clone())
}
