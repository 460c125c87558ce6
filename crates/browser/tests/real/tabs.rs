//! The tabs of a real browser, as a client and its pages change them.

use crate::host::LocalHost;
use crate::{BUILDS, GRACE, start};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use vitrine_browser::screen::Settings;
use vitrine_browser::tabs::{Place, TabList, Tabs};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::{CloseTarget, CreateTarget};
use vitrine_cdp::{Connection, Nothing};

const SOON: Duration = Duration::from_secs(10);

/// Commands that only the tests need.
#[derive(serde::Serialize)]
struct CreateBrowserContext {}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    browser_context_id: vitrine_cdp::protocol::browser::BrowserContextId,
}

impl vitrine_cdp::Command for CreateBrowserContext {
    const METHOD: &'static str = "Target.createBrowserContext";
    type Response = Created;
}

#[derive(serde::Serialize)]
struct CrashTab {}

impl vitrine_cdp::Command for CrashTab {
    const METHOD: &'static str = "Page.crash";
    type Response = Nothing;
}

/// Waits until the list is as it should be.
async fn until(list: &mut watch::Receiver<TabList>, what: &str, wanted: impl FnMut(&TabList) -> bool) -> TabList {
    if let Ok(list) = timeout(SOON, list.wait_for(wanted)).await {
        return list.expect("tabs").clone();
    }
    panic!("{what}: {:#?}", list.borrow());
}

async fn create(connection: &Connection, url: &str) -> vitrine_cdp::protocol::target::TargetId {
    let page = CreateTarget { url: url.into(), ..CreateTarget::default() };
    connection.call(page).await.expect("a page").target_id
}

#[tokio::test]
async fn the_list_follows_what_is_opened_changed_activated_and_closed() {
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let client = browser.connection().await.expect("connection");
        let tabs = Tabs::open(client.clone(), Settings::default()).await.expect("tabs");
        let mut list = tabs.watch();
        let first = until(&mut list, "the blank page", |list| list.tabs.len() == 1).await.tabs[0].id.clone();
        assert_eq!(list.borrow().active.as_ref(), Some(&first), "{build:?}");

        let second = create(&client, "data:text/html,<title>Second <b>").await;
        let listed = until(&mut list, "a second tab", |list| {
            list.get(&second).is_some_and(|tab| tab.title == "Second <b>" && !tab.loading)
        });
        assert_eq!(listed.await.active.as_ref(), Some(&second));
        let page = tabs.session(&second).expect("a session");
        let url = "data:text/html,<title>Again</title>".to_owned();
        page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
        until(&mut list, "back is possible", |list| {
            list.get(&second).is_some_and(|tab| tab.title == "Again" && tab.can_go_back && !tab.can_go_forward)
        })
        .await;

        let context = client.call(CreateBrowserContext {}).await.expect("a context").browser_context_id;
        let elsewhere = CreateTarget {
            url: "about:blank".into(),
            browser_context_id: Some(context.clone()),
            ..CreateTarget::default()
        };
        let elsewhere = client.call(elsewhere).await.expect("a page").target_id;
        until(&mut list, "another context's tab", |list| list.active.as_ref() == Some(&elsewhere)).await;
        let beside = tabs.create("about:blank", Place::Front).await.expect("a tab");
        let listed = until(&mut list, "a tab beside it", |list| list.active.as_ref() == Some(&beside)).await;
        assert_eq!(listed.get(&beside).expect("listed").context, Some(context), "{build:?}");

        tabs.activate(&first).await.expect("activated");
        assert_eq!(list.borrow().active.as_ref(), Some(&first));
        tabs.close(&first).await.expect("closed");
        let listed = until(&mut list, "the first is gone", |list| list.get(&first).is_none()).await;
        assert_eq!(listed.active.as_ref(), Some(&beside), "the one before it is in front again");
        assert!(tabs.session(&first).is_none());
        for id in [beside, elsewhere, second] {
            client.call(CloseTarget { target_id: id }).await.expect("closed");
        }
        until(&mut list, "no tab", |list| list.tabs.is_empty() && list.active.is_none()).await;
        browser.close(GRACE).await;
    }
}

/// A script is often done opening pages before the first person looks.
#[tokio::test]
async fn a_page_that_was_there_before_anybody_looked_is_in_front_of_the_blank_one() {
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let client = browser.connection().await.expect("connection");
        // Chromium lists by ids, which are random: once could be luck.
        for _ in 0..4 {
            let page = create(&client, "data:text/html,<title>Here</title>").await;
            let tabs = Tabs::open(client.clone(), Settings::default()).await.expect("tabs");
            let listed = until(&mut tabs.watch(), "both tabs", |list| list.tabs.len() == 2).await;
            assert_eq!(listed.active.as_ref(), Some(&page), "{build:?}");
            client.call(CloseTarget { target_id: page }).await.expect("closed");
            until(&mut tabs.watch(), "one tab", |list| list.tabs.len() == 1).await;
        }
        browser.close(GRACE).await;
    }
}

#[tokio::test]
async fn a_crashed_tab_says_so_until_it_is_loaded_again() {
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let client = browser.connection().await.expect("connection");
        let tabs = Tabs::open(client.clone(), Settings::default()).await.expect("tabs");
        let mut list = tabs.watch();
        let first = until(&mut list, "the blank page", |list| list.tabs.len() == 1).await.tabs[0].id.clone();
        let page = tabs.session(&first).expect("a session");
        let crash = page.clone();
        let crash = tokio::spawn(async move { crash.call_within(Duration::from_secs(1), CrashTab {}).await });
        until(&mut list, "crashed", |list| list.tabs[0].crashed && !list.tabs[0].loading).await;
        let url = "data:text/html,<title>Alive</title>".to_owned();
        page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
        until(&mut list, "alive", |list| !list.tabs[0].crashed && list.tabs[0].title == "Alive").await;
        crash.await.expect("joined").expect_err("no answer from the dead");
        browser.close(GRACE).await;
    }
}

#[tokio::test]
async fn a_title_that_never_rests_and_is_endless_stays_small_and_slow() {
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(vitrine_browser::Build::HeadlessShell)).await;
    let client = browser.connection().await.expect("connection");
    let tabs = Tabs::open(client.clone(), Settings::default()).await.expect("tabs");
    let mut list = tabs.watch();
    let first = until(&mut list, "the blank page", |list| list.tabs.len() == 1).await.tabs[0].id.clone();
    let page = tabs.session(&first).expect("a session");
    let expression = "setInterval(() => { document.title = 'x'.repeat(100_000) + Math.random() }, 1)".into();
    page.call(Evaluate { expression, ..Evaluate::default() }).await.expect("run");
    let mut changes = 0;
    let _ = timeout(Duration::from_secs(1), async {
        loop {
            list.changed().await.expect("tabs");
            changes += 1;
        }
    })
    .await;
    assert!(changes <= 25, "{changes} changes in a second");
    assert!(list.borrow().tabs[0].title.len() <= 1024);
    browser.close(GRACE).await;
}
