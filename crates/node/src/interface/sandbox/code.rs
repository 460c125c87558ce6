//! A piece of a program's text, run by what understands it.

use super::files::in_files;
use super::program::{Circumstances, answer};
use super::{Interface, Unfulfilled};
use crate::clock;
use crate::interface::Request;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use std::io::Write;
use vitrine_capsule::FileError;

/// Where the text lies while it runs: out of the way of the workspace's own files. Gone with the capsule's processes.
const FOLDER: &str = "/run/code";
/// Nobody but its runner reads it.
const MODE: u32 = 0o600;
/// The longest text that Bun is given without a file, in which case modules are looked for from the working directory on: what
/// the kernel takes as an argument, and as much again for the environment, have to fit into one message.
const ARGUMENT_BYTES_MAX: usize = 64 * 1024;
/// Runs a file as if it were the program, with the working directory as the first place of modules.
const PYTHON: &str = "import sys; p = sys.argv.pop(); f = open(p, encoding='utf-8'); s = f.read(); f.close(); \
    del f; exec(compile(s, '<code>', 'exec'), {'__name__': '__main__', '__builtins__': __builtins__})";

#[derive(Deserialize)]
pub(super) struct Wanted {
    language: Language,
    code: String,
    #[serde(flatten)]
    circumstances: Circumstances,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    TypeScript,
    JavaScript,
    Python,
    Sh,
}

impl Language {
    fn extension(self) -> &'static str {
        match self {
            Language::TypeScript => "ts",
            Language::JavaScript => "js",
            Language::Python => "py",
            Language::Sh => "sh",
        }
    }

    /// What runs a text by itself, if it can.
    fn at_once(self, code: &str) -> Option<Vec<String>> {
        let takes_it = matches!(self, Language::TypeScript | Language::JavaScript) && code.len() <= ARGUMENT_BYTES_MAX;
        takes_it.then(|| vec!["bun".into(), "-e".into(), code.into()])
    }

    /// What runs a file.
    fn with_file(self, file: String) -> Vec<String> {
        match self {
            Language::TypeScript | Language::JavaScript => vec!["bun".into(), "run".into(), file],
            Language::Python => vec!["python3".into(), "-c".into(), PYTHON.into(), file],
            Language::Sh => vec!["sh".into(), file],
        }
    }
}

pub(super) async fn run(
    State(interface): State<Interface>,
    headers: HeaderMap,
    Request(wanted): Request<Wanted>,
) -> Result<Response, Unfulfilled> {
    if let Some(argv) = wanted.language.at_once(&wanted.code) {
        let command = wanted.circumstances.command(argv)?;
        return answer(&interface, &headers, command, async {}).await;
    }
    let file = format!("{FOLDER}/{}.{}", clock::unique(), wanted.language.extension());
    let command = wanted.circumstances.command(wanted.language.with_file(file.clone()))?;
    write(&interface, file.clone(), wanted.code).await?;
    let sandbox = interface.sandbox.clone();
    let removed = async move {
        // The program may have removed it itself.
        let _ = in_files(&sandbox, move |files| files.delete(file, false)).await;
    };
    answer(&interface, &headers, command, removed).await
}

async fn write(interface: &Interface, file: String, code: String) -> Result<(), Unfulfilled> {
    let written = in_files(&interface.sandbox, move |files| {
        let mut draft = files.create(&file)?;
        draft.set_mode(MODE);
        draft.file().write_all(code.as_bytes()).map_err(|error| FileError::from_io(file.as_ref(), error))?;
        draft.keep()
    });
    written.await
}
