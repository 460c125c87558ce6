//! Which session next, and on which machine.

use crate::Outcome;
use crate::world::{LEASE, MINUTE, Node, RESERVE_MB, SECOND, World, spec};
use std::collections::{HashMap, HashSet};
use tokio::task::JoinSet;
use vitrine_model::wire::{NotReady, StepKind};
use vitrine_model::*;
use vitrine_store::*;

fn dedicated() -> BrowserSpec {
    BrowserSpec { isolation: Isolation::Dedicated, ..spec() }
}

async fn asked(world: &World, organization: &OrganizationId, spec: BrowserSpec) -> Session {
    let session = world.create(&world.new_session(organization, spec)).await;
    world.pass(1);
    session
}

pub async fn the_oldest_goes_first_to_the_fullest(world: World) -> Outcome {
    let organization = world.organization().await;
    let (a, b) = (world.machine(3).await, world.machine(3).await);
    let first = world.session(&organization).await;
    let second = world.session(&organization).await;
    assert!(matches!(world.place().await, Placed::Assigned(session) if session.id == first.id));
    let placed = world.assigned().await;
    assert_eq!(placed.id, second.id);
    assert_eq!(placed.machine, world.read(&first).await.machine, "the fullest machine first");
    for _ in 0..4 {
        world.session(&organization).await;
        world.assigned().await;
    }
    assert_eq!((a.seen().await.slots_used, b.seen().await.slots_used), (3, 3));
    assert!(matches!(world.place().await, Placed::Nothing));
    world.is_whole().await;
    Ok(())
}

pub async fn organizations_take_turns(world: World) -> Outcome {
    let (greedy, modest) = (world.organization().await, world.organization().await);
    world.machine(20).await;
    for _ in 0..10 {
        world.session(&greedy).await;
    }
    for _ in 0..3 {
        world.session(&modest).await;
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(world.assigned().await.organization == modest);
    }
    assert_eq!(order, [false, true, false, true, false, true], "equal shares although one came first with ten");
    Ok(())
}

pub async fn a_region_is_a_preference(world: World) -> Outcome {
    let organization = world.organization().await;
    let iad = world.machine(1).await;
    let mut register = world.register(1);
    (register.region_code, register.region_global) = ("fra".to_owned(), "eu-central".to_owned());
    world.join(&register).await;
    let asked_for = |region: &str| BrowserSpec { region: Some(region.to_owned()), ..spec() };
    asked(&world, &organization, asked_for("eu-central")).await;
    assert_eq!(world.assigned().await.machine.as_ref(), Some(&register.machine));
    asked(&world, &organization, asked_for("fra")).await;
    assert_eq!(world.assigned().await.machine.as_ref(), Some(&iad.register.machine), "its region is full");
    Ok(())
}

pub async fn only_fresh_ready_machines_take_sessions(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(8).await;
    let machine = node.register.machine.clone();
    world.session(&organization).await;
    assert!(world.store.set_draining(&machine, true).await?);
    assert!(matches!(world.place().await, Placed::Waiting { .. }), "draining");
    let beat = world.store.beat(&machine, node.epoch, None, &[], world.now(), LEASE).await?;
    assert_eq!(beat, wire::BeatAnswer::Extended { draining: true });
    world.store.set_draining(&machine, false).await?;
    let not_ready = NotReady { reason: SchedulingReason::ImageMissing, message: "being built".to_owned() };
    world.store.beat(&machine, node.epoch, Some(&not_ready), &[], world.now(), LEASE).await?;
    world.pass(SECOND);
    assert!(matches!(world.place().await, Placed::Waiting { .. }), "not ready");
    assert_eq!(node.seen().await.not_ready, Some(not_ready));
    world.beat(&machine, node.epoch).await;
    assert_eq!(node.seen().await.not_ready, None);
    world.pass(15 * SECOND);
    assert!(matches!(world.place().await, Placed::Waiting { .. }), "silent");
    world.beat(&machine, node.epoch).await;
    world.pass(SECOND);
    world.assigned().await;
    Ok(())
}

pub async fn what_does_not_fit_waits_and_lets_smaller_ones_pass(world: World) -> Outcome {
    let organization = world.organization().await;
    world.machine(2).await;
    let mut large = world.new_session(&organization, spec());
    large.reserve_mb = 3 * RESERVE_MB;
    let large = world.create(&large).await;
    world.pass(1);
    let small = world.session(&organization).await;
    assert_eq!(world.assigned().await.id, small.id);
    let due_at = world.now() + PlaceOptions::default().retry_ms;
    assert!(matches!(world.place().await, Placed::Waiting { due_at: at } if at == due_at));
    assert_eq!(world.read(&large).await.not_before, due_at);
    world.machine(4).await;
    assert!(matches!(world.place().await, Placed::Waiting { .. }), "not due yet");
    world.pass(PlaceOptions::default().retry_ms);
    assert_eq!(world.assigned().await.id, large.id);
    Ok(())
}

