//! Checkpoints, their packs, and who may read them.

use crate::Outcome;
use crate::world::{MINUTE, Node, UNLIMITED, World, entropy, sandbox_spec};
use tokio::task::JoinSet;
use vitrine_model::wire::{Object, ObjectRequest, StepKind};
use vitrine_model::*;
use vitrine_store::*;

const DAY: i64 = 24 * 60 * MINUTE;
const CHECKPOINTS_MAX: u32 = 3;

fn request(node: &Node, session: &Session) -> ObjectRequest {
    ObjectRequest {
        machine: node.register.machine.clone(),
        epoch: node.epoch,
        session: session.id.clone(),
        generation: session.generation,
        run: session.run.clone().unwrap(),
        object: Object::Pack { sha256: String::new(), size: 0 },
    }
}

fn name(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

async fn announced(world: &World, request: &ObjectRequest) -> ObjectKey {
    let object = ObjectKey::new(&request.session, request.generation, &entropy);
    world.store.announce_object(&object, world.now()).await.unwrap();
    object
}

/// Brings a pack as the server does: its object is abandoned when it is not the one that is kept.
async fn pack(world: &World, request: &ObjectRequest, byte: u8) -> Bringing {
    let object = announced(world, request).await;
    let new = NewPack { sha256: name(byte), size: 1_000, object: object.clone() };
    let brought = world.store.publish_pack(request, &new, world.now()).await.unwrap();
    world.store.abandon_object(&object, world.now()).await.unwrap();
    brought
}

async fn new(world: &World, request: &ObjectRequest, packs: &[u8]) -> NewCheckpoint {
    NewCheckpoint {
        id: CheckpointId::new(world.now(), &entropy),
        manifest_bytes: 10,
        sha256: [7; 32],
        object: announced(world, request).await,
        packs: packs.iter().map(|byte| name(*byte)).collect(),
        workspace_bytes: 5_000,
        expires_at: Some(world.now() + 7 * DAY),
    }
}

async fn publish(world: &World, request: &ObjectRequest, new: &NewCheckpoint) -> Bringing {
    world.store.publish_checkpoint(request, new, CHECKPOINTS_MAX, world.now()).await.unwrap()
}

/// A checkpoint that is kept.
async fn checkpoint(world: &World, request: &ObjectRequest, packs: &[u8]) -> Checkpoint {
    for byte in packs {
        assert_eq!(pack(world, request, *byte).await, Bringing::Kept { key: None });
    }
    let new = new(world, request, packs).await;
    assert_eq!(publish(world, request, &new).await, Bringing::Kept { key: Some(format!("checkpoints/{}", new.id)) });
    world.store.checkpoint_for(request, &new.id).await.unwrap().unwrap()
}

async fn due(world: &World) -> usize {
    world.store.due_objects(world.now()).await.unwrap().len()
}

pub async fn a_checkpoint_is_kept_with_its_packs(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.sandbox(&organization, &node).await;
    let request = request(&node, &session);
    assert!(!world.store.knows_pack(&request, &name(1), world.now()).await?);
    pack(&world, &request, 1).await;
    assert!(world.store.knows_pack(&request, &name(1), world.now()).await?);
    let early = new(&world, &request, &[1, 2]).await;
    assert_eq!(publish(&world, &request, &early).await, Bringing::PacksMissing);
    assert!(world.store.checkpoints(&organization, &session.id).await?.is_empty());
    pack(&world, &request, 2).await;
    let first = new(&world, &request, &[1, 2, 1]).await;
    for _ in 0..2 {
        let kept = Bringing::Kept { key: Some(format!("checkpoints/{}", first.id)) };
        assert_eq!(publish(&world, &request, &first).await, kept, "also when it is brought again");
    }
    let other = NewCheckpoint { sha256: [8; 32], ..first.clone() };
    assert_eq!(publish(&world, &request, &other).await, Bringing::NotYours, "the id is taken");
    let kept = world.store.checkpoint(&organization, &first.id).await?.unwrap();
    assert_eq!((kept.size, kept.manifest_bytes, kept.workspace_bytes), (2_010, 10, 5_000));
    assert_eq!((kept.object, kept.session, kept.expires_at), (first.object, session.id.clone(), first.expires_at));
    let found = world.store.pack_for(&request, &name(2)).await?.unwrap();
    assert_eq!((found.size, found.sha256), (1_000, name(2)));
    world.pass(1);
    let second = checkpoint(&world, &request, &[2, 3]).await;
    assert_eq!(due(&world).await, 1, "the pack that was there already");
    let listed = world.store.checkpoints(&organization, &session.id).await?;
    assert_eq!(listed.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [second.id, first.id]);
    checkpoint(&world, &request, &[]).await;
    let one_more = new(&world, &request, &[1]).await;
    assert_eq!(publish(&world, &request, &one_more).await, Bringing::TooMany);
    let happened = world.happened(&session).await;
    assert_eq!(happened.iter().filter(|name| *name == "sandbox.checkpoint.created").count(), 3);
    world.is_whole().await;
    Ok(())
}

pub async fn only_the_run_brings_checkpoints(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.sandbox(&organization, &node).await;
    let right = request(&node, &session);
    let mut wrong = vec![right.clone(); 4];
    wrong[0].machine = MachineId::new(&entropy);
    wrong[1].generation += 1;
    wrong[2].run = world.run();
    wrong[3].session = SessionId::new(0, &entropy);
    let held = checkpoint(&world, &right, &[1]).await;
    for request in wrong {
        assert_eq!(pack(&world, &request, 1).await, Bringing::NotYours);
        assert!(!world.store.knows_pack(&request, &name(1), world.now()).await?);
        assert_eq!(world.store.pack_for(&request, &name(1)).await?, None);
        assert_eq!(world.store.checkpoint_for(&request, &held.id).await?, None);
        let new = new(&world, &request, &[]).await;
        assert_eq!(publish(&world, &request, &new).await, Bringing::NotYours);
    }
    // The one at the end is brought after the end.
    node.finish(&session, EndReason::Deleted).await;
    checkpoint(&world, &right, &[1, 2]).await;
    world.is_whole().await;
    Ok(())
}

pub async fn packs_are_kept_while_a_checkpoint_names_them(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.sandbox(&organization, &node).await;
    let request = request(&node, &session);
    let first = checkpoint(&world, &request, &[1, 2]).await;
    let second = checkpoint(&world, &request, &[3]).await;
    pack(&world, &request, 4).await;
    world.pass(DAY - MINUTE);
    assert_eq!(world.store.drop_loose_packs(world.now()).await?, 0);
    pack(&world, &request, 4).await;
    world.pass(MINUTE);
    assert_eq!(world.store.drop_loose_packs(world.now()).await?, 0, "it was brought again");
    assert!(world.store.remove_checkpoint(&organization, &first.id, world.now()).await?);
    assert!(!world.store.remove_checkpoint(&organization, &first.id, world.now()).await?);
    world.is_whole().await;
    // Somebody who remembers pack 2 names it once more.
    let third = new(&world, &request, &[2, 3]).await;
    assert!(matches!(publish(&world, &request, &third).await, Bringing::Kept { .. }));
    world.pass(DAY);
    assert_eq!(world.store.drop_loose_packs(world.now()).await?, 2, "1 and 4");
    assert_eq!(world.store.drop_loose_packs(world.now()).await?, 0);
    for (byte, is_there) in [(1, false), (2, true), (3, true), (4, false)] {
        assert_eq!(world.store.pack_for(&request, &name(byte)).await?.is_some(), is_there, "{byte}");
    }
    let gone = new(&world, &request, &[1]).await;
    assert_eq!(publish(&world, &request, &gone).await, Bringing::PacksMissing, "it is too late for that one");
    for id in [&second.id, &third.id] {
        assert!(world.store.remove_checkpoint(&organization, id, world.now()).await?);
    }
    world.pass(DAY);
    assert_eq!(world.store.drop_loose_packs(world.now()).await?, 2);
    world.is_whole().await;
    // Every object that was ever announced can be deleted now.
    world.pass(DAY);
    let due = world.store.due_objects(world.now()).await?;
    assert!([&first.object, &second.object, &third.object].into_iter().all(|object| due.contains(object)));
    assert_eq!(due.len(), 3 + 4 + 1 + 1, "lists, packs, the second pack 4, the list that came too late");
    Ok(())
}

pub async fn an_organizations_checkpoints_are_its_own(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let node = world.machine(4).await;
    let (session, stranger) = (world.sandbox(&ours, &node).await, world.sandbox(&theirs, &node).await);
    let (request, foreign) = (request(&node, &session), request(&node, &stranger));
    let held = checkpoint(&world, &request, &[1]).await;
    assert!(!world.store.knows_pack(&foreign, &name(1), world.now()).await?, "nobody learns what others have");
    assert_eq!(world.store.pack_for(&foreign, &name(1)).await?, None);
    assert_eq!(world.store.checkpoint_for(&foreign, &held.id).await?, None);
    assert_eq!(world.store.checkpoint(&theirs, &held.id).await?, None);
    assert!(world.store.checkpoints(&theirs, &session.id).await?.is_empty());
    assert!(!world.store.remove_checkpoint(&theirs, &held.id, world.now()).await?);
    let named = new(&world, &foreign, &[1]).await;
    assert_eq!(publish(&world, &foreign, &named).await, Bringing::PacksMissing);
    checkpoint(&world, &foreign, &[1]).await;
    let from = |id: &CheckpointId| SandboxSpec { from: Some(id.clone()), ..sandbox_spec() };
    let create = async |organization, id: &CheckpointId| {
        let new = world.new_sandbox(organization, from(id));
        world.store.create_session(&new, UNLIMITED, world.now()).await.unwrap().err()
    };
    assert_eq!(create(&theirs, &held.id).await, Some(Refused::UnknownCheckpoint));
    assert_eq!(create(&ours, &CheckpointId::new(0, &entropy)).await, Some(Refused::UnknownCheckpoint));
    assert_eq!(create(&ours, &held.id).await, None);
    let fork = node.took(&world.assigned().await, StepKind::Ready).await;
    let request = self::request(&node, &fork);
    assert!(world.store.checkpoint_for(&request, &held.id).await?.is_some());
    assert!(world.store.pack_for(&request, &name(1)).await?.is_some());
    assert!(world.store.knows_pack(&request, &name(1), world.now()).await?, "packs are shared between sandboxes");
    world.is_whole().await;
    Ok(())
}

pub async fn checkpoints_expire(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.sandbox(&organization, &node).await;
    let request = request(&node, &session);
    checkpoint(&world, &request, &[1]).await;
    let kept = NewCheckpoint { expires_at: None, ..new(&world, &request, &[1]).await };
    publish(&world, &request, &kept).await;
    world.pass(7 * DAY - 1);
    assert_eq!(world.store.drop_expired_checkpoints(world.now()).await?, 0);
    world.pass(1);
    assert_eq!(world.store.drop_expired_checkpoints(world.now()).await?, 1);
    assert_eq!(world.store.drop_expired_checkpoints(world.now()).await?, 0);
    let left = world.store.checkpoints(&organization, &session.id).await?;
    assert_eq!(left.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [kept.id]);
    world.pass(2 * DAY);
    assert_eq!(world.store.drop_loose_packs(world.now()).await?, 0, "the other one names it");
    world.is_whole().await;
    Ok(())
}

pub async fn checkpoints_and_their_removal_at_once(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.sandbox(&organization, &node).await;
    let request = request(&node, &session);
    let mut tasks = JoinSet::new();
    for task in 0..6u8 {
        let (world, request, organization) = (world.clone(), request.clone(), organization.clone());
        tasks.spawn(async move {
            for round in 0..4 {
                let names = [task + 1, 100 + (task + round) % 3];
                let kept = loop {
                    for byte in names {
                        assert_eq!(pack(&world, &request, byte).await, Bringing::Kept { key: None });
                    }
                    let new = new(&world, &request, &names).await;
                    match world.store.publish_checkpoint(&request, &new, 100, world.now()).await.unwrap() {
                        Bringing::Kept { .. } => break new.id,
                        // Another task's clock goes ahead, and it dropped what nothing named yet.
                        other => assert_eq!(other, Bringing::PacksMissing),
                    }
                };
                world.store.drop_loose_packs(world.now() + 2 * DAY).await.unwrap();
                if round < 3 {
                    assert!(world.store.remove_checkpoint(&organization, &kept, world.now()).await.unwrap());
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(world.store.checkpoints(&organization, &session.id).await?.len(), 6);
    world.is_whole().await;
    world.pass(2 * DAY);
    world.store.drop_loose_packs(world.now()).await?;
    world.is_whole().await;
    Ok(())
}

pub async fn a_network_policy_is_changed_while_it_runs(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.sandbox(&organization, &node).await;
    let run = session.run.clone().unwrap();
    let allow = vec!["*.example.com".to_owned()];
    let network = NetworkPolicy { mode: NetworkMode::Allowlist, allow, deny: Vec::new() };
    let change = async |run: &RunId| world.store.change_network(&session.id, run, &network, world.now()).await.unwrap();
    assert!(change(&world.run()).await.is_none(), "another run");
    assert_eq!(change(&run).await.unwrap().sandbox().map(|spec| &spec.network), Some(&network));
    assert_eq!(world.read(&session).await.sandbox().map(|spec| &spec.network), Some(&network));
    let last = world.store.events_after(0, 100).await?.pop().unwrap();
    assert_eq!(
        (last.name.as_str(), last.data["network"]["mode"].as_str()),
        ("sandbox.network.changed", Some("allowlist"))
    );
    assert!(!last.data.to_string().contains("geheim"));
    let browser = world.ready(&organization, &node).await;
    let of_browser = world.store.change_network(&browser.id, browser.run.as_ref().unwrap(), &network, 0).await?;
    assert!(of_browser.is_none());
    node.took(&session, StepKind::End { reason: EndReason::Deleted }).await;
    assert!(change(&run).await.is_none(), "it ends");
    Ok(())
}
