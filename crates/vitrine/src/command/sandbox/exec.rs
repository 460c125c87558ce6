//! `vitrine sandbox exec` and `code`: the output as it comes, and the program's own exit code.

use super::{PATH, variables};
use crate::cli::{Code, Exec, How, Language};
use crate::client::Client;
use crate::command::session::{milliseconds, ready, word};
use crate::output;
use anyhow::{Context as _, bail};
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Of a program that ran out of time, as of `timeout`.
const TIMED_OUT: u8 = 124;
/// Added to the number of the signal that ended a program, as shells do.
const SIGNALED: u8 = 128;
/// Of a program about whose end nothing is known.
const UNKNOWN: u8 = 255;
/// The server takes no larger one.
const STDIN_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// One event carries at most a few pieces of output.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Names of signals, by number from 1.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

pub async fn command(client: &Client, exec: Exec, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut words = exec.command.into_iter();
    let mut body = json!({ "id": exec.id, "command": words.next() });
    let arguments: Vec<String> = words.collect();
    if !arguments.is_empty() {
        body["args"] = json!(arguments);
    }
    if exec.stdin {
        body["stdin"] = Value::from(standard_input()?);
    }
    run(client, "exec", body, &exec.how, as_json).await
}

pub async fn code(client: &Client, code: Code, as_json: bool) -> anyhow::Result<ExitCode> {
    let language = code.language.or_else(|| code.file.as_deref().and_then(language_of));
    let text = match (code.text, &code.file) {
        (Some(text), _) => text,
        (None, Some(file)) if file.as_os_str() != "-" => {
            std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?
        }
        (None, _) => standard_input()?,
    };
    let mut body = json!({ "id": code.id, "code": text });
    if let Some(language) = language.and_then(word) {
        body["language"] = language;
    }
    run(client, "code", body, &code.how, as_json).await
}

fn language_of(file: &Path) -> Option<Language> {
    match file.extension()?.to_str()? {
        "ts" | "mts" | "tsx" => Some(Language::Typescript),
        "js" | "mjs" | "cjs" | "jsx" => Some(Language::Javascript),
        "py" => Some(Language::Python),
        "sh" => Some(Language::Sh),
        _ => None,
    }
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(STDIN_BYTES_MAX + 1).read_to_string(&mut text);
    read.context("could not read standard input as text; `vitrine sandbox cp - ID:PATH` copies what is not text")?;
    if text.len() as u64 > STDIN_BYTES_MAX {
        bail!("standard input is larger than {STDIN_BYTES_MAX} bytes; copy it by `vitrine sandbox cp - ID:PATH`");
    }
    Ok(text)
}

async fn run(client: &Client, what: &str, mut body: Value, how: &How, as_json: bool) -> anyhow::Result<ExitCode> {
    let given = variables(&how.variables)?;
    if !given.is_empty() {
        body["env"] = Value::Object(given);
    }
    if let Some(directory) = &how.cwd {
        body["cwd"] = Value::from(directory.as_str());
    }
    if let Some(timeout) = how.timeout {
        body["timeout"] = milliseconds(timeout);
    }
    ready(client, PATH, body["id"].as_str().unwrap_or_default()).await?;
    let request = client.request(Method::POST, &format!("{PATH}/{what}"), &[])?.json(&body);
    if as_json {
        let mut answer = client.open(request).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = client.chunk(&mut answer).await? {
            bytes.extend_from_slice(&chunk);
        }
        let ended = serde_json::from_slice(&bytes).context("the answer is no JSON")?;
        output::json(&ended);
        return Ok(ExitCode::from(exit_code(&ended)));
    }
    let mut answer = client.open(request.header(ACCEPT, "text/event-stream")).await?;
    let mut events = Events::default();
    while let Some(chunk) = client.chunk(&mut answer).await? {
        events.feed(&chunk)?;
        while let Some((name, data)) = events.next() {
            let data: Value = serde_json::from_str(&data).context("an event is no JSON")?;
            match name.as_str() {
                "stdout" => show(&mut std::io::stdout().lock(), &data),
                "stderr" => show(&mut std::io::stderr().lock(), &data),
                "exit" => return Ok(ExitCode::from(ended(&data))),
                "error" => bail!("{}", data["error"].as_str().unwrap_or("the command was lost")),
                _ => {}
            }
        }
    }
    bail!("the connection ended before the command did");
}

