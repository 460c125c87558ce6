//! What the commands for browsers and for sandboxes share.

use crate::client::Client;
use anyhow::bail;
use clap::ValueEnum;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long one question for a session's state may be held back by the server.
const WAIT_MS: &str = "25000";
/// A session that is not ready by then has failed, or the machine is far too busy.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Between two questions to a server that does not hold its answers back.
const PAUSE: Duration = Duration::from_millis(100);

/// The session once it is ready; an error with the reason when it will never be.
pub async fn ready(client: &Client, path: &str, id: &str) -> anyhow::Result<Value> {
    let started = Instant::now();
    while started.elapsed() < READY_LIMIT {
        let session = client.get(path, &[("id", id), ("waitMs", WAIT_MS)]).await?;
        match session["status"].as_str().unwrap_or_default() {
            "ready" | "active" => return Ok(session),
            "queued" | "assigning" => tokio::time::sleep(PAUSE).await,
            status @ ("pausing" | "paused") => bail!("it is {status}; `vitrine sandbox resume {id}` lets it go on"),
            status => bail!("the session is {status}: {}", why(&session)),
        }
    }
    bail!("the session is still not ready after {} s; `vitrine doctor` says what is missing", READY_LIMIT.as_secs())
}

fn why(session: &Value) -> String {
    let message = session["error"]["message"].as_str().unwrap_or_default();
    let reason = session["error"]["reason"].as_str().or_else(|| session["endReason"].as_str()).unwrap_or("unknown");
    if message.is_empty() { reason.to_owned() } else { format!("{message} [{reason}]") }
}

/// The word of a choice, as the API has it.
pub fn word(value: impl ValueEnum) -> Option<Value> {
    Some(Value::from(value.to_possible_value()?.get_name()))
}

/// A time as the API has it.
pub fn milliseconds(time: Duration) -> Value {
    Value::from(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
