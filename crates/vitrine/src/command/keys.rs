//! `vitrine keys …`

use crate::cli::{Global, Keys, Whose};
use crate::client::Client;
use crate::config::Loaded;
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;
use vitrine_server::{Clock as _, SystemClock};

const OWN: &str = "/v1/api-keys";
const ANY: &str = "/admin/v1/api-keys";

pub async fn run(global: &Global, loaded: &Loaded, command: Keys) -> anyhow::Result<()> {
    let as_json = global.json;
    let with = |whose: &Whose| match whose.organization {
        None => Client::new(global, loaded).map(|client| (client, OWN)),
        Some(_) => Client::operator(global, loaded).map(|client| (client, ANY)),
    };
    let answer = match command {
        Keys::Create { name, permissions, expires, embed, whose } => {
            let mut body = json!({ "name": name });
            if let Some(organization) = &whose.organization {
                body["organization"] = json!(organization);
            }
            if !permissions.is_empty() {
                body["permissions"] = json!(permissions);
            }
            if embed {
                body["kind"] = json!("embed");
            }
            if let Some(after) = expires {
                body["expiresAt"] = json!(now_ms().saturating_add(milliseconds(after)));
            }
            let (client, path) = with(&whose)?;
            client.post(path, &body).await?
        }
        Keys::List { whose } => {
            let (client, path) = with(&whose)?;
            return list(&client.get(path, &of(&whose)).await?, as_json);
        }
        Keys::Rotate { id, grace } => {
            let mut body = json!({ "id": id });
            if let Some(grace) = grace {
                body["graceMs"] = json!(milliseconds(grace));
            }
            Client::new(global, loaded)?.post(&format!("{OWN}/rotate"), &body).await?
        }
        Keys::Revoke { id, whose } => {
            let (client, path) = with(&whose)?;
            let query: Vec<_> = of(&whose).into_iter().chain([("id", id.as_str())]).collect();
            let answer = client.delete(path, &query).await?;
            if as_json {
                output::json(&answer);
            } else {
                output::line(format_args!("revoked {id}"));
            }
            return Ok(());
        }
    };
    if as_json {
        output::json(&answer);
    } else {
        output::fields(&answer, &["id", "name", "key", "permissions", "expiresAt"]);
        output::line("\nThe key is shown this once; keep it where only its user can read it.");
    }
    Ok(())
}

fn of(whose: &Whose) -> Vec<(&str, &str)> {
    whose.organization.iter().map(|organization| ("organization", organization.as_str())).collect()
}

fn list(answer: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        output::json(answer);
        return Ok(());
    }
    let keys = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = keys.iter().map(|key| {
        let permissions = match output::cell(key, "permissions") {
            none if none.is_empty() => "all".to_owned(),
            some => some,
        };
        let cell = |name| output::cell(key, name);
        vec![cell("id"), cell("name"), cell("hint"), state(key), permissions, cell("lastUsedAt")]
    });
    output::table(&["id", "name", "begins", "state", "permissions", "last used"], rows.collect(), "no keys");
    Ok(())
}

fn state(key: &Value) -> String {
    let at = |name: &str| key[name].as_i64();
    match (at("revokedAt"), at("expiresAt")) {
        (Some(revoked), _) if revoked <= now_ms() => "revoked".to_owned(),
        (_, Some(expires)) if expires <= now_ms() => "expired".to_owned(),
        (_, Some(expires)) => format!("until {}", output::time(expires)),
        _ => "active".to_owned(),
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn now_ms() -> i64 {
    SystemClock.now()
}
