//! What a capsule's process 1 gives up before it serves anybody.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope,
};
use rustix::fs::{Gid, Mode, Uid};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType};
use seccompiler::sock_filter;
use vitrine_init::{Plan, Profile};

use crate::error::{Failure, Step};

/// What package managers need of root.
const SANDBOX: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::AUDIT_WRITE);

/// What process 1 itself needs to start and end the ordinary user's programs, which get none of it.
const BROWSER: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::KILL);

/// Open files of one process; a bomb of descriptors ends here.
const OPEN_FILES_MAX: u64 = 65_536;

pub fn limit_resources() -> Result<(), Failure> {
    // Raising it above the host's own limit would need a privilege that not every root has.
    let open_files = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(OPEN_FILES_MAX).min(OPEN_FILES_MAX);
    let exactly = |value| Rlimit { current: Some(value), maximum: Some(value) };
    rustix::process::setrlimit(Resource::Nofile, exactly(open_files)).step(|| "limit open files".into())?;
    // A core pattern of the host would run on the host, with a dump that the capsule wrote.
    rustix::process::setrlimit(Resource::Core, exactly(0)).step(|| "forbid core dumps".into())
}

/// Capsules are chosen before the host's own services when memory runs out: the helper gives up the protection that a
/// service manager may have given to its parent.
pub fn give_up_oom_protection() -> Result<(), Failure> {
    let file = "/proc/self/oom_score_adj";
    let score = fs::read_to_string(file).step(|| "read the out-of-memory score".into())?;
    if score.trim().starts_with('-') {
        fs::write(file, "0").step(|| "give up the protection from running out of memory".into())?;
    }
    Ok(())
}

/// Become root of the capsule's user namespace.
pub fn enter_users(users: &OwnedFd) -> Result<(), Failure> {
    rustix::thread::move_into_link_name_space(users.as_fd(), Some(LinkNameSpaceType::User))
        .step(|| "enter the user namespace".into())?;
    rustix::thread::set_thread_groups(&[]).step(|| "leave all groups".into())?;
    let (user, group) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(group, group, group).step(|| "become the capsule's group".into())?;
    rustix::thread::set_thread_res_uid(user, user, user).step(|| "become the capsule's root".into())
}

/// Capabilities, new privileges, visibility to debuggers, Landlock, seccomp: in this order, since each step forbids
/// what an earlier one needs.
pub fn drop_all(profile: Profile, filters: &[Vec<u64>]) -> Result<(), Failure> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // The host's session keyring must not be joined: seccomp refuses `keyctl` altogether.
    drop_capabilities(match profile {
        Profile::Browser => BROWSER,
        Profile::Sandbox => SANDBOX,
    })?;
    rustix::thread::set_no_new_privs(true).step(|| "forbid new privileges".into())?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).step(|| "hide from debuggers".into())?;
    let top = File::open("/").step(|| "open the capsule's root".into())?;
    restrict(&top).step(|| "apply Landlock".into())?;
    for filter in filters {
        let program: Vec<sock_filter> = filter
            .iter()
            .map(|packed| Plan::unpack(*packed))
            .map(|(code, jt, jf, k)| sock_filter { code, jt, jf, k })
            .collect();
        seccompiler::apply_filter(&program).step(|| "apply the system call filter".into())?;
    }
    Ok(())
}

fn drop_capabilities(kept: CapabilitySet) -> Result<(), Failure> {
    for capability in CapabilitySet::all().difference(kept).iter_names().map(|(_, capability)| capability) {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // An older kernel does not know the newest capabilities.
            Err(rustix::io::Errno::INVAL) | Ok(()) => {}
            other => other.step(|| "narrow the bounding set".into())?,
        }
    }
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).step(|| "drop capabilities".into())
}

/// Nothing becomes a device, and signals and abstract sockets stay among the capsule's own processes, as far as the
/// kernel knows these words.
fn restrict(top: &File) -> Result<(), RulesetError> {
    let known = AccessFs::from_all(ABI::V5);
    let allowed = known & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(known)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?
        .add_rule(PathBeneath::new(top, allowed))?
        .restrict_self()
        .map(drop)
}
