//! One attended tab: a session for its main frame and one for each frame that Chromium runs in a process of its own.

use super::report::{self, Told};
use super::{Attended, FRAMES_MAX, Frames, SCRIPT_LIMIT, World, main_frame};
use crate::page::{Life, Teller, listen};
use crate::tabs::{WORLD, bounded};
use crate::view::message::{Dialog, DialogKind};
use crate::view::prompts::Asks;
use crate::view::stage::Stage;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use vitrine_cdp::protocol::dom::{DescribeNode, GetBoxModel, GetFrameOwner};
use vitrine_cdp::protocol::page::{
    self, CreateIsolatedWorld, DialogType, FileChooserOpened, FileChooserOpenedMode, FrameAttached, FrameDetached,
    FrameId, FrameNavigated, FrameStartedLoading, FrameStoppedLoading, FrameTree, GetFrameTree, JavascriptDialogClosed,
    JavascriptDialogOpening, SetInterceptFileChooserDialog,
};
use vitrine_cdp::protocol::runtime::{AddBinding, BindingCalled, Evaluate, ExecutionContextId};
use vitrine_cdp::protocol::target::{AttachedToTarget, DetachFromTarget, FilterEntry, SetAutoAttach, TargetId};
use vitrine_cdp::{CdpError, Events, Missed, Session};

const AGENT: &str = include_str!("agent.js");
/// What the script calls to be heard.
const REPORT: &str = "vitrineReport";
/// Things under way for one tab; a page that makes frames faster than they can be served gets no script in some.
const UNDER_WAY_MAX: usize = 64;
const DIALOG_BYTES_MAX: usize = 16 * 1024;
const ACCEPT_MAX: usize = 64;
/// Frames within frames, each in a process of its own.
const DEPTH_MAX: usize = 16;

/// A frame that has a session: a page's main frame, or one in a process of its own.
pub(crate) struct Root {
    pub session: Session,
    frame: FrameId,
    parent: Option<Arc<Root>>,
}

/// What all sessions of one tab share.
struct Place {
    stage: Arc<Stage>,
    attended: Arc<Attended>,
    tab: TargetId,
}

/// Attends a tab until it is gone or the sender of `ending` is.
pub(super) async fn attend(stage: Arc<Stage>, tab: TargetId, mut ending: watch::Receiver<()>) {
    let connection = stage.tabs.connection().clone();
    let page = match connection.attach(&tab).await {
        Ok(page) => page,
        Err(error) => return tracing::debug!(%error, "could not attend a tab"),
    };
    let attended = Arc::new(Attended {
        tab: tab.clone(),
        page: page.clone(),
        life: watch::Sender::new(Life::default()),
        frames: Mutex::default(),
    });
    stage.attendance.attended.send_modify(|table| drop(table.insert(tab.clone(), attended.clone())));
    let heard = listen(&page);
    let root = Arc::new(Root { session: page.clone(), frame: main_frame(&tab), parent: None });
    let place = Arc::new(Place { stage: stage.clone(), attended: attended.clone(), tab: tab.clone() });
    let teller =
        Teller { chronicle: &stage.chronicle, tabs: &stage.tabs, tab: &tab, page: &page, life: &attended.life };
    tokio::select! {
        ((), ()) = async { tokio::join!(follow(place, root), teller.follow(heard)) } => {}
        _ = ending.changed() => {}
    }
    stage.attendance.attended.send_modify(|table| drop(table.remove(&tab)));
    stage.attendance.reports.send_if_modified(|reports| reports.remove(&tab).is_some());
    stage.prompts.close(|prompt| prompt.tab == tab);
    // Fails when the tab is gone, and then there is nothing to leave.
    let _ = connection.call(DetachFromTarget { session_id: Some(page.id().clone()) }).await;
}

impl Root {
    /// Runs a script in one of the root's contexts; none when it cannot or throws.
    pub async fn evaluate(&self, context: ExecutionContextId, expression: String) -> Option<serde_json::Value> {
        let command = Evaluate {
            expression,
            context_id: Some(context),
            return_by_value: Some(true),
            await_promise: Some(true),
            ..Evaluate::default()
        };
        let answer = self.session.call_within(SCRIPT_LIMIT, command).await.ok()?;
        answer.exception_details.is_none().then_some(answer.result.value)?
    }

