//! What each command does.

pub mod browser;
pub mod config;
pub mod image;
pub mod keys;
