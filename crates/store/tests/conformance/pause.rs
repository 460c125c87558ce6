//! Pausing, moving to disk, resuming.

use crate::Outcome;
use crate::world::{LEASE, MINUTE, RESERVE_MB, SECOND, UNLIMITED, World, sandbox_spec, spec};
use tokio::task::JoinSet;
use vitrine_model::wire::{EgressBytes, Known, StepAnswer, StepKind, Traffic};
use vitrine_model::*;
use vitrine_store::*;

const NOTHING: EgressBytes = EgressBytes { bytes_in: 0, bytes_out: 0 };
const STORED: StepKind = StepKind::Stored { egress: NOTHING };

fn not_now(status: Status) -> Option<NotResumed> {
    Some(NotResumed::State(NotNow { status, transition: Transition::Resume }))
}

pub async fn a_sandbox_pauses_and_resumes(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let session = world.sandbox(&organization, &node).await;
    node.took(&session, StepKind::Activate).await;
    world.pass(MINUTE);
    let pausing = world.store.request_pause(&session.id, Some(&organization), world.now()).await?.unwrap()?;
    assert_eq!((pausing.status, pausing.desired), (Status::Pausing, Desired::Pause));
    let heard = world.store.assignments(&node.register.machine, node.epoch, &[]).await?.unwrap();
    assert_eq!(heard[0].desired, Desired::Pause);
    assert_eq!(node.took(&session, StepKind::Deactivate).await.status, Status::Pausing, "it is being frozen");
    let paused = node.took(&session, StepKind::Paused).await;
    assert_eq!((paused.status, paused.expires_at, paused.paused_at), (Status::Paused, None, Some(world.now())));
    assert_eq!(node.seen().await.slots_used, 1, "a frozen one keeps its memory");

    let before = world.store.usage(&organization, 0, world.now()).await?;
    assert_eq!((before.sandbox_ms, before.total_sessions), (MINUTE as u64, 1));
    world.pass(20 * MINUTE);
    world.beat(&node.register.machine, node.epoch).await;
    assert!(world.store.end_expired(world.now()).await?.is_empty(), "its time stands still");
    assert_eq!(world.store.usage(&organization, 0, world.now()).await?, before, "and is not counted");
    let asked = world.resume(&paused).await.unwrap();
    assert_eq!((asked.status, asked.desired), (Status::Paused, Desired::Resume));
    let known = [Known { session: session.id.clone(), generation: session.generation, desired: Desired::Pause }];
    let heard = world.store.assignments(&node.register.machine, node.epoch, &known).await?.unwrap();
    assert_eq!((heard.len(), heard[0].desired), (1, Desired::Resume));
    let (answer, resumed) = node.step(&session, StepKind::Resumed).await;
    let expires_at = session.expires_at.map(|at| at + 20 * MINUTE);
    assert_eq!(answer, StepAnswer::Taken { expires_at });
    let resumed = resumed.unwrap();
    assert_eq!((resumed.status, resumed.expires_at, resumed.paused_at), (Status::Ready, expires_at, None));
    assert_eq!(resumed.run, session.run, "the same processes");

    world.pass(MINUTE);
    let ended = node.finish(&resumed, EndReason::Deleted).await;
    assert_eq!(ended.duration_ms(), Some(2 * MINUTE as u64));
    assert_eq!(world.store.usage(&organization, 0, world.now()).await?.sandbox_ms, 2 * MINUTE as u64);
    let last = world.store.events_after(0, 100).await?.pop().unwrap();
    assert_eq!((last.name.as_str(), last.data["durationMs"].as_i64()), ("sandbox.ended", Some(2 * MINUTE)));
    let words = ["created", "assigned", "ready", "active", "pausing", "paused", "resumed", "ending", "ended"];
    assert_eq!(world.happened(&session).await, words.map(|word| format!("sandbox.{word}")));
    world.is_whole().await;
    Ok(())
}

