//! Registration, adoption, beats, assignments.

use crate::Outcome;
use crate::world::{LEASE, SECOND, World};
use vitrine_model::wire::{BeatAnswer, EgressBytes, Known, StepKind, Traffic};
use vitrine_model::*;
use vitrine_store::{MachineState, Placed};

pub async fn a_new_machine_takes_sessions_after_its_first_beat(world: World) -> Outcome {
    let organization = world.organization().await;
    let register = world.register(1);
    let registration = world.store.register_machine(&register, world.now(), LEASE).await?;
    assert_eq!((registration.epoch, registration.adopted.len(), registration.dropped.len()), (1, 0, 0));
    assert!(world.store.holds_machine(&register.machine, 1).await?);
    world.session(&organization).await;
    assert!(matches!(world.place().await, Placed::Waiting { .. }));
    assert_eq!(world.store.machines().await?[0].state, MachineState::Starting);
    world.beat(&register.machine, 1).await;
    assert_eq!(world.store.machines().await?[0].state, MachineState::Ready);
    world.pass(SECOND);
    world.assigned().await;
    Ok(())
}

pub async fn a_restarted_node_adopts_what_lives(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(10).await;
    let old = node.clone();
    let lives = world.ready(&organization, &node).await;
    let active = world.ready(&organization, &node).await;
    node.took(&active, StepKind::Activate).await;
    let gone = world.ready(&organization, &node).await;
    let ending = world.ready(&organization, &node).await;
    let ending_gone = world.ready(&organization, &node).await;
    for session in [&ending, &ending_gone] {
        world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await?;
    }
    world.session(&organization).await;
    let starting = world.assigned().await;
    let mut wrong_run = world.ready(&organization, &node).await;
    let stranger = wrong_run.clone();
    wrong_run.run = Some(world.run());

    world.pass(SECOND);
    let registration = node.restart("boot-1", &[&lives, &active, &ending, &starting, &wrong_run]).await;
    assert_eq!(registration.epoch, 2);
    let adopted: Vec<_> = registration.adopted.iter().map(|session| session.id.clone()).collect();
    assert_eq!(adopted, [lives.id.clone(), active.id.clone(), ending.id.clone()]);
    assert_eq!(registration.dropped.len(), 4);
    assert!(registration.adopted.iter().all(|session| session.machine_epoch == 2));
    assert_eq!(world.status(&active).await, Status::Ready, "its clients were connected through the node");
    assert_eq!(world.status(&ending).await, Status::Ending);
    assert_eq!(world.status(&starting).await, Status::Queued, "never ready: placed anew");
    for session in [&gone, &stranger] {
        let failed = world.read(session).await;
        assert_eq!((failed.status, failed.end_reason), (Status::Failed, Some(EndReason::ProcessLost)));
        assert_eq!(failed.duration_ms(), failed.ended_at.map(|at| (at - session.started_at.unwrap()) as u64));
    }
    let ended = world.read(&ending_gone).await;
    assert_eq!((ended.status, ended.end_reason), (Status::Ended, Some(EndReason::Deleted)));
    assert_eq!(node.seen().await.slots_used, 3);

    old.refused(&lives, StepKind::Activate).await;
    node.took(&lives, StepKind::Activate).await;
    assert_eq!(node.finish(&ending, EndReason::Idle).await.end_reason, Some(EndReason::Deleted));
    world.is_whole().await;
    Ok(())
}

pub async fn a_rebooted_machine_lost_everything(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(10).await;
    let ran = world.ready(&organization, &node).await;
    world.session(&organization).await;
    let starting = world.assigned().await;
    let registration = node.restart("boot-2", &[&ran]).await;
    assert!(registration.adopted.is_empty());
    assert_eq!(world.read(&ran).await.end_reason, Some(EndReason::MachineRestarted));
    assert_eq!(world.status(&starting).await, Status::Queued);
    let again = world.assigned().await;
    assert_eq!((again.id.clone(), again.machine_epoch, again.generation), (starting.id, 2, 2));
    node.took(&again, StepKind::Ready).await;
    world.is_whole().await;
    Ok(())
}

