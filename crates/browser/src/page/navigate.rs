//! The methods that make a tab go somewhere, and those that wait until it has.

use super::call::Call;
use super::failure::Failure;
use super::memory::Answer;
use crate::tabs::Tab;
use crate::view::actions::{NO_FAILURE, SCHEMES, URL_BYTES_MAX};
use crate::view::attend::Attended;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use vitrine_cdp::protocol::page::{GetNavigationHistory, Navigate, NavigateToHistoryEntry, Reload, StopLoading};

/// How long a step in the history or a reload is waited for.
const STEP_LIMIT: Duration = Duration::from_secs(5);
/// What an input event leads to has begun by then.
const BEGIN_LIMIT: Duration = Duration::from_millis(250);
/// A commit that Chromium answered is told of at once.
const TOLD_LIMIT: Duration = Duration::from_millis(250);
/// How long a page may take to say what it is called.
const TITLE_LIMIT: Duration = Duration::from_secs(1);
/// Addresses of the machine and of the browser, and scripts: no words to search for.
const NEVER_SEARCHED: [&str; 6] = ["javascript", "file", "filesystem", "chrome", "devtools", "view-source"];
/// Where a query is put in the search address.
pub(super) const QUERY: &str = "{query}";

/// An address as it is opened: with the scheme that is meant when there is none. None for what may not be opened.
pub(super) fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let full = match scheme(text) {
        Some(scheme) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => text.to_owned(),
        Some(_) => return None,
        None if text.contains(char::is_whitespace) || text.is_empty() => return None,
        None if is_near(text) => format!("http://{text}"),
        None => format!("https://{text}"),
    };
    (full.len() <= URL_BYTES_MAX).then_some(full)
}

/// What stands before the first colon, unless that is a host and its port.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let is_word = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
    let port = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_port = !port.is_empty() && port.chars().all(|digit| digit.is_ascii_digit());
    (is_word && !is_port).then_some(scheme)
}

