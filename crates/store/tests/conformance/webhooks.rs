//! Webhooks and their deliveries.

use crate::Outcome;
use crate::world::{MINUTE, World, entropy};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;
use vitrine_model::webhook::{DeliveryState, Disabled, EventFilter, OLD_SECRET_MS, WEBHOOKS_MAX, WebhookSecret};
use vitrine_model::*;
use vitrine_store::*;

const HOUR: i64 = 60 * MINUTE;
/// How long a claim holds.
const LEASE: i64 = MINUTE;

fn webhook(world: &World, organization: &OrganizationId, events: &[&str]) -> Webhook {
    Webhook {
        id: WebhookId::new(world.now(), &entropy),
        organization: organization.clone(),
        url: "https://receiver.test/hook".to_owned(),
        events: EventFilter::new(events.iter().copied()).unwrap(),
        description: String::new(),
        secret: WebhookSecret::new(&entropy),
        old_secret: None,
        disabled: None,
        failures: 0,
        failing_since: None,
        last_delivered_at: None,
        created_at: world.now(),
    }
}

async fn create(world: &World, organization: &OrganizationId, events: &[&str]) -> Webhook {
    let webhook = webhook(world, organization, events);
    assert!(world.store.create_webhook(&webhook).await.unwrap());
    world.pass(1);
    webhook
}

async fn derive(world: &World) {
    while world.store.derive_deliveries(world.now()).await.unwrap() {}
}

async fn claim(world: &World, webhook: &Webhook, limit: u32) -> Vec<Claimed> {
    let now = world.now();
    world.store.claim_deliveries(&webhook.id, limit, now, now + LEASE).await.unwrap()
}

async fn settle(world: &World, claimed: &Claimed, verdict: Verdict) -> Option<Disabled> {
    let failed = verdict != Verdict::Delivered;
    let attempt = Attempt {
        number: claimed.attempt,
        at: world.now(),
        duration_ms: 5,
        status: Some(if failed { 500 } else { 204 }),
        error: failed.then(|| "the receiver answered 500".to_owned()),
        response: Some("body".to_owned()),
    };
    world.store.settle_delivery(claimed, &attempt, verdict, world.now()).await.unwrap()
}

async fn read(world: &World, webhook: &Webhook) -> Webhook {
    world.store.webhook(&webhook.organization, &webhook.id).await.unwrap().unwrap()
}

async fn states(world: &World, webhook: &Webhook) -> Vec<DeliveryState> {
    world.store.deliveries(&webhook.id, 100).await.unwrap().iter().map(|delivery| delivery.state).collect()
}

/// A session that is queued and ended: two events.
async fn two_events(world: &World, organization: &OrganizationId) -> Session {
    let session = world.session(organization).await;
    world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await.unwrap();
    session
}

pub async fn a_webhook_is_kept_changed_and_deleted(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let made = create(&world, &ours, &["session.*"]).await;
    assert_eq!(world.store.webhooks(&ours).await?, vec![made.clone()]);
    assert_eq!(world.store.webhook(&theirs, &made.id).await?, None);
    let change = WebhookChange { enabled: Some(false), description: Some("x".to_owned()), ..Default::default() };
    assert_eq!(world.store.change_webhook(&theirs, &made.id, &change, world.now()).await?, None);
    let changed = world.store.change_webhook(&ours, &made.id, &change, world.now()).await?.unwrap();
    assert_eq!((changed.disabled, changed.description.as_str()), (Some(Disabled::Requested), "x"));
    assert_eq!((&changed.url, &changed.secret), (&made.url, &made.secret));

    let secret = WebhookSecret::new(&entropy);
    let change = WebhookChange { secret: Some(secret.clone()), enabled: Some(true), ..Default::default() };
    world.store.change_webhook(&ours, &made.id, &change, world.now()).await?;
    let rotated = read(&world, &made).await;
    assert_eq!(rotated.disabled, None);
    assert_eq!(rotated.secrets(world.now()).collect::<Vec<_>>(), [&secret, &made.secret]);
    assert_eq!(rotated.secrets(world.now() + OLD_SECRET_MS).collect::<Vec<_>>(), [&secret]);

    for _ in 1..WEBHOOKS_MAX {
        create(&world, &ours, &["*"]).await;
    }
    assert!(!world.store.create_webhook(&webhook(&world, &ours, &["*"])).await?, "one too many");
    assert!(!world.store.delete_webhook(&theirs, &made.id).await?);
    assert!(world.store.delete_webhook(&ours, &made.id).await?);
    assert!(!world.store.delete_webhook(&ours, &made.id).await?);
    create(&world, &ours, &["*"]).await;
    Ok(())
}

