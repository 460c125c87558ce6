//! What sessions leave behind: rows that show objects, and objects that no row shows.

use crate::Outcome;
use crate::world::{MINUTE, Node, World, entropy, spec};
use vitrine_model::wire::{Object, ObjectRequest, StepKind};
use vitrine_model::*;
use vitrine_store::*;

const DAY: i64 = 24 * 60 * MINUTE;
const ARTIFACTS_MAX: u32 = 4;

fn request(node: &Node, session: &Session) -> ObjectRequest {
    ObjectRequest {
        machine: node.register.machine.clone(),
        epoch: node.epoch,
        session: session.id.clone(),
        generation: session.generation,
        run: session.run.clone().unwrap(),
        object: Object::Profile { size: 1, sha256: String::new() },
    }
}

async fn announced(world: &World, session: &Session) -> ObjectKey {
    let object = ObjectKey::new(&session.id, session.generation, &entropy);
    world.store.announce_object(&object, world.now()).await.unwrap();
    object
}

async fn bring(world: &World, request: &ObjectRequest, session: &Session, name: &str, byte: u8) -> Bringing {
    let new = NewArtifact {
        kind: ArtifactKind::Download,
        name: name.to_owned(),
        content_type: "application/pdf".to_owned(),
        size: 3,
        sha256: [byte; 32],
        object: announced(world, session).await,
        expires_at: Some(world.now() + 7 * DAY),
    };
    world.store.publish_artifact(request, &new, ARTIFACTS_MAX, world.now()).await.unwrap()
}

fn kept(key: &str) -> Bringing {
    Bringing::Kept { key: Some(key.to_owned()) }
}

/// A session with a profile key that is ready.
async fn with_profile(world: &World, organization: &OrganizationId, node: &Node) -> Session {
    let new = world.new_session(organization, spec());
    world.create(&NewSession { profile_key: Some("shop".to_owned()), ..new }).await;
    let session = world.assigned().await;
    node.took(&session, StepKind::Ready).await
}

async fn save(world: &World, request: &ObjectRequest, session: &Session) -> Bringing {
    let new = NewProfile { size: 5, sha256: [5; 32], object: announced(world, session).await };
    world.store.publish_profile(request, &new, world.now()).await.unwrap()
}

pub async fn artifacts_have_keys_of_their_own(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.ready(&organization, &node).await;
    let request = request(&node, &session);
    assert_eq!(bring(&world, &request, &session, "a.pdf", 1).await, kept("downloads/a.pdf"));
    assert_eq!(bring(&world, &request, &session, "a (2).pdf", 2).await, kept("downloads/a (2).pdf"));
    assert_eq!(bring(&world, &request, &session, "a.pdf", 3).await, kept("downloads/a (3).pdf"));
    assert_eq!(bring(&world, &request, &session, "a.pdf", 3).await, kept("downloads/a (3).pdf"), "brought again");
    assert_eq!(bring(&world, &request, &session, ".x", 4).await, kept("downloads/.x"));
    assert_eq!(bring(&world, &request, &session, "b", 5).await, Bringing::TooMany);
    let artifacts = world.store.artifacts(&session.id).await?;
    assert_eq!(artifacts.len(), 4);
    let found = world.store.artifact(&session.id, "downloads/a (3).pdf").await?.unwrap();
    assert_eq!((found.name.as_str(), found.sha256, found.size), ("a.pdf", [3; 32], 3));
    let events = world.happened(&session).await;
    assert_eq!(events.iter().filter(|name| *name == "session.artifacts.updated").count(), 4);
    Ok(())
}

