//! Puts the pages for people where the server embeds them from. A page that was not built is no reason not to build the
//! server: it then says how to build the page.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    ["viewer", "terminal", "element"].into_iter().try_for_each(embed)
}

fn embed(page: &str) -> io::Result<()> {
    let variable =
        |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("{name} is not set")));
    let built = variable("CARGO_MANIFEST_DIR")?.join("../../web").join(page).join("dist");
    let embedded = variable("OUT_DIR")?.join(page);
    if embedded.exists() {
        fs::remove_dir_all(&embedded)?;
    }
    fs::create_dir(&embedded)?;
    // Of a folder that is not there yet, cargo watches the one above it.
    let watched = built.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    println!("cargo::rerun-if-changed={}", watched.display());
    if !built.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(&built)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), embedded.join(entry.file_name()))?;
        }
    }
    Ok(())
}
