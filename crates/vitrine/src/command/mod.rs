//! What each command does.

pub mod artifacts;
pub mod browser;
pub mod config;
pub mod image;
pub mod keys;
pub mod minutes;
pub mod profiles;
pub mod sandbox;
mod session;
pub mod webhooks;
