//! What the bookkeeping of a session costs: 1,000 claims and ends on one organization, over HTTP, on a machine that is ready at once and
//! runs nothing; beside them, in turns, the same pairs of plain browser sessions, which move no minutes.
//!
//! The ledger has to be exact at the end. `cargo run --release -p vitrine-server --example embed-bench`; `BENCH_PAIRS` (1,000) sets how
//! many.

#[allow(dead_code, reason = "shared with the contract's tests")]
#[path = "../../crates/server/tests/contract/machine.rs"]
mod machine;
#[allow(dead_code, reason = "shared with the contract's tests")]
#[path = "../../crates/server/tests/contract/node.rs"]
mod node;
#[allow(dead_code, reason = "shared with the contract's tests")]
#[path = "../../crates/server/tests/contract/sandbox_machine.rs"]
mod sandbox_machine;
#[allow(dead_code, reason = "shared with the contract's tests")]
#[path = "../../crates/server/tests/contract/support.rs"]
mod support;

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Harness, raised};
use tokio::task::JoinSet;

const PAIRS: usize = 1_000;
/// Clients at once.
const CLIENTS: usize = 8;
const SLOTS: u32 = 1_000;
/// Pairs before the other kind has its turn, so that a noisy moment hits both.
const TURN: usize = 100;
/// A session takes one of its minutes, however soon it ends.
const USED: usize = 1;

/// One kind of session, by how it is claimed and ended.
#[derive(Clone, Copy)]
enum Way {
    Embed,
    Cloud,
}

impl Way {
    async fn pair(self, harness: &Harness) {
        let (path, wish) = match self {
            Way::Embed => ("/api/v1/sessions", json!({"minutes": 2, "region": "na-east"})),
            Way::Cloud => ("/v1/browsers", json!({})),
        };
        let made = harness.as_us("POST", path, Some(wish)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body["id"].as_str().expect("an id").to_owned();
        let end = match self {
            Way::Embed => format!("/api/v1/sessions/{id}"),
            Way::Cloud => {
                let ready = harness.as_us("GET", &format!("/v1/browsers?id={id}&waitMs=20000"), None).await;
                assert_eq!(ready.body["status"], "ready", "{ready:?}");
                format!("/v1/browsers?id={id}")
            }
        };
        let ended = harness.as_us("DELETE", &end, None).await;
        assert_eq!(ended.status, 200, "{ended:?}");
    }
}

/// How long `pairs` took with all clients at once.
async fn turn(harness: &Arc<Harness>, way: Way, pairs: usize) -> Duration {
    let left = Arc::new(AtomicUsize::new(pairs));
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (harness, left) = (harness.clone(), left.clone());
        clients.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                way.pair(&harness).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client that works");
    }
    begun.elapsed()
}

async fn balance(harness: &Harness) -> Value {
    harness.as_us("GET", "/api/v1/balance", None).await.body
}

#[tokio::main]
async fn main() {
    let pairs = std::env::var("BENCH_PAIRS").map_or(PAIRS, |text| text.parse().expect("a number of pairs"));
    let mut harness = Harness::start(raised()).await;
    let node = harness.node(SLOTS).await;
    let granted = 2 * pairs;
    harness.grant(u32::try_from(granted).expect("a number of minutes")).await;
    let harness = Arc::new(harness);
    let mut times = [Duration::ZERO; 2];
    for _ in 0..pairs.div_ceil(TURN) {
        for (way, time) in [Way::Embed, Way::Cloud].into_iter().zip(&mut times) {
            // Nothing is placed on a machine that gave no sign of life for a while.
            node.beat(Vec::new()).await;
            *time += turn(&harness, way, TURN.min(pairs)).await;
        }
    }
    let made = pairs.div_ceil(TURN) * TURN.min(pairs);
    let after = balance(&harness).await;
    assert_eq!(after["balance_minutes"], json!(granted - USED * made), "the ledger is exact: {after}");
    assert_eq!(after["reserved_minutes"], 0, "{after}");
    for (name, time) in ["/api/v1/sessions, with minutes", "/v1/browsers"].iter().zip(times) {
        println!("{name:<34} {:>8.0} pairs/s", made as f64 / time.as_secs_f64());
    }
    Arc::into_inner(harness).expect("no client left").finish().await;
}
