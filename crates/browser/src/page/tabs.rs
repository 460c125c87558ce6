//! The methods about tabs.

use super::call::Call;
use super::failure::Failure;
use super::memory::Answer;
use super::navigate::address;
use crate::tabs::{Place, Tab, TabList};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use vitrine_cdp::protocol::target::TargetId;

/// Tabs that one call opens.
const CREATED_MAX: u64 = 20;
/// How long a new tab may take to be in the list, and a closed one to be out of it.
const LIST_LIMIT: Duration = Duration::from_secs(5);

/// A tab as clients see it.
pub(super) fn shown(list: &TabList, index: usize, tab: &Tab) -> Value {
    json!({
        "id": tab.id.0,
        "index": index,
        "active": list.active.as_ref() == Some(&tab.id),
        "url": tab.url,
        "title": tab.title,
        "canGoBack": tab.can_go_back,
        "canGoForward": tab.can_go_forward,
        "loading": tab.loading,
        "hasFavicon": tab.favicon.is_some(),
        "isDefaultFavicon": tab.favicon.is_none(),
        "faviconDataURI": tab.favicon.as_deref(),
    })
}

fn shown_by_id(list: &TabList, id: &TargetId) -> Option<Value> {
    let index = list.tabs.iter().position(|tab| tab.id == *id)?;
    Some(shown(list, index, &list.tabs[index]))
}

