//! Capsules: isolated units with their own root file system, processes, network and limits.
//!
//! Assumes Linux 5.19 or later with cgroups (v1, v2 or both) and nftables, and the privileges of root. Promises that
//! nothing of a capsule outlives [`Native::destroy`], that a capsule outlives the process that made it and can be
//! adopted by the next, and that a failure is never answered by weaker isolation.
//!
//! The order of privileged steps is in the `vitrine-init` package, which this library carries in itself.

pub mod attack;
mod capsule;
mod cgroup;
pub mod checkpoint;
mod client;
mod delete;
mod destroy;
mod disk;
mod driver;
mod error;
mod files;
pub mod image;
mod launch;
mod network;
mod oci;
mod record;
mod seccomp;
mod slots;
mod spec;
mod sweep;
mod sys;

pub use capsule::Capsule;
pub use cgroup::Usage;
pub use client::{Process, Terminal};
pub use disk::{DiskUsage, Disks, DisksSweep};
pub use driver::{NATIVE, Native, NativeConfig};
pub use error::CapsuleError;
pub use files::{
    Change, Draft, FileEntry, FileError, FileKind, Files, Listing, Packed, Skipped, TreeLimits, Unpacked, Watch,
};
pub use network::Network;
pub use oci::{Runtime, RuntimeKind};
pub use record::Record;
pub use spec::{Limits, Spec};
pub use sweep::SweepReport;
pub use vitrine_init::{
    Bind, DiskSpec, Ended, Exec, ExecState, Exit, Profile, REDIRECT_DNS_PORT, REDIRECT_TCP_PORT, Refusal, SOCKET_MARK,
    Stdio, User, WORKSPACE,
};

/// The resolver that programs in a capsule ask; TCP to it is redirected like all other TCP.
pub const RESOLVER_ADDRESS: std::net::Ipv4Addr = {
    let [a, b, c, d] = vitrine_init::RESOLVER_ADDRESS;
    std::net::Ipv4Addr::new(a, b, c, d)
};
