//! What programs can try by themselves: forbidden calls, the kernel's files, process 1.

use super::{Attack, ESCAPED, Means};

pub(super) const ATTACKS: &[Attack] = &[
    script("host-processes", "see or signal processes of the host", processes),
    script("kernel-settings", "write /proc/sys, sysrq-trigger, core_pattern, release_agent, /sys", settings),
    script("kernel-secrets", "read kernel memory, keys, logs, timers, the host's mounts and cgroups", secrets),
    script("mounts", "mount, unmount, pivot and move mounts", mounts),
    script("namespaces", "make or enter namespaces, by unshare, clone, clone3 and setns", namespaces),
    script(
        "kernel-calls",
        "reach bpf, keyrings, perf, userfaultfd, io_uring, kexec, modules, handles, the clock",
        calls,
    ),
    script("odd-sockets", "open packet, netlink, vsock, crypto, Bluetooth and raw sockets", sockets),
    script("terminal-input", "fake terminal input by TIOCSTI and TIOCLINUX", terminal),
    script("device-nodes", "make a device node and read the host's memory or disk by it", devices),
    script("process-one", "read, trace, limit and kill process 1, or leave by its root", process_one),
    script("descriptors", "use descriptors that the host forgot in a program", descriptors),
    script("second-root", "leave by a second root: chroot and an open directory", second_root),
    script("personality", "switch the protections of the address space off", personality),
];

const fn script(name: &'static str, tries: &'static str, script: fn() -> String) -> Attack {
    Attack { name, tries, means: Means::Script(script) }
}

/// Make each call; one that is answered otherwise than by a refusal has reached the kernel. `EPERM` and `EACCES` refuse,
/// `ENOSYS` and `EAFNOSUPPORT` deny that there is such a thing.
fn refused(calls: &[(&str, i64, &str)]) -> String {
    let attempt = |(name, number, arguments): &(&str, i64, &str)| {
        format!(
            "@a = ({arguments}); $! = 0; $r = syscall({number}, @a); \
             print \"{ESCAPED}: {name} ($r, $!)\\n\" unless $r == -1 && grep {{ $! + 0 == $_ }} (1, 13, 38, 97);\n"
        )
    };
    format!("perl -e '{}'", calls.iter().map(attempt).collect::<String>())
}

fn processes() -> String {
    let host = std::process::id();
    format!(
        "grep -l -x -E 'kthreadd|ksoftirqd/0' /proc/[0-9]*/comm 2>/dev/null | sed 's/^/{ESCAPED}: sees /'\n\
         [ \"$(ls /proc | grep -c '^[0-9]')\" -lt 32 ] || echo '{ESCAPED}: sees many processes'\n\
         kill -0 {host} 2>/dev/null && echo '{ESCAPED}: may signal the process that made it'\ntrue"
    )
}

fn settings() -> String {
    // What is written is what is there already; `h` asks for help in the kernel's log.
    format!(
        "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/kernel/modprobe \
         /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/vm/overcommit_memory \
         /proc/sys/fs/binfmt_misc/register /proc/sys/kernel/panic /sys/kernel/uevent_helper \
         /sys/devices/system/cpu/cpu1/online /sys/kernel/mm/transparent_hugepage/enabled; do\n\
         case \"$own_kernel$f\" in yes/proc/sys/*) continue;; esac\n\
         v=$(cat $f 2>/dev/null) && (printf '%s\\n' \"$v\" > $f) 2>/dev/null && echo \"{ESCAPED}: wrote $f\"\n\
         chmod 666 $f 2>/dev/null && echo \"{ESCAPED}: changed the mode of $f\"\ndone\n\
         [ -c /proc/sysrq-trigger ] || (echo h > /proc/sysrq-trigger) 2>/dev/null && \
         [ -f /proc/sysrq-trigger ] && echo '{ESCAPED}: wrote sysrq-trigger'\n\
         find / -xdev \\( -name release_agent -o -name notify_on_release \\) 2>/dev/null | sed 's/^/{ESCAPED}: found /'\n\
         find /sys $([ -n \"$own_kernel\" ] || echo /proc/sys) -type f -writable 2>/dev/null | while read f; do \
         v=$(cat $f 2>/dev/null); (printf '%s\\n' \"$v\" > $f) 2>/dev/null && echo \"{ESCAPED}: wrote $f\"; done\ntrue"
    )
}

