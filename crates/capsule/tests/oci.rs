//! Capsules that OCI runtimes confine: the same capsule as the native driver's, and nothing left of it.

mod support;

use std::path::Path;

use support::{MIB, Machine, shell};
use vitrine_capsule::{CapsuleError, DiskSpec, Disks, Exit, Profile, REDIRECT_TCP_PORT, User};

#[tokio::test]
async fn a_capsule_is_the_same_by_any_runtime() {
    let machine = Machine::new().await;
    let disks = Disks::open(machine.config.directory.with_file_name("disks"), 64 * MIB).expect("disks");
    let (mut native, mut same_kernel) = (None, None);
    for driver in machine.drivers() {
        machine.native.check_driver(&driver, &machine.rootfs).await.expect("works");
        let mut spec = machine.spec("same", Profile::Sandbox);
        spec.driver = driver.clone();
        let file = disks.make("same").await.expect("a disk");
        spec.disk = Some(DiskSpec { file, workspace_lower: None });
        let capsule = machine.native.create(spec).await.expect("a capsule");
        let sees = "id -u; hostname; cat /proc/1/comm; cat /etc/resolv.conf | head -1; \
                    grep CapEff /proc/self/status; stat -f -c %T /dev/shm; echo x > /root/file && chown 1000:1000 /root/file && echo wrote";
        let seen = shell(&capsule, User::Root, sees).await.text;
        assert!(seen.ends_with("wrote\n"), "{driver}: {seen}");
        assert_eq!(&seen, native.get_or_insert(seen.clone()), "{driver}");
        if !machine.is_second_kernel(&driver) {
            let sees = "ls /workspace; grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; cat /proc/self/uid_map | tr -s ' '; \
                        ls /sys; ls /dev | grep -v core; stat -f -c %T /run";
            let seen = shell(&capsule, User::Root, sees).await.text;
            assert!(seen.contains(&format!(" {} 65536\n", capsule.uid_base())), "{seen}");
            let ids = seen.replace(&capsule.uid_base().to_string(), "IDS");
            assert_eq!(&ids, same_kernel.get_or_insert(ids.clone()), "{driver}");
        }
        // From the host's side: files, the network, limits, the record.
        let files = capsule.files().expect("files");
        std::io::Write::write_all(&mut files.create("/workspace/given").expect("a draft").file(), b"y")
            .expect("written");
        let listener = capsule.network().tcp_listener(REDIRECT_TCP_PORT).await.expect("a listener");
        let dial = "perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); \
                    print connect(S, sockaddr_in(443, inet_aton(\"93.184.216.34\"))) ? \"connected\" : \"$!\"'";
        assert_eq!(shell(&capsule, User::Ordinary, dial).await.text, "connected", "{driver}");
        drop(listener);
        assert!(capsule.usage().expect("usage").memory_bytes > 0);
        assert_eq!(machine.native.list().await.expect("listed")[0].driver, driver);
        // Another life of the host finds it again.
        drop(capsule);
        let capsule = machine.native.adopt("same").await.expect("adopted");
        assert_eq!(shell(&capsule, User::Ordinary, "id -u").await.text, "1000\n", "{driver}");
        let ended = capsule.exited();
        capsule.destroy().await.expect("destroyed");
        ended.await.expect("ended");
        disks.remove("same").await.expect("removed");
    }
    assert_eq!(remembered(&machine), Vec::<String>::new());
    machine.finish().await;
}

