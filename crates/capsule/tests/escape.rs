//! Ways out of a capsule, tried as the most that a program there can be: none leads anywhere.

mod support;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use support::{Machine, shell};
use vitrine_capsule::{Capsule, Exit, Profile, User};

const BOTH: [Profile; 2] = [Profile::Browser, Profile::Sandbox];
const EPERM: &str = "1";
const ENOSYS: &str = "38";
const EAFNOSUPPORT: &str = "97";
const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWUSER: u64 = 0x1000_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;

/// The error number of a system call made in the capsule, or `ok`.
async fn call(capsule: &Capsule, user: User, number: i64, arguments: &str) -> String {
    let script = format!("perl -e '@a = ({arguments}); print syscall({number}, @a) == -1 ? $! + 0 : \"ok\"'");
    shell(capsule, user, &script).await.text
}

#[tokio::test]
async fn forbidden_system_calls() {
    let machine = Machine::new().await;
    for profile in BOTH {
        let capsule = machine.capsule("calls", profile).await;
        let refused = [
            ("mount", libc::SYS_mount, "\"none\", \"/mnt\", \"tmpfs\", 0, 0"),
            ("umount2", libc::SYS_umount2, "\"/proc\", 2"),
            ("pivot_root", libc::SYS_pivot_root, "\"/\", \"/\""),
            ("fsopen", libc::SYS_fsopen, "\"tmpfs\", 0"),
            ("open_tree", libc::SYS_open_tree, "-100, \"/\", 1"),
            ("move_mount", libc::SYS_move_mount, "0, \"\", 0, \"\", 0"),
            ("mount_setattr", libc::SYS_mount_setattr, "-100, \"/\", 0, 0, 0"),
            ("setns", libc::SYS_setns, "0, 0"),
            ("bpf", libc::SYS_bpf, "0, 0, 0"),
            ("keyctl", libc::SYS_keyctl, "0, -3, 0"),
            ("add_key", libc::SYS_add_key, "\"user\", \"x\", \"y\", 1, -3"),
            ("perf_event_open", libc::SYS_perf_event_open, "0, 0, -1, -1, 0"),
            ("userfaultfd", libc::SYS_userfaultfd, "0"),
            ("io_uring_setup", libc::SYS_io_uring_setup, "1, 0"),
            ("kexec_load", libc::SYS_kexec_load, "0, 0, 0, 0"),
            ("open_by_handle_at", libc::SYS_open_by_handle_at, "-100, 0, 0"),
            ("init_module", libc::SYS_init_module, "0, 0, 0"),
            ("reboot", libc::SYS_reboot, "0, 0, 0, 0"),
            ("swapon", libc::SYS_swapon, "\"/x\", 0"),
            ("syslog", libc::SYS_syslog, "3, 0, 0"),
            ("sethostname", libc::SYS_sethostname, "\"x\", 1"),
            ("settimeofday", libc::SYS_settimeofday, "0, 0"),
            ("raw socket", libc::SYS_socket, "2, 3, 1"),
            ("personality", libc::SYS_personality, "0x0400000"),
        ];
        for (name, number, arguments) in refused {
            assert_eq!(call(&capsule, User::Root, number, arguments).await, EPERM, "{profile:?} {name}");
        }
        for arguments in ["17, 3, 0", "40, 1, 0", "38, 5, 0", "31, 1, 0", "16, 3, 12", "16, 3, 9"] {
            let made = call(&capsule, User::Root, libc::SYS_socket, arguments).await;
            assert_eq!(made, EAFNOSUPPORT, "{profile:?} {arguments}");
        }
        assert_eq!(call(&capsule, User::Root, libc::SYS_clone3, "0, 0").await, ENOSYS);
        // 64 bits of which the kernel looks at 32.
        let tiocsti = "0, 0x100005412, \"x\"";
        assert_eq!(call(&capsule, User::Root, libc::SYS_ioctl, tiocsti).await, EPERM, "TIOCSTI");
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn namespaces_of_ones_own() {
    let machine = Machine::new().await;
    for profile in BOTH {
        let capsule = machine.capsule("spaces", profile).await;
        let chromium = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
        let expected = if profile == Profile::Browser { "ok" } else { EPERM };
        for flags in [CLONE_NEWUSER, chromium] {
            let made = call(&capsule, User::Ordinary, libc::SYS_unshare, &flags.to_string()).await;
            assert_eq!(made, expected, "{profile:?} {flags:x}");
        }
        for flags in [CLONE_NEWNS, CLONE_NEWUSER | CLONE_NEWNS, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x80] {
            for user in [User::Root, User::Ordinary] {
                let made = call(&capsule, user, libc::SYS_unshare, &flags.to_string()).await;
                assert_eq!(made, EPERM, "{profile:?} {flags:x}");
            }
        }
        if profile == Profile::Browser {
            // Even root of a namespace of its own neither mounts nor reaches the firewall.
            let script = "perl -e 'syscall(272, 0x50000000) == 0 or die; @a = (\"none\", \"/mnt\", \"tmpfs\", 0, 0); syscall(165, @a); \
                          print $! + 0, \" \"; socket(S, 16, 3, 12); print $! + 0'";
            assert_eq!(shell(&capsule, User::Ordinary, script).await.text, "1 97");
        }
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn the_host_is_out_of_sight() {
    let machine = Machine::new().await;
    for profile in BOTH {
        let capsule = machine.capsule("sight", profile).await;
        let pids = shell(&capsule, User::Root, "ls /proc | grep -c '^[0-9]'").await.text;
        assert!(pids.trim().parse::<u32>().expect("a number") < 8, "{pids}");
        let host = std::process::id();
        assert_ne!(shell(&capsule, User::Root, &format!("kill -0 {host}")).await.exit, Exit::Code(0));
        let mounts = shell(&capsule, User::Root, "cat /proc/self/mounts").await.text;
        assert!(!mounts.contains(machine.config.directory.to_str().expect("a path")), "{mounts}");
        assert!(!mounts.contains("cgroup"), "{mounts}");
        let groups = shell(&capsule, User::Root, "cat /proc/self/cgroup").await.text;
        assert!(!groups.contains("vitrine"), "{groups}");
        for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger"] {
            let read = shell(&capsule, User::Root, &format!("[ ! -e {path} ] || [ -c {path} ] && echo masked")).await;
            assert_eq!(read.text, "masked\n", "{path}");
        }
        assert_eq!(shell(&capsule, User::Root, "ls /sys; ls /sys/devices").await.text, "devices\nsystem\n");
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn the_kernels_settings_are_not_theirs() {
    let machine = Machine::new().await;
    for profile in BOTH {
        let capsule = machine.capsule("settings", profile).await;
        let files = [
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/kernel/hostname",
            "/proc/sys/net/ipv4/ip_forward",
            "/proc/sys/net/ipv6/conf/all/disable_ipv6",
            "/proc/sys/vm/overcommit_memory",
            "/sys/devices/system/cpu/online",
        ];
        for file in files {
            let output = shell(&capsule, User::Root, &format!("echo 0 > {file}; chmod 777 {file}; rm -f {file}")).await;
            assert!(!output.text.is_empty() && output.exit != Exit::Code(0), "{file}: {}", output.text);
        }
        let agent = shell(&capsule, User::Root, "find / -xdev -name release_agent 2>/dev/null | head -1").await.text;
        assert_eq!(agent, "");
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn process_one_is_untouchable() {
    let machine = Machine::new().await;
    for profile in BOTH {
        let capsule = machine.capsule("first", profile).await;
        for user in [User::Root, User::Ordinary] {
            let signals =
                shell(&capsule, user, "kill -9 1; kill -STOP 1; kill -SEGV 1; kill -TERM 1; echo tried").await;
            assert!(signals.text.ends_with("tried\n"));
            let attach = 16;
            let ptrace = call(&capsule, user, libc::SYS_ptrace, &format!("{attach}, 1, 0, 0")).await;
            assert_eq!(ptrace, EPERM, "{profile:?} ptrace");
            let files = "for f in environ maps mem exe cwd/x root/etc fd/3 ns/net auxv stack; do \
                         cat /proc/1/$f >/dev/null 2>&1 && echo $f; done; ls /proc/1/fd /proc/1/root/ 2>/dev/null";
            assert_eq!(shell(&capsule, user, files).await.text, "", "{profile:?}");
            let limit = "perl -e '@a = (1, 7, pack(\"QQ\", 3, 3), 0); print syscall(302, @a) == -1 ? \"no\" : \"yes\"'";
            assert_eq!(shell(&capsule, user, limit).await.text, "no", "{profile:?} prlimit");
        }
        assert_eq!(shell(&capsule, User::Root, "echo alive").await.text, "alive\n");
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn no_devices_and_no_setuid() {
    let machine = Machine::new().await;
    for profile in BOTH {
        let capsule = machine.capsule("devices", profile).await;
        for (kind, mode) in [("c", 0o020_666), ("b", 0o060_666)] {
            let made = call(&capsule, User::Root, libc::SYS_mknod, &format!("\"/tmp/{kind}\", {mode}, 0x103")).await;
            assert!(made == EPERM || made == "13", "{profile:?} {kind}: {made}");
        }
        let setuid = "cp /usr/bin/id /usr/local/bin/id-as-root; chmod 4755 /usr/local/bin/id-as-root";
        assert_eq!(shell(&capsule, User::Root, setuid).await.exit, Exit::Code(0));
        assert_eq!(shell(&capsule, User::Ordinary, "/usr/local/bin/id-as-root -u").await.text, "1000\n");
        let status = shell(&capsule, User::Ordinary, "grep -E 'CapEff|CapPrm|NoNewPrivs' /proc/self/status").await.text;
        assert!(status.contains("CapPrm:\t0000000000000000") && status.contains("NoNewPrivs:\t1"), "{status}");
        capsule.destroy().await.expect("destroyed");
    }
    machine.finish().await;
}

#[tokio::test]
async fn abstract_sockets_stay_inside() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("sockets", Profile::Sandbox).await;
    let name = format!("vitrine-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("bound");
    let dial = format!(
        "perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); \
         print connect(S, pack(\"Sxa*\", 1, \"{name}\")) ? \"connected\" : $!'"
    );
    let answer = shell(&capsule, User::Root, &dial).await.text;
    assert!(answer.contains("refused") || answer.contains("permitted"), "{answer}");
    // The control socket has no name in there.
    let sockets =
        shell(&capsule, User::Root, "find / -xdev -type s; cat /proc/net/unix | grep -c init.sock").await.text;
    assert!(!sockets.contains('/'), "{sockets}");
    machine.finish().await;
}

#[tokio::test]
async fn a_second_root_leads_nowhere() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("roots", Profile::Sandbox).await;
    let breakout = "mkdir -p /tmp/r; perl -e 'opendir(D, \"/\"); chroot \"/tmp/r\"; chdir \"..\" for 1..64; chroot \".\"; \
                    open(F, \"<\", \"etc/hostname\"); print <F>'";
    assert_eq!(shell(&capsule, User::Root, breakout).await.text, "capsule\n");
    machine.finish().await;
}

#[tokio::test]
async fn what_root_may_do_in_a_sandbox() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("root", Profile::Sandbox).await;
    let work = "set -e; touch /tmp/f; chown user:user /tmp/f; chmod 700 /tmp/f; useradd -m worker; \
                su worker -c 'id -un'; mkdir -p /var/lib/x; ln -s /tmp /var/lib/x/l; dpkg -l > /dev/null; \
                setpriv --reuid=1000 --regid=1000 --clear-groups id -u";
    let output = shell(&capsule, User::Root, work).await;
    assert_eq!((output.text.as_str(), output.exit), ("worker\n1000\n", Exit::Code(0)));
    machine.finish().await;
}
