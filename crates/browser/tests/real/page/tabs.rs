//! Tabs, navigation and what is told of them.

use crate::site::{Reply, path, site};
use crate::view::support::Scene;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vitrine_browser::Build;

fn page(request: &str) -> Reply {
    match path(request) {
        "/favicon.ico" => Reply::new(
            "Content-Type: image/svg+xml",
            "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'><rect width='8' height='8'/></svg>",
        ),
        path => Reply::html(format!("<title>page {path}</title><p>{path}</p><a id=a href='/linked'>a link</a>")),
    }
}

#[tokio::test]
async fn tabs_are_listed_opened_switched_and_closed() {
    for build in crate::BUILDS {
        let scene = Scene::open(build, "first").await;
        let mut caller = scene.caller().await;
        assert_eq!(caller.call("getTabCount", json!([])).await, 1);
        let made = caller.call("createTab", json!(["about:blank"])).await;
        assert_eq!((&made["index"], &made["active"]), (&json!(1), &json!(true)), "{build:?}");
        let behind = caller.call("createTab", json!([{"url": "about:blank", "active": false}])).await;
        assert_eq!((&behind["index"], &behind["active"]), (&json!(2), &json!(false)), "{build:?}");
        assert_eq!(caller.call("getActiveTabIndex", json!([])).await, 1);
        let tabs = caller.call("getTabs", json!([])).await;
        let active: Vec<_> = tabs.as_array().expect("tabs").iter().filter(|tab| tab["active"] == true).collect();
        assert_eq!((tabs.as_array().expect("tabs").len(), active.len()), (3, 1));
        for field in [
            "id",
            "index",
            "active",
            "url",
            "title",
            "canGoBack",
            "canGoForward",
            "loading",
            "hasFavicon",
            "isDefaultFavicon",
            "faviconDataURI",
        ] {
            assert!(tabs[0].get(field).is_some(), "{field}");
        }
        caller.call("switchToTabById", json!([behind["id"]])).await;
        assert_eq!(caller.call("getActiveTab", json!([])).await["id"], behind["id"]);
        caller.events();
        caller.call("switchToTabById", json!([behind["id"]])).await;
        caller.call("switchToTab", json!([0])).await;
        let first = |told: &Value| told["name"] == "active-tab-changed" && told["detail"]["index"] == 0;
        caller.hear_that("the first tab in front", first).await;
        caller.call("closeTab", json!([1])).await;
        assert_eq!(caller.event("tab-closed").await, json!({"index": 1, "id": made["id"]}));
        caller.call("closeTabById", json!([behind["id"]])).await;
        assert_eq!(caller.call("waitForTabCount", json!([1, {"timeoutMs": 500}])).await, true);
        assert_eq!(caller.call("waitForTabCount", json!([9, {"timeoutMs": 200}])).await, false);
        assert_eq!(caller.refused("closeTab", json!([7])).await["code"], "ERR_NOT_FOUND");
        assert_eq!(caller.refused("switchToTabById", json!([""])).await["code"], "ERR_INVALID_ARGUMENT");
        assert_eq!(caller.call("closeAllTabs", json!([])).await["closed"], 1);
        assert_eq!(caller.call("getActiveTab", json!([])).await, json!(null));
        let error = caller.refused("navigateTo", json!(["https://example.com"])).await;
        assert_eq!((&error["code"], &error["message"]), (&json!("ERR_NOT_FOUND"), &json!("there is no active tab")));
        assert_eq!(
            caller.call("createTabs", json!([2, {"url": "about:blank"}])).await.as_array().map(Vec::len),
            Some(2)
        );
        scene.browser.close(crate::GRACE).await;
    }
}

