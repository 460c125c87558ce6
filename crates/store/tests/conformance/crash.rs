//! A process that is killed, or a server that crashes, in the middle of everything leaves a database that is whole.

use crate::world::{Databases, LEASE, Node, UNLIMITED, World, embed_spec, spec};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vitrine_model::EndReason;
use vitrine_model::wire::StepKind;
use vitrine_store::*;

/// Set for the process that is killed: the database's file.
const VICTIM: &str = "VITRINE_STORE_TEST_VICTIM";
/// What that process says once it has made a session.
const BEGUN: &str = "a session was made";
const KILLS: u64 = 6;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Makes, places, starts and ends sessions until something stops it, or it is told to.
async fn churn(world: World, stop: Arc<AtomicBool>) -> vitrine_store::Result<()> {
    let organization = world.organization().await;
    let register = world.register(4);
    let now = world.now();
    let epoch = world.store.register_machine(&register, now, LEASE).await?.epoch;
    world.store.beat(&register.machine, epoch, None, &[], now, LEASE).await?;
    let node = Node { world: world.clone(), register, epoch };
    world.store.grant_minutes(&organization, 1_000_000, "", now).await?;
    while !stop.load(Ordering::Relaxed) {
        for spec in [spec(), embed_spec(5)] {
            let new = world.new_session(&organization, spec);
            world.store.create_session(&new, UNLIMITED, now).await?.unwrap();
        }
        while let Placed::Assigned(session) = world.store.place_next(now, PlaceOptions::default(), world.run()).await? {
            world.store.step(&node.step_for(&session, StepKind::Ready), now).await?;
            if world.store.end_embed_session(&organization, &session.id, now).await?.is_none() {
                world.store.request_end(&session.id, None, EndReason::Deleted, now).await?;
            }
            let egress = Default::default();
            let finish = StepKind::Finish { reason: EndReason::Deleted, egress };
            world.store.step(&node.step_for(&session, finish), now).await?;
        }
    }
    Ok(())
}

#[test]
fn a_killed_process_leaves_a_whole_database() {
    let databases = Databases::sqlite();
    let Location::Sqlite(path) = databases.empty() else { unreachable!() };
    let mut made = 0;
    for number in 0..KILLS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(said.map_while(|line| line.ok()).any(|line| line.contains(BEGUN)), "the process began");
        std::thread::sleep(Duration::from_millis(100 + 37 * number));
        victim.kill().unwrap();
        victim.wait().unwrap();
        runtime().block_on(async {
            let store = Store::open(Location::Sqlite(path.clone()), StoreOptions::default()).await.unwrap();
            assert_eq!(store.invariants().await.unwrap(), Vec::<String>::new());
            assert_eq!(store.past_invariants().await.unwrap(), Vec::<String>::new());
            let before = std::mem::replace(&mut made, store.last_event().await.unwrap());
            assert!(made > before, "it did something before it was killed");
            store.close().await;
        });
    }
}

#[test]
#[ignore = "the process that a_killed_process_leaves_a_whole_database kills"]
fn victim() {
    let path = std::env::var_os(VICTIM).unwrap();
    runtime().block_on(async {
        let store = Store::open(Location::Sqlite(path.into()), StoreOptions::default()).await.unwrap();
        let before = store.last_event().await.unwrap();
        let churning = tokio::spawn(churn(World::with(store.clone()), Arc::default()));
        while store.last_event().await.unwrap() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("{BEGUN}");
        churning.await.unwrap().unwrap();
    });
}

#[test]
fn a_crashed_postgres_leaves_a_whole_database() {
    let databases = Databases::postgres();
    let Databases::Postgres(postgres) = &databases else { unreachable!() };
    runtime().block_on(async {
        let world = World::new(&databases).await;
        for _ in 0..2 {
            let stop: Arc<AtomicBool> = Arc::default();
            let churning: Vec<_> = (0..4).map(|_| tokio::spawn(churn(world.clone(), stop.clone()))).collect();
            tokio::time::sleep(Duration::from_millis(500)).await;
            tokio::task::block_in_place(|| postgres.crash_and_restart()).unwrap();
            stop.store(true, Ordering::Relaxed);
            for churning in churning {
                // It failed when a statement was under way, and went on otherwise.
                let _ = churning.await.unwrap();
            }
            // The same store goes on: its dead connections are found out and replaced.
            world.is_whole().await;
            assert!(world.store.last_event().await.unwrap() > 0);
        }
        world.store.close().await;
    });
}
