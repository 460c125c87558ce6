//! The steps of a session's life, and who may take them.

use crate::Outcome;
use crate::world::{SECOND, World};
use vitrine_model::wire::{EgressBytes, StepAnswer, StepKind};
use vitrine_model::*;
use vitrine_store::ATTEMPTS_MAX;

const NOTHING: EgressBytes = EgressBytes { bytes_in: 0, bytes_out: 0 };

fn not_started(reason: SchedulingReason) -> StepKind {
    StepKind::NotStarted { reason, message: "no such luck".to_owned() }
}

pub async fn a_session_lives_and_ends(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.session(&organization).await;
    assert_eq!((session.generation, session.run), (0, None));
    let session = world.assigned().await;
    assert_eq!((session.status, session.generation, session.attempts), (Status::Assigning, 1, 1));
    assert_eq!(session.machine.as_ref(), Some(&node.register.machine));
    assert_eq!((node.seen().await.slots_used, node.seen().await.reserve_used_mb), (1, 96));
    world.pass(SECOND);
    let ready_at = world.now();
    let (answer, session) = node.step(&session, StepKind::Ready).await;
    assert_eq!(answer, StepAnswer::Taken { expires_at: Some(ready_at + 300_000) });
    let session = session.unwrap();
    assert_eq!((session.started_at, session.step_deadline), (Some(ready_at), None));
    assert_eq!(node.took(&session, StepKind::Activate).await.status, Status::Active);
    assert_eq!(node.took(&session, StepKind::Deactivate).await.status, Status::Ready);
    let ending = node.took(&session, StepKind::End { reason: EndReason::Idle }).await;
    assert_eq!((ending.status, ending.desired), (Status::Ending, Desired::End));
    world.pass(SECOND);
    let ended = node.finish(&session, EndReason::MaxDuration).await;
    assert_eq!((ended.status, ended.end_reason), (Status::Ended, Some(EndReason::Idle)), "the first reason stands");
    assert_eq!((ended.duration_ms(), ended.egress.bytes_out), (Some(SECOND as u64), 20));
    assert_eq!(format!("{ended:?}"), format!("{:?}", world.read(&session).await));
    assert_eq!((node.seen().await.slots_used, node.seen().await.reserve_used_mb), (0, 0));
    let happened = world.happened(&session).await;
    let words = ["created", "assigned", "ready", "active", "ready", "ending", "ended"];
    assert_eq!(happened, words.map(|word| format!("session.{word}")));
    world.is_whole().await;
    Ok(())
}

pub async fn a_repeated_step_changes_nothing(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.ready(&organization, &node).await;
    world.pass(SECOND);
    for what in [StepKind::Ready, StepKind::Activate, StepKind::Activate, StepKind::Ready] {
        let (answer, _) = node.step(&session, what).await;
        assert_eq!(answer, StepAnswer::Taken { expires_at: session.expires_at });
    }
    for what in [StepKind::Deactivate, StepKind::Deactivate] {
        node.took(&session, what).await;
    }
    for reason in [EndReason::Idle, EndReason::MaxDuration] {
        let ending = node.took(&session, StepKind::End { reason }).await;
        assert_eq!(ending.end_reason, Some(EndReason::Idle));
    }
    node.finish(&session, EndReason::Idle).await;
    node.refused(&session, StepKind::Finish { reason: EndReason::Idle, egress: NOTHING }).await;
    let happened = world.happened(&session).await;
    assert_eq!(happened.len(), 7, "{happened:?}");
    Ok(())
}