fn host_of(text: &str) -> &str {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(_) => authority,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// This machine, and what has an address alone: nobody has a certificate for it.
fn is_near(text: &str) -> bool {
    let host = host_of(text);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.starts_with('[')
        || host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Whether what a person typed is meant to be an address, also one that may not be opened.
fn is_address(text: &str) -> bool {
    let text = text.trim();
    if text.contains(char::is_whitespace) {
        return false;
    }
    if let Some(scheme) = scheme(text) {
        let scheme = scheme.to_ascii_lowercase();
        return SCHEMES.contains(&scheme.as_str()) || NEVER_SEARCHED.contains(&scheme.as_str());
    }
    let host = host_of(text);
    is_near(text) || (host.contains('.') && !host.starts_with('.') && !host.ends_with('.'))
}

/// Everything but letters and digits as its bytes.
fn escaped(query: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    query.bytes().map(byte).collect()
}

impl Call<'_> {
    pub async fn navigate_to(&self) -> Answer {
        let url = self.arguments.text(0, "url")?;
        self.navigate(&self.tab(1)?, url).await
    }

    pub async fn navigate_tab(&self) -> Answer {
        let index = self.arguments.index(0, "index")?;
        let url = self.arguments.text(1, "url")?;
        let tab = self.list().tabs.get(index).cloned();
        self.navigate(&tab.ok_or_else(|| Failure::missing(&format!("the tab with index {index}")))?, url).await
    }

    pub async fn submit_omnibox(&self) -> Answer {
        let query = self.arguments.text(0, "query")?;
        let tab = self.tab(1)?;
        if is_address(query) {
            return self.navigate(&tab, query).await;
        }
        let search = self.stage.setup.search.replace(QUERY, &escaped(query.trim()));
        self.navigate(&tab, &search).await
    }

    pub async fn navigate(&self, tab: &Tab, url: &str) -> Answer {
        let url = address(url).ok_or_else(|| Failure::requires(self.arguments.method(), "a non-empty web address"))?;
        self.judge(&url)?;
        let attended = self.attended(&tab.id).await?;
        let mut life = attended.life.subscribe();
        let commits = life.borrow_and_update().commits;
        let begun = Instant::now();
        let command = Navigate { url: url.clone(), ..Navigate::default() };
        let answer = attended.page.call_within(self.left(), command).await?;
        if let Some(reason) = self.stage.chronicle.refusal_since(&tab.id, begun) {
            return Err(Failure::denied(&format!("this address: {reason}")));
        }
        match answer.error_text {
            Some(error) if error != NO_FAILURE => {
                return Err(Failure::told(&format!("could not open the page: {error}")));
            }
            // A download, or another navigation took its place.
            Some(_) => return Ok(json!({ "ok": true, "url": url, "tabId": tab.id.0 })),
            None => {}
        }
        let told = timeout(TOLD_LIMIT, life.wait_for(|life| life.commits > commits)).await;
        let url = told.ok().and_then(|life| Some(life.ok()?.url.clone())).unwrap_or(url);
        Ok(json!({ "ok": true, "url": url, "tabId": tab.id.0 }))
    }

    pub async fn reload(&self) -> Answer {
        let attended = self.attended(&self.tab(0)?.id).await?;
        let hard = self.arguments.options(0).is("hard") || self.arguments.options(0).is("ignoreCache");
        self.step(&attended, Reload { ignore_cache: Some(hard), ..Reload::default() }).await
    }

    /// Steps in the history; `ok` is false when there is nothing to go to.
    pub async fn go(&self, steps: i64) -> Answer {
        let attended = self.attended(&self.tab(0)?.id).await?;
        let history = attended.page.call_within(self.left(), GetNavigationHistory {}).await?;
        let place = usize::try_from(history.current_index + steps).ok();
        match place.and_then(|place| history.entries.get(place)) {
            Some(entry) => {
                self.judge(&entry.url)?;
                self.step(&attended, NavigateToHistoryEntry { entry_id: entry.id }).await
            }
            None => Ok(json!({ "ok": false })),
        }
    }

    /// Does it and waits for the document that it leads to.
    async fn step(&self, attended: &Attended, command: impl vitrine_cdp::Command) -> Answer {
        let mut life = attended.life.subscribe();
        let commits = life.borrow_and_update().commits;
        attended.page.call_within(self.left(), command).await?;
        let _ = timeout(STEP_LIMIT.min(self.left()), life.wait_for(|life| life.commits > commits)).await;
        Ok(json!({ "ok": true }))
    }

    pub async fn stop(&self) -> Answer {
        let attended = self.attended(&self.tab(0)?.id).await?;
        attended.page.call_within(self.left(), StopLoading {}).await?;
        Ok(json!({ "ok": true }))
    }

    /// Waits for the navigation that is under way, or for the one that what was done just now leads to.
    pub async fn wait_for_navigation(&self) -> Answer {
        let attended = self.attended(&self.tab(0)?.id).await?;
        let mut life = attended.life.subscribe();
        if !life.borrow().loading {
            let _ = timeout(BEGIN_LIMIT.min(self.left()), life.wait_for(|life| life.loading)).await;
        }
        let done = timeout(self.left(), life.wait_for(|life| !life.loading)).await;
        Ok(json!(matches!(done, Ok(Ok(_)))))
    }

    pub async fn page_url(&self) -> Answer {
        let tab = self.tab(0)?;
        let attended = self.attended(&tab.id).await?;
        // The browser's own process answers: also for a page that hangs, but not while one page takes another's place.
        let Ok(history) = attended.page.call_within(self.left(), GetNavigationHistory {}).await else {
            return Ok(json!(attended.life.borrow().url));
        };
        let place = usize::try_from(history.current_index).ok();
        Ok(json!(place.and_then(|place| history.entries.get(place)).map_or(&tab.url, |entry| &entry.url)))
    }

    pub async fn page_title(&self) -> Answer {
        let tab = self.tab(0)?;
        let attended = self.attended(&tab.id).await?;
        let asked = timeout(TITLE_LIMIT, self.ask::<Value>(&tab.id, &attended, "facts", Value::Null)).await;
        match asked {
            Ok(Ok(facts)) => Ok(facts["title"].clone()),
            // It hangs or shows a dialog: what it was called last.
            _ => Ok(json!(self.list().get(&tab.id).map_or("", |tab| &tab.title))),
        }
    }

    pub fn page_favicon(&self) -> Answer {
        Ok(json!(self.tab(0)?.favicon.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_the_scheme_that_is_meant() {
        for (text, full) in [
            ("example.com", "https://example.com"),
            (" https://example.com/a b ", "https://example.com/a b"),
            ("localhost:3000/x", "http://localhost:3000/x"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("[::1]:80", "http://[::1]:80"),
            ("example.com:8443", "https://example.com:8443"),
            ("about:blank", "about:blank"),
            ("data:text/html,a b", "data:text/html,a b"),
        ] {
            assert_eq!(address(text).as_deref(), Some(full));
        }
        for text in
            ["", "a b", "javascript:alert(1)", "file:///etc/passwd", "chrome://version", "view-source:https://a"]
        {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn a_person_means_an_address_or_searches() {
        for text in ["example.com", "localhost", "https://a", "1.2.3.4:80/x", "about:blank", "javascript:alert(1)"] {
            assert!(is_address(text), "{text}");
        }
        for text in ["weather", "what is a.b", "site:example.com", "a.", "c++"] {
            assert!(!is_address(text), "{text}");
        }
        assert_eq!(escaped("a b&c=ü"), "a%20b%26c%3D%C3%BC");
    }
}
