//! What a machine does: its sessions, its warm pool, adoption after a restart, fencing, the data plane.
//!
//! Links no SQL and holds no key but its own. It learns what to run from the server, over [`Transport`], and writes back
//! under `(machine, epoch, generation)`; what it no longer owns it kills. Capsules outlive it: a restarted node takes them up.

mod browser_capsule;
mod capsule_host;
mod clock;
mod config;
mod error;
mod lease;
mod link;
mod node;
mod pool;
mod presence;
mod run;
mod run_file;
mod runs;
mod trust;
mod upstream;

pub use config::{Image, NodeConfig, PoolConfig};
pub use error::{NodeError, StartError};
pub use link::{Body, Transport, TransportError, whole};
pub use node::Node;
pub use presence::ClientStream;
pub use runs::{DataPlane, Dialed};