pub async fn a_step_of_another_owner_is_refused(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.ready(&organization, &node).await;
    let other = world.machine(2).await;
    let kinds = [
        StepKind::Ready,
        StepKind::Activate,
        StepKind::End { reason: EndReason::Idle },
        StepKind::Finish { reason: EndReason::Idle, egress: NOTHING },
        StepKind::Fail { reason: EndReason::BrowserCrashed, message: String::new(), egress: NOTHING },
        not_started(SchedulingReason::StartFailed),
    ];
    for what in kinds {
        other.refused(&session, what.clone()).await;
        let right = node.step_for(&session, what);
        let mut wrong = vec![right.clone(); 4];
        wrong[0].epoch += 1;
        wrong[1].generation += 1;
        wrong[2].run = world.run();
        wrong[3].session = SessionId::new(0, &crate::world::entropy);
        for step in wrong {
            assert_eq!(world.store.step(&step, world.now()).await?.0, StepAnswer::NotYours);
        }
    }
    assert_eq!(format!("{:?}", world.read(&session).await), format!("{session:?}"));
    Ok(())
}

pub async fn an_end_that_was_asked_for_wins(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let node = world.machine(4).await;
    world.session(&ours).await;
    let session = world.assigned().await;
    assert!(world.store.request_end(&session.id, Some(&theirs), EndReason::Deleted, world.now()).await?.is_none());
    for reason in [EndReason::Deleted, EndReason::ServerShutdown] {
        let asked = world.store.request_end(&session.id, Some(&ours), reason, world.now()).await?.unwrap();
        assert_eq!((asked.status, asked.end_reason), (Status::Ending, Some(EndReason::Deleted)));
    }
    // It was being started: the node hears of the end only after it said ready.
    let late = node.took(&session, StepKind::Ready).await;
    assert_eq!((late.status, late.started_at), (Status::Ending, None));
    let ended = node.finish(&session, EndReason::Idle).await;
    assert_eq!((ended.end_reason, ended.duration_ms()), (Some(EndReason::Deleted), Some(0)));
    assert!(world.store.usage_record(&session.id).await?.is_none(), "it never ran");
    assert_eq!(
        world.store.request_end(&session.id, None, EndReason::Idle, world.now()).await?.unwrap().end_reason,
        Some(EndReason::Deleted),
    );

    let session = world.ready(&ours, &node).await;
    world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await?;
    let fail = StepKind::Fail { reason: EndReason::BrowserCrashed, message: "signal 9".to_owned(), egress: NOTHING };
    let ended = node.took(&session, fail).await;
    assert_eq!((ended.status, ended.end_reason, ended.error), (Status::Ended, Some(EndReason::Deleted), None));

    world.session(&ours).await;
    let session = world.assigned().await;
    world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await?;
    assert_eq!(node.took(&session, not_started(SchedulingReason::StartFailed)).await.status, Status::Ended);
    world.is_whole().await;
    Ok(())
}

pub async fn a_queued_session_ends_at_once(world: World) -> Outcome {
    let organization = world.organization().await;
    let session = world.session(&organization).await;
    let ended = world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await?.unwrap();
    assert_eq!((ended.status, ended.ended_at), (Status::Ended, Some(world.now())));
    assert_eq!(world.happened(&session).await, ["session.created", "session.ended"]);
    world.machine(1).await;
    assert!(matches!(world.place().await, vitrine_store::Placed::Nothing));
    assert!(
        world
            .store
            .request_end(&SessionId::new(0, &crate::world::entropy), None, EndReason::Deleted, 0)
            .await?
            .is_none()
    );
    Ok(())
}

pub async fn a_proxy_is_forgotten_at_the_end(world: World) -> Outcome {
    let organization = world.organization().await;
    let proxy = Proxy {
        protocol: ProxyProtocol::Socks5,
        host: "proxy.test".to_owned(),
        port: 1080,
        username: Some(Secret::new("name")),
        password: Some(Secret::new("word")),
    };
    let spec = BrowserSpec { proxy: Some(proxy), egress_profile: EgressProfile::ByoProxy, ..crate::world::spec() };
    let session = world.create(&world.new_session(&organization, spec.clone())).await;
    assert_eq!(world.read(&session).await.browser(), Some(&spec));
    world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await?;
    assert_eq!(world.read(&session).await.browser(), Some(&BrowserSpec { proxy: None, ..spec }));
    Ok(())
}

