//! The live picture of a tab: one encoder, many viewers, one recorder.
//!
//! Assumes an attached page session. Promises the first picture at once, a key picture for each newcomer, bounded queues, and
//! that nothing runs while nobody watches.

mod picture;

pub use picture::{Coding, Picture};