pub async fn a_paused_sandbox_moves_to_disk_and_back(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(1).await;
    let session = world.stored(&organization, &node).await;
    assert_eq!((session.status, session.stored, session.egress.bytes_out), (Status::Paused, true, 200));
    assert_eq!((node.seen().await.slots_used, node.seen().await.reserve_used_mb), (0, 0));
    let machine = &node.register.machine;
    assert!(world.store.assignments(machine, node.epoch, &[]).await?.unwrap().is_empty(), "nothing to do");
    assert_eq!(node.took(&session, STORED).await.egress.bytes_out, 200, "repeated");
    world.is_whole().await;

    world.pass(3 * MINUTE);
    world.beat(machine, node.epoch).await;
    let started = world.resume(&session).await.unwrap();
    assert_eq!((started.status, started.desired, started.stored), (Status::Assigning, Desired::Run, false));
    assert_eq!((started.generation, started.machine.as_ref()), (2, Some(machine)));
    assert!(started.run != session.run && started.step_deadline.is_some() && started.expires_at.is_none());
    assert_eq!((node.seen().await.slots_used, node.seen().await.reserve_used_mb), (1, RESERVE_MB));
    assert_eq!(world.resume(&session).await.unwrap().run, started.run, "asked already");
    node.refused(&session, StepKind::Ready).await;
    world.pass(SECOND);
    let ready = node.took(&started, StepKind::Ready).await;
    assert_eq!((ready.status, ready.started_at), (Status::Ready, session.started_at));
    assert_eq!(ready.paused_ms, 3 * MINUTE + SECOND, "the start does not count either");
    assert_eq!(ready.expires_at, session.started_at.map(|at| at + 5 * MINUTE + ready.paused_ms));
    let happened = world.happened(&session).await;
    assert_eq!(happened[happened.len() - 3..], ["paused", "assigned", "resumed"].map(|word| format!("sandbox.{word}")));
    // Again, and then it ends.
    world.store.request_pause(&session.id, None, world.now()).await?.unwrap()?;
    node.took(&ready, StepKind::Paused).await;
    node.took(&ready, STORED).await;
    let again = world.resume(&session).await.unwrap();
    let again = node.took(&again, StepKind::Ready).await;
    assert_eq!(again.generation, 3);
    world.pass(SECOND);
    let ended = node.finish(&again, EndReason::Deleted).await;
    assert_eq!(ended.duration_ms(), Some(SECOND as u64));
    assert!(format!("{:?}", world.read(&session).await.sandbox()).contains("env: {}"), "secrets are forgotten");
    world.is_whole().await;
    Ok(())
}

