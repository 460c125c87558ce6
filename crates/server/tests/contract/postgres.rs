//! The same on PostgreSQL, with two servers that know of each other only through the rows.

use crate::support::{Harness, raised};
use serde_json::json;
use std::collections::BTreeSet;
use vitrine_model::EndReason;
use vitrine_store::Location;
use vitrine_testkit::postgres::Postgres;

#[tokio::test]
async fn two_servers_share_sessions_machines_and_limits() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let mut config = raised();
    config.plans.scale.concurrent_browsers = 60;
    let mut left = Harness::start_on(Location::Postgres(url.clone()), config.clone()).await;
    let mut right = Harness::start_on(Location::Postgres(url), config).await;
    let nodes = [left.node(40).await, right.node(40).await];
    let asked = (0..80).map(|number| {
        let server = if number % 2 == 0 { &left } else { &right };
        server.ask("POST", "/v1/browsers", Some(&left.key), Some(json!({})))
    });
    let answers = futures_util::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 60, "one limit for both");
    let mut urls = BTreeSet::new();
    for (number, session) in made.iter().enumerate() {
        let server = if number % 2 == 0 { &right } else { &left };
        let path = format!("/v1/browsers?id={}&waitMs=20000", session.body["id"].as_str().unwrap());
        let session = server.ask("GET", &path, Some(&left.key), None).await;
        assert_eq!(session.body["status"], "ready", "{session:?}");
        let url = session.body["cdpUrl"].as_str().unwrap();
        urls.insert(url.split("/cdp/").nth(1).unwrap().to_owned());
    }
    assert_eq!(urls.len(), 60);
    let assigned: Vec<_> = nodes.iter().flat_map(|node| node.assigned.lock().unwrap().clone()).collect();
    let distinct: BTreeSet<_> = assigned.iter().map(|assignment| assignment.session.as_str()).collect();
    assert_eq!((assigned.len(), distinct.len()), (60, 60), "each was started once");
    left.server.end_all(None, EndReason::ServerShutdown).await.unwrap();
    for session in &made {
        let over = left.until(session.body["id"].as_str().unwrap(), "ended").await;
        assert_eq!(over.body["endReason"], "server_shutdown");
    }
    left.finish().await;
    right.finish().await;
}

#[tokio::test]
async fn two_servers_make_one_session_of_one_idempotency_key() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let mut config = raised();
    config.public_url = Some("https://browsers.example.org".into());
    let mut left = Harness::start_on(Location::Postgres(url.clone()), config.clone()).await;
    let right = Harness::start_on(Location::Postgres(url), config).await;
    left.node(20).await;
    left.grant(100).await;
    let wish = json!({"minutes": 15, "region": "na-east"});
    let asked = (0..60).map(|number| {
        let server = if number % 2 == 0 { &left } else { &right };
        server.ask_once(&left.key, "one", "/api/v1/sessions", &wish)
    });
    let answers = futures_util::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<BTreeSet<_>>());
    assert!(answers.iter().all(|answer| answer.body == made[0].body));
    let balance = right.ask("GET", "/api/v1/balance", Some(&left.key), None).await;
    assert_eq!((&balance.body["balance_minutes"], &balance.body["reserved_minutes"]), (&json!(85), &json!(15)));
    let path = format!("/api/v1/sessions/{}", made[0].body["id"].as_str().unwrap());
    let ended = right.ask("DELETE", &path, Some(&left.key), None).await;
    assert_eq!(ended.body["refunded_minutes"], 14, "{ended:?}");
    left.until_over(&path).await;
    left.finish().await;
    right.finish().await;
}