pub async fn only_the_run_brings_artifacts(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.ready(&organization, &node).await;
    // Only now, or it could have been the one that got the session.
    let other = world.machine(2).await;
    let ours = request(&node, &session);
    let strangers = [
        ObjectRequest { machine: other.register.machine.clone(), ..ours.clone() },
        ObjectRequest { generation: ours.generation + 1, ..ours.clone() },
        ObjectRequest { run: world.run(), ..ours.clone() },
    ];
    for stranger in &strangers {
        assert_eq!(bring(&world, stranger, &session, "a", 1).await, Bringing::NotYours);
        assert!(world.store.session_of_object(stranger).await?.is_none());
    }
    node.took(&session, StepKind::End { reason: EndReason::Idle }).await;
    node.finish(&session, EndReason::Idle).await;
    assert_eq!(bring(&world, &ours, &session, "a", 1).await, kept("downloads/a"), "after the end too");
    Ok(())
}

pub async fn artifacts_expire_and_their_objects_go(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.ready(&organization, &node).await;
    let request = request(&node, &session);
    bring(&world, &request, &session, "a", 1).await;
    let shown = world.store.artifacts(&session.id).await?.remove(0).object;
    let lost = announced(&world, &session).await;
    let failed = announced(&world, &session).await;
    world.store.abandon_object(&failed, world.now()).await?;
    assert_eq!(world.store.due_objects(world.now()).await?, std::slice::from_ref(&failed));
    world.store.object_deleted(&failed).await?;
    world.pass(DAY);
    assert_eq!(world.store.due_objects(world.now()).await?, std::slice::from_ref(&lost), "left behind");
    world.store.object_deleted(&lost).await?;
    assert_eq!(world.store.drop_expired_artifacts(world.now()).await?, 0);
    world.pass(6 * DAY);
    assert_eq!(world.store.drop_expired_artifacts(world.now()).await?, 1);
    assert_eq!(world.store.artifacts(&session.id).await?, []);
    assert_eq!(world.store.due_objects(world.now()).await?, [shown]);
    Ok(())
}

pub async fn a_profile_is_replaced_whole(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = with_profile(&world, &organization, &node).await;
    let request = request(&node, &session);
    assert_eq!(world.store.profile_for(&request).await?, None);
    assert_eq!(save(&world, &request, &session).await, Bringing::Kept { key: None });
    let first = world.store.profile_for(&request).await?.unwrap();
    assert_eq!((first.version, first.in_use, &first.last_session), (1, true, &session.id));
    assert_eq!(save(&world, &request, &session).await, Bringing::Kept { key: None });
    let second = world.store.profile(&organization, "shop").await?.unwrap();
    assert_eq!(second.version, 2);
    assert_ne!(first.object, second.object);
    assert_eq!(world.store.due_objects(world.now()).await?, [], "somebody may be fetching the first");
    world.pass(DAY);
    assert_eq!(world.store.due_objects(world.now()).await?, [first.object]);
    Ok(())
}

pub async fn a_profile_comes_from_its_owner_alone(world: World) -> Outcome {
    let (organization, mut node) = (world.organization().await, world.machine(2).await);
    let session = with_profile(&world, &organization, &node).await;
    let before = request(&node, &session);
    node.restart("boot-1", &[&session]).await;
    assert_eq!(save(&world, &before, &session).await, Bringing::NotYours, "an earlier epoch");
    let now = request(&node, &session);
    assert_eq!(save(&world, &now, &session).await, Bringing::Kept { key: None });
    node.took(&session, StepKind::End { reason: EndReason::Idle }).await;
    assert_eq!(save(&world, &now, &session).await, Bringing::Kept { key: None }, "while it ends");
    node.finish(&session, EndReason::Idle).await;
    assert_eq!(save(&world, &now, &session).await, Bringing::NotYours, "the next session may have begun");
    assert_eq!(world.store.profile_for(&now).await?, None);
    let without = world.ready(&organization, &node).await;
    assert_eq!(save(&world, &request(&node, &without), &without).await, Bringing::NotYours, "it has no key");
    assert_eq!(world.store.profile(&organization, "shop").await?.map(|profile| profile.version), Some(2));
    Ok(())
}

