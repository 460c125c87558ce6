//! `vitrine profiles …`

use crate::cli::Profiles;
use crate::client::Client;
use crate::output;
use serde_json::Value;

const PATH: &str = "/v1/profiles";

pub async fn run(client: &Client, command: Profiles, as_json: bool) -> anyhow::Result<()> {
    match command {
        Profiles::List => {
            let answer = client.get(PATH, &[]).await?;
            if as_json {
                output::json(&answer);
                return Ok(());
            }
            let items = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            let row = |item: &Value| {
                let size = output::bytes(item["size"].as_u64().unwrap_or_default());
                let in_use = if item["inUse"] == true { "yes" } else { "no" };
                let text = |name| output::cell(item, name);
                vec![text("key"), text("version"), size, text("savedAt"), in_use.to_owned()]
            };
            let empty = "no profiles; `vitrine browser create --profile-key NAME` saves one when the session ends";
            output::table(&["key", "version", "size", "saved", "in use"], items.iter().map(row).collect(), empty);
        }
        Profiles::Delete { key } => {
            let answer = client.delete(PATH, &[("key", &key)]).await?;
            if as_json {
                output::json(&answer);
            } else {
                output::line(format_args!("deleted {key}"));
            }
        }
    }
    Ok(())
}
