//! Both builds of the real Chromium, run as an ordinary user.

mod captcha;
mod downloads;
mod har;
mod host;
mod page;
mod profile;
mod recording;
mod recording_live;
mod screen;
mod site;
mod stealth;
mod tabs;
mod trust;
mod view;

use host::LocalHost;
use rustix::process::Signal;
use serde_json::json;
use site::{Reply, site};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use vitrine_browser::stealth::Story;
use vitrine_browser::{Browser, BrowserError, Build, Command, Ending, Exit, Host, Launch};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::{CloseTarget, CreateTarget, GetTargets, TargetId};
use vitrine_cdp::{Connection, Nothing, Session};

const BUILDS: [Build; 2] = [Build::HeadlessShell, Build::Chromium];
const GRACE: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(10);

async fn start(host: &Arc<LocalHost>, launch: &Launch) -> Browser {
    Browser::launch(host.clone(), launch).await.expect("a browser")
}

async fn pages(connection: &Connection) -> Vec<TargetId> {
    let targets = connection.call(GetTargets::default()).await.expect("targets").target_infos;
    targets.into_iter().filter(|target| target.r#type == "page").map(|target| target.target_id).collect()
}

async fn first_page(connection: &Connection) -> Session {
    let pages = pages(connection).await;
    assert_eq!(pages.len(), 1, "one blank page");
    connection.attach(&pages[0]).await.expect("a session")
}

async fn evaluate(page: &Session, expression: &str) -> serde_json::Value {
    let command = Evaluate { expression: expression.into(), return_by_value: Some(true), ..Evaluate::default() };
    page.call(command).await.expect("a value").result.value.expect("by value")
}

/// A command that only the tests need.
#[derive(serde::Serialize)]
struct Crash {}

impl vitrine_cdp::Command for Crash {
    const METHOD: &'static str = "Browser.crash";
    type Response = Nothing;
}

#[tokio::test]
async fn a_browser_is_ready_answers_and_ends_when_asked() {
    for build in BUILDS {
        let host = LocalHost::new();
        let story = Story { language: Some("de-CH".into()), timezone: None, viewport: (1111, 777) };
        let launch = Launch { story, ..host.launch(build) };
        let browser = start(&host, &launch).await;
        assert!(browser.product().contains("Chrome/"), "{}", browser.product());
        assert!(browser.user_agent().contains("Chrome/"));
        assert_eq!(browser.protocol_version(), "1.3");
        assert!(browser.websocket_path().starts_with("/devtools/browser/"));
        browser.probe(SOON).await.expect("alive");
        let page = first_page(&browser.connection().await.expect("connection")).await;
        assert_eq!(evaluate(&page, "navigator.language").await, json!("de-CH"), "{build:?}");
        assert_eq!(evaluate(&page, "[innerWidth, innerHeight]").await, json!([1111, 777]), "{build:?}");
        assert_eq!(
            evaluate(&page, "matchMedia('(hover: hover) and (pointer: fine)').matches").await,
            json!(true),
            "{build:?}"
        );
        let exit = browser.close(GRACE).await;
        assert_eq!(exit, Exit::Code(0), "{build:?}");
        assert_eq!(Ending::from(exit), Ending::ClosedByClient);
        assert!(browser.probe(SOON).await.is_err());
    }
}

#[tokio::test]
async fn the_last_page_may_close_and_the_browser_stays() {
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let connection = browser.connection().await.expect("connection");
        let last = pages(&connection).await.remove(0);
        connection.call(CloseTarget { target_id: last }).await.expect("closed");
        // A browser that took it for its end would be gone by then.
        assert!(timeout(Duration::from_secs(1), browser.exited()).await.is_err(), "{build:?} ended");
        browser.probe(SOON).await.expect("alive");
        assert_eq!(pages(&connection).await.len(), 0);
        let page = CreateTarget { url: "about:blank".into(), ..CreateTarget::default() };
        connection.call(page).await.expect("a new page");
        let page = first_page(&connection).await;
        let _ = page.call(Evaluate { expression: "window.close()".into(), ..Evaluate::default() }).await;
        assert!(timeout(Duration::from_secs(1), browser.exited()).await.is_err(), "{build:?} ended");
        assert_eq!(browser.close(GRACE).await, Exit::Code(0));
    }
}

#[tokio::test]
async fn a_crash_is_told_apart_from_an_end() {
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let connection = browser.connection().await.expect("connection");
        connection.call(Crash {}).await.expect_err("no answer from the dead");
        let exit = timeout(SOON, browser.exited()).await.expect("ended");
        assert_eq!(Ending::from(exit), Ending::Crashed(exit), "{build:?}");
        assert!(matches!(exit, Exit::Signal(_)), "{exit}");
    }
}