/// A reader that went away is no reason to stop the program.
fn show(to: &mut impl std::io::Write, event: &Value) {
    let text = event["data"].as_str().unwrap_or_default();
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

/// Says on standard error how a program ended that did not end by itself; answers the exit code.
fn ended(end: &Value) -> u8 {
    let is = |name: &str| end[name].as_bool().unwrap_or_default();
    let mut words = std::io::stderr().lock();
    let _ = match end["signal"].as_str() {
        _ if is("timedOut") => writeln!(words, "vitrine: the command ran out of time and was killed"),
        _ if is("outOfMemory") => writeln!(words, "vitrine: the sandbox was out of memory and the command was killed"),
        Some(signal) => writeln!(words, "vitrine: the command was ended by {signal}"),
        None => Ok(()),
    };
    if is("truncated") {
        let _ = writeln!(words, "vitrine: there was more output than is kept; what is missing was dropped");
    }
    exit_code(end)
}

fn exit_code(end: &Value) -> u8 {
    if end["timedOut"].as_bool().unwrap_or_default() {
        return TIMED_OUT;
    }
    if let Some(code) = end["exitCode"].as_i64() {
        return u8::try_from(code).unwrap_or(UNKNOWN);
    }
    let signal = end["signal"].as_str().map(|name| name.strip_prefix("SIG").unwrap_or(name));
    let number = signal.and_then(|signal| SIGNALS.iter().position(|name| *name == signal));
    number.and_then(|number| u8::try_from(number + 1).ok()).map_or(UNKNOWN, |number| SIGNALED + number)
}

/// Server-sent events, as they come in pieces.
#[derive(Default)]
struct Events {
    unread: Vec<u8>,
}

impl Events {
    fn feed(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.unread.extend_from_slice(bytes);
        let whole = self.unread.windows(2).any(|pair| pair == b"\n\n");
        if self.unread.len() > EVENT_BYTES_MAX && !whole {
            bail!("an event is larger than {EVENT_BYTES_MAX} bytes");
        }
        Ok(())
    }

    /// The next whole event: its name and data.
    fn next(&mut self) -> Option<(String, String)> {
        loop {
            let end = self.unread.windows(2).position(|pair| pair == b"\n\n")?;
            let event: Vec<u8> = self.unread.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&event);
            let field = |name: &str| {
                let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
            };
            // What has no data is a comment that keeps the connection open.
            if let Some(data) = field("data") {
                return Some((field("event").unwrap_or_default(), data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let stream = ": hello\n\nevent: stdout\ndata: {\"data\":\"ä\\n\"}\n\nevent: exit\ndata: {\"exitCode\":3}\n\n";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                events.feed(piece).unwrap();
                seen.extend(std::iter::from_fn(|| events.next()));
            }
            let expected = [("stdout", "{\"data\":\"ä\\n\"}"), ("exit", "{\"exitCode\":3}")];
            assert_eq!(seen, expected.map(|(name, data)| (name.to_owned(), data.to_owned())), "{size}");
        }
    }

    #[test]
    fn a_program_that_did_not_exit_has_a_code_too() {
        assert_eq!(exit_code(&json!({ "exitCode": 7, "signal": null, "timedOut": false })), 7);
        assert_eq!(exit_code(&json!({ "exitCode": null, "signal": "SIGKILL", "timedOut": true })), 124);
        assert_eq!(exit_code(&json!({ "exitCode": null, "signal": "SIGKILL" })), 137);
        assert_eq!(exit_code(&json!({ "exitCode": null, "signal": "SIGTERM" })), 143);
        assert_eq!(exit_code(&json!({ "exitCode": null, "signal": "SIGRTMIN" })), 255);
    }
}
