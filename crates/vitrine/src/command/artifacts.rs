//! `vitrine artifacts …`

use crate::cli::Artifacts;
use crate::client::Client;
use crate::output;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATH: &str = "/v1/browsers/artifacts";
const DOWNLOAD: &str = "/v1/browsers/artifacts/download";
/// Long enough to begin a download.
const FETCH_EXPIRES: Duration = Duration::from_secs(300);

pub async fn run(client: &Client, command: Artifacts, as_json: bool) -> anyhow::Result<()> {
    match command {
        Artifacts::List { id } => {
            let answer = client.get(PATH, &[("id", &id)]).await?;
            if as_json {
                output::json(&answer);
                return Ok(());
            }
            let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let row = |item: &Value| {
                let size = output::bytes(item["size"].as_u64().unwrap_or_default());
                vec![output::cell(item, "key"), output::cell(item, "kind"), size, output::cell(item, "createdAt")]
            };
            let empty = "nothing; recordings and HAR files are there once the session is over";
            output::table(&["key", "kind", "size", "created"], items.iter().map(row).collect(), empty);
        }
        Artifacts::Get { id, key, output } => {
            let name = key.rsplit('/').next().unwrap_or(&key);
            fetch(client, &id, &key, &output.unwrap_or_else(|| PathBuf::from(name)), as_json).await?;
        }
        Artifacts::Url { id, key, expires } => {
            let answer = signed(client, &id, &key, expires).await?;
            if as_json { output::json(&answer) } else { output::line(output::cell(&answer, "url")) }
        }
    }
    Ok(())
}

async fn signed(client: &Client, id: &str, key: &str, expires: Duration) -> anyhow::Result<Value> {
    let seconds = expires.as_secs().to_string();
    Ok(client.get(DOWNLOAD, &[("id", id), ("key", key), ("expiresIn", &seconds)]).await?)
}

/// Writes an artifact to a file, or to standard output for `-`.
pub async fn fetch(client: &Client, id: &str, key: &str, output: &Path, as_json: bool) -> anyhow::Result<()> {
    let answer = signed(client, id, key, FETCH_EXPIRES).await?;
    let size = client.save_as(client.download(&output::cell(&answer, "url")).await?, output).await?;
    if output.as_os_str() == "-" {
        return Ok(());
    }
    if as_json {
        output::json(&json!({ "id": id, "key": key, "file": output, "size": size }));
    } else {
        output::line(format_args!("{} ({})", output.display(), output::bytes(size)));
    }
    Ok(())
}
