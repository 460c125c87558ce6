//! The role that owns state: the cloud API, placement, reconcilers, and the gateway that carries live bytes.
//!
//! It assumes a [`vitrine_store::Store`], a clock, entropy and a way to reach machines ([`gateway`]); it never links
//! what runs on a machine. It promises that every answer is in the contract's shape and that what must become true is a
//! reconciler's work.

mod admin;
pub mod answer;
mod app;
mod artifacts;
pub mod clock;
mod cloud;
pub mod config;
mod cookie;
mod deliver;
mod docs;
mod embed;
mod files;
mod gate;
pub mod gateway;
mod health;
mod incoming;
mod limits;
mod metrics;
mod node;
mod observe;
mod once;
mod openapi;
mod percent;
mod reconcile;
mod request;
mod router;
mod rows;
mod run;
mod serve;
mod server;
pub mod upstream;
mod wake;
pub mod webhooks;

pub use clock::{Clock, SystemClock};
pub use config::ServerConfig;
pub use gate::Peer;
pub use health::{Condition, Health};
pub use node::InProcess;
pub use server::{Server, StartError};
