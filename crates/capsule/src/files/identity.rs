//! Whom this thread makes files as.
//!
//! A capsule's disk knows the capsule's own ids only: there, the host's root could not make a file. So the thread becomes
//! the capsule's user for a while, and keeps root's powers over what is there already.

use std::marker::PhantomData;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitiesSecureBits, capabilities_secure_bits, set_capabilities_secure_bits, set_thread_res_gid,
    set_thread_res_uid,
};

/// The thread is itself again when this is dropped.
#[derive(Debug)]
pub(crate) struct Identity {
    uid: Uid,
    gid: Gid,
    bits: CapabilitiesSecureBits,
    /// It is the thread's that made it.
    _thread: PhantomData<*const ()>,
}

impl Identity {
    pub fn assume(owner: u32) -> Result<Self, Errno> {
        let before = Self { uid: geteuid(), gid: getegid(), bits: capabilities_secure_bits()?, _thread: PhantomData };
        // Without this, the kernel takes the powers from whoever stops being root.
        set_capabilities_secure_bits(before.bits | CapabilitiesSecureBits::NO_SETUID_FIXUP)?;
        become_one(Uid::from_raw(owner), Gid::from_raw(owner))?;
        Ok(before)
    }
}

fn become_one(uid: Uid, gid: Gid) -> Result<(), Errno> {
    set_thread_res_gid(None, gid, None)?;
    set_thread_res_uid(None, uid, None)
}

impl Drop for Identity {
    fn drop(&mut self) {
        let restored = become_one(self.uid, self.gid).and_then(|()| set_capabilities_secure_bits(self.bits));
        if restored.is_err() {
            // The thread would go on to do the host's work with the wrong rights.
            std::process::abort();
        }
    }
}
