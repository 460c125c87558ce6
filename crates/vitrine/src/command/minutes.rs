//! `vitrine minutes …`

use crate::cli::Minutes;
use crate::client::Client;
use crate::output;
use serde_json::{Value, json};

const MINUTES: &str = "/admin/v1/minutes";
const ORDERS: &str = "/admin/v1/orders";
const BALANCE: [&str; 6] =
    ["organization", "name", "balanceMinutes", "reservedMinutes", "lifetimeMinutes", "activeSessions"];
const ORDER: [&str; 9] =
    ["id", "product", "minutes", "priceCents", "currency", "email", "organization", "status", "paidAt"];

pub async fn run(client: &Client, command: Minutes, as_json: bool) -> anyhow::Result<()> {
    match command {
        Minutes::Grant { minutes, note, of } => {
            let mut body = json!({ "minutes": minutes, "note": note });
            if let Some(organization) = of.organization {
                body["organization"] = json!(organization);
            }
            show(&client.post(MINUTES, &body).await?, &BALANCE, as_json);
        }
        Minutes::Show { of } => {
            let query: Vec<_> = of.organization.iter().map(|id| ("organization", id.as_str())).collect();
            show(&client.get(MINUTES, &query).await?, &BALANCE, as_json);
        }
        Minutes::Orders { status } => {
            let query: Vec<_> = status.iter().map(|status| ("status", status.as_str())).collect();
            list(&client.get(ORDERS, &query).await?, as_json);
        }
        Minutes::Confirm { id } => {
            show(&client.post(&format!("{ORDERS}/confirm"), &json!({ "id": id })).await?, &ORDER, as_json);
        }
    }
    Ok(())
}

fn show(answer: &Value, fields: &[&str], as_json: bool) {
    if as_json { output::json(answer) } else { output::fields(answer, fields) }
}

fn list(answer: &Value, as_json: bool) {
    if as_json {
        return output::json(answer);
    }
    let orders = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = ["id", "product", "minutes", "email", "provider", "status", "createdAt"];
    let rows = orders.iter().map(|order| columns.iter().map(|name| output::cell(order, name)).collect());
    let head = ["id", "product", "minutes", "email", "provider", "status", "created"];
    output::table(&head, rows.collect(), "no orders");
}
