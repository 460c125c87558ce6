//! The ledger: minutes are held when a session is made, settled when it ends, and never lost or counted twice.

use crate::Outcome;
use crate::world::{LEASE, MINUTE, Node, SECOND, UNLIMITED, World, embed_spec, spec};
use tokio::task::JoinSet;
use vitrine_model::embed::Policy;
use vitrine_model::wire::{EgressBytes, StepKind};
use vitrine_model::*;
use vitrine_store::*;

/// What an organization can use and what its sessions hold.
async fn balance(world: &World, organization: &OrganizationId) -> (i64, i64) {
    let balance = world.store.minutes(organization).await.unwrap();
    (balance.balance_minutes, balance.reserved_minutes)
}

/// A session of 15 minutes that is `ready`.
async fn ready(world: &World, organization: &OrganizationId, node: &Node) -> Session {
    world.create(&world.new_session(organization, embed_spec(15))).await;
    world.pass(1);
    let session = world.assigned().await;
    node.took(&session, StepKind::Ready).await
}

async fn delete(world: &World, session: &Session) -> u32 {
    let ended = world.store.end_embed_session(&session.organization, &session.id, world.now()).await;
    ended.unwrap().unwrap().refunded_minutes
}

pub async fn minutes_are_held_and_what_was_not_used_goes_back(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let granted = world.store.grant_minutes(&organization, 100, "a gift", world.now()).await?;
    let expected = Balance { balance_minutes: 100, reserved_minutes: 0, lifetime_minutes: 100, active_sessions: 0 };
    assert_eq!(granted, expected);
    let session = ready(&world, &organization, &node).await;
    let expected = Balance { balance_minutes: 85, reserved_minutes: 15, lifetime_minutes: 100, active_sessions: 1 };
    assert_eq!(world.store.minutes(&organization).await?, expected);

    world.pass(2 * MINUTE + 1);
    assert_eq!(delete(&world, &session).await, 12);
    let expected = Balance { balance_minutes: 97, reserved_minutes: 0, lifetime_minutes: 100, active_sessions: 0 };
    assert_eq!(world.store.minutes(&organization).await?, expected, "settled before it is over");
    assert_eq!(world.status(&session).await, Status::Ending);
    world.pass(10 * MINUTE);
    assert_eq!(delete(&world, &session).await, 12, "the same figures");
    node.finish(&session, EndReason::Idle).await;
    assert_eq!(delete(&world, &session).await, 12);
    assert_eq!(balance(&world, &organization).await, (97, 0));
    let movements = world.store.minute_movements(&organization, 10).await?;
    let kinds: Vec<_> = movements.iter().map(|movement| (movement.kind, movement.minutes)).collect();
    let expected =
        [(MinutesKind::Refund, 12), (MinutesKind::Spend, 3), (MinutesKind::Hold, 15), (MinutesKind::Grant, 100)];
    assert_eq!(kinds, expected);
    assert_eq!((movements[2].session.as_ref(), movements[3].note.as_deref()), (Some(&session.id), Some("a gift")));

    let stranger = world.organization().await;
    assert!(world.store.end_embed_session(&stranger, &session.id, world.now()).await?.is_none());
    let plain = world.session(&organization).await;
    assert!(
        world.store.end_embed_session(&organization, &plain.id, world.now()).await?.is_none(),
        "not paid by minutes"
    );
    assert_eq!(world.status(&plain).await, Status::Queued);
    let nobody = OrganizationId::new(0, &crate::world::entropy);
    assert!(matches!(world.store.minutes(&nobody).await, Err(StoreError::Missing(_))));
    assert!(matches!(world.store.grant_minutes(&nobody, 1, "", 0).await, Err(StoreError::Missing(_))));
    world.is_whole().await;
    Ok(())
}

