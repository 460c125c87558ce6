//! Days of traffic with crashes at any statement, in any order: no session goes unpaid, none is paid twice, and what is left
//! is what was granted less what was used.

use crate::world::{Databases, LEASE, MINUTE, Node, SECOND, World, embed_spec, perhaps};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use vitrine_model::embed::minutes::used_minutes;
use vitrine_model::wire::{EgressBytes, StepKind};
use vitrine_model::*;
use vitrine_store::*;

/// Waits after which the program is gone, at most: more than any operation has.
const WAITS_MAX: u32 = 40;
const LIMITS: CreateLimits = CreateLimits { concurrent: 8, period_start: 0, hours_ms: 0 };

/// What happens; `crash` is the number of waits after which the program that does it is gone.
#[derive(Debug, Clone)]
struct Happening {
    what: What,
    crash: Option<u32>,
}

/// Numbers choose among the youngest sessions.
#[derive(Debug, Clone)]
enum What {
    Grant { minutes: u32 },
    Create { minutes: u32 },
    Place,
    Step { session: usize, kind: usize },
    Delete { session: usize },
    End { session: usize },
    Pass { ms: i64, beating: bool },
    Clockwork,
    Reboot,
}

fn happening() -> impl Strategy<Value = Happening> {
    let what = prop_oneof![
        1 => (1..200u32).prop_map(|minutes| What::Grant { minutes }),
        4 => (1..30u32).prop_map(|minutes| What::Create { minutes }),
        4 => Just(What::Place),
        8 => (0..6usize, 0..7usize).prop_map(|(session, kind)| What::Step { session, kind }),
        3 => (0..6usize).prop_map(|session| What::Delete { session }),
        1 => (0..6usize).prop_map(|session| What::End { session }),
        4 => (prop_oneof![0..3 * MINUTE, -MINUTE..0, 0..120 * MINUTE], prop::bool::weighted(0.8))
            .prop_map(|(ms, beating)| What::Pass { ms, beating }),
        3 => Just(What::Clockwork),
        1 => Just(What::Reboot),
    ];
    (what, prop::option::weighted(0.3, 0..WAITS_MAX)).prop_map(|(what, crash)| Happening { what, crash })
}

struct Story {
    world: World,
    organization: OrganizationId,
    node: Node,
    /// Asked for; whether each was made is for the database to say.
    sessions: Vec<SessionId>,
    /// What DELETE answered.
    answers: HashMap<SessionId, u32>,
}

impl Story {
    async fn begin(databases: &Databases) -> Self {
        let world = World::new(databases).await;
        let organization = world.organization().await;
        world.store.grant_minutes(&organization, 300, "", world.now()).await.unwrap();
        let node = world.machine(6).await;
        Self { world, organization, node, sessions: Vec::new(), answers: HashMap::new() }
    }

    async fn happen(&mut self, Happening { what, crash }: &Happening) {
        let (world, store, now, crash) = (self.world.clone(), self.world.store.clone(), self.world.now(), *crash);
        match *what {
            What::Grant { minutes } => {
                perhaps(crash, store.grant_minutes(&self.organization, minutes, "", now)).await;
            }
            What::Create { minutes } => {
                let new = world.new_session(&self.organization, embed_spec(minutes));
                perhaps(crash, store.create_session(&new, LIMITS, now)).await;
                self.sessions.push(new.id);
            }
            What::Place => {
                perhaps(crash, store.place_next(now, PlaceOptions::default(), world.run())).await;
            }
            What::Step { session, kind } => self.step(session, kind, crash).await,
            What::Delete { session } => {
                let Some(id) = self.pick(session) else { return };
                let ended = perhaps(crash, store.end_embed_session(&self.organization, &id, now)).await;
                if let Some(Some(ended)) = ended {
                    let answer = *self.answers.entry(id).or_insert(ended.refunded_minutes);
                    assert_eq!(answer, ended.refunded_minutes, "the same figures every time");
                }
            }
            What::End { session } => {
                let Some(id) = self.pick(session) else { return };
                perhaps(crash, store.request_end(&id, None, EndReason::ServerShutdown, now)).await;
            }
            What::Pass { ms, beating } => {
                world.pass(ms);
                if beating {
                    world.beat(&self.node.register.machine, self.node.epoch).await;
                }
            }
            What::Clockwork => {
                perhaps(crash, store.requeue_overdue(now)).await;
                perhaps(crash, store.fail_overdue_queued(now)).await;
                perhaps(crash, store.end_expired(now)).await;
                perhaps(crash, store.reap(ReapOptions::default(), now)).await;
            }
            What::Reboot => {
                self.node.restart(&format!("boot-{now}"), &[]).await;
            }
        }
    }

    fn pick(&self, number: usize) -> Option<SessionId> {
        self.sessions.iter().rev().nth(number).cloned()
    }

