//! Why a browser process ended, as far as the process itself tells. Whether its capsule ran out of memory, or we killed
//! it, only the caller knows.

use crate::host::Exit;

/// What the end of the main process means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A client sent `Browser.close`: the only way to the exit code 0 that a client has.
    ClosedByClient,
    Crashed(Exit),
}

impl From<Exit> for Ending {
    fn from(exit: Exit) -> Ending {
        match exit {
            Exit::Code(0) => Ending::ClosedByClient,
            other => Ending::Crashed(other),
        }
    }
}
