//! `vitrine keys …`

use crate::cli::Keys;
use crate::client::Client;
use crate::output;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/api-keys";

pub async fn run(client: &Client, command: Keys, as_json: bool) -> anyhow::Result<()> {
    let answer = match command {
        Keys::Create { name, permissions, expires } => {
            let mut body = json!({ "name": name });
            if !permissions.is_empty() {
                body["permissions"] = json!(permissions);
            }
            if let Some(after) = expires {
                body["expiresAt"] = json!(now_ms().saturating_add(milliseconds(after)));
            }
            client.post(PATH, &body).await?
        }
        Keys::List => return list(client, as_json).await,
        Keys::Rotate { id, grace } => {
            let mut body = json!({ "id": id });
            if let Some(grace) = grace {
                body["graceMs"] = json!(milliseconds(grace));
            }
            client.post(&format!("{PATH}/rotate"), &body).await?
        }
        Keys::Revoke { id } => {
            let answer = client.delete(PATH, &[("id", &id)]).await?;
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

async fn list(client: &Client, as_json: bool) -> anyhow::Result<()> {
    let answer = client.get(PATH, &[]).await?;
    if as_json {
        output::json(&answer);
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
    jiff::Timestamp::now().as_millisecond()
}
