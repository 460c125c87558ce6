//! What a page asks of a person: dialogs, select lists, file choosers. Assumes that whoever hears of one opens it here and closes
//! it when the page did; promises that each is answered once, by whoever is first, and that a tab has at most one of each kind.

use super::attend::Root;
use super::message::{Choice, Dialog, Rect, ToViewer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;
use vitrine_cdp::protocol::dom::BackendNodeId;
use vitrine_cdp::protocol::page::FrameId;
use vitrine_cdp::protocol::runtime::ExecutionContextId;
use vitrine_cdp::protocol::target::TargetId;

/// The open ones, oldest first.
pub(crate) struct Prompts {
    next: AtomicU64,
    open: watch::Sender<Vec<Arc<Prompt>>>,
}

pub(crate) struct Prompt {
    pub id: String,
    pub tab: TargetId,
    /// Where it is asked and answered.
    pub root: Arc<Root>,
    pub asks: Asks,
}

pub(crate) enum Asks {
    Dialog(Dialog),
    Select {
        frame: FrameId,
        context: ExecutionContextId,
        /// The page's script knows the list by it.
        number: u64,
        rect: Rect,
        options: Vec<Choice>,
    },
    Chooser {
        frame: FrameId,
        node: BackendNodeId,
        multiple: bool,
        accept: Vec<String>,
    },
}

impl Prompts {
    pub fn new() -> Prompts {
        Prompts { next: AtomicU64::new(1), open: watch::Sender::default() }
    }

    pub fn watch(&self) -> watch::Receiver<Vec<Arc<Prompt>>> {
        self.open.subscribe()
    }

    /// Shows a prompt in place of the tab's former one of its kind.
    pub fn open(&self, tab: &TargetId, root: Arc<Root>, asks: Asks) {
        let kind = std::mem::discriminant(&asks);
        let id = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let prompt = Arc::new(Prompt { id, tab: tab.clone(), root, asks });
        self.open.send_modify(|open| {
            open.retain(|other| other.tab != *tab || std::mem::discriminant(&other.asks) != kind);
            open.push(prompt);
        });
    }

    /// Takes a prompt away to answer it; none when somebody was sooner or it is of another kind.
    pub fn take(&self, id: &str, is_meant: impl Fn(&Asks) -> bool) -> Option<Arc<Prompt>> {
        let mut taken = None;
        self.open.send_if_modified(|open| {
            let place = open.iter().position(|prompt| prompt.id == id && is_meant(&prompt.asks));
            taken = place.map(|place| open.remove(place));
            taken.is_some()
        });
        taken
    }

    /// Closes what the page closed.
    pub fn close(&self, is_over: impl Fn(&Prompt) -> bool) {
        self.open.send_if_modified(|open| {
            let before = open.len();
            open.retain(|prompt| !is_over(prompt));
            open.len() < before
        });
    }
}

impl Prompt {
    /// Whether it belongs to a document of this frame.
    pub fn is_of(&self, of: &FrameId) -> bool {
        match &self.asks {
            Asks::Dialog(_) => false,
            Asks::Select { frame, .. } | Asks::Chooser { frame, .. } => frame == of,
        }
    }

    pub fn is_dialog(&self) -> bool {
        matches!(self.asks, Asks::Dialog(_))
    }

    pub fn opened(&self) -> ToViewer {
        let (id, tab) = (self.id.clone(), self.tab.0.clone());
        match &self.asks {
            Asks::Dialog(dialog) => ToViewer::Dialog { id, tab, dialog: dialog.clone() },
            Asks::Select { rect, options, .. } => {
                ToViewer::Select { id, tab, rect: *rect, multiple: false, options: options.clone() }
            }
            Asks::Chooser { multiple, accept, .. } => {
                ToViewer::FileChooser { id, tab, multiple: *multiple, accept: accept.clone() }
            }
        }
    }

    pub fn closed(&self) -> ToViewer {
        let id = self.id.clone();
        match &self.asks {
            Asks::Dialog(_) => ToViewer::DialogClosed { id },
            Asks::Select { .. } => ToViewer::SelectClosed { id },
            Asks::Chooser { .. } => ToViewer::FileChooserClosed { id },
        }
    }
}
