//! The outbox.

use crate::Outcome;
use crate::world::{World, spec};
use std::collections::HashSet;
use tokio::task::JoinSet;
use vitrine_model::*;

pub async fn readers_miss_nothing_and_see_no_secret(world: World) -> Outcome {
    const SESSIONS: usize = 120;
    let organization = world.organization().await;
    let proxy = Proxy {
        protocol: ProxyProtocol::Http,
        host: "proxy.test".to_owned(),
        port: 1,
        username: None,
        password: Some(Secret::new("hunter2")),
    };
    let spec = BrowserSpec { proxy: Some(proxy), ..spec() };
    let mut writers = JoinSet::new();
    for _ in 0..SESSIONS {
        let (world, organization, spec) = (world.clone(), organization.clone(), spec.clone());
        writers.spawn(async move {
            let session = world.create(&world.new_session(&organization, spec)).await;
            world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await.unwrap();
        });
    }
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let world = world.clone();
        readers.spawn(async move {
            let (mut seen, mut cursor) = (Vec::new(), 0);
            while seen.len() < 2 * SESSIONS {
                let events = world.store.events_after(cursor, 7).await.unwrap();
                for event in &events {
                    assert!(event.seq > cursor);
                    cursor = event.seq;
                }
                seen.extend(events);
                tokio::task::yield_now().await;
            }
            seen
        });
    }
    writers.join_all().await;
    let histories = tokio::time::timeout(std::time::Duration::from_secs(20), readers.join_all()).await?;
    for history in &histories {
        assert_eq!(history, &histories[0], "everybody sees the same, in the same order");
        let mut made = HashSet::new();
        for event in history {
            assert!(!event.data.to_string().contains("hunter2"));
            match event.name.as_str() {
                "session.created" => assert!(made.insert(event.session.clone())),
                "session.ended" => assert!(made.contains(&event.session), "created comes before ended"),
                other => panic!("{other}"),
            }
        }
        assert_eq!(history.iter().map(|event| &event.id).collect::<HashSet<_>>().len(), 2 * SESSIONS);
    }
    assert_eq!(world.store.last_event().await?, histories[0].last().unwrap().seq);
    Ok(())
}

pub async fn old_events_are_deleted(world: World) -> Outcome {
    let organization = world.organization().await;
    assert_eq!(world.store.last_event().await?, 0);
    world.session(&organization).await;
    let last = world.store.last_event().await?;
    world.pass(31 * 86_400_000);
    world.store.delete_expired(world.now()).await?;
    assert!(world.store.events_after(0, 10).await?.is_empty());
    world.session(&organization).await;
    assert!(world.store.last_event().await? > last, "a number is never given twice");
    Ok(())
}
