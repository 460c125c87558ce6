//! Images: the read-only root file systems that capsules are laid over.
//!
//! A [`Definition`] says what is in an image, as data; a [`Store`] is the machine-wide folder that keeps built images by
//! the hash of their definition. A built image is owned by root and never written again: a change of its definition is
//! another image. Building needs root, `mmdebstrap`, and `npm` when the definition names programs; both are asked through
//! their ordinary configuration, so an operator's own mirrors, registries, proxies and certificates hold here too.

mod apt;
mod build;
mod command;
mod definition;
mod programs;
mod store;

pub use build::{Progress, Settings, Step};
pub use definition::Definition;
pub use store::{Image, Store};

use std::io;
use std::path::{Path, PathBuf};

/// Why something about an image could not be done. Each reads after "could not build (or find, or remove) the image: ".
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("no image is called `{name}`; known are {known}, and `--file` takes a definition of your own")]
    Unknown { name: String, known: String },
    #[error("the definition {path} is not valid: {reason}")]
    Definition { path: String, reason: String },
    #[error("building an image needs root; run it as root once, any user can use the result")]
    NotRoot,
    #[error("`{program}` is not installed; on Debian: apt-get install {package}")]
    Missing { program: &'static str, package: &'static str },
    #[error("{doing} failed: `{program}` ended with {status}; {advice}. Its last words:\n{output}")]
    Program { doing: String, program: String, status: String, output: String, advice: &'static str },
    #[error("{path} has a mount below it ({mount}); unmount it first, so that nothing outside is deleted through it")]
    Mounted { path: PathBuf, mount: String },
    #[error("stopped before it was finished")]
    Cancelled,
    #[error("{doing} {path} failed: {source}")]
    File { doing: &'static str, path: PathBuf, source: io::Error },
}

impl ImageError {
    /// For `map_err`: an input or output error together with what was being done to which path.
    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
        let path = path.to_owned();
        move |source| ImageError::File { doing, path, source }
    }
}
