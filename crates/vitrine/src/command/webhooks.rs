//! `vitrine webhooks …`

use crate::cli::Webhooks;
use crate::client::Client;
use crate::output;
use anyhow::bail;
use serde_json::{Map, Value, json};

const PATH: &str = "/v1/webhooks";
const FIELDS: [&str; 12] = [
    "id",
    "url",
    "events",
    "description",
    "enabled",
    "disabledReason",
    "failures",
    "failingSince",
    "lastDeliveredAt",
    "createdAt",
    "secret",
    "oldSecretUntil",
];

pub async fn run(client: &Client, command: Webhooks, as_json: bool) -> anyhow::Result<()> {
    match command {
        Webhooks::Create { target, events, description } => {
            let body = wish(Some(target), events, description);
            show(&client.post(PATH, &Value::Object(body)).await?, as_json);
        }
        Webhooks::List => list(&client.get(PATH, &[]).await?, as_json),
        Webhooks::Show { id } => show(&client.get(PATH, &[("id", &id)]).await?, as_json),
        Webhooks::Update { id, target, events, description, enable, disable, rotate_secret } => {
            let mut body = wish(target, events, description);
            body.insert("id".to_owned(), json!(id));
            if enable || disable {
                body.insert("enabled".to_owned(), json!(enable));
            }
            if rotate_secret {
                body.insert("rotateSecret".to_owned(), json!(true));
            }
            show(&client.patch(PATH, &Value::Object(body)).await?, as_json);
        }
        Webhooks::Delete { id } => {
            let answer = client.delete(PATH, &[("id", &id)]).await?;
            if as_json {
                output::json(&answer);
            } else {
                output::line(format_args!("deleted {id}"));
            }
        }
        Webhooks::Deliveries { id, limit } => {
            let query = [("id", id.as_str()), ("limit", &limit.to_string())];
            deliveries(&client.get(&format!("{PATH}/deliveries"), &query).await?, as_json);
        }
        Webhooks::Test { id } => {
            let answer = client.post(&format!("{PATH}/test"), &json!({ "id": id })).await?;
            if as_json {
                output::json(&answer);
            }
            let text = |name| output::cell(&answer, name);
            if answer["ok"] != true {
                bail!("the receiver did not take it: {}", text("error"));
            }
            if !as_json {
                output::line(format_args!("the receiver answered {} after {} ms", text("status"), text("durationMs")));
            }
        }
    }
    Ok(())
}

/// Only what was given.
fn wish(target: Option<String>, events: Vec<String>, description: Option<String>) -> Map<String, Value> {
    let events = (!events.is_empty()).then(|| json!(events));
    let given = [("url", target.map(Value::from)), ("events", events), ("description", description.map(Value::from))];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn show(webhook: &Value, as_json: bool) {
    if as_json {
        return output::json(webhook);
    }
    output::fields(webhook, &FIELDS);
    if webhook.get("secret").is_some() {
        output::line("\nThe secret is shown this once; the receiver checks signatures with it.");
    }
}

fn list(answer: &Value, as_json: bool) {
    if as_json {
        return output::json(answer);
    }
    let state = |webhook: &Value| match output::cell(webhook, "disabledReason") {
        none if none.is_empty() && webhook["failures"] == 0 => "enabled".to_owned(),
        none if none.is_empty() => format!("failing since {}", output::cell(webhook, "failingSince")),
        reason => format!("disabled: {reason}"),
    };
    let row = |webhook: &Value| {
        let text = |name| output::cell(webhook, name);
        vec![text("id"), text("url"), text("events"), state(webhook), text("lastDeliveredAt")]
    };
    let empty = "no webhooks; `vitrine webhooks create URL` makes one";
    output::table(&["id", "url", "events", "state", "last delivered"], rows(answer, row), empty);
}

fn deliveries(answer: &Value, as_json: bool) {
    if as_json {
        return output::json(answer);
    }
    let row = |delivery: &Value| {
        let text = |name| output::cell(delivery, name);
        let attempts = delivery["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let last = attempts.last().map(|attempt| match output::cell(attempt, "error") {
            none if none.is_empty() => output::cell(attempt, "status"),
            error => error,
        });
        let columns = [text("createdAt"), text("type"), text("sessionId"), text("state"), attempts.len().to_string()];
        columns.into_iter().chain([last.unwrap_or_default(), text("nextAttemptAt")]).collect()
    };
    let head = ["created", "event", "session", "state", "attempts", "last", "next attempt"];
    output::table(&head, rows(answer, row), "nothing was sent in the last 30 days");
}

fn rows(answer: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    answer["data"].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(row).collect()
}
