//! One call of the page of an embed session: may it be made, by whom, for how long; and which method it is.

use super::arguments::Arguments;
use super::failure::Failure;
use super::memory::{Answer, ID_BYTES_MAX};
use super::method::Method;
use super::rules;
use crate::tabs::{Tab, TabList};
use crate::view::attend::Attended;
use crate::view::stage::Stage;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use vitrine_cdp::protocol::target::TargetId;
use vitrine_model::embed::{Capability, InteractionMode, Policy};

/// Calls of one connection that run at once.
const CALLS_MAX: usize = 16;
/// Calls of one connection that run or wait for their turn.
pub(crate) const CALLS_WAITING_MAX: usize = 80;
/// What a method that keeps its time itself gets on top.
const GRACE: Duration = Duration::from_millis(500);
/// How long a tab that was opened just now may take to be attended.
const ATTEND_LIMIT: Duration = Duration::from_secs(5);

/// What a client asks for.
pub(crate) struct Asked {
    pub call_id: Option<String>,
    pub method: String,
    pub args: Vec<Value>,
}

/// One connection that may call.
#[derive(Clone)]
pub(crate) struct Caller {
    stage: Arc<Stage>,
    pub mode: watch::Sender<InteractionMode>,
    turns: Arc<Semaphore>,
}

/// A call that was let through.
pub(super) struct Call<'a> {
    pub stage: &'a Stage,
    pub caller: &'a Caller,
    pub arguments: Arguments,
    pub deadline: Instant,
}

impl Caller {
    pub fn new(stage: Arc<Stage>) -> Caller {
        Caller { stage, mode: watch::Sender::default(), turns: Arc::new(Semaphore::new(CALLS_MAX)) }
    }

    pub fn mode(&self) -> InteractionMode {
        *self.mode.borrow()
    }

    pub fn policy(&self) -> Arc<Policy> {
        self.stage.policy.borrow().clone()
    }

    pub fn allows(&self, capability: Capability) -> bool {
        self.policy().allows(capability, self.mode())
    }

    /// What the connection is told of its policy.
    pub fn snapshot(&self) -> Value {
        json!(self.policy().snapshot(&self.stage.setup.session, self.mode()))
    }

    /// Makes a call, or gives the answer of the same call made before.
    pub async fn answer(&self, asked: Asked) -> Answer {
        let method = Method::parse(&asked.method).ok_or_else(|| Failure::unknown(&asked.method))?;
        let arguments = Arguments::new(method.name(), asked.args).checked()?;
        let Some(id) = asked.call_id.filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX && method.has_effect())
        else {
            return self.make(method, arguments).await;
        };
        // An answer is nothing for those who may not ask, nor for another question.
        self.permit(method)?;
        let (caller, key) = (self.clone(), format!("{} {id}", method.name()));
        self.stage.memory.once(&key, async move { caller.make(method, arguments).await }).await
    }

    fn permit(&self, method: Method) -> Result<(), Failure> {
        let opened_by = method.opened_by();
        match opened_by.is_empty() || opened_by.iter().any(|capability| self.allows(*capability)) {
            true => Ok(()),
            false => Err(Failure::denied(opened_by[0].as_str())),
        }
    }

    async fn make(&self, method: Method, arguments: Arguments) -> Answer {
        let limit = arguments.limit();
        let deadline = Instant::now() + limit;
        let made = timeout_at(deadline + GRACE, async {
            let _turn = self.turns.acquire().await;
            self.stage.first_tab().await;
            Call { stage: &self.stage, caller: self, arguments, deadline }.run(method).await
        });
        made.await.unwrap_or_else(|_| Err(Failure::late(method.name(), limit)))
    }
}

