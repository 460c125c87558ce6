//! The image that sessions run, or what is needed to build it.

use super::Finding;
use crate::config::Config;
use crate::output;
use std::path::{Path, PathBuf};
use vitrine_capsule::image::Store;

/// What building needs, and the Debian package that has it.
const TOOLS: [(&str, &str); 3] = [("mmdebstrap", "mmdebstrap"), ("npm", "npm"), ("tar", "tar")];

pub fn look(config: &Config) -> Vec<Finding> {
    const NAME: &str = "image";
    let name = &config.image.name;
    match Store::new(&config.image_dir).find(name) {
        Ok(Some(image)) => vec![Finding::ok(NAME, format!("{}, {}", image.id(), output::bytes(image.size_bytes)))],
        Ok(None) => {
            let advice = "Sessions have nothing to run from yet; `vitrine serve` builds it in the background.\nvitrine image build";
            vec![Finding::warn(NAME, format!("{name} is not built"), advice), tools()]
        }
        Err(error) => {
            let advice = "Remove what is damaged and build it anew.\nvitrine image build";
            vec![Finding::fail(NAME, error.to_string(), advice)]
        }
    }
}

/// The root file system, if there is one.
pub fn rootfs(config: &Config) -> Option<PathBuf> {
    Some(Store::new(&config.image_dir).find(&config.image.name).ok()??.rootfs)
}

fn tools() -> Finding {
    const NAME: &str = "image tools";
    let missing: Vec<_> = TOOLS.into_iter().filter(|(program, _)| !is_installed(program)).collect();
    if missing.is_empty() {
        return Finding::ok(NAME, TOOLS.map(|(program, _)| program).join(", "));
    }
    let names = |which: fn(&(&'static str, &'static str)) -> &'static str| {
        missing.iter().map(which).collect::<Vec<_>>().join(" ")
    };
    let advice = format!("The image cannot be built without them.\napt-get install {}", names(|tool| tool.1));
    Finding::fail(NAME, format!("not installed: {}", names(|tool| tool.0)), advice)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_file(&folder.join(program)))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
