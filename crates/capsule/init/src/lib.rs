//! What the host and the process 1 of a capsule say to each other: the plan by which a capsule is confined, and the
//! messages of its control socket.
//!
//! Assumes a `SOCK_SEQPACKET` socket (one message, one datagram, descriptors beside it) and both ends built from this
//! source. Promises plain data only: nothing here does input or output.

mod order;
mod plan;
mod wire;

pub use order::{Container, Control, Inside, Order};
pub use plan::{Bind, DiskSpec, Plan, Profile};
pub use wire::{Answer, Call, Ended, Exec, ExecState, Exit, Message, Refusal, Request, Stdio, User, Whom};

/// Where redirected TCP arrives, on 127.0.0.1 in the capsule's network namespace.
pub const REDIRECT_TCP_PORT: u16 = 15001;
/// Where redirected DNS queries arrive, on 127.0.0.1 in the capsule's network namespace.
pub const REDIRECT_DNS_PORT: u16 = 15053;
/// The mark on our own sockets, which alone may open connections over loopback in a browser capsule.
pub const SOCKET_MARK: u32 = 0x5654_524e;
/// The address of `eth0`, which leads nowhere.
pub const CAPSULE_ADDRESS: [u8; 4] = [10, 200, 0, 2];
/// The resolver and default gateway that programs in the capsule are told.
pub const RESOLVER_ADDRESS: [u8; 4] = [10, 200, 0, 1];

/// The longest message on the control socket, in bytes; below the kernel's default socket buffer of 208 KiB.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// The most descriptors beside one message: standard input, output and error.
pub const DESCRIPTORS_MAX: usize = 3;
/// How much of a detached program's last output is kept, in bytes; a pipe takes as much at once.
pub const TAIL_BYTES_MAX: usize = 64 * 1024;
/// The most programs that run at once at the host's request in one capsule.
pub const EXECS_MAX: usize = 1024;
/// How many finished programs are remembered for a host that connects again.
pub const FINISHED_MAX: usize = 64;
/// How many programs one answer to `List` names; the next call goes on after the last.
pub const LIST_MAX: usize = 256;
/// The longest label of a program, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// What process 1 writes, once, when it is ready to be called.
pub const READY: &str = "ready";
/// What the helper writes, once, before the host's id of process 1.
pub const PROCESS: &str = "process ";
/// The folder of the control socket in the capsule's directory, and the socket's name.
pub const CONTROL: &str = "control";
pub const SOCKET: &str = "init.sock";
/// The folder of the capsule's directory that the capsule sees as `/session`.
pub const SESSION: &str = "session";
/// Where programs of a capsule with a disk start.
pub const WORKSPACE: &str = "/workspace";
/// The folder of the capsule's directory at which its disk is mounted.
pub const DISK: &str = "disk";
/// The folders of a blank disk: what is changed of the image, what `/workspace` holds, and a working place beside each.
pub const DISK_FOLDERS: [&str; 4] = ["upper", "work", "workspace", "workspace-work"];
/// The ordinary user that an image has.
pub const USER_ID: u32 = 1000;
/// How many ids a capsule has.
pub const IDS: u32 = 65_536;

/// The first descriptor after standard input, output and error: a container's control socket, where it inherits one.
pub const CONTROL_DESCRIPTOR: i32 = 3;
/// Where the process 1 of a container that inherits no descriptors makes its control socket.
pub const CONTROL_INSIDE: &str = "/run/vitrine/control";
/// Where a container finds the program of its process 1.
pub const INIT_INSIDE: &str = "/run/vitrine/init";
/// The file of the capsule's directory with the id of a container's keeper.
pub const KEEPER: &str = "keeper";

/// Files of `/proc` that tell about or steer the host.
pub const MASKED_FILES: [&str; 9] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
];
/// Folders of `/proc` that tell about or steer the host.
pub const MASKED_DIRECTORIES: [&str; 6] =
    ["/proc/acpi", "/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/scsi"];
