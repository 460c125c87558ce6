//! The system calls of a capsule's programs: an allow-list, and what is refused among them by its arguments.
//!
//! What is not on the list fails with `ENOSYS`, so that programs and libraries fall back as they do on an older kernel
//! (`clone3`, whose flags lie in memory that a filter cannot read, is not on it). What is forbidden on purpose fails
//! with `EPERM`, and a kind of socket that programs can do without with `EAFNOSUPPORT`.

mod calls;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use vitrine_init::{Plan, Profile};

use crate::CapsuleError;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Compiled<T> = Result<T, seccompiler::BackendError>;

/// The filters in the order of installation, packed for the plan.
pub(crate) fn compile(profile: Profile) -> Result<Vec<Vec<u64>>, CapsuleError> {
    let unsupported = |error: seccompiler::BackendError| CapsuleError::Unsupported(error.to_string());
    let filters = filters(profile).map_err(unsupported)?;
    let pack = |filter: &BpfProgram| filter.iter().map(|one| Plan::pack(one.code, one.jt, one.jf, one.k)).collect();
    Ok(filters.iter().map(pack).collect())
}

fn filters(profile: Profile) -> Compiled<[BpfProgram; 3]> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let (forbidden, unknown) = (forbidden(profile)?, unknown_sockets()?);
    let known = calls::allowed().chain(forbidden.keys().copied()).chain(unknown.keys().copied());
    let allow = SeccompFilter::new(
        known.map(|call| (call, Vec::new())).collect(),
        SeccompAction::Errno(libc::ENOSYS as u32),
        SeccompAction::Allow,
        architecture,
    )?;
    let refuse = |rules: Rules, error: i32| {
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error as u32), architecture)
    };
    let (forbidden, unknown) = (refuse(forbidden, libc::EPERM)?, refuse(unknown, libc::EAFNOSUPPORT)?);
    Ok([allow.try_into()?, forbidden.try_into()?, unknown.try_into()?])
}

fn forbidden(profile: Profile) -> Compiled<Rules> {
    let mut rules: Rules = calls::FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    if profile == Profile::Browser {
        rules.extend(calls::FORBIDDEN_TO_BROWSERS.iter().map(|call| (*call, Vec::new())));
    }
    let namespaces = namespaces(profile);
    rules.insert(libc::SYS_clone, any_bit(0, &namespaces)?);
    rules.insert(libc::SYS_unshare, any_bit(0, &namespaces)?);
    // Faked terminal input reaches the host's terminal when one is shared.
    rules.insert(libc::SYS_ioctl, any_value(1, &[libc::TIOCSTI, TIOCLINUX])?);
    // Root of the capsule could otherwise starve process 1 of descriptors.
    rules.insert(libc::SYS_prlimit64, any_value(0, &[1])?);
    rules.insert(libc::SYS_personality, vec![none_of(0, &PERSONALITIES)?]);
    Ok(rules)
}

/// Sockets that nobody needs, as if the kernel did not know them: programs then do without (`useradd` without audit).
fn unknown_sockets() -> Compiled<Rules> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(|family| family as u64);
    let netlink_beyond_routes = SeccompRule::new(vec![
        condition(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)?,
        condition(2, SeccompCmpOp::Ne, libc::NETLINK_ROUTE as u64)?,
    ])?;
    Ok(Rules::from([
        (libc::SYS_socket, vec![none_of(0, &families)?, netlink_beyond_routes]),
        (libc::SYS_socketpair, vec![none_of(0, &[libc::AF_UNIX as u64])?]),
    ]))
}

/// Namespaces that programs may not make. Chromium's sandbox makes user, process and network namespaces.
fn namespaces(profile: Profile) -> Vec<u64> {
    let mut forbidden = vec![libc::CLONE_NEWNS, libc::CLONE_NEWCGROUP, libc::CLONE_NEWIPC, libc::CLONE_NEWUTS];
    if profile == Profile::Sandbox {
        forbidden.extend([libc::CLONE_NEWUSER, libc::CLONE_NEWPID, libc::CLONE_NEWNET]);
    }
    let time = 0x80;
    // `CLONE_NEWTIME` shares its bit with the exit signal of `clone`, where no signal has it.
    forbidden.into_iter().map(|flag| flag as u64).chain([time]).collect()
}

const TIOCLINUX: u64 = 0x541c;
/// Linux, 32 bits wide, without address randomisation, both, and the question.
const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x0004_0000, 0x0004_0008, 0xffff_ffff];

fn any_bit(argument: u8, bits: &[u64]) -> Compiled<Vec<SeccompRule>> {
    let rule = |bit: &u64| SeccompRule::new(vec![condition(argument, SeccompCmpOp::MaskedEq(*bit), *bit)?]);
    bits.iter().map(rule).collect()
}

fn any_value(argument: u8, values: &[u64]) -> Compiled<Vec<SeccompRule>> {
    let rule = |value: &u64| SeccompRule::new(vec![condition(argument, SeccompCmpOp::Eq, *value)?]);
    values.iter().map(rule).collect()
}

fn none_of(argument: u8, values: &[u64]) -> Compiled<SeccompRule> {
    SeccompRule::new(values.iter().map(|value| condition(argument, SeccompCmpOp::Ne, *value)).collect::<Compiled<_>>()?)
}

/// The kernel looks at the low half of all of these arguments; so must we.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Compiled<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_compile_and_fit_the_kernel() {
        let instructions_max = 4096;
        for profile in [Profile::Browser, Profile::Sandbox] {
            for filter in compile(profile).expect("compiles") {
                assert!((1..instructions_max).contains(&filter.len()), "{} instructions", filter.len());
            }
        }
    }

    #[test]
    fn nothing_is_both_allowed_and_forbidden() {
        for call in calls::allowed() {
            assert!(!calls::FORBIDDEN.contains(&call), "system call {call} is in both lists");
        }
    }
}