    async fn step(&self, session: usize, kind: usize, crash: Option<u32>) {
        let Some(id) = self.pick(session) else { return };
        let Some(session) = self.world.store.session(&id).await.unwrap() else { return };
        if session.run.is_none() {
            return;
        }
        let egress = EgressBytes::default();
        let message = "so it was".to_owned();
        let what = match kind {
            0 | 1 => StepKind::Ready,
            2 => StepKind::Activate,
            3 => StepKind::End { reason: EndReason::MaxDuration },
            4 => StepKind::Finish { reason: EndReason::ClosedByClient, egress },
            5 => StepKind::Fail { reason: EndReason::BrowserCrashed, message, egress },
            _ => StepKind::NotStarted { reason: SchedulingReason::StartFailed, message },
        };
        perhaps(crash, self.world.store.step(&self.node.step_for(&session, what), self.world.now())).await;
    }

    /// Every session paid what it used, and the rest is there. Answers what was spent and what was given back.
    async fn check(&self) -> (u32, u32) {
        self.world.is_whole().await;
        let store = &self.world.store;
        let (mut left, mut held, mut granted) = (0, 0, 0);
        let (mut spent, mut back) = (0, 0);
        let mut paid: HashMap<SessionId, HashMap<MinutesKind, (u32, EpochMs)>> = HashMap::new();
        for movement in store.minute_movements(&self.organization, 100_000).await.unwrap() {
            let minutes = i64::from(movement.minutes);
            match movement.kind {
                MinutesKind::Grant | MinutesKind::Purchase => (left, granted) = (left + minutes, granted + minutes),
                MinutesKind::Hold => (left, held) = (left - minutes, held + minutes),
                MinutesKind::Spend => (held, spent) = (held - minutes, spent + movement.minutes),
                MinutesKind::Refund => {
                    (left, held, back) = (left + minutes, held - minutes, back + movement.minutes);
                }
            }
            if let Some(session) = movement.session {
                let twice = paid.entry(session).or_default().insert(movement.kind, (movement.minutes, movement.at));
                assert_eq!(twice, None, "no movement of a session comes twice");
            }
        }
        let balance = store.minutes(&self.organization).await.unwrap();
        assert_eq!(
            (balance.balance_minutes, balance.reserved_minutes, balance.lifetime_minutes),
            (left, held, granted)
        );
        for id in &self.sessions {
            let paid = paid.remove(id).unwrap_or_default();
            match store.session(id).await.unwrap() {
                Some(session) => self.check_bill(&session, &paid),
                None => assert!(paid.is_empty(), "what was not made costs nothing"),
            }
        }
        assert!(paid.is_empty(), "there is no session that nobody asked for");
        (spent, back)
    }

    fn check_bill(&self, session: &Session, paid: &HashMap<MinutesKind, (u32, EpochMs)>) {
        let minutes = |kind| paid.get(&kind).map_or(0, |(minutes, _)| *minutes);
        let (spent, back) = (minutes(MinutesKind::Spend), minutes(MinutesKind::Refund));
        assert_eq!(minutes(MinutesKind::Hold), session.paid_minutes());
        if !session.is_ending() {
            assert_eq!((spent, back), (0, 0));
            return;
        }
        assert_eq!(spent + back, session.paid_minutes());
        let settled_at = paid.iter().find(|(kind, _)| **kind != MinutesKind::Hold).unwrap().1.1;
        let used = session.started_at.map_or(0, |started_at| used_minutes(started_at, settled_at));
        match session.end_reason {
            Some(EndReason::MaxDuration) if session.started_at.is_some() => assert_eq!(back, 0),
            _ => assert_eq!(spent, used.min(session.paid_minutes())),
        }
        if let Some(answer) = self.answers.get(&session.id) {
            assert_eq!(*answer, back);
        }
    }
}

fn days_add_up(databases: Databases, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let (spent, back) = (AtomicU32::new(0), AtomicU32::new(0));
    let outcome = TestRunner::new(config).run(&prop::collection::vec(happening(), 50..250), |happenings| {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut story = Story::begin(&databases).await;
                for happening in &happenings {
                    story.happen(happening).await;
                }
                story.check().await;
                // When everything has ended, nothing is held.
                story.world.pass(LEASE + 2 * MINUTE);
                story.node.restart("the last", &[]).await;
                for _ in 0..ATTEMPTS_MAX {
                    story.world.pass(LEASE + SECOND);
                    story.happen(&Happening { what: What::Clockwork, crash: None }).await;
                }
                let sums = story.check().await;
                spent.fetch_add(sums.0, Ordering::Relaxed);
                back.fetch_add(sums.1, Ordering::Relaxed);
                assert_eq!(story.world.store.minutes(&story.organization).await.unwrap().reserved_minutes, 0);
                story.world.store.close().await;
            });
        }));
        told.map_err(|_| TestCaseError::fail("something did not hold"))
    });
    outcome.unwrap();
    let (spent, back) = (spent.into_inner(), back.into_inner());
    assert!(spent > 0 && back > 0, "the days had something in them: {spent} spent, {back} given back");
    println!("{spent} minutes spent, {back} given back");
}

#[test]
fn days_add_up_on_sqlite() {
    days_add_up(Databases::sqlite(), 40);
}

#[test]
fn days_add_up_on_postgres() {
    days_add_up(Databases::postgres(), 10);
}