#[tokio::test]
async fn navigation_is_told_in_order() {
    let port = site(page).await;
    let scene = Scene::open(Build::HeadlessShell, "first").await;
    let mut caller = scene.caller().await;
    caller.call("getPageTitle", json!([])).await;
    caller.events();
    let went = caller.call("navigateTo", json!([format!("127.0.0.1:{port}/one")])).await;
    assert_eq!(went, json!({"ok": true, "url": format!("http://127.0.0.1:{port}/one"), "tabId": scene.tab.0}));
    assert_eq!(caller.call("getTabs", json!([])).await[0]["url"], format!("http://127.0.0.1:{port}/one"));
    caller.event("tab-updated").await;
    sleep(Duration::from_millis(300)).await;
    caller.call("getTabCount", json!([])).await;
    let order = caller.events();
    let place =
        |name: &str| order.iter().position(|event| event == name).unwrap_or_else(|| panic!("{name} in {order:?}"));
    assert!(
        place("did-start-loading") < place("did-navigate") && place("did-navigate") < place("did-stop-loading"),
        "{order:?}"
    );

    assert_eq!(caller.call("getPageTitle", json!([])).await, "page /one");
    assert_eq!(caller.call("getPageUrl", json!([])).await, format!("http://127.0.0.1:{port}/one"));
    caller.call("click", json!(["#a"])).await;
    assert_eq!(caller.call("waitForNavigation", json!([])).await, true);
    assert_eq!(caller.call("getPageTitle", json!([])).await, "page /linked");
    assert_eq!(caller.call("goBack", json!([])).await["ok"], true);
    assert_eq!(caller.call("getPageTitle", json!([])).await, "page /one");
    assert_eq!(caller.call("goForward", json!([])).await["ok"], true);
    assert_eq!(caller.call("goForward", json!([])).await["ok"], false);
    assert_eq!(caller.call("reload", json!([])).await["ok"], true);
    assert_eq!(caller.call("waitForTabUrl", json!([0, {"contains": "/linked"}])).await, true);
    let opened = caller.call("createTab", json!([format!("http://127.0.0.1:{port}/two")])).await;
    caller.events();
    let list = caller.call("waitForNonDefaultFavicon", json!([1, {"timeoutMs": 8000}])).await;
    assert_eq!(list, true);
    assert!(
        caller.call("getFavicons", json!([])).await[1]["faviconDataURI"]
            .as_str()
            .expect("an icon")
            .starts_with("data:image/")
    );
    assert_eq!(opened["url"], format!("http://127.0.0.1:{port}/two"));
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn a_new_tab_is_told_of_before_what_it_does() {
    let port = site(page).await;
    let scene = Scene::open(Build::HeadlessShell, "first").await;
    let mut caller = scene.caller().await;
    caller.call("getPageTitle", json!([])).await;
    caller.events();
    caller.call("createTab", json!([format!("http://127.0.0.1:{port}/two")])).await;
    caller.event("did-stop-loading").await;
    let order = caller.events();
    assert_eq!(order[..4], ["tab-created", "active-tab-changed", "did-start-loading", "did-navigate"], "{order:?}");
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn addresses_that_do_not_open_say_why() {
    let scene = Scene::open(Build::HeadlessShell, "first").await;
    let mut caller = scene.caller().await;
    for url in ["", "javascript:alert(1)", "file:///etc/passwd", "a b"] {
        let error = caller.refused("navigateTo", json!([url])).await;
        assert_eq!(error["code"], "ERR_INVALID_ARGUMENT", "{url}");
        assert!(error["message"].as_str().expect("text").contains("requires a non-empty"), "{error}");
    }
    let error = caller.refused("navigateTo", json!(["http://127.0.0.1:1/"])).await;
    assert_eq!((&error["code"], &error["retriable"]), (&json!("ERR_INTERNAL"), &json!(false)), "{error}");
    assert_eq!(caller.refused("fly", json!([])).await["message"], "unknown api method fly");
    let search = caller.refused("submitOmnibox", json!(["two words"])).await;
    assert!(search["message"].as_str().expect("text").contains("net::"), "{search}");
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn a_clean_slate_has_one_tab_and_nothing_that_was_kept() {
    let port = site(page).await;
    let scene = Scene::open(Build::HeadlessShell, "first").await;
    let mut caller = scene.caller().await;
    let url = format!("http://127.0.0.1:{port}/");
    caller.call("navigateTo", json!([url])).await;
    let kept = "document.cookie = 'a=1; max-age=1000'; localStorage.b = '2'; [document.cookie, localStorage.b].join()";
    assert_eq!(caller.call("evaluate", json!([kept])).await["result"]["value"], "a=1,2");
    caller.call("createTab", json!([url])).await;
    for _ in 0..2 {
        let slate = caller.call("cleanSlate", json!([url])).await;
        assert_eq!((&slate["ok"], &slate["url"]), (&json!(true), &json!(url)));
        assert_eq!(caller.call("getTabCount", json!([])).await, 1);
        let left = caller.call("evaluate", json!(["[document.cookie, localStorage.b].join()"])).await;
        assert_eq!(left["result"]["value"], ",");
        caller.call("evaluate", json!([kept])).await;
    }
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn calls_are_quick() {
    let scene =
        Scene::open(Build::HeadlessShell, "<title>t</title><button id=b onclick=\"note('b')\">b</button>").await;
    let mut caller = scene.caller().await;
    for (method, args) in
        [("getPageTitle", json!([])), ("getTabs", json!([])), ("click", json!(["#b"])), ("evaluate", json!(["1"]))]
    {
        caller.call(method, args.clone()).await;
        let mut took = Vec::new();
        for _ in 0..50 {
            let begun = Instant::now();
            caller.call(method, args.clone()).await;
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        println!("{method}: p50 {:?}, p95 {:?}", took[25], took[47]);
    }
    scene.browser.close(crate::GRACE).await;
}
