//! The system calls for which there is no safe wrapper, each behind a function that is safe to call.
//!
//! Assumes a single-threaded process: that is what makes `fork` and `unshare` sound here.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use vitrine_init::{Ended, Exit};

/// The capsule's own; programs can neither rename nor cover what is mounted.
const TERMINALS: &str = "/dev/pts/ptmx";

/// Leave the given namespaces for new ones.
pub fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: this process has one thread and never asks for FILES, the only flag that can surprise another thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// `None` in the child, which becomes a child of our own parent: that one can bury it, and has nobody to wait for in
/// between.
pub fn fork_sibling() -> io::Result<Option<Pid>> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: as `fork`: without a stack of its own and without shared memory, the child is a copy of this process,
    // which has one thread.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}

/// `None` in the child.
pub fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so the child finds every lock free.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Set attributes of a whole mount tree; with `users`, map its ids through that user namespace.
pub fn mount_setattr(mount: BorrowedFd<'_>, attributes: u64, users: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut setting = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    if let Some(users) = users {
        setting.attr_set |= libc::MOUNT_ATTR_IDMAP;
        setting.userns_fd = users.as_raw_fd() as u64;
    }
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a terminated string and `setting` lives for the call, whose size argument is its own.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw mut setting,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Close every descriptor from `first` on; to be called before anything is opened.
pub fn close_from(first: i32) -> io::Result<()> {
    // SAFETY: called once, before this process owns any descriptor.
    match unsafe { libc::syscall(libc::SYS_close_range, first, i32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Block SIGCHLD and receive it by descriptor instead.
pub fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by `sigemptyset` before it is used, and a non-negative result of `signalfd` is a
    // descriptor that nobody else owns.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            descriptor => Ok(OwnedFd::from_raw_fd(descriptor)),
        }
    }
}

/// Let the program lead a session of its own, which the terminal that is its standard input controls.
pub fn lead_session(command: &mut Command) {
    let lead = || {
        rustix::process::setsid()?;
        // SAFETY: the call changes no memory.
        unsafe { done(libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0)).map(drop) }
    };
    // SAFETY: each is one system call; they allocate nothing and take no lock.
    unsafe { command.pre_exec(lead) };
}

/// Let the program begin with a step that makes system calls alone, as long as it succeeds.
pub fn begin_with(command: &mut Command, step: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: this process has one thread, so its child finds every lock free.
    unsafe { command.pre_exec(step) };
}

/// A new terminal of this size: the master, which does not wait, and the other end, which the program is to have.
pub fn open_terminal(cols: u16, rows: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let master = rustix::fs::open(TERMINALS, flags, Mode::empty())?;
    let raw = master.as_raw_fd();
    let size = libc::winsize { ws_col: cols, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    let unlocked: libc::c_int = 0;
    // SAFETY: what the calls read or write lives for the calls and has the types that they expect, and a non-negative
    // result of `TIOCGPTPEER` is a descriptor that nobody else owns.
    unsafe {
        done(libc::ioctl(raw, libc::TIOCSPTLCK, &raw const unlocked))?;
        // Not by its name, which the capsule's programs could have put something else behind.
        let theirs = done(libc::ioctl(raw, libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC))?;
        let theirs = OwnedFd::from_raw_fd(theirs);
        done(libc::ioctl(raw, libc::TIOCSWINSZ, &raw const size))?;
        let mut settings = std::mem::zeroed::<libc::termios>();
        done(libc::tcgetattr(theirs.as_raw_fd(), &raw mut settings))?;
        // Erasing takes a whole character.
        settings.c_iflag |= libc::IUTF8;
        done(libc::tcsetattr(theirs.as_raw_fd(), libc::TCSANOW, &raw const settings))?;
        Ok((master, theirs))
    }
}

/// Bury one child that has ended, if there is one.
pub fn bury() -> Option<(Pid, Ended)> {
    let mut status = 0;
    // SAFETY: zeros are a value of this type; both values live for the call.
    let (pid, used) = unsafe {
        let mut used = std::mem::zeroed::<libc::rusage>();
        (libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut used), used)
    };
    let exit = match libc::WIFEXITED(status) {
        true => Exit::Code(libc::WEXITSTATUS(status)),
        false => Exit::Signal(libc::WTERMSIG(status)),
    };
    let millis = |time: libc::timeval| time.tv_sec.cast_unsigned() * 1000 + time.tv_usec.cast_unsigned() / 1000;
    let ended = Ended {
        exit,
        cpu_ms: millis(used.ru_utime) + millis(used.ru_stime),
        peak_memory_bytes: used.ru_maxrss.cast_unsigned() * 1024,
    };
    // Nobody has ended, or there is no child at all.
    (pid > 0).then(|| Pid::from_raw(pid)).flatten().map(|pid| (pid, ended))
}

/// The result of a system call.
fn done(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Signal every process of this namespace but process 1 itself.
pub fn kill_everybody(signal: rustix::process::Signal) -> rustix::io::Result<()> {
    // SAFETY: sends a signal and touches no memory.
    match unsafe { libc::kill(-1, signal.as_raw()) } {
        0 => Ok(()),
        _ => Err(rustix::io::Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(rustix::io::Errno::PERM)),
    }
}

/// Whether the other end of a socket belongs to a process outside of this process namespace, which has no id here. A
/// second kernel does not know it, and tells us of ourselves, who never call.
pub fn peer_is_foreign(socket: &OwnedFd) -> bool {
    let mut peer = libc::ucred { pid: -1, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` and `length` live for the call, and `length` is the size of `peer`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    let ourselves = rustix::process::getpid().as_raw_nonzero().get();
    done == 0 && [0, ourselves].contains(&peer.pid)
}

/// Put this in the place of standard input, output and error.
pub fn replace_standard(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    for standard in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: the standard descriptors are owned by nobody in particular and stay open throughout.
        if unsafe { libc::dup2(descriptor.as_raw_fd(), standard) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The control socket that a container's process 1 inherits, and its programs do not; to be called once.
pub fn inherited_socket() -> io::Result<OwnedFd> {
    // SAFETY: whoever started this process has opened it for us, and nothing else here knows of it.
    let socket = unsafe { OwnedFd::from_raw_fd(vitrine_init::CONTROL_DESCRIPTOR) };
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// Let the program inherit this descriptor as [`vitrine_init::CONTROL_DESCRIPTOR`].
pub fn hand_down(command: &mut Command, socket: OwnedFd) {
    let place = move || {
        // Onto itself would leave it to be closed at the start of the program: `dup2` alone is not enough.
        let high = rustix::io::fcntl_dupfd_cloexec(&socket, vitrine_init::CONTROL_DESCRIPTOR + 1)?;
        // SAFETY: the child has one thread and owns nothing at that number that it still needs.
        match unsafe { libc::dup2(high.as_raw_fd(), vitrine_init::CONTROL_DESCRIPTOR) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: system calls alone; they allocate nothing and take no lock.
    unsafe { command.pre_exec(place) };
}
