//! Development tools of the workspace, as a library so that tests run the same code as the command line.

pub mod cdp;
pub mod chromium;
pub mod deps;

use std::path::PathBuf;

/// The root of the workspace that this crate was built in.
pub fn workspace_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
}