pub async fn pausing_has_its_states(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let node = world.machine(4).await;
    let browser = world.ready(&ours, &node).await;
    assert!(world.store.request_pause(&browser.id, None, world.now()).await?.is_none(), "browsers do not pause");
    let created = world.create(&world.new_sandbox(&ours, sandbox_spec())).await;
    let pause = async |session: &Session| world.store.request_pause(&session.id, Some(&ours), world.now()).await;
    assert_eq!(pause(&created).await?.unwrap().err().map(|not| not.status), Some(Status::Queued));
    let session = world.assigned().await;
    assert_eq!(pause(&session).await?.unwrap().err().map(|not| not.status), Some(Status::Assigning));
    assert_eq!(world.resume(&session).await.err(), not_now(Status::Assigning));
    node.took(&session, StepKind::Ready).await;
    assert_eq!(world.resume(&session).await.err(), not_now(Status::Ready));
    assert!(world.store.request_pause(&session.id, Some(&theirs), world.now()).await?.is_none());
    for _ in 0..2 {
        assert_eq!(pause(&session).await?.unwrap()?.status, Status::Pausing);
    }
    assert_eq!(world.resume(&session).await.err(), not_now(Status::Pausing));
    // The node could not freeze it.
    let running = node.took(&session, StepKind::Resumed).await;
    assert_eq!((running.status, running.desired, running.paused_ms), (Status::Ready, Desired::Resume, 0));
    assert_eq!(running.expires_at, running.started_at.map(|at| at + 5 * MINUTE));
    pause(&session).await?.unwrap()?;
    for _ in 0..2 {
        node.took(&session, StepKind::Paused).await;
    }
    assert_eq!(pause(&session).await?.unwrap()?.status, Status::Paused);
    assert_eq!(node.took(&session, StepKind::Resumed).await.status, Status::Paused, "nobody asked for that");
    for _ in 0..2 {
        assert_eq!(world.resume(&session).await.unwrap().desired, Desired::Resume);
    }
    assert_eq!(pause(&session).await?.unwrap().err().map(|not| not.status), Some(Status::Paused), "it is resuming");
    for _ in 0..2 {
        assert_eq!(node.took(&session, StepKind::Resumed).await.status, Status::Ready);
    }
    // It ends while it is frozen; what the node did in between does not matter.
    pause(&session).await?.unwrap()?;
    node.took(&session, StepKind::Paused).await;
    world.pass(MINUTE);
    world.store.request_end(&session.id, None, EndReason::Deleted, world.now()).await?;
    for what in [StepKind::Paused, STORED, StepKind::Resumed] {
        assert_eq!(node.took(&session, what).await.status, Status::Ending);
    }
    let ended = node.finish(&session, EndReason::Deleted).await;
    assert_eq!((ended.duration_ms(), ended.paused_ms), (Some(0), MINUTE));
    assert_eq!(world.resume(&session).await.err(), not_now(Status::Ended));
    world.is_whole().await;
    Ok(())
}

pub async fn limits_hold_at_resume(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(8).await;
    let limits = CreateLimits { concurrent: 2, ..UNLIMITED };
    let frozen = world.frozen(&organization, &node).await;
    let stored = world.stored(&organization, &node).await;
    for _ in 0..2 {
        let new = world.new_sandbox(&organization, sandbox_spec());
        assert!(world.store.create_session(&new, limits, world.now()).await?.is_ok(), "paused ones hold no place");
    }
    for session in [&frozen, &stored] {
        let refused = world.resume_within(session, limits).await.err();
        assert_eq!(refused, Some(NotResumed::Limit(Refused::Concurrency)));
        assert_eq!(world.read(session).await.desired, Desired::Pause);
    }
    let one_more = CreateLimits { concurrent: 3, ..UNLIMITED };
    assert!(world.resume_within(&frozen, one_more).await.is_ok());
    let refused = world.resume_within(&stored, one_more).await.err();
    assert_eq!(refused, Some(NotResumed::Limit(Refused::Concurrency)), "one that is being resumed holds its place");
    let hours = CreateLimits { hours_ms: 0, ..UNLIMITED };
    assert_eq!(world.resume_within(&stored, hours).await.err(), Some(NotResumed::Limit(Refused::Hours)));
    assert!(world.resume(&stored).await.is_ok());
    world.is_whole().await;
    Ok(())
}

pub async fn what_is_on_disk_starts_on_its_machine_alone(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(1).await;
    let stored = world.stored(&organization, &node).await;
    // Somebody has the place now.
    let guest = world.ready(&organization, &node).await;
    let other = world.machine(4).await;
    assert_eq!(world.resume(&stored).await.err(), Some(NotResumed::NoRoom));
    node.finish(&guest, EndReason::Deleted).await;
    world.store.set_draining(&node.register.machine, true).await?;
    assert_eq!(world.resume(&stored).await.err(), Some(NotResumed::NoRoom), "it is to be empty");
    world.store.set_draining(&node.register.machine, false).await?;
    world.pass(16 * SECOND);
    world.beat(&other.register.machine, other.epoch).await;
    assert_eq!(world.resume(&stored).await.err(), Some(NotResumed::NoRoom), "it has not beaten");
    world.store.register_machine(&node.register, world.now(), LEASE).await?;
    assert_eq!(world.resume(&stored).await.err(), Some(NotResumed::NoRoom), "it does not say that it is ready");
    node.epoch = world.join(&node.register).await.epoch;
    let started = world.resume(&stored).await.unwrap();
    assert_eq!((started.machine_epoch, &started.machine), (node.epoch, &stored.machine));
    node.took(&started, StepKind::Ready).await;
    world.is_whole().await;
    Ok(())
}