impl Call<'_> {
    /// What is left of its time.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Does what the method does, when the policy allows it.
    pub async fn run(&self, method: Method) -> Answer {
        self.caller.permit(method)?;
        match method {
            Method::GetTabs => Ok(self.tabs()),
            Method::GetTabCount => Ok(json!(self.list().tabs.len())),
            Method::GetActiveTab => Ok(self.active_tab()),
            Method::GetActiveTabIndex => Ok(self.active_index()),
            Method::CreateTab => self.create_tab().await,
            Method::CreateTabs => self.create_tabs().await,
            Method::CloseTab => self.close_tab().await,
            Method::CloseTabById => self.close_tab_by_id().await,
            Method::CloseAllTabs => self.close_all_tabs().await,
            Method::SwitchToTab => self.switch_to_tab().await,
            Method::SwitchToTabById => self.switch_to_tab_by_id().await,
            Method::CleanSlate => self.clean_slate().await,
            Method::WaitForTabCount => self.wait_for_tab_count().await,
            Method::WaitForTabUrl => self.wait_for_tab_url().await,
            Method::GetFavicons => Ok(self.favicons()),
            Method::WaitForNonDefaultFavicon => self.wait_for_favicon().await,
            Method::NavigateTo => self.navigate_to().await,
            Method::NavigateTab => self.navigate_tab().await,
            Method::SubmitOmnibox => self.submit_omnibox().await,
            Method::Reload => self.reload().await,
            Method::GoBack => self.go(-1).await,
            Method::GoForward => self.go(1).await,
            Method::Stop => self.stop().await,
            Method::GetPageText => self.page_text().await,
            Method::GetPageUrl => self.page_url().await,
            Method::GetPageTitle => self.page_title().await,
            Method::GetPageFavicon => self.page_favicon(),
            Method::GetScreenMetrics => self.screen_metrics().await,
            Method::Click => self.click().await,
            Method::Type => self.type_text().await,
            Method::Evaluate => self.evaluate().await,
            Method::WaitForSelector => self.wait_for_selector().await,
            Method::WaitForNavigation => self.wait_for_navigation().await,
            Method::Act => Box::pin(self.act()).await,
            Method::CaptureFrame => self.capture_frame().await,
            Method::ResolvePageTarget => self.resolve_page_target().await,
            Method::GeneralizeSelection => self.generalize_selection().await,
            Method::ExtractSelection => self.extract_selection().await,
            Method::GetCurrentModal => Ok(self.current_modal()),
            Method::RespondToModal => self.respond_to_modal().await,
            Method::DismissModal => self.dismiss_modal().await,
            Method::GetPolicy => Ok(self.caller.snapshot()),
            Method::InspectAt => self.inspect_at().await,
        }
    }

    pub fn list(&self) -> TabList {
        self.stage.tabs.watch().borrow().clone()
    }

    /// The tab that the options at `place` name, or the active one.
    pub fn tab(&self, place: usize) -> Result<Tab, Failure> {
        let list = self.list();
        match self.arguments.options(place).text("tabId") {
            Some(id) => list.tabs.iter().find(|tab| tab.id.0 == id).cloned().ok_or_else(|| Failure::missing("the tab")),
            None => list.active.as_ref().and_then(|id| list.get(id)).cloned().ok_or_else(Failure::no_active_tab),
        }
    }

    /// The tab's own session, once it is there.
    pub async fn attended(&self, tab: &TargetId) -> Result<Arc<Attended>, Failure> {
        let ready = self.stage.attendance.ready(tab);
        match tokio::time::timeout(ATTEND_LIMIT.min(self.left()), ready).await {
            Ok(Some(attended)) => Ok(attended),
            _ if self.list().get(tab).is_none() => Err(Failure::missing("the tab")),
            _ => Err(Failure::internal("the tab does not answer")),
        }
    }

    /// Waits until a dialog is open in the tab.
    pub async fn dialog(&self, tab: &TargetId) {
        let mut prompts = self.stage.prompts.watch();
        let open = prompts.wait_for(|open| open.iter().any(|prompt| prompt.tab == *tab && prompt.is_dialog()));
        if open.await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether the policy lets an address be opened; tells of one that it does not.
    pub fn judge(&self, url: &str) -> Result<(), Failure> {
        match rules::refusal(&self.caller.policy(), url) {
            None => Ok(()),
            Some(reason) => {
                self.stage.chronicle.denied(url, reason);
                Err(Failure::denied(&format!("this address: {reason}")))
            }
        }
    }
}
