//! Visitors: one session each, a few for an address, and time to come back.

use crate::Outcome;
use crate::world::{MINUTE, SECOND, UNLIMITED, World, embed_spec};
use tokio::task::JoinSet;
use vitrine_model::wire::StepKind;
use vitrine_model::*;
use vitrine_store::*;

const LIMITS: DemoLimits = DemoLimits { per_address: 3, window_ms: 60 * MINUTE };

fn visitor(visitor: u8, address: u8) -> DemoVisitor {
    DemoVisitor { visitor: [visitor; 32], address: [address; 32] }
}

fn new_demo(world: &World, organization: &OrganizationId) -> NewSession {
    let mut spec = embed_spec(15);
    if let Some(embed) = &mut spec.embed {
        embed.demo = true;
    }
    world.new_session(organization, spec)
}

async fn visit(
    world: &World,
    organization: &OrganizationId,
    visitor: &DemoVisitor,
) -> std::result::Result<DemoMade, DemoRefused> {
    let new = new_demo(world, organization);
    world.store.create_demo_session(&new, UNLIMITED, visitor, LIMITS, world.now()).await.unwrap()
}

pub async fn a_visitor_has_one_session(world: World) -> Outcome {
    let organization = world.organization().await;
    let (anna, bert) = (visitor(1, 1), visitor(2, 2));
    let first = visit(&world, &organization, &anna).await.unwrap();
    assert!(first.is_new);
    let again = visit(&world, &organization, &anna).await.unwrap();
    assert!(!again.is_new && again.session.id == first.session.id);
    assert!(visit(&world, &organization, &bert).await.unwrap().is_new);
    assert_eq!(world.store.minutes(&organization).await?.balance_minutes, 0, "nobody pays");
    assert_eq!(world.store.minutes(&organization).await?.active_sessions, 2);
    assert_eq!(world.store.demo_session(&anna.visitor).await?.unwrap().session.id, first.session.id);

    let ended = world.store.end_embed_session(&organization, &first.session.id, world.now()).await?.unwrap();
    assert_eq!(ended.refunded_minutes, 0);
    assert!(world.store.demo_session(&anna.visitor).await?.is_none());
    assert!(visit(&world, &organization, &anna).await.unwrap().is_new);

    let limits = CreateLimits { concurrent: 2, ..UNLIMITED };
    let new = new_demo(&world, &organization);
    let refused = world.store.create_demo_session(&new, limits, &visitor(3, 3), LIMITS, world.now()).await?.err();
    assert_eq!(refused, Some(DemoRefused::Limit(Refused::Concurrency)));
    world.is_whole().await;
    Ok(())
}

pub async fn a_visitor_who_left_may_come_back(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let (anna, store) = (visitor(1, 1), &world.store);
    assert_eq!(store.mark_demo_disconnected(&anna.visitor, None, world.now()).await?, 0);
    let session = visit(&world, &organization, &anna).await.unwrap().session;
    node.took(&world.assigned().await, StepKind::Ready).await;
    let left_at = world.now();
    assert_eq!(store.mark_demo_disconnected(&anna.visitor, None, left_at).await?, 1);
    world.pass(30 * SECOND);
    assert_eq!(store.mark_demo_disconnected(&anna.visitor, Some(&session.id), world.now()).await?, 1);
    let seen = store.demo_session(&anna.visitor).await?.unwrap();
    assert_eq!(seen.disconnected_at, Some(left_at), "leaving again does not make the time longer");
    assert_eq!(store.mark_demo_disconnected(&anna.visitor, Some(&world.session(&organization).await.id), 1).await?, 0);
    assert_eq!(store.mark_demo_disconnected(&[9; 32], Some(&session.id), 1).await?, 0, "a stranger's cookie");
    assert!(store.overdue_demos(left_at, 10).await?.is_empty());
    assert_eq!(store.overdue_demos(left_at + 1, 10).await?, std::slice::from_ref(&session.id));
    store.demo_returned(&anna.visitor).await?;
    assert!(store.overdue_demos(left_at + MINUTE, 10).await?.is_empty());
    store.mark_demo_disconnected(&anna.visitor, None, world.now()).await?;
    store.demo_session_returned(&session.id).await?;
    assert!(store.overdue_demos(world.now() + MINUTE, 10).await?.is_empty());
    store.mark_demo_disconnected(&anna.visitor, None, world.now()).await?;
    assert!(!visit(&world, &organization, &anna).await.unwrap().is_new);
    assert_eq!(store.demo_session(&anna.visitor).await?.unwrap().disconnected_at, None, "who asks again is back");
    store.mark_demo_disconnected(&anna.visitor, None, world.now()).await?;
    store.end_embed_session(&organization, &session.id, world.now()).await?;
    assert!(store.overdue_demos(world.now() + MINUTE, 10).await?.is_empty(), "it ends already");
    assert_eq!(store.mark_demo_disconnected(&anna.visitor, None, world.now()).await?, 0);
    Ok(())
}

pub async fn an_address_has_its_share(world: World) -> Outcome {
    let organization = world.organization().await;
    for number in 0..3 {
        assert!(visit(&world, &organization, &visitor(number, 1)).await.is_ok());
        world.pass(MINUTE);
    }
    let refused = visit(&world, &organization, &visitor(9, 1)).await.err();
    assert_eq!(refused, Some(DemoRefused::Address { wait_ms: 57 * MINUTE }));
    assert!(!visit(&world, &organization, &visitor(0, 1)).await.unwrap().is_new, "who has one keeps it");
    assert!(visit(&world, &organization, &visitor(9, 2)).await.is_ok(), "another address");
    world.pass(-600 * MINUTE);
    let refused = visit(&world, &organization, &visitor(10, 1)).await.err();
    assert_eq!(refused, Some(DemoRefused::Address { wait_ms: 60 * MINUTE }), "a clock that was set back");
    world.pass(657 * MINUTE);
    assert!(visit(&world, &organization, &visitor(10, 1)).await.is_ok());
    world.store.delete_expired(world.now() + DEMO_VISITS_KEPT_MS).await?;
    assert!(world.store.demo_session(&[0; 32]).await?.is_none(), "forgotten after a day");
    Ok(())
}

pub async fn visitors_at_once_have_one_each(world: World) -> Outcome {
    let organization = world.organization().await;
    let second = world.second_store().await;
    let mut tasks = JoinSet::new();
    for number in 0..40u8 {
        let store = if number % 2 == 0 { world.store.clone() } else { second.clone() };
        let (new, now) = (new_demo(&world, &organization), world.now());
        let visitor = visitor(number % 4, number % 4);
        tasks.spawn(async move { store.create_demo_session(&new, UNLIMITED, &visitor, LIMITS, now).await });
    }
    let made = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(made.iter().filter(|made| made.as_ref().is_ok_and(|made| made.is_new)).count(), 4);
    assert!(made.iter().all(std::result::Result::is_ok));
    second.close().await;
    Ok(())
}
