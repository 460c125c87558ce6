//! Viewers of a real browser: what they see, what they may do.

mod acting;
mod asking;
mod looking;
pub mod support;
