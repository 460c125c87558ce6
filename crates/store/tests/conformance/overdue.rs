//! What a clock makes true.

use crate::Outcome;
use crate::world::{LEASE, MINUTE, SECOND, World};
use vitrine_model::wire::{NotReady, StepKind};
use vitrine_model::*;
use vitrine_store::{ATTEMPTS_MAX, PlaceOptions};

pub async fn a_slow_start_is_tried_elsewhere(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.session(&organization).await;
    for attempt in 1..=ATTEMPTS_MAX {
        let assigned = world.assigned().await;
        world.pass(PlaceOptions::default().start_ms - 1);
        assert!(world.store.requeue_overdue(world.now()).await?.is_empty());
        world.pass(1);
        let touched = world.store.requeue_overdue(world.now()).await?;
        assert_eq!(touched.len(), 1);
        assert!(world.store.requeue_overdue(world.now()).await?.is_empty(), "once");
        node.refused(&assigned, StepKind::Ready).await;
        assert_eq!(node.seen().await.slots_used, 0);
        if attempt < ATTEMPTS_MAX {
            assert_eq!((touched[0].status, touched[0].machine.as_ref()), (Status::Queued, None));
            assert_eq!(touched[0].avoid_machine, assigned.machine);
        }
        world.beat(&node.register.machine, node.epoch).await;
        if attempt == 2 {
            break;
        }
    }
    assert!(world.happened(&session).await.contains(&"session.requeued".to_owned()));
    world.is_whole().await;
    Ok(())
}

pub async fn waiting_has_an_end(world: World) -> Outcome {
    let organization = world.organization().await;
    for _ in 0..120 {
        world.create(&world.new_session(&organization, crate::world::spec())).await;
    }
    world.pass(MINUTE - 1);
    let late = world.session(&organization).await;
    assert_eq!(world.store.fail_overdue_queued(world.now()).await?.len(), 120, "more than one batch");
    assert!(world.store.fail_overdue_queued(world.now()).await?.is_empty());
    world.pass(MINUTE);
    // A machine that comes too late does not start what nobody waits for any more.
    world.machine(1).await;
    assert!(matches!(world.place().await, vitrine_store::Placed::Waiting { .. }));
    let failed = world.store.fail_overdue_queued(world.now()).await?;
    assert_eq!(failed[0].id, late.id);
    assert_eq!(failed[0].error.as_ref().unwrap().reason, "queue_timeout");
    Ok(())
}

pub async fn a_missing_image_is_named(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(1).await;
    let not_ready = NotReady { reason: SchedulingReason::ImageMissing, message: "standard is being built".to_owned() };
    world.store.beat(&node.register.machine, node.epoch, Some(&not_ready), &[], world.now(), LEASE).await?;
    world.session(&organization).await;
    world.pass(MINUTE);
    let failed = world.store.fail_overdue_queued(world.now()).await?;
    let error = failed[0].error.as_ref().unwrap();
    assert_eq!((error.reason.as_str(), error.message.as_str()), ("image_missing", "standard is being built"));
    Ok(())
}

pub async fn time_is_up(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(3).await;
    let (ready, active) = (world.ready(&organization, &node).await, world.ready(&organization, &node).await);
    node.took(&active, StepKind::Activate).await;
    world.pass(5 * MINUTE - 2);
    assert_eq!(world.store.end_expired(world.now()).await?.len(), 0);
    world.pass(2);
    let ended = world.store.end_expired(world.now()).await?;
    assert_eq!(ended.len(), 2);
    assert!(world.store.end_expired(world.now()).await?.is_empty());
    for session in [&ready, &active] {
        let session = world.read(session).await;
        assert_eq!((session.status, session.end_reason), (Status::Ending, Some(EndReason::MaxDuration)));
        world.pass(SECOND);
        assert_eq!(node.finish(&session, EndReason::MaxDuration).await.status, Status::Ended);
    }
    Ok(())
}
