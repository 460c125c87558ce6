//! `vitrine browser …`

use crate::cli::{Browser, Create};
use crate::client::Client;
use crate::output;
use anyhow::bail;
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How long one question for a session's state may be held back by the server.
const WAIT_MS: &str = "25000";
/// A session that is not ready by then has failed, or the machine is far too busy.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Between two questions to a server that does not hold its answers back.
const PAUSE: Duration = Duration::from_millis(100);

const PATH: &str = "/v1/browsers";
const FIELDS: [&str; 16] = [
    "id",
    "status",
    "cdpUrl",
    "weight",
    "isolation",
    "egressProfile",
    "region",
    "machineId",
    "createdAt",
    "startedAt",
    "expiresAt",
    "endedAt",
    "duration",
    "endReason",
    "error",
    "egress",
];

pub async fn run(client: &Client, command: Browser, as_json: bool) -> anyhow::Result<()> {
    match command {
        Browser::Create(create) => {
            let mut session = client.post(PATH, &body(&create)).await?;
            if create.wait {
                session = ready(client, &output::cell(&session, "id")).await?;
            }
            show(&session, as_json);
        }
        Browser::List { limit } => {
            let answer = client.get(PATH, &[("limit", &limit.to_string())]).await?;
            if as_json {
                output::json(&answer);
                return Ok(());
            }
            let sessions = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            let columns = ["id", "status", "weight", "egressProfile", "createdAt"];
            let rows = sessions.iter().map(|session| columns.map(|name| output::cell(session, name)).to_vec());
            let empty = "no sessions; `vitrine browser create` makes one";
            output::table(&["id", "status", "weight", "egress", "created"], rows.collect(), empty);
        }
        Browser::Show { id } => show(&client.get(PATH, &[("id", &id)]).await?, as_json),
        Browser::End { id } => {
            let answer = client.delete(PATH, &[("id", &id)]).await?;
            if as_json {
                output::json(&answer);
            } else {
                output::line(format_args!("ended {id}"));
            }
        }
        Browser::Cdp { id } => {
            let session = ready(client, &id).await?;
            let url = session["cdpUrl"].as_str().unwrap_or_default();
            if url.is_empty() {
                bail!("the key may not drive sessions: cdpUrl needs the permission browser_sessions:create");
            }
            if as_json {
                output::json(&json!({ "id": id, "cdpUrl": url }));
            } else {
                output::line(url);
            }
        }
    }
    Ok(())
}

fn show(session: &Value, as_json: bool) {
    if as_json { output::json(session) } else { output::fields(session, &FIELDS) }
}

/// The session once it is ready; an error with the reason when it will never be.
async fn ready(client: &Client, id: &str) -> anyhow::Result<Value> {
    let started = Instant::now();
    while started.elapsed() < READY_LIMIT {
        let session = client.get(PATH, &[("id", id), ("waitMs", WAIT_MS)]).await?;
        match session["status"].as_str().unwrap_or_default() {
            "ready" | "active" => return Ok(session),
            "queued" | "assigning" => tokio::time::sleep(PAUSE).await,
            status => bail!("the session is {status}: {}", why(&session)),
        }
    }
    bail!("the session is still not ready after {} s; `vitrine doctor` says what is missing", READY_LIMIT.as_secs())
}

/// A session that is created, waited for and ended.
pub async fn try_one(client: &Client) -> anyhow::Result<()> {
    let session = client.post(PATH, &json!({})).await?;
    let id = output::cell(&session, "id");
    let became_ready = ready(client, &id).await;
    client.delete(PATH, &[("id", &id)]).await?;
    became_ready.map(drop)
}

fn why(session: &Value) -> String {
    let message = session["error"]["message"].as_str().unwrap_or_default();
    let reason = session["error"]["reason"].as_str().or_else(|| session["endReason"].as_str()).unwrap_or("unknown");
    if message.is_empty() { reason.to_owned() } else { format!("{message} [{reason}]") }
}

/// The request: only what was given, so that the server's defaults hold for the rest.
fn body(create: &Create) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let yes = |on: bool| on.then_some(Value::Bool(true));
    let milliseconds = |time: Duration| Value::from(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    put("weight", create.weight.and_then(word));
    put("isolation", create.isolation.and_then(word));
    put("egressProfile", create.egress_profile.and_then(word));
    put("maxDurationMs", create.max_duration.map(milliseconds));
    put("idleTimeoutMs", create.idle_timeout.map(milliseconds));
    put("region", create.region.clone().map(Value::from));
    put("profileKey", create.profile_key.clone().map(Value::from));
    put("stealth", yes(create.stealth));
    put("recording", yes(create.recording));
    put("captcha", yes(create.captcha));
    put("har", yes(create.har));
    put("proxy", create.proxy.as_ref().map(|proxy| json!(proxy.0)));
    Value::Object(body)
}

fn word(value: impl ValueEnum) -> Option<Value> {
    Some(Value::from(value.to_possible_value()?.get_name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn parsed(arguments: &[&str]) -> Value {
        let all = ["vitrine", "browser", "create"].into_iter().chain(arguments.iter().copied());
        match Cli::try_parse_from(all).unwrap().command {
            Command::Browser(Browser::Create(create)) => body(&create),
            _ => panic!("another command"),
        }
    }

    #[test]
    fn every_field_is_a_flag_and_only_what_was_given_is_sent() {
        assert_eq!(parsed(&[]), json!({}));
        let all = parsed(&[
            "--weight=heavy",
            "--isolation=dedicated",
            "--egress-profile=byo-proxy",
            "--stealth",
            "--recording",
            "--captcha",
            "--har",
            "--max-duration=5m",
            "--idle-timeout=0",
            "--profile-key=k",
            "--region=iad",
            "--proxy=socks5://u:p@proxy.test:1080",
        ]);
        let expected = json!({
            "weight": "heavy", "isolation": "dedicated", "egressProfile": "byo-proxy", "stealth": true,
            "recording": true, "captcha": true, "har": true, "maxDurationMs": 300_000, "idleTimeoutMs": 0,
            "profileKey": "k", "region": "iad",
            "proxy": { "protocol": "socks5", "host": "proxy.test", "port": 1080, "username": "u", "password": "p" },
        });
        assert_eq!(all, expected);
    }
}