pub async fn every_end_settles(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(20).await;
    world.store.grant_minutes(&organization, 10_000, "", world.now()).await?;
    let egress = EgressBytes::default();
    let mut left = 10_000;
    // Each uses a minute and a second before something happens to it.
    for (what, refunded) in [
        (StepKind::End { reason: EndReason::MaxDuration }, 0),
        (StepKind::End { reason: EndReason::ClosedByClient }, 13),
        (StepKind::End { reason: EndReason::ServerShutdown }, 13),
        (StepKind::Finish { reason: EndReason::ServerShutdown, egress }, 13),
        (StepKind::Fail { reason: EndReason::BrowserCrashed, message: "it broke".to_owned(), egress }, 13),
        (StepKind::Fail { reason: EndReason::OutOfMemory, message: "it broke".to_owned(), egress }, 13),
    ] {
        let session = ready(&world, &organization, &node).await;
        world.pass(MINUTE + SECOND);
        world.beat(&node.register.machine, node.epoch).await;
        node.took(&session, what.clone()).await;
        left -= 15 - refunded;
        assert_eq!(balance(&world, &organization).await, (left, 0), "{what:?}");
        assert_eq!(i64::from(delete(&world, &session).await), refunded, "{what:?}");
    }
    // Its time is up, and the clock says so.
    let session = ready(&world, &organization, &node).await;
    world.pass(15 * MINUTE);
    assert_eq!(world.store.end_expired(world.now()).await?.len(), 1);
    left -= 15;
    assert_eq!((balance(&world, &organization).await, delete(&world, &session).await), ((left, 0), 0));
    // Its time is up, and DELETE came before the clock.
    world.beat(&node.register.machine, node.epoch).await;
    let session = ready(&world, &organization, &node).await;
    world.pass(14 * MINUTE + 1);
    left -= 15;
    assert_eq!((delete(&world, &session).await, balance(&world, &organization).await), (0, (left, 0)));
    // The machine comes back without it, or does not come back.
    world.beat(&node.register.machine, node.epoch).await;
    ready(&world, &organization, &node).await;
    node.restart("boot-2", &[]).await;
    left -= 1;
    assert_eq!(balance(&world, &organization).await, (left, 0), "rebooted");
    ready(&world, &organization, &node).await;
    world.store.reap(ReapOptions::default(), world.now()).await?;
    world.pass(LEASE + 1);
    world.store.reap(ReapOptions { tick_ms: LEASE, ..ReapOptions::default() }, world.now()).await?;
    left -= 1;
    assert_eq!(balance(&world, &organization).await, (left, 0), "lost");
    world.is_whole().await;
    Ok(())
}

pub async fn what_never_started_costs_nothing(world: World) -> Outcome {
    let organization = world.organization().await;
    world.store.grant_minutes(&organization, 45, "", world.now()).await?;
    // Never placed, and deleted.
    let queued = world.create(&world.new_session(&organization, embed_spec(15))).await;
    assert_eq!(balance(&world, &organization).await, (30, 15));
    assert_eq!(delete(&world, &queued).await, 15);
    assert_eq!(world.status(&queued).await, Status::Ended);
    // Never placed, and given up.
    world.create(&world.new_session(&organization, embed_spec(45))).await;
    world.pass(2 * MINUTE);
    assert_eq!(world.store.fail_overdue_queued(world.now()).await?.len(), 1);
    assert_eq!(balance(&world, &organization).await, (45, 0));
    // Placed again and again, and given up.
    let node = world.machine(1).await;
    world.create(&world.new_session(&organization, embed_spec(45))).await;
    for _ in 0..ATTEMPTS_MAX {
        assert_eq!(balance(&world, &organization).await, (0, 45));
        let session = world.assigned().await;
        let message = "it does not start".to_owned();
        node.took(&session, StepKind::NotStarted { reason: SchedulingReason::StartFailed, message }).await;
        world.pass(5 * SECOND);
        world.beat(&node.register.machine, node.epoch).await;
    }
    assert_eq!(balance(&world, &organization).await, (45, 0));
    // Deleted while it starts.
    let starting = world.create(&world.new_session(&organization, embed_spec(45))).await;
    let assigned = world.assigned().await;
    assert_eq!(delete(&world, &starting).await, 45);
    node.finish(&assigned, EndReason::Deleted).await;
    assert_eq!(balance(&world, &organization).await, (45, 0));
    world.is_whole().await;
    Ok(())
}

pub async fn a_balance_is_never_overdrawn(world: World) -> Outcome {
    const SESSIONS: u32 = 20;
    let organization = world.organization().await;
    let none = world.new_session(&organization, embed_spec(1));
    let none = world.store.create_session(&none, UNLIMITED, world.now()).await?;
    assert_eq!(none.err(), Some(Refused::Minutes { balance: 0 }));
    world.store.grant_minutes(&organization, SESSIONS * 15 + 14, "", world.now()).await?;
    let second = world.second_store().await;
    let mut tasks = JoinSet::new();
    for number in 0..1_000 {
        let store = if number % 2 == 0 { world.store.clone() } else { second.clone() };
        let (new, now) = (world.new_session(&organization, embed_spec(15)), world.now());
        tasks.spawn(async move { store.create_session(&new, UNLIMITED, now).await });
        // As many as a server lets wait at once.
        if tasks.len() == 100 {
            is_made_or_too_poor(tasks.join_next().await.unwrap()??);
        }
    }
    while let Some(made) = tasks.join_next().await {
        is_made_or_too_poor(made??);
    }
    second.close().await;
    assert_eq!(world.store.minutes(&organization).await?.active_sessions, i64::from(SESSIONS));
    assert_eq!(balance(&world, &organization).await, (14, i64::from(SESSIONS) * 15));
    // Exactly what is needed.
    let last = world.new_session(&organization, embed_spec(14));
    assert!(world.store.create_session(&last, UNLIMITED, world.now()).await?.is_ok());
    assert_eq!(balance(&world, &organization).await.0, 0);
    world.is_whole().await;
    Ok(())
}