pub async fn a_profile_in_use_stays(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    assert_eq!(world.store.remove_profile(&organization, "shop", world.now()).await?, Removal::Unknown);
    let session = with_profile(&world, &organization, &node).await;
    save(&world, &request(&node, &session), &session).await;
    assert_eq!(world.store.remove_profile(&organization, "shop", world.now()).await?, Removal::InUse);
    node.took(&session, StepKind::End { reason: EndReason::Idle }).await;
    assert_eq!(world.store.remove_profile(&organization, "shop", world.now()).await?, Removal::InUse);
    node.finish(&session, EndReason::Idle).await;
    let other = world.organization().await;
    assert_eq!(world.store.remove_profile(&other, "shop", world.now()).await?, Removal::Unknown);
    let object = world.store.profiles(&organization).await?.remove(0).object;
    assert_eq!(world.store.remove_profile(&organization, "shop", world.now()).await?, Removal::Done);
    assert_eq!(world.store.profiles(&organization).await?, []);
    assert_eq!(world.store.due_objects(world.now()).await?, [object]);
    Ok(())
}

pub async fn stale_profiles_go(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = with_profile(&world, &organization, &node).await;
    save(&world, &request(&node, &session), &session).await;
    let saved_at = world.now();
    assert_eq!(world.store.remove_stale_profiles(saved_at + 1, world.now()).await?, 0, "in use");
    node.took(&session, StepKind::End { reason: EndReason::Idle }).await;
    node.finish(&session, EndReason::Idle).await;
    assert_eq!(world.store.remove_stale_profiles(saved_at, world.now()).await?, 0);
    assert_eq!(world.store.remove_stale_profiles(saved_at + 1, world.now()).await?, 1);
    Ok(())
}

pub async fn a_revoked_token_is_remembered_until_it_expires(world: World) -> Outcome {
    let (id, other) = (TokenId::new(world.now(), &entropy), TokenId::new(world.now(), &entropy));
    let (session, stranger) = (SessionId::new(world.now(), &entropy), SessionId::new(world.now(), &entropy));
    let expires_at = world.now() + MINUTE;
    for _ in 0..2 {
        world.store.revoke_token(&session, &id, expires_at).await?;
    }
    world.store.delete_expired(world.now()).await?;
    assert!(world.store.is_token_revoked(&session, &id).await?);
    assert!(!world.store.is_token_revoked(&session, &other).await?);
    assert!(!world.store.is_token_revoked(&stranger, &id).await?, "who names it for another session revokes nothing");
    world.store.delete_expired(expires_at).await?;
    assert!(!world.store.is_token_revoked(&session, &id).await?);
    Ok(())
}

pub async fn a_way_out_is_changed_while_it_runs(world: World) -> Outcome {
    let (organization, node) = (world.organization().await, world.machine(2).await);
    let session = world.ready(&organization, &node).await;
    let run = session.run.clone().unwrap();
    let proxy = Proxy {
        protocol: ProxyProtocol::Socks5,
        host: "proxy.test".to_owned(),
        port: 1080,
        username: Some(Secret::new("user")),
        password: Some(Secret::new("geheim")),
    };
    let change = async |run: &RunId| {
        let profile = EgressProfile::ByoProxy;
        world.store.change_egress(&session.id, run, profile, Some(&proxy), world.now()).await.unwrap()
    };
    assert!(change(&world.run()).await.is_none(), "another run");
    let changed = change(&run).await.unwrap();
    assert_eq!(world.read(&session).await.browser(), changed.browser());
    assert_eq!(changed.browser().and_then(|spec| spec.proxy.as_ref()), Some(&proxy));
    assert_eq!(world.happened(&session).await.last().map(String::as_str), Some("session.egress.changed"));
    let events = world.store.events_after(0, 100).await?;
    assert!(events.iter().all(|event| !event.data.to_string().contains("geheim")));
    node.took(&session, StepKind::End { reason: EndReason::Idle }).await;
    assert!(change(&run).await.is_none(), "it ends");
    Ok(())
}
