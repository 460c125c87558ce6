//! Types of the DevTools protocol, one module a domain: what `domains.toml` names, written by `cargo xtask cdp`.

pub mod browser;
pub mod dom;
pub mod emulation;
pub mod fetch;
pub mod input;
pub mod inspector;
pub mod network;
pub mod page;
pub mod runtime;
pub mod security;
pub mod storage;
pub mod target;
