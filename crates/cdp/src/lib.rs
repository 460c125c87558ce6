//! A client of the DevTools protocol: one WebSocket to one browser, flat sessions, typed commands and events.
//!
//! Assumes a stream that somebody else opened to a browser's DevTools port. Promises that every call ends: with its
//! answer, with the browser's refusal, at its time limit, or with the reason why the connection or the session ended;
//! that a slow subscriber never holds up anybody; and that nothing has a size cap.

mod connection;
mod error;
mod events;
mod feed;
pub mod protocol;
mod wire;

pub use connection::{CALL_LIMIT, Connection, Session};
pub use error::{CdpError, Closed};
pub use events::{EVENTS_KEPT_MAX, Events, Missed, Several};
pub use feed::{Feed, Heard};
pub use wire::{Command, Event, Nothing};