#[tokio::test]
async fn a_killed_browser_crashed_and_its_connection_says_so() {
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let connection = browser.connection().await.expect("connection");
    host.process(&browser.running().id()).signal(Signal::KILL);
    assert_eq!(timeout(SOON, browser.exited()).await.expect("ended"), Exit::Signal(9));
    timeout(SOON, connection.closed()).await.expect("told");
    assert!(browser.connection().await.is_err());
}

#[tokio::test]
async fn a_frozen_browser_fails_its_probe_and_is_killed_at_the_end_of_grace() {
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    host.process(&browser.running().id()).signal(Signal::STOP);
    let probe = browser.probe(Duration::from_millis(300)).await;
    assert!(matches!(probe, Err(BrowserError::Unreachable(_))), "{probe:?}");
    assert_eq!(browser.close(Duration::from_millis(300)).await, Exit::Signal(9));
}

#[tokio::test]
async fn a_browser_is_taken_up_again_with_its_pages() {
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let page = first_page(&browser.connection().await.expect("connection")).await;
    evaluate(&page, "globalThis.kept = 7").await;
    let (id, path) = (browser.running().id(), browser.websocket_path().to_owned());
    drop(browser);
    let again = Browser::attach(host.clone(), host.adopt(&id), SOON).await.expect("the same browser");
    assert_eq!(again.websocket_path(), path);
    let page = first_page(&again.connection().await.expect("connection")).await;
    assert_eq!(evaluate(&page, "kept").await, json!(7));
    assert_eq!(again.close(GRACE).await, Exit::Code(0));
}

#[tokio::test]
async fn a_browser_that_ends_at_once_is_reported_with_its_last_words() {
    let host = LocalHost::new();
    let script = host.directory.path().join("browser");
    std::fs::write(&script, "#!/bin/sh\necho no display >&2\nexit 3\n").expect("script");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let executable = script.to_str().expect("UTF-8").to_owned();
    let died = Browser::launch(host.clone(), &Launch { executable, ..host.launch(Build::HeadlessShell) }).await.err();
    match died {
        Some(BrowserError::Died { exit: Exit::Code(3), output }) => assert_eq!(output.trim(), "no display"),
        other => panic!("{other:?}"),
    }
    let missing = Launch { executable: "/nowhere/chromium".into(), ..host.launch(Build::HeadlessShell) };
    let missing = Browser::launch(host.clone(), &missing).await.err();
    assert!(matches!(missing, Some(BrowserError::Spawn(_))), "{missing:?}");
}

#[tokio::test]
async fn a_program_that_never_answers_is_given_up_and_killed() {
    let host = LocalHost::new();
    let sleep = Command { argv: ["/bin/sleep", "60"].map(str::to_owned).to_vec(), env: Vec::new(), cwd: "/".into() };
    let running = host.spawn(sleep).await.expect("sleep");
    let id = running.id();
    let given_up = Browser::attach(host.clone(), running, Duration::from_millis(200)).await.err();
    assert!(matches!(given_up, Some(BrowserError::NotReady { .. })), "{given_up:?}");
    assert_eq!(timeout(SOON, host.adopt(&id).wait()).await.expect("killed"), Exit::Signal(9));
}

async fn open(connection: &Connection, url: String) -> Session {
    let blank = CreateTarget { url: "about:blank".into(), ..CreateTarget::default() };
    let page = connection.call(blank).await.expect("a page").target_id;
    let page = connection.attach(&page).await.expect("a session");
    let answer = page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
    assert_eq!(answer.error_text, None);
    page
}

#[tokio::test]
async fn a_page_that_hangs_holds_up_no_other() {
    let port = site(|_| Reply::html("hi")).await;
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let connection = browser.connection().await.expect("connection");
        let hanging = open(&connection, format!("http://127.0.0.1:{port}/")).await;
        let other_site = open(&connection, format!("http://localhost:{port}/")).await;
        let same_site = open(&connection, format!("http://127.0.0.1:{port}/again")).await;
        let forever = Evaluate { expression: "for (;;);".into(), ..Evaluate::default() };
        hanging.call_within(Duration::from_millis(300), forever).await.expect_err("no answer");
        browser.probe(SOON).await.expect("alive");
        for page in [other_site, same_site] {
            assert_eq!(timeout(SOON, evaluate(&page, "1 + 1")).await.expect("not held up"), json!(2), "{build:?}");
        }
        browser.close(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn what_a_headless_browser_offers_a_page() {
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let page = first_page(&browser.connection().await.expect("connection")).await;
    let url = "data:text/html,<title>ok</title><p>hello".to_owned();
    page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
    assert_eq!(evaluate(&page, "innerWidth").await, json!(1280));
    assert_eq!(evaluate(&page, "innerHeight").await, json!(800));
    assert_eq!(browser.close(GRACE).await, Exit::Code(0));
}
