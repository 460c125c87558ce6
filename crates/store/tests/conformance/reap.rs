//! Silent machines, and when silence is our own fault.

use crate::Outcome;
use crate::world::{LEASE, Node, SECOND, World};
use vitrine_model::wire::{BeatAnswer, StepKind};
use vitrine_model::*;
use vitrine_store::{MachineState, ReapOptions, Reaped};

async fn reap(world: &World) -> Reaped {
    world.store.reap(ReapOptions::default(), world.now()).await.unwrap()
}

/// Lets time pass with the reaper ticking every second and these nodes beating.
async fn pass_with(world: &World, ms: i64, beating: &[&Node]) -> Vec<Reaped> {
    let mut ticks = Vec::new();
    for _ in 0..ms / SECOND {
        world.pass(SECOND);
        for node in beating {
            world.beat(&node.register.machine, node.epoch).await;
        }
        ticks.push(reap(world).await);
    }
    ticks
}

pub async fn a_silent_machine_is_lost(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let ran = world.ready(&organization, &node).await;
    let ending = world.ready(&organization, &node).await;
    world.store.request_end(&ending.id, None, EndReason::Deleted, world.now()).await?;
    world.session(&organization).await;
    let starting = world.assigned().await;
    reap(&world).await;
    assert!(pass_with(&world, LEASE - SECOND, &[]).await.iter().all(|tick| tick.machines.is_empty()));
    world.pass(SECOND);
    let reaped = reap(&world).await;
    assert_eq!(reaped.machines, std::slice::from_ref(&node.register.machine));
    assert_eq!((reaped.sessions.len(), reaped.held_until), (3, None));
    let failed = world.read(&ran).await;
    assert_eq!((failed.status, failed.end_reason), (Status::Failed, Some(EndReason::MachineLost)));
    assert_eq!(world.status(&ending).await, Status::Ended, "that is what was asked for");
    assert_eq!(world.status(&starting).await, Status::Queued);
    let seen = node.seen().await;
    assert_eq!((seen.state, seen.epoch, seen.slots_used), (MachineState::Lost, node.epoch + 1, 0));
    let beat = world.store.beat(&node.register.machine, node.epoch, None, &[], world.now(), LEASE).await?;
    assert_eq!(beat, BeatAnswer::NotYours);
    node.refused(&ran, StepKind::Activate).await;
    assert!(reap(&world).await.machines.is_empty(), "once");

    let mut back = node.clone();
    let registration = back.restart("boot-1", &[&ran]).await;
    assert_eq!((registration.epoch, registration.adopted.len()), (3, 0), "what failed does not come back");
    world.is_whole().await;
    Ok(())
}

pub async fn it_holds_after_everybody_was_silent(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let session = world.ready(&organization, &node).await;
    reap(&world).await;
    // All servers were down for longer than the lease: nobody could beat.
    world.pass(2 * LEASE);
    let held = reap(&world).await;
    assert_eq!((held.machines.len(), held.held_until), (0, Some(world.now() + LEASE)));
    pass_with(&world, 10 * SECOND, &[]).await;
    world.beat(&node.register.machine, node.epoch).await;
    assert!(pass_with(&world, 40 * SECOND, &[&node]).await.iter().all(|tick| tick.machines.is_empty()));
    assert_eq!(world.status(&session).await, Status::Ready, "no session was lost");
    let ticks = pass_with(&world, LEASE + SECOND, &[]).await;
    assert_eq!(ticks.last().unwrap().machines.len(), 1, "the hold is over, a silent machine is lost again");
    Ok(())
}

pub async fn it_holds_when_most_machines_are_silent(world: World) -> Outcome {
    let (a, b, c) = (world.machine(1).await, world.machine(1).await, world.machine(1).await);
    reap(&world).await;
    let ticks = pass_with(&world, LEASE + SECOND, &[&c]).await;
    let held = ticks.last().unwrap();
    assert_eq!((held.machines.len(), held.held_until), (0, Some(world.now() + LEASE)));
    // One is heard again, the other is not when the hold is over.
    let ticks = pass_with(&world, LEASE, &[&b, &c]).await;
    let lost: Vec<_> = ticks.iter().flat_map(|tick| tick.machines.clone()).collect();
    assert_eq!(lost, std::slice::from_ref(&a.register.machine));

    let (d, e) = (world.machine(1).await, world.machine(1).await);
    let ticks = pass_with(&world, 2 * LEASE + 2 * SECOND, &[&b]).await;
    let lost: Vec<_> = ticks.iter().flat_map(|tick| tick.machines.clone()).collect();
    assert_eq!(lost.len(), 3, "one lease later they are lost all the same: {:?}", [&c, &d, &e].map(|n| n.epoch));
    let seen: Vec<_> = world.store.machines().await?.into_iter().filter(|m| m.state != MachineState::Lost).collect();
    assert_eq!(seen.len(), 1);
    Ok(())
}
