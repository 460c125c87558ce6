//! What a freshly started helper is told to do, on its standard input.
//!
//! Promises that it holds nothing secret: inside a container its programs may come to see it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Plan, Profile};

#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Confine a capsule and become its process 1.
    Confine(Plan),
    /// Prepare a capsule's network and root, let an OCI runtime confine it, and keep both for the host to reach.
    Contain(Plan, Container),
    /// Become process 1 of a container that a runtime has made.
    Serve(Inside),
}

/// What an OCI runtime is given.
#[derive(Debug, Serialize, Deserialize)]
pub struct Container {
    /// By which the runtime knows the container.
    pub id: String,
    pub runtime: PathBuf,
    /// The runtime's own options, which come before its command.
    pub options: Vec<String>,
    /// Options of its `run`.
    pub run_options: Vec<String>,
    /// The `config.json`. The bundle's folder is the helper's to choose.
    pub config: String,
    /// This program as a file; the bundle has it as `init`.
    pub init: PathBuf,
    pub control: Control,
    /// The runtime puts the container into the capsule's cgroups, and wants nobody else there at that time.
    pub groups_by_runtime: bool,
}

/// How process 1 of a container comes by its control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// As the descriptor [`crate::CONTROL_DESCRIPTOR`].
    Inherited,
    /// It listens itself, in the bundle's `control`, which it sees as [`crate::CONTROL_INSIDE`].
    Folder,
}

/// What a runtime leaves to process 1.
#[derive(Debug, Serialize, Deserialize)]
pub struct Inside {
    pub profile: Profile,
    pub hostname: String,
    pub filters: Vec<Vec<u64>>,
    pub control: Control,
}
