//! How fast it is: `cargo nextest run -p vitrine-store --run-ignored only figures --no-capture`.

use crate::world::{Databases, Node, UNLIMITED, World, embed_spec};
use std::time::Instant;
use tokio::task::JoinSet;
use vitrine_model::wire::StepKind;
use vitrine_model::{EndReason, OrganizationId};
use vitrine_store::{PlaceOptions, Placed};

const SESSIONS: usize = 2_000;
const MACHINES: usize = 20;

/// Runs `work` for every item, `parallel` at a time; answers how many a second.
async fn rate<T: Send + 'static, F: Future<Output = ()> + Send + 'static>(
    parallel: usize,
    items: Vec<T>,
    work: impl Fn(T) -> F,
) -> f64 {
    let (started, count) = (Instant::now(), items.len());
    let mut tasks = JoinSet::new();
    for item in items {
        if tasks.len() == parallel {
            tasks.join_next().await;
        }
        tasks.spawn(work(item));
    }
    tasks.join_all().await;
    count as f64 / started.elapsed().as_secs_f64()
}

async fn place_all(world: &World) -> Vec<vitrine_store::Session> {
    let mut placed = Vec::new();
    while let Placed::Assigned(session) =
        world.store.place_next(world.now(), PlaceOptions::default(), world.run()).await.unwrap()
    {
        placed.push(*session);
    }
    placed
}

async fn measure(name: &str, databases: Databases, parallel: usize) {
    let world = World::new(&databases).await;
    let mut organizations: Vec<OrganizationId> = Vec::new();
    for _ in 0..20 {
        organizations.push(world.organization().await);
    }
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..MACHINES {
        nodes.push(world.machine((SESSIONS / MACHINES) as u32).await);
    }
    let owners = organizations.iter().cycle().take(SESSIONS).cloned().collect();
    let creates = rate(parallel, owners, |organization| {
        let world = world.clone();
        async move { drop(world.session(&organization).await) }
    })
    .await;
    let started = Instant::now();
    let placed = if parallel == 1 {
        place_all(&world).await
    } else {
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let world = world.clone();
            tasks.spawn(async move { place_all(&world).await });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    };
    let placements = placed.len() as f64 / started.elapsed().as_secs_f64();
    assert_eq!(placed.len(), SESSIONS);
    let nodes = std::sync::Arc::new(nodes);
    let steps = rate(parallel, placed, |session| {
        let nodes = nodes.clone();
        async move {
            let node = nodes.iter().find(|node| Some(&node.register.machine) == session.machine.as_ref()).unwrap();
            node.took(&session, StepKind::Ready).await;
            node.finish(&session, EndReason::Deleted).await;
        }
    })
    .await;
    // One life after another, with an empty queue: what a single POST costs.
    let (started, cpu) = (Instant::now(), cpu_ms());
    for _ in 0..200 {
        world.session(&organizations[0]).await;
        let session = world.assigned().await;
        let node = nodes.iter().find(|node| Some(&node.register.machine) == session.machine.as_ref()).unwrap();
        node.took(&session, StepKind::Ready).await;
    }
    let life_ms = started.elapsed().as_secs_f64() * 1_000.0 / 200.0;
    let life_cpu_ms = (cpu_ms() - cpu) / 200.0;
    let pairs = pairs(&world, &organizations[1], parallel).await;
    world.is_whole().await;
    println!(
        "{name}, {parallel} at a time: {creates:.0} creates/s, {placements:.0} placements/s (queue of {SESSIONS}), \
         {:.0} steps/s; create+place+ready {life_ms:.2} ms, {life_cpu_ms:.2} ms of CPU in this process; \
         {pairs:.0} pairs/s of making and deleting an embed session; resident {}",
        2.0 * steps,
        resident()
    );
}

/// Embed sessions of one organization that are made and deleted, a second.
async fn pairs(world: &World, organization: &OrganizationId, parallel: usize) -> f64 {
    const PAIRS: usize = 1_000;
    world.store.grant_minutes(organization, 15 * PAIRS as u32, "", world.now()).await.unwrap();
    rate(parallel, vec![organization.clone(); PAIRS], |organization| {
        let world = world.clone();
        async move {
            let new = world.new_session(&organization, embed_spec(15));
            world.store.create_session(&new, UNLIMITED, world.now()).await.unwrap().unwrap();
            world.store.end_embed_session(&organization, &new.id, world.now()).await.unwrap().unwrap();
        }
    })
    .await
}

/// What this process has computed, in the kernel too.
fn cpu_ms() -> f64 {
    const TICK_MS: f64 = 10.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * TICK_MS
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned()
}

#[test]
#[ignore = "a measurement"]
fn figures() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        measure("SQLite", Databases::sqlite(), 1).await;
        measure("SQLite", Databases::sqlite(), 16).await;
        measure("PostgreSQL", Databases::postgres(), 1).await;
        measure("PostgreSQL", Databases::postgres(), 16).await;
    });
}