pub async fn a_failed_start_from_disk_keeps_it(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(2).await;
    let stored = world.stored(&organization, &node).await;
    for reason in [SchedulingReason::StartFailed, SchedulingReason::EgressUnavailable, SchedulingReason::NoCapacity] {
        let started = world.resume(&stored).await.unwrap();
        let back = node.took(&started, StepKind::NotStarted { reason, message: "no".to_owned() }).await;
        assert_eq!((back.status, back.stored, back.desired), (Status::Paused, true, Desired::Pause));
        assert_eq!((back.paused_at, node.seen().await.slots_used), (stored.paused_at, 0));
        node.refused(&stored, StepKind::Ready).await;
        world.is_whole().await;
    }
    world.resume(&stored).await.unwrap();
    world.pass(PlaceOptions::default().start_ms);
    assert_eq!(world.store.requeue_overdue(world.now()).await?[0].status, Status::Paused);
    world.beat(&node.register.machine, node.epoch).await;
    let started = world.resume(&stored).await.unwrap();
    let registration = node.restart("boot-1", &[&started]).await;
    assert_eq!((registration.adopted.len(), registration.dropped.len()), (0, 1), "a start is not adopted");
    assert_eq!(registration.stored, std::slice::from_ref(&stored.id));
    assert_eq!(world.status(&stored).await, Status::Paused);
    // It is asked to end while it starts.
    let started = world.resume(&stored).await.unwrap();
    world.store.request_end(&stored.id, None, EndReason::Deleted, world.now()).await?;
    let what = StepKind::NotStarted { reason: SchedulingReason::StartFailed, message: String::new() };
    assert_eq!(node.took(&started, what).await.status, Status::Ended);
    // The disk is gone: that is no failed start.
    let stored = world.stored(&organization, &node).await;
    let started = world.resume(&stored).await.unwrap();
    let message = "its disk is missing".to_owned();
    let failed = StepKind::Fail { reason: EndReason::ProcessLost, message, egress: NOTHING };
    assert_eq!(node.took(&started, failed).await.status, Status::Failed);
    assert_eq!(node.seen().await.slots_used, 0);
    world.is_whole().await;
    Ok(())
}

pub async fn a_restarted_node_keeps_frozen_and_stored_ones(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(8).await;
    let frozen = world.frozen(&organization, &node).await;
    let gone = world.frozen(&organization, &node).await;
    let stored = world.stored(&organization, &node).await;
    let pausing = world.sandbox(&organization, &node).await;
    world.store.request_pause(&pausing.id, None, world.now()).await?.unwrap()?;
    let registration = node.restart("boot-1", &[&frozen, &pausing, &stored]).await;
    let adopted: Vec<_> = registration.adopted.iter().map(|session| (session.id.clone(), session.desired)).collect();
    assert_eq!(adopted, [(frozen.id.clone(), Desired::Pause), (pausing.id.clone(), Desired::Pause)]);
    assert_eq!(registration.stored, std::slice::from_ref(&stored.id));
    let dropped: Vec<_> = registration.dropped.iter().map(|session| &session.id).collect();
    assert_eq!(dropped, [&gone.id]);
    assert_eq!(world.read(&gone).await.end_reason, Some(EndReason::ProcessLost));
    assert_eq!(node.took(&pausing, StepKind::Paused).await.status, Status::Paused);
    assert_eq!(world.read(&stored).await.machine_epoch, node.epoch);
    world.is_whole().await;
    // A boot ends what is frozen, and leaves the disks.
    let registration = node.restart("boot-2", &[]).await;
    assert_eq!((registration.stored.as_slice(), registration.dropped.len()), (&[stored.id.clone()][..], 2));
    assert_eq!(world.read(&frozen).await.end_reason, Some(EndReason::MachineRestarted));
    let started = world.resume(&stored).await.unwrap();
    node.took(&started, StepKind::Ready).await;
    world.is_whole().await;
    Ok(())
}

