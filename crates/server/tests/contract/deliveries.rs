//! What webhooks are sent: signed, in order, again until it is taken, by whichever server, and never inside.

use crate::receiver::{Does, Receiver, status};
use crate::support::{Harness, PATIENCE, raised};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use vitrine_model::webhook::{EventFilter, WebhookSecret};
use vitrine_model::{OrganizationId, WebhookId};
use vitrine_server::ServerConfig;
use vitrine_server::webhooks::WebhookConfig;
use vitrine_store::{Location, Webhook};
use vitrine_testkit::postgres::Postgres;

const LIFE: [&str; 5] = ["session.created", "session.assigned", "session.ready", "session.ending", "session.ended"];

/// Receivers on loopback, and no long pauses.
fn config() -> ServerConfig {
    let webhooks = WebhookConfig { allow_private: true, timeout_ms: 400, pauses_ms: vec![1] };
    ServerConfig { webhooks, ..raised() }
}

/// A webhook to this receiver: its id and its secret.
async fn webhook(harness: &Harness, receiver: &Receiver, events: &[&str]) -> (String, String) {
    let body = json!({"url": receiver.url(), "events": events});
    let made = harness.as_us("POST", "/v1/webhooks", Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// A session from its creation to its end.
async fn life(harness: &Harness) -> String {
    let session = harness.ready_session().await;
    let id = session.body["id"].as_str().unwrap().to_owned();
    harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
    harness.until(&id, "ended").await;
    id
}

/// Two events, without a node.
async fn short_life(harness: &Harness) -> String {
    let made = harness.as_us("POST", "/v1/browsers", Some(json!({}))).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap().to_owned();
    harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
    id
}

async fn deliveries(harness: &Harness, id: &str) -> Vec<Value> {
    let answer = harness.as_us("GET", &format!("/v1/webhooks/deliveries?id={id}&limit=100"), None).await;
    answer.body["data"].as_array().unwrap().clone()
}

/// Waits until every delivery is in this state, and there are so many.
async fn until_all(harness: &Harness, id: &str, count: usize, state: &str) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all = deliveries(harness, id).await;
        if all.len() == count && all.iter().all(|delivery| delivery["state"] == state) {
            return all;
        }
        assert!(Instant::now() < deadline, "never {count} {state}: {all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_sessions_life_arrives_signed_and_in_order() {
    let mut harness = Harness::start(config()).await;
    harness.node(4).await;
    let receiver = Receiver::good().await;
    let (id, secret) = webhook(&harness, &receiver, &["*"]).await;
    let (ended, _) = webhook(&harness, &receiver, &["session.ended", "sandbox.*"]).await;
    let session = life(&harness).await;
    let messages = receiver.until(6).await;
    let own: Vec<_> = messages.iter().filter(|message| message.is_signed_by(&secret)).collect();
    assert_eq!(own.iter().map(|message| message.name()).collect::<Vec<_>>(), LIFE);
    let ids: BTreeSet<_> = own.iter().map(|message| message.header("webhook-id")).collect();
    assert_eq!(ids.len(), LIFE.len());
    for message in &own {
        assert_eq!(message.header("content-type"), "application/json");
        assert_eq!(message.session(), session);
        assert_eq!(message.body["data"]["eventId"], message.header("webhook-id"));
        let timestamp = message.body["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == 24 && timestamp.ends_with('Z') && timestamp.contains('T'), "{timestamp}");
        let text = message.body.to_string();
        assert!(!text.contains("token") && !text.contains("cdpUrl"), "{text}");
    }
    assert_eq!(own[4].body["data"]["endReason"], "deleted");
    let kept = until_all(&harness, &id, LIFE.len(), "delivered").await;
    assert_eq!(kept[0]["type"], "session.ended", "newest first");
    assert_eq!((&kept[0]["sessionId"], &kept[0]["attempts"][0]["status"]), (&json!(session), &json!(204)));
    assert_eq!(until_all(&harness, &ended, 1, "delivered").await[0]["type"], "session.ended");
    let shown = harness.as_us("GET", &format!("/v1/webhooks?id={id}"), None).await;
    assert!(shown.body["lastDeliveredAt"].is_i64(), "{shown:?}");
    harness.finish().await;
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_and_each_attempt_is_kept() {
    let harness = Harness::start(config()).await;
    let count = Arc::new(AtomicUsize::new(0));
    let receiver = Receiver::new(Arc::new(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Does::Answers(format!("HTTP/1.1 500 No\r\nContent-Length: 5000\r\n\r\n\0\u{1b}[2J{}", "x".repeat(2_000))),
        1 => Does::Hangs,
        2 => Does::Answers("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".to_owned()),
        3 => Does::Answers(String::new()),
        4 => Does::Answers("nonsense\r\n\r\n".to_owned()),
        _ => status(200),
    }))
    .await;
    let (id, secret) = webhook(&harness, &receiver, &["session.created"]).await;
    let session = short_life(&harness).await;
    let delivery = until_all(&harness, &id, 1, "delivered").await.remove(0);
    let attempts = delivery["attempts"].as_array().unwrap();
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt["status"].clone()).collect();
    assert_eq!(statuses, [json!(500), Value::Null, json!(302), Value::Null, Value::Null, json!(200)]);
    assert_eq!(attempts[1]["error"], "no answer within 400 ms");
    assert!(attempts[1]["durationMs"].as_u64().unwrap() >= 400);
    let response = attempts[0]["response"].as_str().unwrap();
    assert!(response.starts_with("  [2Jxxx") && response.len() == 1_024, "{response:?}");
    let messages = receiver.all();
    assert_eq!(messages.len(), 6);
    for message in &messages {
        assert!(message.path == "/hook" && message.is_signed_by(&secret) && message.session() == session);
        assert_eq!((message.header("webhook-id"), &message.raw), (messages[0].header("webhook-id"), &messages[0].raw));
    }
    let shown = harness.as_us("GET", &format!("/v1/webhooks?id={id}"), None).await;
    assert_eq!((&shown.body["failures"], &shown.body["failingSince"]), (&json!(0), &Value::Null));
    harness.finish().await;
}

#[tokio::test]
async fn a_receiver_that_was_away_misses_nothing_even_if_the_server_was_too() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(directory.path().join("test.db"));
    let mut first = Harness::start_on(location.clone(), config()).await;
    first.node(8).await;
    let receiver = Receiver::good().await;
    let (id, _) = webhook(&first, &receiver, &["*"]).await;
    let before = life(&first).await;
    receiver.until(LIFE.len()).await;
    let address = receiver.address;
    let early = receiver.all();
    drop(receiver);
    let away = [life(&first).await, life(&first).await];
    let key = first.key.clone();
    first.finish().await;

    let mut second = Harness::start_on(location, config()).await;
    second.key = key;
    let shown = second.as_us("GET", &format!("/v1/webhooks?id={id}"), None).await;
    assert!(shown.body["failures"].as_u64().unwrap() > 0, "{shown:?}");
    let receiver = Receiver::at(address, Arc::new(|_| status(204))).await;
    until_all(&second, &id, 3 * LIFE.len(), "delivered").await;
    assert_eq!(early.iter().filter(|message| message.session() == before).count(), LIFE.len());
    for session in &away {
        assert_eq!(receiver.names_of(session), LIFE, "all of it, in order");
    }
    second.finish().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_nobody() {
    let harness = Harness::start(config()).await;
    let dead = Receiver::new(Arc::new(|_| Does::Hangs)).await;
    let good = Receiver::good().await;
    webhook(&harness, &dead, &["*"]).await;
    webhook(&harness, &good, &["*"]).await;
    let begun = Instant::now();
    let mut sessions = Vec::new();
    for _ in 0..12 {
        sessions.push(short_life(&harness).await);
    }
    good.until(24).await;
    // The dead one alone would take 24 times 400 ms.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for session in &sessions {
        assert_eq!(good.names_of(session), ["session.created", "session.ended"]);
        assert!(dead.names_of(session).iter().all(|name| name == "session.created"), "what is behind it waits");
    }
    assert!(dead.at_once_max.load(Ordering::SeqCst) <= 4);
    harness.finish().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_and_can_be_tried() {
    let harness = Harness::start(config()).await;
    let gone = Arc::new(AtomicUsize::new(410));
    let code = gone.clone();
    let receiver = Receiver::new(Arc::new(move |_| status(code.load(Ordering::SeqCst) as u16))).await;
    let (id, secret) = webhook(&harness, &receiver, &["*"]).await;
    short_life(&harness).await;
    receiver.until(1).await;
    let path = format!("/v1/webhooks?id={id}");
    let deadline = Instant::now() + PATIENCE;
    while harness.as_us("GET", &path, None).await.body["disabledReason"] != "gone" {
        assert!(Instant::now() < deadline, "never disabled");
    }
    assert!(!deliveries(&harness, &id).await.iter().any(|delivery| delivery["state"] == "waiting"));
    let try_it = async || harness.as_us("POST", "/v1/webhooks/test", Some(json!({ "id": id }))).await;
    let tried = try_it().await;
    assert_eq!((&tried.body["ok"], &tried.body["status"]), (&json!(false), &json!(410)), "{tried:?}");
    gone.store(200, Ordering::SeqCst);
    let tried = try_it().await;
    assert_eq!((&tried.body["ok"], &tried.body["error"]), (&json!(true), &Value::Null), "{tried:?}");
    let last = receiver.all().pop().unwrap();
    assert!(last.name() == "webhook.test" && last.is_signed_by(&secret));
    let kept = deliveries(&harness, &id).await;
    assert_eq!((&kept[0]["type"], &kept[0]["state"]), (&json!("webhook.test"), &json!("delivered")));
    short_life(&harness).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(receiver.all().len(), 3, "nothing is sent while it is disabled");
    harness.finish().await;
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign() {
    let harness = Harness::start(config()).await;
    let receiver = Receiver::good().await;
    let (id, old) = webhook(&harness, &receiver, &["session.created"]).await;
    let rotated = harness.as_us("PATCH", "/v1/webhooks", Some(json!({"id": id, "rotateSecret": true}))).await;
    let new = rotated.body["secret"].as_str().unwrap();
    short_life(&harness).await;
    let message = receiver.until(1).await.remove(0);
    assert_eq!(message.header("webhook-signature").split(' ').count(), 2);
    assert!(message.is_signed_by(&old) && message.is_signed_by(new));
    assert!(!message.is_signed_by(&WebhookSecret::new(crate::support::entropy().as_ref()).reveal()));
    harness.finish().await;
}

#[tokio::test]
async fn what_leads_inside_is_refused_at_each_attempt() {
    let harness = Harness::start(ServerConfig {
        webhooks: WebhookConfig { allow_private: false, ..config().webhooks },
        ..config()
    })
    .await;
    let receiver = Receiver::good().await;
    // As if it had been made while the operator allowed it.
    let list = harness.as_operator("GET", "/admin/v1/organizations", None).await;
    let organization = list.body["data"][0]["id"].as_str().unwrap();
    let made = Webhook {
        id: WebhookId::new(1, crate::support::entropy().as_ref()),
        organization: OrganizationId::parse(organization).unwrap(),
        url: receiver.url().replace("http:", "https:"),
        events: EventFilter::default(),
        description: String::new(),
        secret: WebhookSecret::new(crate::support::entropy().as_ref()),
        old_secret: None,
        disabled: None,
        failures: 0,
        failing_since: None,
        last_delivered_at: None,
        created_at: 1,
    };
    assert!(harness.store.create_webhook(&made).await.unwrap());
    let tried = harness.as_us("POST", "/v1/webhooks/test", Some(json!({"id": made.id}))).await;
    assert_eq!(tried.body["ok"], false);
    assert!(tried.body["error"].as_str().unwrap().contains("private address"), "{tried:?}");
    assert!(receiver.all().is_empty());
    harness.finish().await;
}

#[tokio::test]
async fn two_servers_share_the_work_and_keep_the_order() {
    const SESSIONS: usize = 30;
    let postgres = Postgres::start().unwrap();
    let url = postgres.database().unwrap();
    let left = Harness::start_on(Location::Postgres(url.clone()), config()).await;
    let mut right = Harness::start_on(Location::Postgres(url), config()).await;
    right.key = left.key.clone();
    let failing = AtomicUsize::new(0);
    let receiver = Receiver::new(Arc::new(move |_| match failing.fetch_add(1, Ordering::SeqCst) % 7 {
        3 => status(503),
        _ => status(204),
    }))
    .await;
    let (id, _) = webhook(&left, &receiver, &["*"]).await;
    let lives = (0..SESSIONS).map(|number| short_life(if number % 2 == 0 { &left } else { &right }));
    let sessions = futures_util::future::join_all(lives).await;
    until_all(&right, &id, 2 * SESSIONS, "delivered").await;
    for session in &sessions {
        let mut names = receiver.names_of(session);
        names.dedup();
        assert_eq!(names, ["session.created", "session.ended"]);
    }
    let sent = receiver.all().len();
    let attempts: usize =
        deliveries(&left, &id).await.iter().map(|delivery| delivery["attempts"].as_array().unwrap().len()).sum();
    assert_eq!(sent, attempts, "nothing is sent that is not written down");
    left.finish().await;
    right.finish().await;
}