fn secrets() -> String {
    format!(
        "for f in /proc/kcore /proc/keys /proc/kmsg /proc/timer_list /proc/sched_debug /dev/mem /dev/kmsg /dev/port; do\n\
         n=$(head -c 16 $f 2>/dev/null | wc -c); [ \"$n\" = 0 ] || echo \"{ESCAPED}: read $f\"\ndone\n\
         grep -q cgroup2 /proc/self/mounts && echo '{ESCAPED}: sees a cgroup file system'\n\
         grep -q vitrine /proc/self/cgroup && echo '{ESCAPED}: sees its cgroup on the host'\n\
         grep -E -q 'capsules|lowerdir=/' /proc/self/mounts && echo '{ESCAPED}: sees paths of the host'\n\
         ls /sys/class /sys/block /sys/firmware /sys/fs 2>/dev/null | grep -q . && echo '{ESCAPED}: sees hardware'\ntrue"
    )
}

fn mounts() -> String {
    refused(&[
        ("mount", libc::SYS_mount, r#""none", "/mnt", "tmpfs", 0, 0"#),
        ("a bind mount", libc::SYS_mount, r#""/", "/mnt", 0, 4096, 0"#),
        ("a remount", libc::SYS_mount, r#""none", "/proc/sys", 0, 4128, 0"#),
        ("umount2", libc::SYS_umount2, r#""/proc/sys", 2"#),
        ("pivot_root", libc::SYS_pivot_root, r#""/", "/""#),
        ("fsopen", libc::SYS_fsopen, r#""tmpfs", 0"#),
        ("open_tree", libc::SYS_open_tree, r#"-100, "/", 1"#),
        ("move_mount", libc::SYS_move_mount, r#"0, "", 0, "", 0"#),
        ("mount_setattr", libc::SYS_mount_setattr, r#"-100, "/", 0, 0, 0"#),
    ])
}

fn namespaces() -> String {
    let unshare = libc::SYS_unshare;
    // A `clone` that succeeds makes a child, which has nothing to do.
    let clones = [0x1000_0011, 0x2000_0011, 0x4000_0011, 0x0002_0011].map(|flags: u32| {
        format!(
            "$r = syscall({}, {flags}, 0, 0, 0, 0); exit 0 if $r == 0; print \"{ESCAPED}: clone {flags:x}\\n\" if $r > 0;\n",
            libc::SYS_clone
        )
    });
    let calls = refused(&[
        ("unshare of users", unshare, "0x10000000"),
        ("unshare of users, processes and network", unshare, "0x70000000"),
        ("unshare of mounts", unshare, "0x00020000"),
        ("unshare of users and mounts", unshare, "0x10020000"),
        ("unshare of cgroups", unshare, "0x02000000"),
        ("unshare of host names", unshare, "0x04000000"),
        ("unshare of time", unshare, "0x80"),
        ("clone3", libc::SYS_clone3, "0, 0"),
        ("setns", libc::SYS_setns, "0, 0"),
    ]);
    format!("{calls}\nperl -e '{}'", clones.concat())
}

fn calls() -> String {
    refused(&[
        ("bpf", libc::SYS_bpf, "0, 0, 0"),
        ("keyctl", libc::SYS_keyctl, "0, -3, 0"),
        ("add_key", libc::SYS_add_key, r#""user", "x", "y", 1, -3"#),
        ("request_key", libc::SYS_request_key, r#""user", "x", 0, -3"#),
        ("perf_event_open", libc::SYS_perf_event_open, "0, 0, -1, -1, 0"),
        ("userfaultfd", libc::SYS_userfaultfd, "0"),
        ("io_uring_setup", libc::SYS_io_uring_setup, "1, 0"),
        ("kexec_load", libc::SYS_kexec_load, "0, 0, 0, 0"),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, "-100, 0, 0"),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, r#"-100, "/", 0, 0, 0"#),
        ("init_module", libc::SYS_init_module, "0, 0, 0"),
        ("finit_module", libc::SYS_finit_module, r#"0, "", 0"#),
        ("reboot", libc::SYS_reboot, "0, 0, 0, 0"),
        ("swapon", libc::SYS_swapon, r#""/x", 0"#),
        ("syslog", libc::SYS_syslog, "3, 0, 0"),
        ("sethostname", libc::SYS_sethostname, r#""x", 1"#),
        ("settimeofday", libc::SYS_settimeofday, "0, 0"),
        ("acct", libc::SYS_acct, "0"),
        ("quotactl", libc::SYS_quotactl, "0, 0, 0, 0"),
        ("fanotify_init", libc::SYS_fanotify_init, "0, 0"),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, "0, 0, 0"),
        ("kcmp", libc::SYS_kcmp, "1, 1, 0, 0, 0"),
    ])
}

fn sockets() -> String {
    let socket = libc::SYS_socket;
    refused(&[
        ("a packet socket", socket, "17, 3, 0"),
        ("a vsock", socket, "40, 1, 0"),
        ("a crypto socket", socket, "38, 5, 0"),
        ("a Bluetooth socket", socket, "31, 3, 1"),
        ("a netlink socket of the firewall", socket, "16, 3, 12"),
        ("a netlink socket of audit", socket, "16, 3, 9"),
        ("a netlink socket of devices", socket, "16, 3, 15"),
        ("a raw socket", socket, "2, 3, 1"),
    ])
}

fn terminal() -> String {
    // The kernel looks at 32 bits of the request, whatever else is in the register.
    let ioctl = libc::SYS_ioctl;
    refused(&[
        ("TIOCSTI", ioctl, r#"0, 0x5412, "x""#),
        ("TIOCSTI in 64 bits", ioctl, r#"0, 0x100005412, "x""#),
        ("TIOCLINUX", ioctl, r#"0, 0x541c, "x""#),
    ])
}

fn devices() -> String {
    format!(
        "cd \"$(mktemp -d)\"\n\
         perl -e 'for ([\"memory\", 020666, 0x101], [\"disk\", 060666, 0x800], [\"disk\", 060666, 0xfe00], [\"loop\", 060666, 0x700]) \
         {{ ($n, $m, $d) = @$_; unlink \"node\"; next if syscall({}, \"node\", $m, $d) == -1; \
         print \"{ESCAPED}: read the {{$n}} by a node\\n\" if open(F, \"<\", \"node\") && sysread(F, $b, 1); }}'\n\
         ls -l /dev | grep -E '^b' | sed 's/^/{ESCAPED}: sees /'\ntrue",
        libc::SYS_mknod
    )
}

fn process_one() -> String {
    let (attach, seize) = (16, 0x4206);
    let calls = refused(&[
        ("ptrace attach", libc::SYS_ptrace, &format!("{attach}, 1, 0, 0")),
        ("ptrace seize", libc::SYS_ptrace, &format!("{seize}, 1, 0, 0")),
        ("its memory", libc::SYS_process_vm_readv, r#"1, pack("QQ", 0, 1), 1, pack("QQ", 4096, 1), 1, 0"#),
        ("its limits", libc::SYS_prlimit64, r#"1, 7, pack("QQ", 3, 3), 0"#),
    ]);
    format!(
        "{calls}\nfor f in environ maps mem exe cwd/etc/hostname root/etc/hostname fd/0 fd/3 ns/net auxv; do\n\
         [ -n \"$own_kernel\" ] && case $f in environ|maps|exe|cwd/*|root/*|ns/net|auxv) continue;; esac\n\
         head -c 1 /proc/1/$f >/dev/null 2>&1 && [ \"$(head -c 1 /proc/1/$f 2>/dev/null | wc -c)\" != 0 ] && \
         echo \"{ESCAPED}: read $f of process 1\"\ndone\n\
         [ -n \"$own_kernel\" ] || for n in 0 1 2 3 4 5 6 7; do readlink /proc/1/fd/$n | sed 's/^/{ESCAPED}: sees its descriptor /'; done\n\
         [ -n \"$own_kernel\" ] || {{ kill -9 1; kill -STOP 1; kill -SEGV 1; kill -TERM 1; sleep 0.1; }}\n\
         [ -d /proc/1 ] || echo '{ESCAPED}: killed it'"
    )
}

fn descriptors() -> String {
    // A list of a folder has a descriptor of its own, and a shell may keep some above. A second kernel says so of the pipes
    // that we gave it.
    format!(
        "perl -e 'for (glob \"/proc/self/fd/*\") {{ $l = readlink; next unless defined $l; next if m{{/[012]$}} && $l =~ /^host:/; \
         print \"{ESCAPED}: has $l\\n\" if $l !~ m{{^(pipe:|/dev/null|/proc/)}}; }}'\n\
         for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; for f in $p/fd/*; do \
         case \"$(readlink $f 2>/dev/null)\" in *capsules/*|*vitrine*) echo \"{ESCAPED}: $f\";; esac; done; done\ntrue"
    )
}

fn second_root() -> String {
    format!(
        "d=$(mktemp -d)\nperl -e 'opendir(D, \"/\"); chroot $ARGV[0]; chdir \"..\" for 1..64; chroot \".\"; \
         open(F, \"<\", \"etc/hostname\") or exit; $h = <F>; print \"{ESCAPED}: is at the root of $h\\n\" if $h ne \"capsule\\n\"' $d"
    )
}

fn personality() -> String {
    refused(&[("personality", libc::SYS_personality, "0x0400000")])
}