pub async fn a_lost_machine_keeps_its_disks(world: World) -> Outcome {
    let organization = world.organization().await;
    let mut node = world.machine(8).await;
    let frozen = world.frozen(&organization, &node).await;
    let (stored, starting) = (world.stored(&organization, &node).await, world.stored(&organization, &node).await);
    let (deleted, ending) = (world.stored(&organization, &node).await, world.stored(&organization, &node).await);
    let starting = world.resume(&starting).await.unwrap();
    world.store.request_end(&ending.id, None, EndReason::Deleted, world.now()).await?;
    world.store.reap(ReapOptions::default(), world.now()).await?;
    for _ in 0..=LEASE / SECOND {
        world.pass(SECOND);
        world.store.reap(ReapOptions::default(), world.now()).await?;
    }
    assert_eq!(node.seen().await.state, MachineState::Lost);
    assert_eq!(world.read(&frozen).await.end_reason, Some(EndReason::MachineLost));
    for session in [&stored, &starting] {
        let session = world.read(session).await;
        assert_eq!((session.status, session.stored), (Status::Paused, true));
        assert_eq!(world.resume(&session).await.err(), Some(NotResumed::NoRoom));
    }
    assert_eq!(world.status(&ending).await, Status::Ended, "nobody is there to end it");
    let ended = world.store.request_end(&deleted.id, None, EndReason::Deleted, world.now()).await?.unwrap();
    assert_eq!((ended.status, ended.duration_ms()), (Status::Ended, Some(0)));
    world.is_whole().await;
    let registration = node.restart("boot-1", &[]).await;
    assert_eq!(registration.stored, [stored.id.clone(), starting.id.clone()], "every other disk is to go");
    let started = world.resume(&stored).await.unwrap();
    node.took(&started, StepKind::Ready).await;
    world.is_whole().await;
    Ok(())
}

pub async fn a_stored_sandbox_ends(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let stored = world.stored(&organization, &node).await;
    world.pass(MINUTE);
    let ending = world.store.request_end(&stored.id, None, EndReason::Deleted, world.now()).await?.unwrap();
    assert_eq!((ending.status, ending.stored), (Status::Ending, true));
    let heard = world.store.assignments(&node.register.machine, node.epoch, &[]).await?.unwrap();
    assert_eq!((heard.len(), heard[0].desired), (1, Desired::End), "its disk is to go");
    world.is_whole().await;
    let ended = node.took(&stored, StepKind::Finish { reason: EndReason::Deleted, egress: NOTHING }).await;
    assert_eq!((ended.status, ended.stored, ended.duration_ms()), (Status::Ended, false, Some(0)));
    assert_eq!((ended.egress.bytes_in, node.seen().await.slots_used), (100, 0));
    world.is_whole().await;
    Ok(())
}

