//! `Network`: written by `cargo xtask cdp` from Chromium's description; do not edit.

use serde::{Deserialize, Serialize};

/// Unique loader identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoaderId(pub String);

/// Monotonically increasing time in seconds since an arbitrary point in the past.
pub type MonotonicTime = f64;
