//! Placement, deadlines, machines that come and go, health, stopping.

use crate::node::FakeNode;
use crate::support::{Harness, raised};
use http_body_util::BodyExt;
use serde_json::json;
use std::time::Duration;
use vitrine_model::wire::{Alive, BeatAnswer, EgressBytes, Register, StepAnswer, StepKind, Traffic};
use vitrine_model::{EndReason, SchedulingReason, Secret, SessionId};
use vitrine_server::upstream::ProxyUrl;

/// An upstream proxy that takes connections.
async fn upstream() -> (tokio::net::TcpListener, u16) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Names of this machine.
fn here<const N: usize>(names: [&str; N]) -> std::collections::BTreeMap<String, std::net::IpAddr> {
    names.map(|name| (name.to_owned(), std::net::Ipv4Addr::LOCALHOST.into())).into()
}

#[tokio::test]
async fn without_a_machine_it_is_degraded_and_a_session_waits_for_one() {
    let mut harness = Harness::raised().await;
    let health = harness.ask("GET", "/health", None, None).await;
    assert_eq!((health.status, &health.body["status"]), (503, &json!("degraded")), "{health:?}");
    assert_eq!(health.body["machines"], json!({"running": 0, "total": 0}));
    assert!(health.body["reasons"][0].as_str().is_some());
    let created = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    let id = created.body["id"].as_str().unwrap().to_owned();
    let waiting = harness.as_us("GET", &format!("/v1/browsers?id={id}&waitMs=300"), None).await;
    assert_eq!(waiting.body["status"], "queued");
    harness.node(1).await;
    harness.until(&id, "ready").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let health = harness.ask("GET", "/health", None, None).await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("healthy")), "{health:?}");
    assert_eq!(health.body["machines"], json!({"running": 1, "total": 1}));
    assert_eq!(health.body["sessions"], json!({"active": 1}));
    assert_eq!(health.body["errors"], json!({"last5min": 0}));
    let metrics = harness.ask("GET", "/metrics", None, None).await;
    for line in [
        "vitrine_sessions{kind=\"browser\",status=\"ready\"} 1",
        "vitrine_sessions_created_total{kind=\"browser\"} 1",
        "vitrine_pool_warm 3",
        "vitrine_pool_warm_sandboxes 2",
        "vitrine_ready_seconds_count{kind=\"browser\"} 1",
    ] {
        assert!(metrics.text.contains(line), "{line}: {}", metrics.text);
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_queue_that_does_not_move_ends_with_its_reason() {
    let mut config = raised();
    config.queue_deadline_ms = 300;
    let harness = Harness::start(config).await;
    let created = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    let failed = harness.until(created.body["id"].as_str().unwrap(), "failed").await;
    assert_eq!(failed.body["endReason"], "scheduling_failed");
    assert_eq!(failed.body["error"]["code"], "SCHEDULING_FAILED");
    assert_eq!(failed.body["error"]["reason"], "queue_timeout");
    assert_eq!(failed.body["duration"], 0);
    harness.finish().await;
}

#[tokio::test]
async fn a_region_that_nobody_has_is_told_at_once() {
    let mut config = raised();
    config.regions.push("fra".into());
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    let answer = harness.as_us("POST", "/v1/browsers", Some(json!({"region": "xyz"}))).await;
    assert_eq!(answer.expect(503, "SCHEDULING_FAILED").body["reason"], "region_unavailable");
    for region in ["iad", "fra"] {
        let created = harness.as_us("POST", "/v1/browsers", Some(json!({ "region": region }))).await;
        assert_eq!(created.status, 201, "{region}: {created:?}");
        harness.until(created.body["id"].as_str().unwrap(), "ready").await;
    }
    harness.finish().await;
}

#[tokio::test]
async fn configured_profiles_reach_the_machine_and_dropped_ones_fail() {
    let mut config = raised();
    let (_upstream, port) = upstream().await;
    let proxy = ProxyUrl::try_from(format!("http://user:geheim@upstream.example:{port}")).unwrap();
    config.egress_profiles.rotating_residential = vec![proxy.clone(), proxy];
    config.egress_hosts = here(["127.0.0.1", "upstream.example"]);
    let mut harness = Harness::start(config).await;
    let node = harness.node(4).await;
    let body = json!({"egressProfile": "rotating-residential"});
    let created = harness.as_us("POST", "/v1/browsers", Some(body)).await;
    harness.until(created.body["id"].as_str().unwrap(), "ready").await;
    let assigned = node.assigned.lock().unwrap().clone();
    assert!(matches!(&assigned[0].upstream, vitrine_model::wire::Upstream::Rotating(all) if all.len() == 2));
    let named = json!({"proxy": {"protocol": "http", "host": "127.0.0.1", "port": 1}});
    assert_eq!(harness.as_us("POST", "/v1/browsers", Some(named)).await.status, 201, "the operator named it");
    let settings = harness.as_operator("GET", "/admin/v1/configuration", None).await;
    assert!(
        settings.text.contains(&format!("http://***@upstream.example:{port}")) && !settings.text.contains("geheim")
    );
    harness.finish().await;
}

#[tokio::test]
async fn a_start_that_fails_is_tried_elsewhere_and_then_given_up() {
    let harness = Harness::raised().await;
    let node = FakeNode::register(&harness.server, 4).await;
    let created = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    let id = created.body["id"].as_str().unwrap();
    for attempt in 1..=4 {
        let assigned = node.poll(10_000).await.items;
        assert_eq!(assigned[0].generation, attempt);
        let what = StepKind::NotStarted { reason: SchedulingReason::StartFailed, message: "it would not start".into() };
        assert!(matches!(node.step(&assigned[0], what).await, StepAnswer::Taken { .. }));
    }
    let failed = harness.until(id, "failed").await;
    assert_eq!(failed.body["error"]["reason"], "start_failed");
    harness.finish().await;
}

#[tokio::test]
async fn a_node_that_was_overtaken_owns_nothing() {
    let harness = Harness::raised().await;
    let node = FakeNode::register(&harness.server, 4).await;
    let created = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    let id = created.body["id"].as_str().unwrap();
    let assigned = node.poll(10_000).await.items.remove(0);
    assert!(matches!(node.step(&assigned, StepKind::Ready).await, StepAnswer::Taken { expires_at: Some(_) }));
    let overtaken = node.clone();
    let alive = Alive { session: assigned.session.clone(), run: assigned.run.clone(), generation: assigned.generation };
    let url = harness.until(id, "ready").await.body["cdpUrl"].clone();
    let old_epoch = node.epoch();
    let registered = node.register_again(4, "boot", vec![alive]).await;
    assert_eq!(registered.epoch, old_epoch + 1);
    assert_eq!(registered.adopted.len(), 1);
    assert_eq!(harness.until(id, "ready").await.body["cdpUrl"], url, "the same address works again");
    drop(overtaken);
    node.register_again(4, "another boot", Vec::new()).await;
    let failed = harness.until(id, "failed").await;
    assert_eq!(failed.body["endReason"], "machine_restarted");
    let late = StepKind::Finish { reason: EndReason::Idle, egress: EgressBytes::default() };
    assert_eq!(node.step(&assigned, late).await, StepAnswer::NotYours);
    harness.finish().await;
}

#[tokio::test]
async fn time_that_is_up_and_bytes_that_moved_are_seen() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let created = harness.as_us("POST", "/v1/browsers", Some(json!({"maxDurationMs": 1_000}))).await;
    let id = created.body["id"].as_str().unwrap();
    harness.until(id, "ready").await;
    let bytes = EgressBytes { bytes_in: 5, bytes_out: 3 };
    let traffic = Traffic { session: SessionId::parse(id).unwrap(), generation: 1, bytes };
    assert!(matches!(node.beat(vec![traffic]).await, BeatAnswer::Extended { draining: false }));
    let seen = harness.as_us("GET", &format!("/v1/browsers?id={id}"), None).await;
    assert_eq!(seen.body["egress"], json!({"bytesIn": 5, "bytesOut": 3}));
    let over = harness.until(id, "ended").await;
    assert_eq!(over.body["endReason"], "max_duration");
    assert!(over.body["duration"].as_i64().unwrap() >= 1_000);
    harness.finish().await;
}

