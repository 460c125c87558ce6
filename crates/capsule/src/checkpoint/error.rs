//! Why there is no checkpoint, or none was restored, in words that read after "could not".

use std::io;

use crate::{CapsuleError, FileError};

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
    /// Its bytes are not those that were written.
    #[error("use the checkpoint: {0}")]
    Damaged(String),
    /// What takes packs did not take one.
    #[error("keep a pack of the checkpoint")]
    Keep(#[source] io::Error),
    /// What brings packs did not bring one.
    #[error("get a pack of the checkpoint")]
    Get(#[source] io::Error),
    #[error("take the checkpoint: {0}")]
    TooLarge(String),
    #[error("{what}")]
    System { what: &'static str, source: io::Error },
}
