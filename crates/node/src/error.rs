//! What can go wrong on a machine.

use vitrine_model::SchedulingReason;

/// A node that could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("prepare {path}: {cause}")]
    Directory { path: std::path::PathBuf, cause: std::io::Error },
    #[error("isolate capsules: {0}")]
    Isolation(#[from] vitrine_capsule::CapsuleError),
    #[error("prepare egress: {0}")]
    Egress(#[from] vitrine_egress::EgressError),
    #[error("read the host's boot id: {0}")]
    BootId(std::io::Error),
    #[error("register the machine: {0}")]
    Register(#[from] crate::link::LinkError),
}

/// A session that could not be started here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    pub reason: SchedulingReason,
    pub message: String,
}

impl StartError {
    /// Something of the machine failed; another machine, or another try, may do better.
    pub fn failed(what: &str, cause: impl std::fmt::Display) -> Self {
        Self { reason: SchedulingReason::StartFailed, message: format!("could not {what}: {cause}") }
    }
}
