//! `kill -9` and a new start: live sessions are taken up where they were.

use crate::support::{Devtools, Options, Server, Site, leaks};
use serde_json::json;

const SESSIONS: usize = 3;

#[tokio::test]
async fn killed_and_started_again_the_same_urls_show_the_same_pages() {
    let mut server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "2")).await;
    let site = Site::start().await;
    let mut open = Vec::new();
    for number in 0..SESSIONS {
        let (id, url) = server.api().ready(json!({ "idleTimeoutMs": 0 })).await;
        let mut devtools = Devtools::connect(&url).await.expect("connects");
        let page = devtools.page().await;
        devtools.goto(&page, &site.url(&format!("/{number}"))).await.expect("loads");
        devtools.evaluate(&page, &format!("globalThis.kept = {number}")).await.expect("runs");
        open.push((id, url, page.target));
    }
    server.kill();
    assert!(leaks::processes_of(&server.machine()) > 0, "capsules outlive the server");
    server.start_again().await;
    let api = server.api();
    for (number, (id, url, target)) in open.iter().enumerate() {
        let mut devtools = Devtools::connect(url).await.expect("the same URL connects");
        let page = devtools.attach(target).await;
        assert_eq!(devtools.evaluate(&page, "globalThis.kept").await, Ok(json!(number)));
        // Its way out is there again too.
        devtools.goto(&page, &site.url("/after")).await.expect("loads");
        assert_eq!(devtools.text(&page).await, "Hello from /after");
        api.delete(id).await;
        assert_eq!(devtools.closed().await, (1000, "deleted".to_owned()));
        api.demand_end(id, "ended", "deleted").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn what_died_while_the_server_was_dead_is_told() {
    let mut server = Server::start(Options::default()).await;
    let (id, _) = server.api().ready(json!({})).await;
    server.kill();
    leaks::kill_processes_of(&server.machine());
    server.start_again().await;
    server.api().demand_end(&id, "failed", "process_lost").await;
    server.stop().await;
}

#[tokio::test]
async fn killed_at_any_moment_of_a_start_nothing_is_left() {
    const KILLS: u64 = 6;
    let mut server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "2")).await;
    for round in 0..KILLS {
        for _ in 0..2 {
            server.api().create(json!({})).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(round * 40)).await;
        server.kill();
        server.start_again().await;
    }
    server.stop().await;
}
