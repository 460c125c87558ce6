//! `vitrine sandbox …`

mod cp;
mod exec;
mod shell;

use super::session::{milliseconds, ready, word};
use crate::cli::{CreateSandbox, Sandbox};
use crate::client::Client;
use crate::output;
use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;

const PATH: &str = "/v1/sandboxes";
/// A workspace of many gigabytes.
const SLOW_LIMIT: Duration = Duration::from_secs(1_800);
const FIELDS: [&str; 16] = [
    "id",
    "status",
    "runtime",
    "size",
    "capabilities",
    "network",
    "isolation",
    "region",
    "machineId",
    "createdAt",
    "startedAt",
    "expiresAt",
    "endedAt",
    "duration",
    "endReason",
    "error",
];

pub async fn run(client: &Client, command: Sandbox, as_json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Sandbox::Exec(exec) => return exec::command(client, exec, as_json).await,
        Sandbox::Code(code) => return exec::code(client, code, as_json).await,
        Sandbox::Shell { id, terminal } => return shell::run(client, &id, terminal).await,
        Sandbox::Create(create) => {
            let session = created(client, &body(&create)?, create.wait).await?;
            if create.quiet { output::line(output::cell(&session, "id")) } else { show(&session, as_json) }
        }
        Sandbox::List => {
            let answer = client.get(PATH, &[]).await?;
            let columns = ["id", "status", "runtime", "size", "createdAt"];
            let empty = "no sandboxes; `vitrine sandbox create` makes one";
            list(&answer, "items", &columns, empty, as_json);
        }
        Sandbox::Show { id } => show(&client.get(PATH, &[("id", &id)]).await?, as_json),
        Sandbox::Cp { source, destination } => cp::run(client, source, destination, as_json).await?,
        Sandbox::Pause { id } => act(client, "pause", &json!({ "id": id }), &format!("paused {id}"), as_json).await?,
        Sandbox::Resume { id } => {
            act(client, "resume", &json!({ "id": id }), &format!("resumed {id}"), as_json).await?
        }
        Sandbox::Checkpoint { id } => {
            let checkpoint = checkpoint(client, &id).await?;
            if as_json { output::json(&checkpoint) } else { output::fields(&checkpoint, &["id", "size", "createdAt"]) }
        }
        Sandbox::Checkpoints { id } => {
            let answer = client.get(&format!("{PATH}/checkpoints"), &[("id", &id)]).await?;
            let empty = "no checkpoints; `vitrine sandbox checkpoint ID` makes one";
            list(&answer, "items", &["id", "size", "createdAt"], empty, as_json);
        }
        Sandbox::Restore { id, checkpoint } => {
            let body = json!({ "id": id, "checkpointId": checkpoint });
            act(client, "checkpoint/restore", &body, &format!("restored {id}"), as_json).await?;
        }
        Sandbox::Fork { id, checkpoint, count, wait, quiet } => {
            let forks = fork(client, &id, checkpoint, count, wait).await?;
            if quiet {
                forks.iter().for_each(|fork| output::line(output::cell(fork, "id")));
            } else {
                list(&json!({ "items": forks }), "items", &["id", "status", "runtime"], "", as_json);
            }
        }
        Sandbox::Ports { id, port, expires } => ports(client, &id, port, expires, as_json).await?,
        Sandbox::End { id } => {
            let answer = client.delete(PATH, &[("id", &id)]).await?;
            if as_json { output::json(&answer) } else { output::line(format_args!("ended {id}")) }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for something that is done when the answer comes.
async fn act(client: &Client, what: &str, body: &Value, done: &str, as_json: bool) -> anyhow::Result<()> {
    let answer = slow(client, what, body).await?;
    if as_json {
        output::json(&answer)
    } else {
        output::line(done)
    }
    Ok(())
}

/// Asks for something that may move all of a workspace.
async fn slow(client: &Client, what: &str, body: &Value) -> anyhow::Result<Value> {
    let request = client.request(Method::POST, &format!("{PATH}/{what}"), &[])?;
    Ok(client.answer(request.json(body).timeout(SLOW_LIMIT)).await?)
}

async fn created(client: &Client, body: &Value, wait: bool) -> anyhow::Result<Value> {
    let session = client.post(PATH, body).await?;
    if wait { ready(client, PATH, &output::cell(&session, "id")).await } else { Ok(session) }
}

async fn checkpoint(client: &Client, id: &str) -> anyhow::Result<Value> {
    let answer = slow(client, "checkpoint", &json!({ "id": id })).await?;
    answer.get("checkpoint").cloned().context("the answer names no checkpoint")
}

async fn fork(client: &Client, id: &str, from: Option<String>, count: u8, wait: bool) -> anyhow::Result<Vec<Value>> {
    let source = client.get(PATH, &[("id", id)]).await?;
    let from = match from {
        Some(checkpoint) => checkpoint,
        None => output::cell(&checkpoint(client, id).await?, "id"),
    };
    let body = json!({ "from": from, "runtime": source["runtime"] });
    futures_util::future::try_join_all((0..count).map(|_| created(client, &body, wait))).await
}

async fn ports(client: &Client, id: &str, port: Option<u16>, expires: Duration, as_json: bool) -> anyhow::Result<()> {
    let path = format!("{PATH}/ports");
    let Some(port) = port else {
        let answer = client.get(&path, &[("id", id)]).await?;
        list(&answer, "ports", &["port", "url", "expiresAt"], "no program listens on a port", as_json);
        return Ok(());
    };
    let answer = client.post(&path, &json!({ "id": id, "port": port, "expiresIn": expires.as_secs() })).await?;
    if as_json {
        output::json(&answer)
    } else {
        output::line(output::cell(&answer, "url"))
    }
    Ok(())
}

fn list(answer: &Value, items: &str, columns: &[&str], empty: &str, as_json: bool) {
    if as_json {
        return output::json(answer);
    }
    let cell = |item: &Value, name: &str| match name {
        "size" if item[name].is_number() => output::bytes(item[name].as_u64().unwrap_or_default()),
        _ => output::cell(item, name),
    };
    let rows = answer[items].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = rows.iter().map(|item| columns.iter().map(|name| cell(item, name)).collect()).collect();
    let head: Vec<&str> = columns.iter().map(|name| name.strip_suffix("At").unwrap_or(name)).collect();
    output::table(&head, rows, empty);
}

fn show(session: &Value, as_json: bool) {
    if as_json { output::json(session) } else { output::fields(session, &FIELDS) }
}

/// The request: only what was given, so that the server's defaults hold for the rest.
fn body(create: &CreateSandbox) -> anyhow::Result<Value> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let mut capabilities = Map::new();
    if create.documents {
        capabilities.insert("documents".to_owned(), json!({ "libreofficeHeadless": true }));
    }
    if create.checkpointed {
        capabilities.insert("storage".to_owned(), json!({ "workspace": "checkpointed" }));
    }
    let mut network = Map::new();
    if let Some(mode) = create.network.and_then(word) {
        network.insert("mode".to_owned(), mode);
    }
    for (name, rules) in [("allow", &create.allow), ("deny", &create.deny)] {
        if !rules.is_empty() {
            network.insert(name.to_owned(), json!(rules));
        }
    }
    let some = |map: Map<String, Value>| (!map.is_empty()).then_some(Value::Object(map));
    put("runtime", create.runtime.and_then(word));
    put("env", some(variables(&create.variables)?));
    put("from", create.from.clone().map(Value::from));
    put("maxDurationMs", create.max_duration.map(milliseconds));
    put("region", create.region.clone().map(Value::from));
    put("isolationDriver", create.isolation_driver.clone().map(Value::from));
    put("capabilities", some(capabilities));
    put("network", some(network));
    Ok(Value::Object(body))
}

/// Reads `NAME=VALUE`, and `NAME` with the value that this process has, which so stays off the command line.
fn variables(given: &[String]) -> anyhow::Result<Map<String, Value>> {
    let read = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), Value::from(value))),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.clone(), Value::from(value))),
            Err(_) => anyhow::bail!("--env {text}: no such variable here; give NAME=VALUE"),
        },
    };
    given.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn parsed(arguments: &[&str]) -> anyhow::Result<Value> {
        let all = ["vitrine", "sandbox", "create"].into_iter().chain(arguments.iter().copied());
        match Cli::try_parse_from(all).unwrap().command {
            Command::Sandbox(Sandbox::Create(create)) => body(&create),
            _ => panic!("another command"),
        }
    }

    #[test]
    fn every_field_is_a_flag_and_only_what_was_given_is_sent() {
        assert_eq!(parsed(&[]).unwrap(), json!({}));
        let all = parsed(&[
            "--runtime=python",
            "--env=A=1=2",
            "--env=CARGO_PKG_NAME",
            "--checkpointed",
            "--documents",
            "--from=c",
            "--max-duration=5m",
            "--region=iad",
            "--network=allowlist",
            "--allow=pypi.org",
            "--allow=203.0.113.0/24",
            "--deny=evil.example",
            "--isolation-driver=runsc",
        ]);
        let expected = json!({
            "runtime": "python", "env": { "A": "1=2", "CARGO_PKG_NAME": "vitrine" }, "from": "c",
            "maxDurationMs": 300_000, "region": "iad", "isolationDriver": "runsc",
            "capabilities": { "documents": { "libreofficeHeadless": true }, "storage": { "workspace": "checkpointed" } },
            "network": { "mode": "allowlist", "allow": ["pypi.org", "203.0.113.0/24"], "deny": ["evil.example"] },
        });
        assert_eq!(all.unwrap(), expected);
        assert!(parsed(&["--env=NO_SUCH_VARIABLE_HERE"]).is_err());
    }
}
