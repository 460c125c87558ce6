//! Every way in which a session ends: the same word in the row and in the close frame.

use crate::support::{Devtools, Options, Server};
use serde_json::json;

#[tokio::test]
async fn idle_starts_when_the_last_client_leaves() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, devtools) = api.driven(json!({ "idleTimeoutMs": 500 })).await;
    api.until(&id, &["active"]).await;
    drop(devtools);
    api.demand_end(&id, "ended", "idle").await;
    server.stop().await;
}

#[tokio::test]
async fn the_longest_duration_ends_a_session_in_use() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({ "maxDurationMs": 2_000 })).await;
    assert_eq!(devtools.closed().await, (4001, "max_duration".to_owned()));
    api.demand_end(&id, "ended", "max_duration").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_the_browser_ends_the_session() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    // The answer may or may not come before the end.
    let _ = devtools.call("Browser.close", json!({}), None).await;
    api.demand_end(&id, "ended", "closed_by_client").await;
    server.stop().await;
}

#[tokio::test]
async fn the_last_page_may_be_closed_without_ending_anything() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let targets = devtools.ask("Target.getTargets", json!({}), None).await;
    for target in targets["targetInfos"].as_array().expect("targets").iter().filter(|target| target["type"] == "page") {
        devtools.ask("Target.closeTarget", json!({ "targetId": target["targetId"] }), None).await;
    }
    let page = devtools.page().await;
    assert_eq!(devtools.evaluate(&page, "6 * 7").await, Ok(json!(42)));
    api.delete(&id).await;
    server.stop().await;
}

#[tokio::test]
async fn a_crash_is_told_as_one() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let _ = devtools.call("Browser.crash", json!({}), None).await;
    api.demand_end(&id, "failed", "browser_crashed").await;
    server.stop().await;
}

#[tokio::test]
async fn a_crashed_tab_is_not_the_end() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    // A crashed page answers nothing, so nobody waits for it.
    let _ = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        devtools.call("Page.crash", json!({}), Some(&page.session)),
    )
    .await;
    let other = devtools.page().await;
    assert_eq!(devtools.evaluate(&other, "1 + 1").await, Ok(json!(2)));
    api.until(&id, &["active"]).await;
    api.delete(&id).await;
    server.stop().await;
}

#[tokio::test]
async fn sigterm_lets_clients_finish_then_ends_the_rest() {
    let mut server = Server::start(Options::default().with("VITRINE_SHUTDOWN_GRACE_MS", "1500")).await;
    let (_, url) = server.api().ready(json!({})).await;
    let mut devtools = Devtools::connect(&url).await.expect("connects");
    let page = devtools.page().await;
    server.signal("TERM");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(devtools.evaluate(&page, "1 + 1").await, Ok(json!(2)), "within the grace it goes on");
    assert_eq!(devtools.closed().await, (1001, "server_shutdown".to_owned()));
    assert!(server.ended().await.success());
    server.demand_clean();
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let mut server = Server::start(Options::default().with("VITRINE_SHUTDOWN_GRACE_MS", "600000")).await;
    let (_, url) = server.api().ready(json!({})).await;
    let mut devtools = Devtools::connect(&url).await.expect("connects");
    devtools.page().await;
    server.signal("INT");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    server.signal("TERM");
    assert_eq!(devtools.closed().await, (1001, "server_shutdown".to_owned()));
    assert!(server.ended().await.success());
    server.demand_clean();
}
