//! What a machine does: its sessions, its warm pool, adoption after a restart, fencing, the data plane.
//!
//! Links no SQL and holds no key but its own. It learns what to run from the server, over [`Transport`], and writes back
//! under `(machine, epoch, generation)`; what it no longer owns it kills. Capsules outlive it: a restarted node takes them up.

mod aside;
mod body;
mod browser;
mod capsules;
mod clock;
mod config;
mod content_type;
mod data_plane;
mod error;
mod interface;
mod lease;
mod link;
mod node;
mod pool;
mod presence;
mod report;
mod run;
mod run_file;
mod runs;
mod sandbox;
mod spool;
mod upstream;

pub use config::{CarriedConfig, Image, NodeConfig, PoolConfig, SandboxConfig, Solver};
pub use data_plane::{DataPlane, Dialed};
pub use error::{NodeError, StartError};
pub use link::{Body, Transport, TransportError, whole};
pub use node::Node;
pub use presence::ClientStream;