pub async fn a_node_may_finish_without_ending_first(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.ready(&organization, &node).await;
    node.took(&session, StepKind::Activate).await;
    let ended = node.finish(&session, EndReason::ClosedByClient).await;
    assert_eq!((ended.status, ended.end_reason), (Status::Ended, Some(EndReason::ClosedByClient)));
    let happened = world.happened(&session).await;
    assert_eq!(happened[happened.len() - 2..], ["session.ending", "session.ended"]);
    Ok(())
}

pub async fn a_failure_has_its_reason(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.ready(&organization, &node).await;
    let egress = EgressBytes { bytes_in: 5, bytes_out: 6 };
    let message = "the browser was killed at 512 MiB".to_owned();
    let failed = node.took(&session, StepKind::Fail { reason: EndReason::OutOfMemory, message, egress }).await;
    let error = failed.error.as_ref().unwrap();
    assert_eq!((failed.status, failed.egress), (Status::Failed, egress));
    assert_eq!((error.code.as_str(), error.reason.as_str()), ("OUT_OF_MEMORY", "out_of_memory"));
    let last = world.store.events_after(0, 100).await?.pop().unwrap();
    assert_eq!((last.name.as_str(), last.at), ("session.failed", world.now()));
    assert_eq!(last.data["error"]["message"], "the browser was killed at 512 MiB");
    assert_eq!(last.data["previous"], "ready");
    assert_eq!(world.read(&session).await.error, failed.error);
    world.is_whole().await;
    Ok(())
}

pub async fn a_start_is_tried_four_times(world: World) -> Outcome {
    let organization = world.organization().await;
    let (a, b) = (world.machine(2).await, world.machine(2).await);
    let session = world.session(&organization).await;
    let mut machines = Vec::new();
    for attempt in 1..=ATTEMPTS_MAX {
        let assigned = world.assigned().await;
        assert_eq!((assigned.attempts, assigned.generation), (attempt, attempt));
        let node = if assigned.machine.as_ref() == Some(&a.register.machine) { &a } else { &b };
        machines.push(assigned.machine.clone());
        let after = node.took(&assigned, not_started(SchedulingReason::ImageMissing)).await;
        let expected = if attempt < ATTEMPTS_MAX { Status::Queued } else { Status::Failed };
        assert_eq!(after.status, expected);
        assert!(after.not_before - world.now() <= 1_000 && (attempt > 1 || after.not_before == world.now()));
        node.refused(&assigned, StepKind::Ready).await;
        world.pass(SECOND);
    }
    assert!(machines.windows(2).all(|pair| pair[0] != pair[1]), "another machine each time: {machines:?}");
    let failed = world.read(&session).await;
    assert_eq!(failed.end_reason, Some(EndReason::SchedulingFailed));
    let error = failed.error.unwrap();
    assert_eq!((error.code.as_str(), error.reason.as_str()), ("SCHEDULING_FAILED", "image_missing"));
    assert_eq!(error.message, "no such luck");
    world.is_whole().await;
    Ok(())
}

pub async fn what_is_the_same_everywhere_fails_at_once(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    for reason in [SchedulingReason::EgressUnavailable, SchedulingReason::RegionUnavailable] {
        world.session(&organization).await;
        let session = world.assigned().await;
        let failed = node.took(&session, not_started(reason)).await;
        assert_eq!((failed.status, failed.error.unwrap().reason.as_str()), (Status::Failed, reason.as_str()));
    }
    let session = world.ready(&organization, &node).await;
    let failed = node.took(&session, not_started(SchedulingReason::StartFailed)).await;
    assert_eq!(failed.end_reason, Some(EndReason::ProcessLost), "it was ready: it is never placed again");
    Ok(())
}