pub async fn a_webhook_gets_the_events_it_wants_of_its_own_organization_since_it_was_made(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    two_events(&world, &ours).await;
    let all = create(&world, &ours, &["*"]).await;
    let ended = create(&world, &ours, &["session.ended"]).await;
    let foreign = create(&world, &theirs, &["*"]).await;
    let none = create(&world, &ours, &["sandbox.*"]).await;
    let session = two_events(&world, &ours).await;
    derive(&world).await;
    derive(&world).await;
    assert_eq!(states(&world, &all).await.len(), 2, "each event once, none from before");
    let list = world.store.deliveries(&ended.id, 10).await?;
    assert_eq!((list.len(), list[0].name.as_str(), &list[0].session), (1, "session.ended", &Some(session.id.clone())));
    assert!(states(&world, &foreign).await.is_empty() && states(&world, &none).await.is_empty());
    let due: Vec<_> = world.store.webhooks_due(world.now()).await?.into_iter().map(|webhook| webhook.id).collect();
    assert_eq!(due, [all.id, ended.id.clone()]);
    let claimed = claim(&world, &ended, 5).await;
    assert_eq!((claimed[0].session.clone(), claimed[0].attempt), (session.id, 1));
    assert_eq!(claimed[0].data["endReason"], "deleted");
    Ok(())
}

pub async fn of_a_session_only_the_first_waiting_event_can_be_claimed(world: World) -> Outcome {
    let ours = world.organization().await;
    let all = create(&world, &ours, &["*"]).await;
    let (one, two) = (two_events(&world, &ours).await, two_events(&world, &ours).await);
    derive(&world).await;
    let claimed = claim(&world, &all, 10).await;
    let seen: Vec<_> = claimed.iter().map(|claimed| (&claimed.session, claimed.name.as_str())).collect();
    assert_eq!(seen, [(&one.id, "session.created"), (&two.id, "session.created")]);
    assert!(claim(&world, &all, 10).await.is_empty(), "they are claimed");
    assert!(world.store.webhooks_due(world.now()).await?.is_empty());

    settle(&world, &claimed[0], Verdict::Delivered).await;
    let next = claim(&world, &all, 10).await;
    assert_eq!((next.len(), next[0].name.as_str(), &next[0].session), (1, "session.ended", &one.id));
    settle(&world, &claimed[1], Verdict::Retry { at: world.now() + HOUR }).await;
    assert!(claim(&world, &all, 10).await.is_empty(), "it waits, and what is behind it");
    world.pass(LEASE);
    let again = claim(&world, &all, 10).await;
    assert_eq!((again.len(), again[0].attempt), (1, 2), "a claim without a word is over after its time");
    settle(&world, &next[0], Verdict::Delivered).await;
    assert!(
        states(&world, &all).await.contains(&DeliveryState::Waiting),
        "the late word of an old claim counts nothing"
    );
    settle(&world, &again[0], Verdict::Delivered).await;
    world.pass(HOUR);
    let last = claim(&world, &all, 10).await;
    assert_eq!((last[0].name.as_str(), last[0].attempt), ("session.created", 2));
    settle(&world, &last[0], Verdict::Delivered).await;
    settle(&world, &claim(&world, &all, 10).await[0], Verdict::Delivered).await;
    assert_eq!(states(&world, &all).await, [DeliveryState::Delivered; 4]);
    let list = world.store.deliveries(&all.id, 10).await?;
    assert_eq!(list.iter().map(|delivery| delivery.attempts.len()).collect::<Vec<_>>(), [1, 2, 2, 1]);
    Ok(())
}

