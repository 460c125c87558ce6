//! Builds the helper that confines capsules as a small static program and leaves it where the library embeds it.
//!
//! A build of its own, since it is linked and optimised differently; its target folder lies within this build's
//! output, so the two never wait for each other's lock.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Set by an outer cargo for this build and wrong for the inner one.
const FOREIGN: [&str; 7] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_TARGET",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=init");
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let target = variable("TARGET");
    let output = PathBuf::from(variable("OUT_DIR")).join("init");
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("init/Cargo.toml");

    let mut cargo = Command::new(variable("CARGO"));
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    let status = cargo
        .args(["build", "--release", "--bin", "vitrine-init", "--target", &target])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&output)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .status()
        .expect("cargo starts");
    assert!(status.success(), "could not build vitrine-init");
    let program = output.join(&target).join("release/vitrine-init");
    println!("cargo::rustc-env=VITRINE_INIT={}", program.display());
}
