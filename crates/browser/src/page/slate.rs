//! A session as if it had just begun: one tab, nothing that earlier pages left.

use super::call::Call;
use super::failure::Failure;
use super::memory::Answer;
use super::navigate::address;
use serde_json::json;

impl Call<'_> {
    /// Cookies and storage belong to a context of the browser: the new tab gets a context of its own, and the old ones are closed
    /// with all that is in them.
    pub async fn clean_slate(&self) -> Answer {
        let url = match self.arguments.at(0).and_then(serde_json::Value::as_str).filter(|url| !url.trim().is_empty()) {
            Some(url) => address(url).ok_or_else(|| Failure::requires("cleanSlate", "a non-empty web address"))?,
            None => "about:blank".into(),
        };
        self.judge(&url)?;
        let id = self.stage.tabs.create_apart().await?;
        self.stage.permit_downloads().await;
        let list = self.stage.tabs.watch().wait_for(|list| list.get(&id).is_some()).await.map(|list| list.clone());
        let list = list.map_err(|_| Failure::missing("the tab"))?;
        self.close_others(std::slice::from_ref(&id)).await?;
        self.stage.tabs.forget_apart().await;
        let tab = list.get(&id).ok_or_else(|| Failure::missing("the tab"))?;
        self.attended(&id).await?;
        if url != "about:blank" {
            self.navigate(tab, &url).await?;
        }
        Ok(json!({
            "ok": true,
            "url": url,
            "targetId": id.0,
            "sessionId": self.stage.setup.session,
            "warmed": true,
            "ackBlastCount": 0,
        }))
    }
}