pub async fn a_day_of_failures_is_enough(world: World) -> Outcome {
    let ours = world.organization().await;
    let (all, other) = (create(&world, &ours, &["*"]).await, create(&world, &ours, &["session.created"]).await);
    two_events(&world, &ours).await;
    derive(&world).await;
    for _ in 0..24 {
        let claimed = claim(&world, &all, 1).await;
        assert_eq!(claimed[0].name, "session.created");
        assert_eq!(settle(&world, &claimed[0], Verdict::Retry { at: world.now() + HOUR }).await, None);
        world.pass(HOUR);
    }
    assert_eq!(read(&world, &all).await.failures, 24);
    let last = claim(&world, &all, 1).await;
    assert_eq!(settle(&world, &last[0], Verdict::Retry { at: world.now() + HOUR }).await, Some(Disabled::Failing));
    assert_eq!(states(&world, &all).await, [DeliveryState::Abandoned, DeliveryState::Failed]);
    two_events(&world, &ours).await;
    derive(&world).await;
    assert_eq!(states(&world, &all).await.len(), 2, "a disabled one gets nothing");
    let enable = WebhookChange { enabled: Some(true), ..Default::default() };
    let enabled = world.store.change_webhook(&ours, &all.id, &enable, world.now()).await?.unwrap();
    assert_eq!((enabled.failures, enabled.failing_since), (0, None));

    let claimed = claim(&world, &other, 2).await;
    assert_eq!(claimed.len(), 2, "another receiver is not concerned");
    assert_eq!(settle(&world, &claimed[0], Verdict::Gone).await, Some(Disabled::Gone));
    assert_eq!(settle(&world, &claimed[1], Verdict::Delivered).await, None);
    assert_eq!(read(&world, &other).await.disabled, Some(Disabled::Gone));
    Ok(())
}

pub async fn old_deliveries_and_those_of_deleted_webhooks_are_gone(world: World) -> Outcome {
    let ours = world.organization().await;
    let all = create(&world, &ours, &["*"]).await;
    let attempt = Attempt { number: 1, at: world.now(), duration_ms: 1, status: None, error: None, response: None };
    let event = EventId::new(world.now(), &entropy);
    world.store.keep_test(&all.id, &event, "webhook.test", &attempt).await?;
    two_events(&world, &ours).await;
    derive(&world).await;
    let claimed = claim(&world, &all, 1).await;
    world.store.delete_webhook(&ours, &all.id).await?;
    assert_eq!(settle(&world, &claimed[0], Verdict::Delivered).await, None, "nobody to tell");
    world.store.keep_test(&all.id, &event, "webhook.test", &attempt).await?;
    assert!(world.store.deliveries(&all.id, 10).await?.is_empty());

    let all = create(&world, &ours, &["session.created"]).await;
    two_events(&world, &ours).await;
    derive(&world).await;
    settle(&world, &claim(&world, &all, 1).await[0], Verdict::Delivered).await;
    assert_eq!(states(&world, &all).await.len(), 1);
    world.pass(31 * 24 * HOUR);
    world.store.delete_expired(world.now()).await?;
    assert!(states(&world, &all).await.is_empty());
    Ok(())
}

pub async fn servers_deriving_and_delivering_at_once_keep_the_order(world: World) -> Outcome {
    const SESSIONS: usize = 40;
    let ours = world.organization().await;
    let all = create(&world, &ours, &["*"]).await;
    let received: Arc<Mutex<HashMap<SessionId, Vec<String>>>> = Arc::default();
    let mut servers = JoinSet::new();
    for number in 0..4_u64 {
        let (world, all, received) = (World::clone(&world), all.clone(), received.clone());
        servers.spawn(async move {
            while received.lock().unwrap().values().map(Vec::len).sum::<usize>() < 2 * SESSIONS {
                derive(&world).await;
                for claimed in claim(&world, &all, 3).await {
                    let fails = claimed.attempt == 1 && claimed.event.as_str().as_bytes()[31] as u64 % 4 == number;
                    if fails {
                        settle(&world, &claimed, Verdict::Retry { at: world.now() }).await;
                        continue;
                    }
                    received.lock().unwrap().entry(claimed.session.clone()).or_default().push(claimed.name.clone());
                    settle(&world, &claimed, Verdict::Delivered).await;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..SESSIONS {
        two_events(&world, &ours).await;
    }
    tokio::time::timeout(std::time::Duration::from_secs(60), servers.join_all()).await?;
    let received = received.lock().unwrap();
    assert_eq!(received.len(), SESSIONS);
    for names in received.values() {
        assert_eq!(names, &["session.created", "session.ended"], "each once, in order");
    }
    Ok(())
}
