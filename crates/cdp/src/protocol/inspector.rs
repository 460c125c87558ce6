//! `Inspector`: written by `cargo xtask cdp` from Chromium's description; do not edit.

use serde::Deserialize;

/// Fired when debugging target has crashed
#[derive(Clone, Debug, Deserialize)]
pub struct TargetCrashed {}

impl crate::Event for TargetCrashed {
    const METHOD: &'static str = "Inspector.targetCrashed";
}
