//! `vitrine browser …`

use super::session::{milliseconds, ready, word};
use crate::cli::{Browser, Create};
use crate::client::Client;
use crate::output;
use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Between two looks at a session that goes on for minutes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

const PATH: &str = "/v1/browsers";
const LIVE_VIEW: &str = "/v1/browsers/live-view";
const FIELDS: [&str; 17] = [
    "id",
    "status",
    "cdpUrl",
    "liveViewUrl",
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
                session = ready(client, PATH, &output::cell(&session, "id")).await?;
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
            let session = ready(client, PATH, &id).await?;
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
        Browser::Watch { id, control, expires, print } => watch(client, &id, control, expires, print, as_json).await?,
        Browser::Record { id, output, end } => record(client, &id, output, end, as_json).await?,
    }
    Ok(())
}

async fn watch(
    client: &Client,
    id: &str,
    control: bool,
    expires: Duration,
    print: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    ready(client, PATH, id).await?;
    let mode = if control { "control" } else { "view" };
    let body = json!({ "id": id, "mode": mode, "expiresInMs": expires.as_millis() as u64 });
    let answer = client.post(LIVE_VIEW, &body).await?;
    let url = output::cell(&answer, "url");
    if as_json {
        output::json(&answer);
    } else if print || !open(&url) {
        output::line(&url);
    } else {
        output::line(format_args!("opened the session's page; it works for {} s", expires.as_secs()));
    }
    Ok(())
}

/// Shows a page in the desktop's browser, if this is a desktop.
fn open(url: &str) -> bool {
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let quiet = std::process::Stdio::null;
    // The URL is an argument that other users of the machine could read while the opener starts; it is the desktop's own user
    // who asked for it.
    let opener = || std::process::Command::new("xdg-open").arg(url).stdout(quiet()).stderr(quiet()).status();
    desktop && opener().is_ok_and(|status| status.success())
}

async fn record(client: &Client, id: &str, output: Option<PathBuf>, end: bool, as_json: bool) -> anyhow::Result<()> {
    if end {
        client.delete(PATH, &[("id", id)]).await?;
    }
    let session = over(client, id).await?;
    let key = session["artifacts"]["recording"].as_str();
    let key = key.with_context(|| {
        format!("the session {id} has no recording: `--recording` asks for one, and a session that is ended before its first picture leaves none")
    })?;
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{id}.mp4")));
    super::artifacts::fetch(client, id, key, &output, as_json).await
}

/// The session once it is over, however long that takes.
async fn over(client: &Client, id: &str) -> anyhow::Result<Value> {
    loop {
        let session = client.get(PATH, &[("id", id)]).await?;
        match session["status"].as_str() {
            Some("ended" | "failed") => return Ok(session),
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

fn show(session: &Value, as_json: bool) {
    if as_json { output::json(session) } else { output::fields(session, &FIELDS) }
}

/// A session that is created, waited for and ended.
pub async fn try_one(client: &Client) -> anyhow::Result<()> {
    let session = client.post(PATH, &json!({})).await?;
    let id = output::cell(&session, "id");
    let became_ready = ready(client, PATH, &id).await;
    client.delete(PATH, &[("id", &id)]).await?;
    became_ready.map(drop)
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