/// What runtimes still know.
fn remembered(machine: &Machine) -> Vec<String> {
    let folder = machine.config.directory.with_file_name("runtimes");
    let states = machine.native.runtimes().iter().map(|runtime| folder.join(&runtime.name));
    let entries = states.flat_map(|state| std::fs::read_dir(state).expect("listed")).flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

#[tokio::test]
async fn the_end_of_process_one_is_the_end_of_the_capsule() {
    let machine = Machine::new().await;
    for driver in machine.drivers() {
        let mut spec = machine.spec("ends", Profile::Sandbox);
        spec.driver = driver;
        let capsule = machine.native.create(spec).await.expect("a capsule");
        let ended = capsule.exited();
        capsule.signal_all(9).await.expect("others are killed");
        assert_eq!(shell(&capsule, User::Root, "echo still").await.exit, Exit::Code(0));
        capsule.destroy().await.expect("destroyed");
        ended.await.expect("ended");
    }
    machine.finish().await;
}

#[tokio::test]
async fn what_is_not_there_is_refused_and_never_replaced() {
    let machine = Machine::new().await;
    let mut spec = machine.spec("refused", Profile::Sandbox);
    spec.driver = "kata".into();
    let refused = machine.native.create(spec).await.expect_err("refused");
    let there = std::iter::once("native").chain(machine.native.runtimes().iter().map(|one| one.name.as_str()));
    let words = format!("confine by the driver kata: there are {}", there.collect::<Vec<_>>().join(", "));
    assert_eq!(refused.to_string(), words);
    let mut spec = machine.spec("refused", Profile::Browser);
    spec.driver = "runc".into();
    assert!(matches!(machine.native.create(spec).await, Err(CapsuleError::Invalid(_))));
    machine.finish().await;
}

#[tokio::test]
async fn a_runtime_that_fails_says_why_and_leaves_nothing() {
    let broken = Machine::with_runtimes(&[("gone", "/nonexistent/runtime"), ("refuses", "/bin/false")]).await;
    for (driver, word) in [("gone", "No such file"), ("refuses", "does not say why")] {
        let mut spec = broken.spec("fails", Profile::Sandbox);
        spec.driver = driver.into();
        let failed = broken.native.create(spec).await.expect_err("fails").to_string();
        assert!(failed.contains("start the container with") && failed.contains(word), "{failed}");
        assert!(broken.native.list().await.expect("listed").is_empty());
    }
    assert!(!Path::new("/sys/fs/cgroup/devices").join(format!("vitrine-{}", broken.config.instance)).exists());
    broken.finish().await;
}

/// Has gVisor's command line, refuses what gVisor would not know, and lets crun do the work.
const STAND_IN: &str = r#"#!/bin/sh
options=
while :; do
  case "$1" in
    --root | --log) options="$options $1 $2"; shift 2 ;;
    --network=host | --overlay2=none | --file-access=shared | --host-uds=create | --ignore-cgroups) shift ;;
    *) break ;;
  esac
done
[ "$1" = run ] && [ "$2" != --detach ] && exit 64
exec /usr/bin/crun --cgroup-manager=disabled $options "$@"
"#;

#[tokio::test]
async fn a_second_kernel_is_reached_by_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("runsc");
    std::fs::write(&program, STAND_IN).expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let machine = Machine::with_runtimes(&[("runsc", program.to_str().expect("a path"))]).await;
    assert_eq!(machine.native.runtimes()[0].lacks(), ["terminals"]);
    let disks = Disks::open(machine.config.directory.with_file_name("disks"), 64 * MIB).expect("disks");
    let mut spec = machine.spec("second", Profile::Sandbox);
    spec.driver = "runsc".into();
    spec.disk = Some(DiskSpec { file: disks.make("second").await.expect("a disk"), workspace_lower: None });
    let capsule = machine.native.create(spec).await.expect("a capsule");
    for round in ["made", "adopted"] {
        let capsule =
            if round == "made" { capsule.clone() } else { machine.native.adopt("second").await.expect("adopted") };
        assert_eq!(
            shell(&capsule, User::Ordinary, "id -u; ls /run/vitrine/control 2>&1").await.text.lines().count(),
            2
        );
        let files = capsule.files().expect("files");
        let draft = files.create(format!("/run/{round}")).expect("a draft");
        std::io::Write::write_all(&mut draft.file(), round.as_bytes()).expect("written");
        draft.keep().expect("kept");
        assert_eq!(shell(&capsule, User::Root, &format!("cat /run/{round}")).await.text, round);
        let _listener = capsule.network().tcp_listener(REDIRECT_TCP_PORT).await.expect("a listener");
    }
    // Whoever takes the socket's place leads nobody anywhere.
    let replaced = "rm /run/vitrine/control/init.sock; ln -s /run/systemd/private /run/vitrine/control/init.sock";
    shell(&capsule, User::Root, replaced).await;
    assert!(machine.native.adopt("second").await.is_err());
    capsule.destroy().await.expect("destroyed");
    disks.remove("second").await.expect("removed");
    machine.finish().await;
}
