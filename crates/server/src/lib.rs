//! The role that owns state: the cloud API, placement, reconcilers, and the gateway that carries live bytes.
//!
//! It assumes a [`vitrine_store::Store`], a clock, entropy and a way to reach machines ([`gateway`]); it never links what runs on a
//! machine. It promises that every answer is in the contract's shape and that what must become true is a reconciler's work.

pub mod answer;
pub mod clock;
pub mod gateway;

pub use clock::{Clock, SystemClock};
