//!
pub mod image;