pub async fn two_nodes_with_one_identity_fence_each_other(world: World) -> Outcome {
    let organization = world.organization().await;
    let first = world.machine(2).await;
    let session = world.ready(&organization, &first).await;
    let mut second = first.clone();
    second.restart("boot-of-the-twin", &[]).await;
    let machine = &first.register.machine;
    assert_eq!(world.store.beat(machine, first.epoch, None, &[], world.now(), LEASE).await?, BeatAnswer::NotYours);
    assert!(world.store.assignments(machine, first.epoch, &[]).await?.is_none());
    assert!(!world.store.holds_machine(machine, first.epoch).await?);
    first.refused(&session, StepKind::Activate).await;
    assert_eq!(
        world.store.beat(machine, second.epoch, None, &[], world.now(), LEASE).await?,
        BeatAnswer::Extended { draining: false },
    );
    Ok(())
}

pub async fn beats_carry_traffic(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let (a, b) = (world.ready(&organization, &node).await, world.ready(&organization, &node).await);
    let bytes = EgressBytes { bytes_in: 5_000_000_000, bytes_out: 7 };
    let traffic =
        |session: &vitrine_store::Session, generation| Traffic { session: session.id.clone(), generation, bytes };
    let beat = [traffic(&a, a.generation), traffic(&b, b.generation + 1)];
    world.store.beat(&node.register.machine, node.epoch, None, &beat, world.now(), LEASE).await?;
    assert_eq!(world.read(&a).await.egress, bytes);
    assert_eq!(world.read(&b).await.egress, EgressBytes::default(), "another generation's");
    let other = world.machine(4).await;
    let beat = [traffic(&b, b.generation)];
    world.store.beat(&other.register.machine, other.epoch, None, &beat, world.now(), LEASE).await?;
    assert_eq!(world.read(&b).await.egress, EgressBytes::default(), "another machine's");
    node.finish(&a, EndReason::Idle).await;
    let beat = [traffic(&a, a.generation)];
    world.store.beat(&node.register.machine, node.epoch, None, &beat, world.now(), LEASE).await?;
    assert_eq!(world.read(&a).await.egress.bytes_in, 10, "what is over is settled");
    Ok(())
}

pub async fn a_node_hears_what_it_does_not_know(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let (machine, epoch) = (&node.register.machine, node.epoch);
    assert!(world.store.assignments(machine, epoch, &[]).await?.unwrap().is_empty());
    world.session(&organization).await;
    let session = world.assigned().await;
    let heard = world.store.assignments(machine, epoch, &[]).await?.unwrap();
    assert_eq!(format!("{heard:?}"), format!("{:?}", [&session]));
    let known = |generation, desired| [Known { session: session.id.clone(), generation, desired }];
    let unheard = async |known: &[Known]| world.store.assignments(machine, epoch, known).await.unwrap().unwrap().len();
    assert_eq!(unheard(&known(1, Desired::Run)).await, 0);
    assert_eq!(unheard(&known(0, Desired::Run)).await, 1, "an older start");
    world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await?;
    assert_eq!(unheard(&known(1, Desired::Run)).await, 1, "it is to end now");
    assert_eq!(unheard(&known(1, Desired::End)).await, 0);
    node.finish(&session, EndReason::Deleted).await;
    assert_eq!(unheard(&[]).await, 0);
    Ok(())
}

pub async fn a_machine_that_shrank_keeps_what_it_holds(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(4).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(world.ready(&organization, &node).await);
    }
    (node.register.slots_total, node.register.reserve_total_mb) = (2, 192);
    let registration = node.restart("boot-1", &sessions.iter().collect::<Vec<_>>()).await;
    assert_eq!(registration.adopted.len(), 3);
    assert_eq!((node.seen().await.slots_used, node.seen().await.slots_total), (3, 3));
    world.session(&organization).await;
    assert!(matches!(world.place().await, Placed::Waiting { .. }));
    world.is_whole().await;
    Ok(())
}
