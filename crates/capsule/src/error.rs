//! What can go wrong with a capsule, in words that read after "could not".

use std::io;

use vitrine_init::Refusal;

#[derive(Debug, thiserror::Error)]
pub enum CapsuleError {
    /// The caller asked for something that makes no sense.
    #[error("accept the specification: {0}")]
    Invalid(String),
    #[error("make capsule {0}: it exists already")]
    Exists(String),
    #[error("find capsule {0}")]
    NotFound(String),
    /// The machine has no such driver; another is never taken instead.
    #[error("confine by the driver {asked}: there are {there}")]
    NoDriver { asked: String, there: String },
    /// Every range of user ids is taken.
    #[error("find room for one more capsule: all {0} slots are taken")]
    NoSlot(u32),
    /// The machine lacks something that isolation needs.
    #[error("isolate capsules on this machine: {0}")]
    Unsupported(String),
    /// The helper stopped at the step that it names.
    #[error("confine the capsule: could not {0}")]
    Confine(String),
    #[error("run it in the capsule: {0:?}")]
    Refused(Refusal),
    /// Nothing runs in it until it is thawed.
    #[error("run it in the capsule, which is frozen")]
    Frozen,
    /// The capsule's process 1 no longer answers.
    #[error("reach the capsule's init")]
    Lost,
    /// What is left of a capsule after all that was tried.
    #[error("remove capsule {id}: left are {}", left.join(", "))]
    Remains { id: String, left: Vec<String> },
    #[error("{what}")]
    System { what: String, source: io::Error },
}

/// Names what could not be done.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, CapsuleError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, CapsuleError> {
        self.map_err(|source| CapsuleError::System { what: what(), source: source.into() })
    }
}
