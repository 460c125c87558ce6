//! Counts.

use crate::Outcome;
use crate::world::{MINUTE, SECOND, World};
use vitrine_model::wire::{EgressBytes, StepKind};
use vitrine_model::*;
use vitrine_store::{MachineState, RecentEnds};

pub async fn counts_are_of_the_living(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let ended = world.ready(&organization, &node).await;
    node.finish(&ended, EndReason::Idle).await;
    world.ready(&organization, &node).await;
    world.session(&organization).await;
    let counts = world.store.counts().await?;
    assert_eq!(counts.sessions, [(Kind::Browser, Status::Queued, 1), (Kind::Browser, Status::Ready, 1)]);
    assert_eq!(counts.machines, [(MachineState::Ready, 1)]);
    assert_eq!((counts.sessions_in(Status::Ready), counts.sessions_in(Status::Ended), counts.live()), (1, 0, 2));
    assert_eq!(counts.sessions_of(Kind::Sandbox, Status::Ready), 0);
    Ok(())
}

pub async fn platform_errors_are_told_apart(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(8).await;
    let ended = world.ready(&organization, &node).await;
    node.finish(&ended, EndReason::Idle).await;
    let crashed = world.ready(&organization, &node).await;
    let egress = EgressBytes::default();
    node.took(&crashed, StepKind::Fail { reason: EndReason::BrowserCrashed, message: String::new(), egress }).await;
    world.session(&organization).await;
    let session = world.assigned().await;
    let reason = SchedulingReason::EgressUnavailable;
    node.took(&session, StepKind::NotStarted { reason, message: String::new() }).await;
    let since = world.now() - MINUTE;
    assert_eq!(world.store.recent_ends(since).await?, RecentEnds { total: 3, platform_errors: 0 });
    world.ready(&organization, &node).await;
    world.pass(SECOND);
    node.restart("boot-2", &[]).await;
    assert_eq!(world.store.recent_ends(since).await?, RecentEnds { total: 4, platform_errors: 1 });
    assert_eq!(world.store.recent_ends(world.now() + 1).await?, RecentEnds::default());
    Ok(())
}
