//! Making sessions, and the limits that forbid it.

use crate::Outcome;
use crate::world::{MINUTE, UNLIMITED, World, entropy, perhaps, spec};
use tokio::task::JoinSet;
use vitrine_model::wire::{StepKind, Workload};
use vitrine_model::*;
use vitrine_store::*;

pub async fn a_plan_limits_what_is_open(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let limits = CreateLimits { concurrent: 2, ..UNLIMITED };
    let node = world.machine(4).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(world.store.create_session(&world.new_session(&ours, spec()), limits, world.now()).await?.unwrap());
    }
    world.pass(1);
    let third = world.new_session(&ours, spec());
    assert_eq!(world.store.create_session(&third, limits, world.now()).await?.err(), Some(Refused::Concurrency));
    assert!(world.store.create_session(&world.new_session(&theirs, spec()), limits, world.now()).await?.is_ok());

    let session = world.assigned().await;
    node.took(&session, StepKind::Ready).await;
    world.store.request_end(&session.id, Some(&ours), EndReason::Deleted, world.now()).await?;
    assert_eq!(world.status(&session).await, Status::Ending);
    assert!(world.store.create_session(&third, limits, world.now()).await?.is_ok(), "what is ending holds no place");

    let nobody = world.new_session(&OrganizationId::new(0, &entropy), spec());
    assert!(matches!(
        world.store.create_session(&nobody, limits, world.now()).await,
        Err(StoreError::Missing("organization"))
    ));
    world.is_whole().await;
    Ok(())
}

pub async fn a_plan_limits_the_hours(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let limits = CreateLimits { hours_ms: 2 * MINUTE as u64, ..UNLIMITED };
    let session = world.ready(&organization, &node).await;
    world.pass(2 * MINUTE - 1);
    let new = world.new_session(&organization, spec());
    assert!(world.store.create_session(&new, limits, world.now()).await?.is_ok());
    world.pass(1);
    let new = world.new_session(&organization, spec());
    assert_eq!(world.store.create_session(&new, limits, world.now()).await?.err(), Some(Refused::Hours), "running");
    node.finish(&session, EndReason::Idle).await;
    assert_eq!(world.store.create_session(&new, limits, world.now()).await?.err(), Some(Refused::Hours), "ended");
    let next_day = CreateLimits { period_start: world.now() + 86_400_000, ..limits };
    assert!(world.store.create_session(&new, next_day, world.now()).await?.is_ok());
    Ok(())
}

pub async fn a_profile_has_one_session(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let with_profile = |organization: &OrganizationId| NewSession {
        profile_key: Some("shop".to_owned()),
        ..world.new_session(organization, spec())
    };
    let first = world.create(&with_profile(&ours)).await;
    let refused = world.store.create_session(&with_profile(&ours), UNLIMITED, world.now()).await?.err();
    assert_eq!(refused, Some(Refused::ProfileInUse));
    world.create(&with_profile(&theirs)).await;
    world.store.request_end(&first.id, None, EndReason::Deleted, world.now()).await?;
    world.create(&with_profile(&ours)).await;
    Ok(())
}

pub async fn parallel_creates_stop_at_the_limit(world: World) -> Outcome {
    let organization = world.organization().await;
    let limits = CreateLimits { concurrent: 25, ..UNLIMITED };
    let mut tasks = JoinSet::new();
    let second = world.second_store().await;
    for number in 0..200 {
        let store = if number % 2 == 0 { world.store.clone() } else { second.clone() };
        let (new, now) = (world.new_session(&organization, spec()), world.now());
        tasks.spawn(async move { store.create_session(&new, limits, now).await });
    }
    let outcomes = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 25);
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(|why| *why == Refused::Concurrency)));
    assert_eq!(world.store.active_sessions(&organization, Kind::Browser, 1_000).await?.len(), 25);
    second.close().await;
    Ok(())
}

pub async fn everything_asked_for_is_stored(world: World) -> Outcome {
    let organization = world.organization().await;
    let asked = BrowserSpec {
        weight: Weight::Heavy,
        isolation: Isolation::Dedicated,
        egress_profile: EgressProfile::ByoProxy,
        proxy: Some(Proxy {
            protocol: ProxyProtocol::Socks5,
            host: "proxy.test".to_owned(),
            port: 1080,
            username: Some(Secret::new("someone")),
            password: Some(Secret::new("hunter2 'quoted' \" ; --")),
        }),
        max_duration_ms: 1_800_000,
        idle_timeout_ms: 0,
        region: Some("fra".to_owned()),
        stealth: true,
        recording: true,
        captcha: true,
        har: Some(HarSpec { secrets_kept: true, body_bytes_max: 7 }),
        profile_key: None,
        embed: None,
    };
    let made = world.create(&world.new_session(&organization, asked.clone())).await;
    let read = world.read(&made).await;
    assert_eq!(read.browser(), Some(&asked));
    assert_eq!(format!("{made:?}"), format!("{read:?}"), "what is answered is what is stored");
    assert!(!format!("{read:?}").contains("hunter2"));
    assert!(matches!(read.workload, Workload::Browser(_)));
    assert!(world.store.session_of(&world.organization().await, &made.id).await?.is_none());
    assert!(world.store.session_of(&organization, &made.id).await?.is_some());

    world.pass(1);
    let younger = world.create(&world.new_session(&organization, spec())).await;
    let listed = world.store.active_sessions(&organization, Kind::Browser, 1).await?;
    assert_eq!(listed.iter().map(|session| &session.id).collect::<Vec<_>>(), [&younger.id], "newest first");
    assert!(world.store.active_sessions(&organization, Kind::Sandbox, 10).await?.is_empty());
    Ok(())
}

/// A client that hangs up, or a program that dies, at any statement: whoever gets the connection next writes for everybody.
pub async fn who_goes_away_leaves_no_transaction_behind(world: World) -> Outcome {
    let organization = world.organization().await;
    let second = world.second_store().await;
    for waits in 0..40 {
        perhaps(Some(waits), world.store.grant_minutes(&organization, 1, "", world.now())).await;
        let plan = if waits % 2 == 0 { Plan::Pro } else { Plan::Builder };
        for _ in 0..8 {
            world.store.set_plan(&organization, plan).await?;
            assert_eq!(second.organization(&organization).await?.unwrap().plan, plan, "after {waits} waits");
        }
    }
    second.close().await;
    world.is_whole().await;
    Ok(())
}
