//! `cargo xtask VERB`: what a developer runs by hand. Assumes it is started inside the workspace; promises to write only
//! committed sources (`cdp`) or nothing at all (`deps`).

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use xtask::{cdp, chromium, deps, workspace_root};

const USAGE: &str =
    "usage: cargo xtask cdp [PROTOCOL.json]   write crates/cdp/src/protocol/ from Chromium's own description
       cargo xtask deps                   check which crate may depend on which";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["cdp"] => generate(&chromium::protocol()?),
        ["cdp", file] => generate(&std::fs::read_to_string(file).with_context(|| format!("could not read {file}"))?),
        ["deps"] => check_dependencies(),
        _ => bail!(USAGE),
    }
}

fn generate(protocol: &str) -> Result<()> {
    let cdp = workspace_root().join("crates/cdp");
    let domains = std::fs::read_to_string(cdp.join("domains.toml")).context("could not read domains.toml")?;
    let mut written: Vec<PathBuf> = Vec::new();
    for (name, text) in cdp::generate(&domains, protocol)? {
        let path = cdp.join("src/protocol").join(name);
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        written.push(path);
    }
    let formatted = std::process::Command::new("rustfmt").args(["--edition", "2024"]).args(&written).status();
    if !formatted.context("could not run rustfmt")?.success() {
        bail!("rustfmt refused the generated files");
    }
    Ok(())
}

fn check_dependencies() -> Result<()> {
    let forbidden = deps::forbidden_edges(&deps::metadata()?)?;
    for edge in &forbidden {
        eprintln!("{edge}");
    }
    if !forbidden.is_empty() {
        bail!("{} forbidden dependencies", forbidden.len());
    }
    Ok(())
}
