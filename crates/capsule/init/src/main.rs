//! Confines a capsule and becomes its process 1.
//!
//! Assumes to be freshly started by the host with full privileges, one thread, the plan on standard input and a pipe
//! on standard output. Promises that the pipe gets [`vitrine_init::PROCESS`] with the id of process 1 and, before or
//! after it, [`vitrine_init::READY`] or what could not be done; and that everything after the confinement runs without the host's privileges.

mod confine;
mod error;
mod supervise;
mod sys;

use std::io::{Read, Write};
use std::process::ExitCode;

use confine::Role;
use error::{Failure, Step};

/// The first descriptor after standard input, output and error.
const FIRST_INHERITED: u32 = 3;

fn main() -> ExitCode {
    match begin() {
        Ok(Role::Launcher) => ExitCode::SUCCESS,
        Ok(Role::First(supervisor)) => supervisor.run(),
        Err(failure) => {
            // Nobody else can be told when the host no longer reads.
            let _ = writeln!(std::io::stdout(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> Result<Role, Failure> {
    // Whatever the host failed to mark close-on-exec must not reach the capsule.
    sys::close_from(FIRST_INHERITED).step(|| "close inherited descriptors".into())?;
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).step(|| "read the plan".into())?;
    let plan = serde_json::from_slice(&text).step(|| "understand the plan".into())?;
    confine::confine(&plan)
}
