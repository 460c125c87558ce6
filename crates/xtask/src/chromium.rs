//! Chromium's own description of its protocol: starts the headless shell on a throw-away profile, asks `/json/protocol`,
//! ends it. Assumes the Debian package's path or `CHROMIUM_HEADLESS_SHELL`.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

const EXECUTABLE: &str = "/usr/lib/chromium/chromium-headless-shell";
const LISTENING: &str = "DevTools listening on ws://";

/// The text of `/json/protocol`.
pub fn protocol() -> Result<String> {
    let profile = std::env::temp_dir().join(format!("xtask-cdp-{}", std::process::id()));
    let executable = std::env::var("CHROMIUM_HEADLESS_SHELL").unwrap_or_else(|_| EXECUTABLE.into());
    // Only about:blank is ever opened, so Chromium's sandbox (which refuses to run as root) protects nothing here.
    let mut chromium = Command::new(&executable)
        .args(["--no-sandbox", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {executable}"))?;
    let answer = address(&mut chromium).and_then(|address| get(&address, "/json/protocol"));
    chromium.kill().and_then(|()| chromium.wait().map(drop)).context("could not end Chromium")?;
    // Its helpers may still be writing; what is left in the temporary folder is small.
    let _ = std::fs::remove_dir_all(&profile);
    answer
}

fn address(chromium: &mut Child) -> Result<String> {
    let errors = chromium.stderr.take().context("no stderr")?;
    for line in BufReader::new(errors).lines() {
        if let Some(url) = line?.strip_prefix(LISTENING) {
            return Ok(url.split('/').next().unwrap_or_default().to_owned());
        }
    }
    bail!("Chromium ended before it listened")
}

fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(String::from_utf8(body)?)
}
