//! A command.

use super::program::{Circumstances, answer};
use super::{Interface, Unfulfilled};
use crate::interface::Request;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Wanted {
    command: String,
    /// Without: the command is a line for a shell.
    args: Option<Vec<String>>,
    #[serde(flatten)]
    circumstances: Circumstances,
}

pub(super) async fn run(
    State(interface): State<Interface>,
    headers: HeaderMap,
    Request(wanted): Request<Wanted>,
) -> Result<Response, Unfulfilled> {
    if wanted.command.is_empty() {
        return Err(Unfulfilled::field("command", "it is empty"));
    }
    let argv = match wanted.args {
        None => vec!["sh".into(), "-lc".into(), wanted.command],
        Some(args) => std::iter::once(wanted.command).chain(args).collect(),
    };
    let command = wanted.circumstances.command(argv)?;
    answer(&interface, &headers, command, async {}).await
}
