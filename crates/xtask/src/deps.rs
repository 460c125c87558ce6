//! Which crate may depend on which. Assumes `cargo metadata`; promises to name every edge, of ours or to the outside,
//! that the design forbids. A crate that is missing from the table is itself an error, so nobody forgets to decide.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Our crate and the crates of ours that it may link. Development dependencies are free: they ship nothing.
const MAY_LINK: &[(&str, &[&str])] = &[
    ("vitrine-model", &[]),
    ("vitrine-store", &["vitrine-model"]),
    ("vitrine-cdp", &[]),
    ("vitrine-browser", &["vitrine-cdp", "vitrine-model"]),
    ("vitrine-init", &[]),
    ("vitrine-capsule", &["vitrine-init"]),
    ("vitrine-egress", &[]),
    ("vitrine-node", &["vitrine-model", "vitrine-capsule", "vitrine-egress", "vitrine-browser", "vitrine-cdp"]),
    ("vitrine-server", &["vitrine-model", "vitrine-store"]),
];

/// Free to link all of ours: the wiring, and what only developers run.
const MAY_LINK_ALL: &[&str] = &["vitrine", "vitrine-testkit", "xtask"];

/// Outside crate and the only crates of ours that may name it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["vitrine-store"]),
    ("object_store", &["vitrine-store"]),
    ("openh264", &["vitrine-browser"]),
    ("turbojpeg", &["vitrine-browser"]),
    ("seccompiler", &["vitrine-capsule", "vitrine-init"]),
    ("landlock", &["vitrine-capsule", "vitrine-init"]),
    ("anyhow", MAY_LINK_ALL),
];

/// Outside crate and the crates of ours that must not name it: rules and words do no I/O.
const NEVER_IN: &[(&str, &[&str])] = &[
    ("tokio", &["vitrine-model"]),
    ("reqwest", &["vitrine-model", "vitrine-cdp"]),
    ("axum", &["vitrine-model", "vitrine-store"]),
];

/// What `cargo metadata` says of the workspace's own crates.
pub fn metadata() -> Result<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(crate::workspace_root())
        .output()
        .context("could not run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("could not read the answer of cargo metadata")
}

/// Every edge that the tables forbid, as a sentence.
pub fn forbidden_edges(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("no packages in the metadata")?;
    let mut forbidden = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let table = MAY_LINK.iter().find(|(ours, _)| *ours == name);
        if table.is_none() && !MAY_LINK_ALL.contains(&name) {
            forbidden.push(format!("{name} is in no table of the dependency rules"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"] == "dev" {
                continue;
            }
            let to = dependency["name"].as_str().unwrap_or_default();
            // A path makes it ours; the outside never has one here.
            let ours = dependency["path"].is_string();
            let linked_wrongly = ours && table.is_some_and(|(_, allowed)| !allowed.contains(&to));
            let out_of_place = ONLY_IN.iter().any(|(outside, homes)| *outside == to && !homes.contains(&name));
            let banned = NEVER_IN.iter().any(|(outside, banned)| *outside == to && banned.contains(&name));
            if linked_wrongly || out_of_place || banned {
                forbidden.push(format!("{name} must not depend on {to}"));
            }
        }
    }
    Ok(forbidden)
}