fn is_made_or_too_poor(made: std::result::Result<Session, Refused>) {
    assert!(made.err().is_none_or(|refused| refused == Refused::Minutes { balance: 14 }));
}

pub async fn an_embed_session_is_bounded_by_its_minutes_alone(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    world.store.grant_minutes(&organization, 1_000, "", world.now()).await?;
    // No hours: the plan's are used up.
    let limits = CreateLimits { concurrent: 2, hours_ms: 0, ..UNLIMITED };
    let plain = world.new_session(&organization, spec());
    assert_eq!(world.store.create_session(&plain, limits, world.now()).await?.err(), Some(Refused::Hours));
    let driven = with_embed(|embed| embed.cdp = true);
    let page = world.new_session(&organization, embed_spec(15));
    world.store.create_session(&page, limits, world.now()).await?.unwrap();
    world.pass(1);
    world.store.create_session(&world.new_session(&organization, driven), limits, world.now()).await?.unwrap();
    let third = world.new_session(&organization, embed_spec(15));
    let third = world.store.create_session(&third, limits, world.now()).await?;
    assert_eq!(third.err(), Some(Refused::Concurrency));

    let mut sessions = Vec::new();
    for _ in 0..2 {
        sessions.push(node.took(&world.assigned().await, StepKind::Ready).await);
    }
    world.pass(5 * MINUTE);
    let expected = Usage {
        total_sessions: 1,
        embed_ms: 5 * MINUTE as u64,
        weights: WeightCounts { embed: 1, ..WeightCounts::default() },
        ..Usage::default()
    };
    assert_eq!(world.store.usage(&organization, 0, world.now()).await?, expected, "while they run");
    for session in &sessions {
        delete(&world, session).await;
        node.finish(session, EndReason::Deleted).await;
    }
    assert_eq!(world.store.usage(&organization, 0, world.now()).await?, expected);
    assert!(world.store.usage_record(&sessions[0].id).await?.is_none());
    assert_eq!(world.store.usage_record(&sessions[1].id).await?.unwrap().weight, None);
    let limits = CreateLimits { hours_ms: MINUTE as u64, ..UNLIMITED };
    assert!(world.store.create_session(&plain, limits, world.now()).await?.is_ok(), "minutes are no hours");
    world.is_whole().await;
    Ok(())
}

fn with_embed(change: impl FnOnce(&mut EmbedSpec)) -> BrowserSpec {
    let mut spec = embed_spec(15);
    change(spec.embed.as_mut().unwrap());
    spec
}

pub async fn a_clock_that_was_set_back_gives_nothing_away(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    world.store.grant_minutes(&organization, 45, "", world.now()).await?;
    let session = ready(&world, &organization, &node).await;
    world.pass(-60 * MINUTE);
    assert_eq!(delete(&world, &session).await, 14);
    node.finish(&session, EndReason::Deleted).await;
    let session = ready(&world, &organization, &node).await;
    world.pass(10 * MINUTE);
    world.pass(-30 * MINUTE);
    node.took(&session, StepKind::End { reason: EndReason::MaxDuration }).await;
    node.finish(&session, EndReason::MaxDuration).await;
    assert_eq!(balance(&world, &organization).await, (29, 0), "the machine's own clock says that its time was up");
    let session = ready(&world, &organization, &node).await;
    world.pass(10_000 * MINUTE);
    assert_eq!(delete(&world, &session).await, 0);
    assert_eq!(balance(&world, &organization).await, (14, 0));
    world.is_whole().await;
    Ok(())
}

pub async fn a_policy_is_changed_while_it_runs(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    world.store.grant_minutes(&organization, 100, "", world.now()).await?;
    let session = ready(&world, &organization, &node).await;
    let mut policy = Policy { version: 2, downloads: false, ..Policy::open(world.now()) };
    assert!(world.store.change_policy(&organization, &session.id, &policy).await?);
    assert_eq!(world.read(&session).await.embed().unwrap().policy, policy);
    assert!(matches!(world.store.change_policy(&organization, &session.id, &policy).await, Err(StoreError::Conflict)));
    policy.version = 3;
    let stranger = world.organization().await;
    assert!(!world.store.change_policy(&stranger, &session.id, &policy).await?);
    assert!(!world.store.change_policy(&organization, &world.session(&organization).await.id, &policy).await?);
    let assigned = world.store.assignments(&node.register.machine, node.epoch, &[]).await?.unwrap();
    assert_eq!(assigned[0].embed().unwrap().policy.version, 2, "as its node hears it after a restart");
    delete(&world, &session).await;
    assert!(!world.store.change_policy(&organization, &session.id, &policy).await?, "it is ending");
    Ok(())
}
