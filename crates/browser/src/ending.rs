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

/// What Chromium writes when it ends itself because its graphics process dies as often as it is started.
const GIVES_UP: &str = "GPU process isn't usable";

/// Whether the browser ended itself only because a process that it needs was taken from it again and again; `output` is its last.
pub fn gave_up(output: &str) -> bool {
    output.lines().any(|line| line.contains(":FATAL:") && line.contains(GIVES_UP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_is_told_from_other_words() {
        let killed = "[1121/233405.215036:ERROR:content/browser/gpu/gpu_process_host.cc:1044] GPU process exited unexpectedly: exit_code=9\n";
        let goodbye = "[1121/233405.215457:FATAL:content/browser/gpu/gpu_data_manager_impl_private.cc:389] GPU process isn't usable. Goodbye.\n";
        assert!(gave_up(&format!("{killed}{goodbye}")));
        assert!(!gave_up(killed));
        assert!(!gave_up("[1121/233405.1:FATAL:base/check.cc:1] Check failed: false.\n"));
        assert!(!gave_up(""));
    }
}
