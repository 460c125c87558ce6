//! One Chromium and what is done with it: start it, know when it is ready and alive, talk to it, end it.
//!
//! Assumes a `Host`, the place where it runs (a capsule with a loopback of its own). Promises that a browser that is
//! handed out answers, that Chromium's own sandbox stays on, and that its end is told apart from a crash.

mod browser;
pub mod captcha;
mod discovery;
pub mod downloads;
mod ending;
mod error;
mod flags;
pub mod har;
mod host;
mod launch;
mod page;
pub mod profile;
pub mod recording;
pub mod screen;
pub mod stealth;
pub mod tabs;
mod trust;
pub mod view;

pub use browser::{Browser, LAUNCH_LIMIT};
pub use discovery::DEVTOOLS_PORT;
pub use ending::{Ending, gave_up};
pub use error::BrowserError;
pub use host::{Command, Exit, Host, HostError, Running};
pub use launch::{Build, Launch};
pub use trust::{DATABASE, Trust};
