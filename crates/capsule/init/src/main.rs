//! Confines a capsule and becomes its process 1.
//!
//! Assumes to be freshly started with one thread, the order on standard input and a pipe on standard output, by the host
//! with full privileges or by a runtime as a container's process 1. Promises that the pipe gets [`vitrine_init::PROCESS`] with the id of process 1 and, before or
//! after it, [`vitrine_init::READY`] or what could not be done; and that everything after the confinement runs without the host's privileges.

mod confine;
mod error;
mod supervise;
mod sys;

use std::io::{Read, Write};
use std::process::ExitCode;

use confine::Role;
use error::{Failure, Step};
use vitrine_init::{CONTROL_DESCRIPTOR, Control, Inside, Order};

fn main() -> ExitCode {
    match begin() {
        Ok(Role::Launcher) => ExitCode::SUCCESS,
        Ok(Role::First(supervisor)) => supervisor.run(),
        Ok(Role::Keeper(keeper)) => keeper.run(),
        Err(failure) => {
            // Nobody else can be told when the host no longer reads.
            let _ = writeln!(std::io::stdout(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> Result<Role, Failure> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).step(|| "read the order".into())?;
    let order = serde_json::from_slice(&text).step(|| "understand the order".into())?;
    let kept = matches!(order, Order::Serve(Inside { control: Control::Inherited, .. }));
    // Whatever the host failed to mark close-on-exec must not reach the capsule.
    sys::close_from(CONTROL_DESCRIPTOR + i32::from(kept)).step(|| "close inherited descriptors".into())?;
    match order {
        Order::Confine(plan) => confine::confine(&plan),
        Order::Contain(plan, container) => confine::contain(&plan, &container),
        Order::Serve(inside) => confine::serve(&inside),
    }
}