pub async fn what_nobody_resumes_ends(world: World) -> Outcome {
    const DAYS_30: i64 = 30 * 24 * 60 * MINUTE;
    let organization = world.organization().await;
    let node = world.machine(4).await;
    let (frozen, stored) = (world.frozen(&organization, &node).await, world.stored(&organization, &node).await);
    let away = world.machine(4).await;
    world.store.set_draining(&node.register.machine, true).await?;
    let unreachable = world.stored(&organization, &away).await;
    world.store.set_draining(&node.register.machine, false).await?;
    for _ in 0..=LEASE / SECOND {
        world.store.reap(ReapOptions::default(), world.now()).await?;
        world.pass(SECOND);
        world.beat(&node.register.machine, node.epoch).await;
    }
    world.store.reap(ReapOptions::default(), world.now()).await?;
    assert_eq!(away.seen().await.state, MachineState::Lost);
    world.pass(DAYS_30 - MINUTE);
    assert!(world.store.end_long_paused(world.now() - DAYS_30, world.now()).await?.is_empty());
    world.pass(MINUTE);
    let ended = world.store.end_long_paused(world.now() - DAYS_30, world.now()).await?;
    assert_eq!(ended.len(), 3);
    assert!(world.store.end_long_paused(world.now() - DAYS_30, world.now()).await?.is_empty());
    for session in [&frozen, &stored] {
        let session = world.read(session).await;
        assert_eq!((session.status, session.end_reason), (Status::Ending, Some(EndReason::Idle)));
        assert_eq!(node.finish(&session, EndReason::Idle).await.duration_ms(), Some(0));
    }
    assert_eq!(world.status(&unreachable).await, Status::Ended);
    world.is_whole().await;
    Ok(())
}

pub async fn a_stored_sandbox_keeps_nobody_out(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let node = world.machine(2).await;
    let stored = world.stored(&ours, &node).await;
    let dedicated = BrowserSpec { isolation: Isolation::Dedicated, ..spec() };
    world.create(&world.new_session(&theirs, dedicated)).await;
    let guest = node.took(&world.assigned().await, StepKind::Ready).await;
    world.is_whole().await;
    assert_eq!(world.resume(&stored).await.err(), Some(NotResumed::NoRoom), "the machine is another's own now");
    node.finish(&guest, EndReason::Deleted).await;
    assert!(world.resume(&stored).await.is_ok());
    world.is_whole().await;
    Ok(())
}

pub async fn traffic_of_all_runs_is_counted(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let stored = world.stored(&organization, &node).await;
    let started = world.resume(&stored).await.unwrap();
    let started = node.took(&started, StepKind::Ready).await;
    let bytes = EgressBytes { bytes_in: 5, bytes_out: 6 };
    let beat = |generation| [Traffic { session: stored.id.clone(), generation, bytes }];
    for generation in [1, 2, 2] {
        world.store.beat(&node.register.machine, node.epoch, None, &beat(generation), world.now(), LEASE).await?;
    }
    let egress = world.read(&stored).await.egress;
    assert_eq!((egress.bytes_in, egress.bytes_out), (105, 206));
    let ended = node.finish(&started, EndReason::Deleted).await;
    assert_eq!((ended.egress.bytes_in, ended.egress.bytes_out), (110, 220));
    Ok(())
}

pub async fn resumes_at_once_stop_at_the_limit(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(12).await;
    let limits = CreateLimits { concurrent: 3, ..UNLIMITED };
    let mut paused = Vec::new();
    for number in 0..10 {
        paused.push(match number % 2 {
            0 => world.frozen(&organization, &node).await,
            _ => world.stored(&organization, &node).await,
        });
    }
    let mut tasks = JoinSet::new();
    for session in paused {
        let world = world.clone();
        tasks.spawn(async move { world.resume_within(&session, limits).await.is_ok() });
    }
    let resumed = tasks.join_all().await.into_iter().filter(|resumed| *resumed).count();
    assert_eq!(resumed, 3);
    world.is_whole().await;
    Ok(())
}

pub async fn a_resume_that_comes_too_late_starts_it_anew(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let frozen = world.frozen(&organization, &node).await;
    world.resume(&frozen).await.unwrap();
    // The node had moved it to disk by then.
    let stored = node.took(&frozen, STORED).await;
    assert_eq!((stored.stored, stored.desired), (true, Desired::Pause));
    assert_eq!(node.took(&frozen, StepKind::Resumed).await.status, Status::Paused);
    let started = world.resume(&stored).await.unwrap();
    assert_eq!((started.status, started.generation), (Status::Assigning, 2));
    world.is_whole().await;
    Ok(())
}