impl Call<'_> {
    pub fn tabs(&self) -> Value {
        let list = self.list();
        list.tabs.iter().enumerate().map(|(index, tab)| shown(&list, index, tab)).collect()
    }

    pub fn active_tab(&self) -> Value {
        let list = self.list();
        list.active.as_ref().and_then(|id| shown_by_id(&list, id)).unwrap_or_default()
    }

    /// -1 when there is no tab.
    pub fn active_index(&self) -> Value {
        let list = self.list();
        let index = list.active.as_ref().and_then(|id| list.tabs.iter().position(|tab| tab.id == *id));
        index.map_or(json!(-1), |index| json!(index))
    }

    pub async fn create_tab(&self) -> Answer {
        let by_options = self.arguments.at(0).is_some_and(Value::is_object);
        let options = self.arguments.options(if by_options { 0 } else { 1 });
        let url = if by_options { options.text("url") } else { self.arguments.at(0).and_then(Value::as_str) };
        self.open(url, if options.is_not("active") { Place::Behind } else { Place::Front }).await
    }

    pub async fn create_tabs(&self) -> Answer {
        let count = self.arguments.index(0, "count")?;
        if !(1..=CREATED_MAX as usize).contains(&count) {
            return Err(Failure::requires("createTabs", &format!("a non-empty count of at most {CREATED_MAX}")));
        }
        let options = self.arguments.options(1);
        let place = if options.is_not("active") { Place::Behind } else { Place::Front };
        let mut opened = Vec::new();
        for _ in 0..count {
            opened.push(self.open(options.text("url"), place).await?);
        }
        Ok(opened.into())
    }

    async fn open(&self, url: Option<&str>, place: Place) -> Answer {
        let url = match url.filter(|url| !url.trim().is_empty()) {
            Some(url) => {
                address(url).ok_or_else(|| Failure::requires(self.arguments.method(), "a non-empty web address"))?
            }
            None => "about:blank".into(),
        };
        self.judge(&url)?;
        let id = self.stage.tabs.create(&url, place).await?;
        let list = self.listed(|list| list.get(&id).is_some()).await?;
        let mut tab = shown_by_id(&list, &id).ok_or_else(|| Failure::missing("the tab"))?;
        // What it is about to show.
        if tab["url"] == "" || tab["url"] == "about:blank" {
            tab["url"] = url.into();
        }
        Ok(tab)
    }

    async fn listed(&self, is_so: impl FnMut(&TabList) -> bool) -> Result<TabList, Failure> {
        let mut list = self.stage.tabs.watch();
        match timeout(LIST_LIMIT.min(self.left()), list.wait_for(is_so)).await {
            Ok(Ok(list)) => Ok(list.clone()),
            _ => Err(Failure::internal("the browser did not follow in time")),
        }
    }

    fn at(&self, index: usize) -> Result<TargetId, Failure> {
        let missing = || Failure::missing(&format!("the tab with index {index}"));
        self.list().tabs.get(index).map(|tab| tab.id.clone()).ok_or_else(missing)
    }

    fn with_id(&self) -> Result<TargetId, Failure> {
        let id = TargetId(self.arguments.text(0, "target id")?.to_owned());
        self.list().get(&id).map(|tab| tab.id.clone()).ok_or_else(|| Failure::missing("the tab"))
    }

    pub async fn close_tab(&self) -> Answer {
        let id = match self.arguments.at(0) {
            Some(Value::Number(_)) => self.at(self.arguments.index(0, "index")?)?,
            _ => self.tab(0)?.id,
        };
        self.close(&id).await
    }

    pub async fn close_tab_by_id(&self) -> Answer {
        self.close(&self.with_id()?).await
    }

    async fn close(&self, id: &TargetId) -> Answer {
        self.stage.tabs.close(id).await?;
        self.listed(|list| list.get(id).is_none()).await?;
        Ok(json!({ "ok": true }))
    }

    pub async fn close_all_tabs(&self) -> Answer {
        let closed = self.close_others(&[]).await?;
        Ok(json!({ "ok": true, "closed": closed }))
    }

    /// Closes all tabs but these.
    pub async fn close_others(&self, kept: &[TargetId]) -> Result<usize, Failure> {
        let list = self.list();
        let others: Vec<_> = list.tabs.iter().map(|tab| &tab.id).filter(|id| !kept.contains(id)).collect();
        for id in &others {
            // One that is gone already is closed.
            if let Err(error) = self.stage.tabs.close(id).await {
                tracing::debug!(%error, "a tab was not closed");
            }
        }
        self.listed(|list| others.iter().all(|id| list.get(id).is_none())).await?;
        Ok(others.len())
    }

    pub async fn switch_to_tab(&self) -> Answer {
        self.switch(&self.at(self.arguments.index(0, "index")?)?).await
    }

    pub async fn switch_to_tab_by_id(&self) -> Answer {
        self.switch(&self.with_id()?).await
    }

    async fn switch(&self, id: &TargetId) -> Answer {
        if self.list().active.as_ref() != Some(id) {
            self.stage.tabs.activate(id).await?;
        } else if let Some(screen) = self.stage.tabs.screen(id) {
            screen.request_key();
        }
        Ok(json!({ "ok": true }))
    }

    pub async fn wait_for_tab_count(&self) -> Answer {
        let count = self.arguments.index(0, "count")?;
        self.becomes(|list| list.tabs.len() == count).await
    }

    /// `url`: the address itself; `contains`: a part of it; `not`: another one than this. Without any: any but the blank page.
    pub async fn wait_for_tab_url(&self) -> Answer {
        let index = self.arguments.index(0, "index")?;
        let options = self.arguments.options(1);
        let wanted = self.arguments.at(1).and_then(Value::as_str).or(options.text("url"));
        let (part, not) = (options.text("contains").or(options.text("includes")), options.text("not"));
        let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
        self.becomes(|list| {
            let Some(tab) = list.tabs.get(index) else { return false };
            let any = wanted.is_none() && part.is_none() && not.is_none();
            wanted.is_none_or(|url| same(url, &tab.url))
                && part.is_none_or(|part| tab.url.contains(part))
                && not.is_none_or(|url| !same(url, &tab.url))
                && !(any && matches!(tab.url.as_str(), "" | "about:blank"))
        })
        .await
    }

    pub fn favicons(&self) -> Value {
        let list = self.list();
        let favicon = |(index, tab): (usize, &Tab)| {
            json!({ "id": tab.id.0, "index": index, "hasFavicon": tab.favicon.is_some(),
                "isDefaultFavicon": tab.favicon.is_none(), "faviconDataURI": tab.favicon.as_deref() })
        };
        list.tabs.iter().enumerate().map(favicon).collect()
    }

    pub async fn wait_for_favicon(&self) -> Answer {
        let index = self.arguments.index(0, "index")?;
        self.becomes(|list| list.tabs.get(index).is_some_and(|tab| tab.favicon.is_some())).await
    }

    /// Whether the list becomes so in the time of the call.
    async fn becomes(&self, is_so: impl FnMut(&TabList) -> bool) -> Answer {
        let mut list = self.stage.tabs.watch();
        let became = timeout(self.left(), list.wait_for(is_so)).await;
        Ok(json!(matches!(became, Ok(Ok(_)))))
    }
}
