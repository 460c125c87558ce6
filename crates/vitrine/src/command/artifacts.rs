//! `vitrine artifacts …`

use crate::cli::Artifacts;
use crate::client::Client;
use crate::output;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

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
    let url = output::cell(&answer, "url");
    if output.as_os_str() == "-" {
        let standard = std::io::stdout().as_fd().try_clone_to_owned().context("could not open standard output")?;
        let mut standard = tokio::fs::File::from_std(standard.into());
        client.download(&url, &mut standard).await?;
        return Ok(standard.flush().await?);
    }
    // By rename: an interrupted download leaves no half file under the name.
    let mut partial = output.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let doing = || format!("could not write {}", output.display());
    let mut file = tokio::fs::File::create(&partial).await.with_context(doing)?;
    let size = client.download(&url, &mut file).await?;
    file.sync_all().await.with_context(doing)?;
    tokio::fs::rename(&partial, output).await.with_context(doing)?;
    if as_json {
        output::json(&json!({ "id": id, "key": key, "file": output, "size": size }));
    } else {
        output::line(format_args!("{} ({})", output.display(), output::bytes(size)));
    }
    Ok(())
}