#[tokio::test]
async fn a_server_that_drains_takes_no_new_sessions() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let session = harness.ready_session().await;
    harness.server.drain();
    let answer = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    assert_eq!(answer.expect(503, "SCHEDULING_FAILED").body["reason"], "no_capacity");
    harness.until(session.body["id"].as_str().unwrap(), "ready").await;
    assert_eq!(harness.server.open_sessions(None).await.unwrap(), 1);
    harness.server.end_all(None, EndReason::ServerShutdown).await.unwrap();
    let over = harness.until(session.body["id"].as_str().unwrap(), "ended").await;
    assert_eq!(over.body["endReason"], "server_shutdown");
    harness.finish().await;
}

#[tokio::test]
async fn a_machine_from_the_network_needs_a_token_for_everything() {
    let harness = Harness::raised().await;
    let node = FakeNode::register(&harness.server, 4).await;
    for word in ["register", "beat", "assignments", "steps"] {
        for token in [None, Some(""), Some("guess")] {
            let register = register(&node);
            let refused = node.post(word, register, false, token).await;
            assert!(refused.status().is_client_error(), "{word} {token:?}: {}", refused.status());
        }
        let outside = harness.ask("POST", &format!("/internal/node/{word}"), Some("guess"), Some(json!({}))).await;
        outside.expect(404, "NOT_FOUND");
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_join_token_opens_registration_and_nothing_else() {
    let mut config = raised();
    config.join_token = Some(Secret::new("let-me-in"));
    let harness = Harness::start(config).await;
    let node = FakeNode::register(&harness.server, 4).await;
    let registered = node.post("register", register(&node), false, Some("let-me-in")).await;
    assert_eq!(registered.status(), 200);
    let registered = registered.into_body().collect().await.unwrap().to_bytes();
    let registered: serde_json::Value = serde_json::from_slice(&registered).unwrap();
    let token = registered["token"].as_str().unwrap();
    let beat = |epoch: i64| {
        let beat = json!({"machine": node.machine, "epoch": epoch, "not_ready": null, "traffic": [], "warm": 0});
        serde_json::to_vec(&beat).unwrap()
    };
    let epoch = registered["epoch"].as_i64().unwrap();
    assert_eq!(node.post("beat", beat(epoch), false, Some("let-me-in")).await.status(), 401);
    assert_eq!(node.post("beat", beat(epoch + 1), false, Some(token)).await.status(), 401);
    assert_eq!(node.post("beat", beat(epoch), false, Some(token)).await.status(), 200);
    let outside = harness.ask("POST", "/internal/node/beat", Some("guess"), Some(json!({}))).await;
    outside.expect(400, "INVALID_REQUEST");
    harness.finish().await;
}

fn register(node: &FakeNode) -> Vec<u8> {
    let register = Register {
        machine: node.machine.clone(),
        boot_id: "boot".into(),
        version: "0".into(),
        region_code: "iad".into(),
        region_global: "na-east".into(),
        provider: "test".into(),
        reserve_total_mb: 1_000,
        slots_total: 4,
        alive: Vec::new(),
        drivers: Vec::new(),
    };
    serde_json::to_vec(&register).unwrap()
}

#[tokio::test]
async fn what_lost_its_upstream_fails_and_never_goes_out_directly() {
    let mut config = raised();
    let (_upstream, port) = upstream().await;
    config.egress_profiles.rotating_residential =
        vec![ProxyUrl::try_from(format!("http://upstream.example:{port}")).unwrap()];
    config.egress_hosts = here(["upstream.example"]);
    let harness = Harness::start(config).await;
    let node = FakeNode::register(&harness.server, 4).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let body = json!({"egressProfile": "rotating-residential"});
        let created = harness.as_us("POST", "/v1/browsers", Some(body)).await;
        sessions.push(created.body["id"].as_str().unwrap().to_owned());
    }
    let mut assigned = Vec::new();
    while assigned.len() < 3 {
        assigned = node.poll(200).await.items;
    }
    for assignment in &assigned[..2] {
        node.step(assignment, StepKind::Ready).await;
    }
    let ending = assigned[1].session.to_string();
    assert_eq!(harness.as_us("DELETE", &format!("/v1/browsers?id={ending}"), None).await.status, 200);

    let forgetful = harness.another_server(raised()).await;
    let node = FakeNode { server: forgetful, ..node };
    let alive = |assignment: &vitrine_model::wire::Assignment| Alive {
        session: assignment.session.clone(),
        run: assignment.run.clone(),
        generation: assignment.generation,
    };
    let registered = node.register_again(4, "boot", assigned[..2].iter().map(alive).collect()).await;
    let adopted: Vec<_> = registered.adopted.iter().map(|adopted| adopted.session.to_string()).collect();
    assert_eq!(adopted, [ending.as_str()], "only what is to end");
    let none = vitrine_model::wire::Upstream::Rotating(Vec::new());
    assert_eq!(registered.adopted[0].upstream, none);
    let running = assigned[0].session.to_string();
    assert_eq!(harness.until(&running, "failed").await.body["endReason"], "scheduling_failed");
    node.step(&registered.adopted[0], StepKind::Finish { reason: EndReason::Deleted, egress: EgressBytes::default() })
        .await;
    assert_eq!(harness.until(&ending, "ended").await.body["endReason"], "deleted");
    let waiting = assigned[2].session.to_string();
    let polled = node.poll(2_000).await.items;
    assert!(polled.is_empty(), "{polled:?}");
    let failed = harness.until(&waiting, "failed").await;
    assert_eq!(failed.body["error"]["reason"], "egress_unavailable", "{failed:?}");
    harness.finish().await;
}

#[tokio::test]
async fn a_wait_on_one_server_sees_what_happens_on_another() {
    let harness = Harness::raised().await;
    let node = FakeNode::register(&harness.another_server(raised()).await, 4).await;
    let created = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    let path = format!("/v1/browsers?id={}&waitMs=20000", created.body["id"].as_str().unwrap());
    let elsewhere = async {
        let mut items = Vec::new();
        while items.is_empty() {
            items = node.poll(5_000).await.items;
        }
        node.step(&items[0], StepKind::Ready).await;
    };
    let (seen, ()) = tokio::join!(harness.as_us("GET", &path, None), elsewhere);
    assert_eq!(seen.body["status"], "ready", "{seen:?}");
    harness.finish().await;
}