    /// Where a frame of this root lies in the page.
    async fn offset(&self, frame: &FrameId) -> Option<(f64, f64)> {
        let (mut x, mut y) = (0.0, 0.0);
        let (mut root, mut frame) = (self, frame);
        for _ in 0..DEPTH_MAX {
            if *frame == root.frame {
                match &root.parent {
                    None => return Some((x, y)),
                    Some(parent) => root = parent,
                }
            }
            let owner = GetFrameOwner { frame_id: frame.clone() };
            let node = root.session.call_within(SCRIPT_LIMIT, owner).await.ok()?.backend_node_id;
            let model = GetBoxModel { backend_node_id: Some(node), ..GetBoxModel::default() };
            let content = root.session.call_within(SCRIPT_LIMIT, model).await.ok()?.model.content;
            x += content.first()?;
            y += content.get(1)?;
            frame = &root.frame;
        }
        None
    }
}

/// The events of one session.
struct Heard {
    navigated: Events<FrameNavigated>,
    attached: Events<FrameAttached>,
    detached: Events<FrameDetached>,
    reports: Events<BindingCalled>,
    choosers: Events<FileChooserOpened>,
    children: Events<AttachedToTarget>,
    dialogs: Events<JavascriptDialogOpening>,
    answered: Events<JavascriptDialogClosed>,
    started: Events<FrameStartedLoading>,
    stopped: Events<FrameStoppedLoading>,
    /// Dialogs so far.
    opened: u64,
    closed: u64,
}

enum News {
    Document(FrameId),
    Gone(FrameId),
    Report(BindingCalled),
    Chooser(FileChooserOpened),
    Child(AttachedToTarget),
    Dialog(Option<JavascriptDialogOpening>),
    Loading(FrameId, bool),
}

impl Heard {
    fn of(session: &Session) -> Heard {
        Heard {
            navigated: session.events(),
            attached: session.events(),
            detached: session.events(),
            reports: session.events(),
            choosers: session.events(),
            children: session.events(),
            dialogs: session.events(),
            answered: session.events(),
            started: session.events(),
            stopped: session.events(),
            opened: 0,
            closed: 0,
        }
    }

    /// Which dialog is open now. Openings and closings come by different queues: they are counted, or the closing of one would
    /// be taken for that of the next.
    fn dialog(&mut self, opening: Option<JavascriptDialogOpening>) -> News {
        while let Some(Ok(_)) = self.answered.next().now_or_never() {
            self.closed += 1;
        }
        let mut latest = opening;
        self.opened += u64::from(latest.is_some());
        while let Some(Ok(event)) = self.dialogs.next().now_or_never() {
            self.opened += 1;
            latest = Some(event);
        }
        // A dialog that was open before us closes without having been seen.
        self.closed = self.closed.min(self.opened);
        News::Dialog(latest.filter(|_| self.opened > self.closed))
    }

    async fn next(&mut self) -> Result<News, Missed> {
        tokio::select! {
            event = self.navigated.next() => event.map(|event| News::Document(event.frame.id)),
            event = self.attached.next() => event.map(|event| News::Document(event.frame_id)),
            event = self.detached.next() => event.map(|event| News::Gone(event.frame_id)),
            event = self.reports.next() => event.map(News::Report),
            event = self.choosers.next() => event.map(News::Chooser),
            event = self.children.next() => event.map(News::Child),
            event = self.dialogs.next() => event.map(|event| self.dialog(Some(event))),
            event = self.answered.next() => event.map(|_| { self.closed += 1; self.dialog(None) }),
            event = self.started.next() => event.map(|event| News::Loading(event.frame_id, true)),
            event = self.stopped.next() => event.map(|event| News::Loading(event.frame_id, false)),
        }
    }
}

