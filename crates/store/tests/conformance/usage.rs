//! Metering.

use crate::Outcome;
use crate::world::{MINUTE, World, spec};
use vitrine_model::wire::{EgressBytes, StepKind};
use vitrine_model::*;
use vitrine_store::{Usage, WeightCounts};

pub async fn usage_is_the_sum_of_the_durations(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let node = world.machine(20).await;
    let mut sum = 0;
    for (number, weight) in Weight::ALL.into_iter().cycle().take(6).enumerate() {
        world.create(&world.new_session(&ours, BrowserSpec { weight, ..spec() })).await;
        let session = world.assigned().await;
        let session = node.took(&session, StepKind::Ready).await;
        world.pass(1_234 + number as i64);
        let ended = if number % 2 == 0 {
            node.finish(&session, EndReason::Idle).await
        } else {
            let egress = EgressBytes::default();
            node.took(&session, StepKind::Fail { reason: EndReason::OutOfMemory, message: String::new(), egress }).await
        };
        assert_eq!(ended.duration_ms(), Some(1_234 + number as u64));
        let record = world.store.usage_record(&session.id).await?.unwrap();
        assert_eq!((record.duration_ms, record.weight), (1_234 + number as u64, Some(weight)));
        sum += 1_234 + number as u64;
    }
    world.ready(&theirs, &node).await;
    let queued = world.session(&ours).await;
    let weights = WeightCounts { light: 2, medium: 2, heavy: 2, embed: 0 };
    let expected = Usage { total_sessions: 6, browser_ms: sum, weights, ..Usage::default() };
    assert_eq!(world.store.usage(&ours, 0, world.now()).await?, expected);

    let running = world.assigned().await;
    assert_eq!(running.id, queued.id);
    let running = node.took(&running, StepKind::Ready).await;
    world.pass(MINUTE);
    let usage = world.store.usage(&ours, 0, world.now()).await?;
    assert_eq!((usage.total_sessions, usage.browser_ms), (7, sum + MINUTE as u64), "what runs counts up to now");
    node.finish(&running, EndReason::Idle).await;
    assert_eq!(world.store.usage(&ours, 0, world.now()).await?, usage);
    // A clock that was set back makes no negative time.
    world.beat(&node.register.machine, node.epoch).await;
    let session = world.ready(&ours, &node).await;
    world.pass(-10 * MINUTE);
    assert_eq!(world.store.usage(&ours, 0, world.now()).await?.browser_ms, usage.browser_ms);
    assert_eq!(node.finish(&session, EndReason::Idle).await.duration_ms(), Some(0));
    world.is_whole().await;
    Ok(())
}

pub async fn usage_is_counted_by_period(world: World) -> Outcome {
    const DAY: i64 = 86_400_000;
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.ready(&organization, &node).await;
    world.pass(MINUTE);
    node.finish(&session, EndReason::Idle).await;
    world.pass(2 * DAY);
    world.beat(&node.register.machine, node.epoch).await;
    let session = world.ready(&organization, &node).await;
    world.pass(2 * MINUTE);
    node.finish(&session, EndReason::Idle).await;
    let today = world.now() / DAY * DAY;
    for (start, minutes) in [(today, 2), (today - 2 * DAY, 3), (today + DAY, 0)] {
        let usage = world.store.usage(&organization, start, world.now()).await?;
        assert_eq!(usage.browser_ms, (minutes * MINUTE) as u64);
    }
    Ok(())
}
