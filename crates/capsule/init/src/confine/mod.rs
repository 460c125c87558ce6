//! The steps of a confinement, in the only order in which they are right.
//!
//! The network, mount and process namespaces are made while the process still belongs to the host's user namespace,
//! so they belong to it too: whatever a capsule's programs become, they can neither mount nor touch the firewall.

mod disk;
mod links;
mod loop_device;
mod netlink;
mod nft;
mod privileges;
mod root;
mod tree;
mod users;

use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::UnshareFlags;
use vitrine_init::{PROCESS, Plan, READY};

use crate::error::{Failure, Step};
use crate::supervise::Supervisor;
use crate::sys;

/// Which of the two processes this is after the confinement.
pub enum Role {
    /// Has nothing left to do.
    Launcher,
    /// Process 1 of the capsule.
    First(Supervisor),
}

pub fn confine(plan: &Plan) -> Result<Role, Failure> {
    for group in &plan.groups {
        fs::write(group, "0").step(|| format!("join {}", group.display()))?;
    }
    privileges::give_up_oom_protection()?;
    // Executed by descriptor, the process would bear a number for a name.
    rustix::thread::set_name(c"vitrine-init").step(|| "take a name".into())?;
    rustix::process::umask(rustix::fs::Mode::empty());
    sys::unshare(UnshareFlags::NEWNET).step(|| "make a network namespace".into())?;
    links::configure()?;
    nft::configure(plan.profile)?;
    // The process namespace comes later: until then a child's id here is its id in `/proc`.
    let users = users::of_capsule(plan.uid_base)?;
    let disk_owners = plan.disk.as_ref().map(|_| users::of_disk(plan.uid_base)).transpose()?;
    let rest = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    sys::unshare(rest).step(|| "make the capsule's namespaces".into())?;
    match sys::fork_sibling().step(|| "start process 1".into())? {
        Some(process) => {
            let told = writeln!(std::io::stdout(), "{PROCESS}{}", process.as_raw_nonzero());
            told.step(|| "tell the id of process 1".into()).map(|()| Role::Launcher)
        }
        None => become_first(plan, users, disk_owners).map(Role::First),
    }
}

fn become_first(plan: &Plan, users: OwnedFd, disk_owners: Option<OwnedFd>) -> Result<Supervisor, Failure> {
    rustix::process::setsid().step(|| "lead a session".into())?;
    let listener = root::enter(plan, &users, disk_owners)?;
    rustix::system::sethostname(plan.hostname.as_bytes()).step(|| "set the host name".into())?;
    privileges::limit_resources()?;
    privileges::enter_users(&users)?;
    drop(users);
    root::write_names(&plan.hostname)?;
    privileges::drop_all(plan)?;
    let supervisor = Supervisor::new(listener).step(|| "prepare for requests".into())?;
    announce()?;
    Ok(supervisor)
}

/// Say that all is done, then let go of the host's descriptors.
fn announce() -> Result<(), Failure> {
    let mut output = std::io::stdout();
    writeln!(output, "{READY}").and_then(|()| output.flush()).step(|| "report".into())?;
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").step(|| "open /dev/null".into())?;
    sys::replace_standard(null.as_fd()).step(|| "let go of the host's descriptors".into())
}