/// Listens to one root until its session ends.
fn follow(place: Arc<Place>, root: Arc<Root>) -> BoxFuture<'static, ()> {
    async move {
        let mut heard = Heard::of(&root.session);
        let mut children = JoinSet::new();
        let (reports, reported) = mpsc::channel(UNDER_WAY_MAX);
        let mut under_way: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        under_way.push(place.settle(&root).boxed());
        under_way.push(place.hear(&root, reported).boxed());
        loop {
            let news = tokio::select! {
                news = heard.next() => news,
                Some(()) = under_way.next() => continue,
                Some(_) = children.join_next() => continue,
            };
            let room = under_way.len() < UNDER_WAY_MAX;
            match news {
                Ok(News::Document(frame)) => {
                    place.stage.prompts.close(|prompt| prompt.tab == place.tab && prompt.is_of(&frame));
                    if room {
                        under_way.push(place.install(&root, frame).boxed());
                    }
                }
                Ok(News::Gone(frame)) => {
                    // A frame that moved to a process of its own is another root's by now.
                    let mut frames = place.attended.frames();
                    if frames.worlds.get(&frame).is_some_and(|world| Arc::ptr_eq(&world.root, &root)) {
                        frames.worlds.remove(&frame);
                    }
                }
                Ok(News::Report(report)) if report.name == REPORT => {
                    // What is too much is left out: the next report is newer.
                    let _ = reports.try_send(report);
                }
                Ok(News::Chooser(chooser)) if room => under_way.push(place.choose(&root, chooser).boxed()),
                Ok(News::Child(child)) if children.len() < FRAMES_MAX => {
                    let session = place.stage.tabs.connection().session(child.session_id);
                    let frame = FrameId(child.target_info.target_id.0);
                    let child = Root { session, frame, parent: Some(root.clone()) };
                    children.spawn(follow(place.clone(), Arc::new(child)));
                }
                Ok(News::Dialog(Some(dialog))) => place.ask(&root, dialog),
                Ok(News::Dialog(None)) => place.close_dialog(),
                Ok(News::Loading(frame, loading)) if frame == main_frame(&place.tab) => {
                    place.stage.tabs.set_loading(&place.tab, loading);
                }
                Ok(_) => {}
                Err(Missed::Lost(_)) if room => under_way.push(place.install_all(&root).boxed()),
                Err(Missed::Lost(_) | Missed::Malformed { .. }) => {}
                Err(Missed::Detached | Missed::Closed(_)) => break,
            }
        }
        place.attended.frames().worlds.retain(|_, world| !Arc::ptr_eq(&world.root, &root));
    }
    .boxed()
}