pub async fn a_dedicated_session_has_its_machine_to_itself(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let shared = world.machine(4).await;
    let stranger = world.ready(&theirs, &shared).await;
    asked(&world, &ours, dedicated()).await;
    assert!(matches!(world.place().await, Placed::Waiting { .. }), "strangers are on the only machine");
    let own = world.machine(4).await;
    world.pass(SECOND);
    let first = world.assigned().await;
    assert_eq!(first.machine.as_ref(), Some(&own.register.machine));
    assert_eq!(own.seen().await.exclusive_organization.as_ref(), Some(&ours));
    // A stranger finds no room there, another of ours does, and the machine stays ours until the last dedicated one left.
    for _ in 0..3 {
        world.ready(&theirs, &shared).await;
    }
    world.session(&theirs).await;
    assert!(matches!(world.place().await, Placed::Waiting { .. }));
    asked(&world, &ours, dedicated()).await;
    let second = world.assigned().await;
    assert_eq!(second.machine, first.machine);
    own.finish(&first, EndReason::Idle).await;
    assert_eq!(own.seen().await.exclusive_organization.as_ref(), Some(&ours));
    own.finish(&second, EndReason::Idle).await;
    assert_eq!(own.seen().await.exclusive_organization, None);
    world.pass(SECOND);
    assert_eq!(world.assigned().await.machine.as_ref(), Some(&own.register.machine));
    shared.finish(&stranger, EndReason::Idle).await;
    world.is_whole().await;
    Ok(())
}

/// Places from two servers until nothing is due; answers what each placement did.
async fn place_everything(world: &World) -> Vec<Session> {
    let second = world.second_store().await;
    let mut tasks = JoinSet::new();
    for number in 0..6 {
        let (store, world) = (if number % 2 == 0 { world.store.clone() } else { second.clone() }, world.clone());
        tasks.spawn(async move {
            let mut placed = Vec::new();
            loop {
                match store.place_next(world.now(), PlaceOptions::default(), world.run()).await.unwrap() {
                    Placed::Assigned(session) => placed.push(*session),
                    Placed::Waiting { .. } | Placed::Nothing => return placed,
                }
            }
        });
    }
    let placed = tasks.join_all().await.into_iter().flatten().collect();
    second.close().await;
    placed
}

pub async fn servers_placing_at_once_never_overcommit(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(world.machine(10).await);
    }
    for number in 0..50 {
        world.session(if number % 3 == 0 { &theirs } else { &ours }).await;
    }
    let placed = place_everything(&world).await;
    assert_eq!(placed.len(), 30, "every slot is used");
    assert_eq!(placed.iter().map(|session| &session.id).collect::<HashSet<_>>().len(), 30, "none is placed twice");
    for node in &nodes {
        assert_eq!((node.seen().await.slots_used, node.seen().await.reserve_used_mb), (10, 10 * RESERVE_MB));
    }
    world.is_whole().await;
    // Steps of all nodes and placements at once.
    let by_machine: HashMap<_, _> = nodes.iter().map(|node| (node.register.machine.clone(), node.clone())).collect();
    world.pass(SECOND);
    let mut tasks = JoinSet::new();
    for session in placed {
        let node: Node = by_machine[session.machine.as_ref().unwrap()].clone();
        tasks.spawn(async move {
            node.took(&session, StepKind::Ready).await;
            node.finish(&session, EndReason::Deleted).await;
        });
    }
    let more = place_everything(&world).await;
    tasks.join_all().await;
    world.pass(MINUTE / 10);
    let rest = place_everything(&world).await;
    assert_eq!(more.len() + rest.len(), 20);
    world.is_whole().await;
    Ok(())
}

pub async fn servers_placing_at_once_keep_dedicated_machines_apart(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    for _ in 0..4 {
        world.machine(4).await;
    }
    for number in 0..16 {
        let organization = if number % 2 == 0 { &theirs } else { &ours };
        asked(&world, organization, if number % 4 < 2 { dedicated() } else { spec() }).await;
    }
    for _ in 0..20 {
        place_everything(&world).await;
        world.is_whole().await;
        world.pass(PlaceOptions::default().retry_ms);
    }
    let counts = world.store.counts().await?;
    assert!(counts.sessions_in(Status::Assigning) >= 8, "{counts:?}");
    Ok(())
}

pub async fn fit_is_asked_before_queueing(world: World) -> Outcome {
    let organization = world.organization().await;
    let fit = async |region: Option<&str>, reserve_mb| {
        world.store.fit(region, reserve_mb, world.now(), PlaceOptions::default()).await.unwrap()
    };
    assert_eq!(fit(Some("iad"), 96).await, Fit::Later, "no machine has come yet");
    let node = world.machine(1).await;
    assert_eq!(fit(None, 96).await, Fit::Now);
    assert_eq!(fit(Some("iad"), 96).await, Fit::Now);
    assert_eq!(fit(Some("na-east"), 96).await, Fit::Now);
    assert_eq!(fit(Some("fra"), 96).await, Fit::NeverRegion);
    assert_eq!(fit(None, 97).await, Fit::NeverCapacity);
    world.ready(&organization, &node).await;
    assert_eq!(fit(None, 96).await, Fit::Later);
    Ok(())
}
