//! Anything that can happen, in any order: no row moves but by `Status::on`, no counter drifts, no time is lost.

use crate::world::{Databases, LEASE, MINUTE, Node, RESERVE_MB, SECOND, World, sandbox_spec, spec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::HashMap;
use vitrine_model::wire::{EgressBytes, StepKind};
use vitrine_model::*;
use vitrine_store::*;

/// One thing that happens. Numbers choose among the sessions and nodes that there are.
#[derive(Debug, Clone)]
enum Happening {
    Create {
        sandbox: bool,
        dedicated: bool,
        stranger: bool,
        profile: bool,
    },
    Place,
    /// `stale` 0: by the owner; otherwise with an older epoch or generation.
    Step {
        session: usize,
        kind: usize,
        stale: u8,
    },
    RequestEnd {
        session: usize,
    },
    Pause {
        session: usize,
    },
    Resume {
        session: usize,
    },
    Restart {
        node: usize,
        rebooted: bool,
        alive: bool,
    },
    Pass {
        seconds: i64,
        beating: bool,
    },
    Clockwork,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(sandbox, dedicated, stranger, profile)| Happening::Create { sandbox, dedicated, stranger, profile }),
        4 => Just(Happening::Place),
        12 => (0..8usize, 0..10usize, 0..8u8)
            .prop_map(|(session, kind, stale)| Happening::Step { session, kind, stale: stale.saturating_sub(5) }),
        1 => (0..8usize).prop_map(|session| Happening::RequestEnd { session }),
        3 => (0..8usize).prop_map(|session| Happening::Pause { session }),
        3 => (0..8usize).prop_map(|session| Happening::Resume { session }),
        1 => (0..2usize, any::<bool>(), any::<bool>())
            .prop_map(|(node, rebooted, alive)| Happening::Restart { node, rebooted, alive }),
        2 => (0..40i64, any::<bool>()).prop_map(|(seconds, beating)| Happening::Pass { seconds, beating }),
        2 => Just(Happening::Clockwork),
    ]
}

const LIMITS: CreateLimits = CreateLimits { concurrent: 6, period_start: 0, hours_ms: u64::MAX };

struct Story {
    world: World,
    organizations: [OrganizationId; 2],
    nodes: Vec<Node>,
    sessions: Vec<SessionId>,
}

impl Story {
    async fn begin(databases: &Databases) -> Self {
        let world = World::new(databases).await;
        let organizations = [world.organization().await, world.organization().await];
        let nodes = vec![world.machine(3).await, world.machine(2).await];
        Self { world, organizations, nodes, sessions: Vec::new() }
    }

    async fn happen(&mut self, happening: &Happening) {
        let (world, store, now) = (self.world.clone(), self.world.store.clone(), self.world.now());
        match *happening {
            Happening::Create { sandbox, dedicated, stranger, profile } => {
                let isolation = if dedicated { Isolation::Dedicated } else { Isolation::Shared };
                let organization = &self.organizations[usize::from(stranger)];
                let mut new = world.new_session(organization, BrowserSpec { isolation, ..spec() });
                new.profile_key = profile.then(|| "one".to_owned());
                if sandbox {
                    new = world.new_sandbox(organization, sandbox_spec());
                }
                if store.create_session(&new, LIMITS, now).await.unwrap().is_ok() {
                    self.sessions.push(new.id);
                }
            }
            Happening::Place => {
                world.place().await;
            }
            Happening::Step { session, kind, stale } => self.step(session, kind, stale).await,
            Happening::RequestEnd { session } => {
                if let Some(id) = self.pick(session) {
                    store.request_end(&id, None, EndReason::Deleted, now).await.unwrap();
                }
            }
            Happening::Pause { session } => {
                if let Some(id) = self.pick(session) {
                    // Refused in most states, and for browsers.
                    let _ = store.request_pause(&id, None, now).await.unwrap();
                }
            }
            Happening::Resume { session } => {
                if let Some(id) = self.pick(session) {
                    let options = PlaceOptions::default();
                    let _ = store.request_resume(&id, None, LIMITS, options, world.run(), now).await.unwrap();
                }
            }
            Happening::Restart { node, rebooted, alive } => {
                let mut sessions = Vec::new();
                for id in &self.sessions {
                    sessions.extend(store.session(id).await.unwrap().filter(|session| alive && session.run.is_some()));
                }
                let boot = if rebooted { format!("boot-{now}") } else { self.nodes[node].register.boot_id.clone() };
                self.nodes[node].restart(&boot, &sessions.iter().collect::<Vec<_>>()).await;
            }
            Happening::Pass { seconds, beating } => {
                world.pass(seconds * SECOND);
                for node in self.nodes.iter().filter(|_| beating) {
                    let beat = store.beat(&node.register.machine, node.epoch, None, &[], world.now(), LEASE);
                    beat.await.unwrap();
                }
            }
            Happening::Clockwork => {
                store.requeue_overdue(now).await.unwrap();
                store.fail_overdue_queued(now).await.unwrap();
                store.end_expired(now).await.unwrap();
                store.end_long_paused(now - 2 * MINUTE, now).await.unwrap();
                store.reap(ReapOptions::default(), now).await.unwrap();
            }
        }
    }