impl Place {
    /// Makes the session hear and installs the script in the documents that there are.
    async fn settle(&self, root: &Arc<Root>) {
        let session = &root.session;
        let frames_only = vec![
            FilterEntry { r#type: Some("iframe".into()), exclude: None },
            FilterEntry { r#type: None, exclude: Some(true) },
        ];
        let auto_attach = SetAutoAttach {
            auto_attach: true,
            wait_for_debugger_on_start: false,
            flatten: Some(true),
            filter: Some(frames_only),
        };
        let asked: Result<(), CdpError> = async {
            session.call(page::Enable::default()).await?;
            session.call(SetInterceptFileChooserDialog { enabled: true, cancel: None }).await?;
            session.call(auto_attach).await?;
            Ok(())
        }
        .await;
        if let Err(error) = asked {
            tracing::debug!(%error, "a tab is not attended in full");
        }
        if root.parent.is_none() {
            self.attended.life.send_modify(|life| life.ready = true);
        }
        self.install_all(root).await;
    }

    async fn install_all(&self, root: &Arc<Root>) {
        let Ok(answer) = root.session.call_within(SCRIPT_LIMIT, GetFrameTree {}).await else { return };
        let mut frames = Vec::new();
        list(answer.frame_tree, &mut frames);
        futures_util::future::join_all(frames.into_iter().map(|frame| self.install(root, frame))).await;
    }

    /// Puts the script into a frame's document. Each document has a world of its own, so each is told anew.
    async fn install(&self, root: &Arc<Root>, frame: FrameId) {
        let world = CreateIsolatedWorld {
            frame_id: frame.clone(),
            world_name: Some(WORLD.into()),
            ..CreateIsolatedWorld::default()
        };
        // A frame that is gone by now, or lives in another process, is refused.
        let Ok(world) = root.session.call_within(SCRIPT_LIMIT, world).await else { return };
        let context = world.execution_context_id;
        {
            let Frames { worlds, .. } = &mut *self.attended.frames();
            if worlds.len() >= FRAMES_MAX && !worlds.contains_key(&frame) {
                return;
            }
            worlds.insert(frame, World { root: root.clone(), context });
        }
        // Reaches only the worlds that exist: the domain that would tell of new ones can be felt by pages.
        let binding = AddBinding { name: REPORT.into(), execution_context_name: Some(WORLD.into()) };
        if root.session.call_within(SCRIPT_LIMIT, binding).await.is_ok() {
            root.evaluate(context, AGENT.into()).await;
        }
    }

    /// Takes reports one after the other: what one opens another may close.
    async fn hear(&self, root: &Arc<Root>, mut reports: mpsc::Receiver<BindingCalled>) {
        while let Some(report) = reports.recv().await {
            self.report(root, report).await;
        }
    }

    async fn report(&self, root: &Arc<Root>, report: BindingCalled) {
        let Some(told) = report::read(&report.payload) else { return };
        let context = report.execution_context_id;
        let frame = {
            let frames = self.attended.frames();
            let mut worlds = frames.worlds.iter();
            worlds
                .find(|(_, world)| world.context == context && Arc::ptr_eq(&world.root, root))
                .map(|(id, _)| id.clone())
        };
        let Some(frame) = frame else { return };
        match told {
            Told::Cursor { cursor } => {
                let cursor = report::cursor(&cursor);
                self.stage.attendance.report(&self.tab, |report| report.cursor = Some(cursor));
            }
            Told::Focus { editable, rect } => {
                let Some(offset) = root.offset(&frame).await else { return };
                self.attended.frames().focused = Some(frame);
                let focus = report::focus(editable, rect, offset);
                self.stage.attendance.report(&self.tab, |report| report.focus = Some(focus));
            }
            Told::Select { number, rect, options } => {
                let Some(offset) = root.offset(&frame).await else { return };
                let (rect, options) = (report::placed(rect, offset), report::options(options));
                self.stage.prompts.open(
                    &self.tab,
                    root.clone(),
                    Asks::Select { frame, context, number, rect, options },
                );
            }
            Told::SelectClosed { number } => self.stage.prompts.close(|prompt| {
                prompt.is_of(&frame) && matches!(prompt.asks, Asks::Select { number: open, .. } if open == number)
            }),
        }
    }

    async fn choose(&self, root: &Arc<Root>, chooser: FileChooserOpened) {
        // Only a field can be filled from here; a page that asks for files by itself gets no answer.
        let Some(node) = chooser.backend_node_id else { return };
        let describe = DescribeNode { backend_node_id: Some(node), ..DescribeNode::default() };
        let attributes = match root.session.call_within(SCRIPT_LIMIT, describe).await {
            Ok(answer) => answer.node.attributes.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let accept = attributes.chunks_exact(2).find(|pair| pair[0] == "accept").map_or("", |pair| pair[1].as_str());
        let accept = accept.split(',').map(str::trim).filter(|kind| !kind.is_empty()).take(ACCEPT_MAX);
        let asks = Asks::Chooser {
            frame: chooser.frame_id,
            node,
            multiple: chooser.mode == FileChooserOpenedMode::SelectMultiple,
            accept: accept.map(|kind| bounded(kind, report::LABEL_BYTES_MAX)).collect(),
        };
        self.stage.prompts.open(&self.tab, root.clone(), asks);
    }

    fn ask(&self, root: &Arc<Root>, dialog: JavascriptDialogOpening) {
        let kind = match dialog.r#type {
            DialogType::Confirm => DialogKind::Confirm,
            DialogType::Prompt => DialogKind::Prompt,
            DialogType::Beforeunload => DialogKind::Beforeunload,
            DialogType::Alert | DialogType::Unlisted(_) => DialogKind::Alert,
        };
        let default = dialog.default_prompt.filter(|_| kind == DialogKind::Prompt);
        let dialog = Dialog {
            kind,
            message: bounded(&dialog.message, DIALOG_BYTES_MAX),
            default: default.map(|text| bounded(&text, DIALOG_BYTES_MAX)),
            url: bounded(&dialog.url, DIALOG_BYTES_MAX),
        };
        self.stage.prompts.open(&self.tab, root.clone(), Asks::Dialog(dialog));
    }

    fn close_dialog(&self) {
        self.stage.prompts.close(|prompt| prompt.tab == self.tab && matches!(prompt.asks, Asks::Dialog(_)));
    }
}

/// The frames of a tree, as many as get a script.
fn list(tree: FrameTree, into: &mut Vec<FrameId>) {
    if into.len() < FRAMES_MAX {
        into.push(tree.frame.id);
        for child in tree.child_frames.into_iter().flatten() {
            list(child, into);
        }
    }
}
