//! The steps of a confinement, in the only order in which they are right.
//!
//! The network, mount and process namespaces are made while the process still belongs to the host's user namespace,
//! so they belong to it too: whatever a capsule's programs become, they can neither mount nor touch the firewall.

mod container;
mod disk;
mod links;
mod loop_device;
mod netlink;
mod nft;
mod privileges;
mod root;
mod tree;
mod users;

use std::ffi::CStr;
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;

use rustix::thread::UnshareFlags;
use vitrine_init::{PROCESS, Plan, READY};

pub use container::{Keeper, contain, serve};
use users::Users;

use crate::error::{Failure, Step};
use crate::supervise::Supervisor;
use crate::sys;

/// Which process this is after the confinement.
pub enum Role {
    /// Has nothing left to do.
    Launcher,
    /// Process 1 of the capsule.
    First(Supervisor),
    /// Holds what a container was made of.
    Keeper(Keeper),
}

pub fn confine(plan: &Plan) -> Result<Role, Failure> {
    join_groups(plan)?;
    let users = begin(plan, c"vitrine-init")?;
    let rest = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    sys::unshare(rest).step(|| "make the capsule's namespaces".into())?;
    split(|| become_first(plan, users).map(Role::First))
}

fn join_groups(plan: &Plan) -> Result<(), Failure> {
    plan.groups.iter().try_for_each(|group| fs::write(group, "0").step(|| format!("join {}", group.display())))
}

/// The network that all drivers have in common, and the capsule's ids.
fn begin(plan: &Plan, name: &CStr) -> Result<Users, Failure> {
    privileges::give_up_oom_protection()?;
    // Executed by descriptor, the process would bear a number for a name.
    rustix::thread::set_name(name).step(|| "take a name".into())?;
    rustix::process::umask(rustix::fs::Mode::empty());
    sys::unshare(UnshareFlags::NEWNET).step(|| "make a network namespace".into())?;
    links::configure(plan.profile)?;
    nft::configure(plan.profile)?;
    // The process namespace comes later: until then a child's id here is its id in `/proc`.
    Users::of(plan)
}

/// Go on in a new process that is our parent's child, whose id the host is told.
fn split(go_on: impl FnOnce() -> Result<Role, Failure>) -> Result<Role, Failure> {
    match sys::fork_sibling().step(|| "start the capsule's process".into())? {
        Some(process) => {
            let told = writeln!(std::io::stdout(), "{PROCESS}{}", process.as_raw_nonzero());
            told.step(|| "tell the id of the capsule's process".into()).map(|()| Role::Launcher)
        }
        None => go_on(),
    }
}

fn become_first(plan: &Plan, users: Users) -> Result<Supervisor, Failure> {
    rustix::process::setsid().step(|| "lead a session".into())?;
    let listener = root::enter(plan, &users)?;
    rustix::system::sethostname(plan.hostname.as_bytes()).step(|| "set the host name".into())?;
    privileges::limit_resources()?;
    privileges::enter_users(&users.capsule)?;
    drop(users);
    root::write_names(&plan.hostname)?;
    privileges::drop_all(plan.profile, &plan.filters)?;
    let supervisor = Supervisor::new(listener).step(|| "prepare for requests".into())?;
    announce()?;
    Ok(supervisor)
}

/// Say that all is done, then let go of the host's descriptors.
fn announce() -> Result<(), Failure> {
    let mut output = std::io::stdout();
    writeln!(output, "{READY}").and_then(|()| output.flush()).step(|| "report".into())?;
    sys::replace_standard(null()?.as_fd()).step(|| "let go of the host's descriptors".into())
}

fn null() -> Result<fs::File, Failure> {
    fs::OpenOptions::new().read(true).write(true).open("/dev/null").step(|| "open /dev/null".into())
}