    /// One of the youngest sessions.
    fn pick(&self, number: usize) -> Option<SessionId> {
        self.sessions.iter().rev().nth(number).cloned()
    }

    async fn step(&self, session: usize, kind: usize, stale: u8) {
        let Some(id) = self.pick(session) else { return };
        let session = self.world.store.session(&id).await.unwrap().unwrap();
        let node = self.nodes.iter().find(|node| Some(&node.register.machine) == session.machine.as_ref());
        let (Some(node), Some(_)) = (node, &session.run) else { return };
        let egress = EgressBytes { bytes_in: 1, bytes_out: 2 };
        let message = "so it was".to_owned();
        let what = match kind {
            0 => StepKind::Ready,
            1 => StepKind::Activate,
            2 => StepKind::Deactivate,
            3 => StepKind::End { reason: EndReason::Idle },
            4 => StepKind::Finish { reason: EndReason::ClosedByClient, egress },
            5 => StepKind::Fail { reason: EndReason::BrowserCrashed, message, egress },
            6 => StepKind::Paused,
            7 => StepKind::Stored { egress },
            8 => StepKind::Resumed,
            _ => StepKind::NotStarted { reason: SchedulingReason::StartFailed, message },
        };
        let mut step = node.step_for(&session, what);
        step.epoch -= i64::from(stale == 1);
        step.generation -= i64::from(stale == 2);
        self.world.store.step(&step, self.world.now()).await.unwrap();
        if stale > 0 {
            let after = self.world.store.session(&id).await.unwrap().unwrap();
            assert_eq!(format!("{after:?}"), format!("{session:?}"), "a stale step changes nothing");
        }
    }

    /// Every event follows from the one before it, and what is counted is what there is.
    async fn check(&self) {
        let store = &self.world.store;
        self.world.is_whole().await;
        let mut last: HashMap<SessionId, Status> = HashMap::new();
        for event in store.events_after(0, 100_000).await.unwrap() {
            let word = |key: &str| event.data[key].as_str().and_then(Status::parse);
            let (previous, status) = (word("previous"), word("status").unwrap());
            assert_eq!(last.insert(event.session.clone(), status), previous, "{event:?}");
            if let Some(previous) = previous {
                assert!(TRANSITIONS.iter().any(|transition| previous.on(*transition) == Ok(status)), "{event:?}");
            }
        }
        let mut durations = [0, 0];
        for id in &self.sessions {
            let session = store.session(id).await.unwrap().unwrap();
            assert_eq!(last.get(id), Some(&session.status), "the newest event is the row's state");
            let until = session.paused_at.unwrap_or(self.world.now());
            let so_far = session.started_at.map(|at| (until - at - session.paused_ms) as u64);
            let ran = session.duration_ms().or(so_far);
            durations[usize::from(session.organization == self.organizations[1])] += ran.unwrap_or(0);
        }
        for (organization, duration) in self.organizations.iter().zip(durations) {
            let usage = store.usage(organization, 0, self.world.now()).await.unwrap();
            assert_eq!(usage.browser_ms + usage.sandbox_ms, duration);
        }
        for machine in store.machines().await.unwrap() {
            assert!(machine.reserve_used_mb == machine.slots_used * RESERVE_MB);
        }
    }
}

const TRANSITIONS: [Transition; 13] = [
    Transition::Assign,
    Transition::Requeue,
    Transition::Ready,
    Transition::Activate,
    Transition::Deactivate,
    Transition::Pause,
    Transition::Paused,
    Transition::Resume,
    Transition::Restore,
    Transition::Shelve,
    Transition::End,
    Transition::Finish,
    Transition::Fail,
];

fn anything_may_happen(databases: Databases, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(happening(), 1..80), |happenings| {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut story = Story::begin(&databases).await;
                for happening in &happenings {
                    story.happen(happening).await;
                }
                story.check().await;
                story.world.store.close().await;
            });
        }));
        told.map_err(|_| TestCaseError::fail("something did not hold"))
    });
    outcome.unwrap();
}

#[test]
fn anything_may_happen_on_sqlite() {
    anything_may_happen(Databases::sqlite(), 60);
}

#[test]
fn anything_may_happen_on_postgres() {
    anything_may_happen(Databases::postgres(), 12);
}
