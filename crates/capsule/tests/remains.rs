//! Nothing of a capsule remains, whoever died when; and nothing else is taken along.

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio as Output};
use std::time::Duration;

use rustix::mount::UnmountFlags;
use support::{Machine, shell};
use vitrine_capsule::{Capsule, CapsuleError, Exec, ExecState, Exit, Native, NativeConfig, Profile, Spec, Stdio, User};

const DIRECTORY: &str = "VITRINE_TEST_DIRECTORY";

/// What a machine shows of capsules.
fn traces(machine: &Machine) -> Vec<String> {
    let directory = machine.config.directory.to_str().expect("a path").to_owned();
    let mut traces: Vec<String> = Vec::new();
    for process in fs::read_dir("/proc").expect("processes").flatten() {
        if !process.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let read = |file: &str| fs::read_to_string(process.path().join(file)).unwrap_or_default();
        let name = process.path().display().to_string();
        // Whose parent has died is buried by the machine's process 1, in its own time.
        let buried_by_others = read("stat").contains(") Z 1 ");
        if !buried_by_others && read("cgroup").contains(&format!("vitrine-{}/", machine.config.instance)) {
            traces.push(format!("{name} {}", read("stat").trim()));
        }
        if read("mountinfo").contains(&directory) {
            traces.push(format!("{name} sees a mount"));
        }
    }
    let groups = machine.group_folders().into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let groups = groups.flatten().filter(|entry| entry.path().is_dir());
    traces.extend(groups.map(|entry| entry.path().display().to_string()));
    let folders = fs::read_dir(&machine.config.directory).expect("capsules").flatten();
    traces.extend(folders.map(|entry| entry.path().display().to_string()));
    traces
}

#[tokio::test]
async fn destruction_leaves_nothing() {
    let machine = Machine::new().await;
    for profile in [Profile::Browser, Profile::Sandbox] {
        let capsule = machine.capsule("traces", profile).await;
        let litter = "mkdir -p /session/tmp/a/b /tmp/c; mkfifo /tmp/pipe; ln -s /etc /session/tmp/link; \
                      chmod 0 /session/tmp/a; sleep 1000 & (setsid sleep 1000 &) ; (trap '' TERM; sleep 1000) & true";
        shell(&capsule, User::Ordinary, &format!("({litter}) > /dev/null 2>&1")).await;
        assert!(traces(&machine).len() > 4);
        capsule.destroy().await.expect("destroyed");
        assert_eq!(traces(&machine), Vec::<String>::new());
    }
    machine.finish().await;
}

#[tokio::test]
async fn nothing_is_deleted_through_a_mount() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("mounted", Profile::Sandbox).await;
    let outside = tempfile::tempdir().expect("a folder");
    fs::write(outside.path().join("precious"), "kept").expect("written");
    let point = capsule.directory().join("tmp");
    rustix::mount::mount_bind(outside.path(), &point).expect("bound");
    match capsule.destroy().await {
        Err(CapsuleError::Remains { left, .. }) => assert!(left[0].starts_with("mount "), "{left:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(outside.path().join("precious")).expect("still there"), "kept");
    assert_eq!(machine.native.slots_taken(), 1);
    rustix::mount::unmount(&point, UnmountFlags::empty()).expect("unmounted");
    capsule.destroy().await.expect("destroyed");
    machine.finish().await;
}

#[tokio::test]
async fn a_mount_that_appears_during_deletion_is_not_entered() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("binds", Profile::Sandbox).await;
    // The capsule's own mounts of host folders vanish with it, and their content stays.
    capsule.destroy().await.expect("destroyed");
    let outside = tempfile::tempdir().expect("a folder");
    fs::write(outside.path().join("precious"), "kept").expect("written");
    let mut spec = machine.spec("binds", Profile::Sandbox);
    spec.binds = vec![vitrine_capsule::Bind {
        source: outside.path().to_owned(),
        target: "/mnt/outside/deep".into(),
        read_only: true,
    }];
    spec.ca_bundle = Some(outside.path().join("precious"));
    let capsule = machine.native.create(spec).await.expect("a capsule");
    let script = "cat /mnt/outside/deep/precious /etc/ssl/certs/ca-certificates.crt; echo x > /mnt/outside/deep/x";
    let output = shell(&capsule, User::Root, script).await.text;
    assert!(output.starts_with("keptkept") && output.contains("Read-only"), "{output}");
    capsule.destroy().await.expect("destroyed");
    assert_eq!(fs::read_to_string(outside.path().join("precious")).expect("still there"), "kept");
    machine.finish().await;
}

#[tokio::test]
async fn the_image_is_never_written() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("writer", Profile::Sandbox).await;
    let neighbour = machine.capsule("reader", Profile::Sandbox).await;
    let output =
        shell(&capsule, User::Root, "echo x > /usr/bin/evil && mv /opt /moved && rm /etc/passwd && ls /moved").await;
    assert_eq!(output.exit, Exit::Code(0), "{}", output.text);
    assert_eq!(
        shell(&neighbour, User::Root, "ls -d /usr/bin/evil /etc/passwd /opt 2>/dev/null").await.text,
        "/etc/passwd\n/opt\n"
    );
    assert!(!machine.rootfs.join("usr/bin/evil").exists() && machine.rootfs.join("etc/passwd").exists());
    machine.finish().await;
}

#[tokio::test]
async fn a_sweep_spares_what_it_should() {
    let machine = Machine::new().await;
    machine.capsule("kept", Profile::Sandbox).await;
    machine.capsule("orphan", Profile::Sandbox).await;
    fs::create_dir(machine.config.directory.join("half-made")).expect("made");
    for folder in machine.group_folders() {
        fs::create_dir(folder.join("only-a-group")).expect("made");
    }
    let report = machine.native.sweep(&HashSet::from(["kept".into()])).await.expect("swept");
    assert_eq!(report.destroyed, ["half-made", "only-a-group", "orphan"]);
    assert!(report.failed.is_empty());
    assert_eq!(machine.native.list().await.expect("listed").len(), 1);
    machine.finish().await;
}

/// The life of a node that the tests below end; not a test by itself.
#[tokio::test]
#[ignore = "started by other tests"]
async fn node_side() {
    let directory = std::env::var(DIRECTORY).expect("started by another test");
    let text = fs::read_to_string(Path::new(&directory).join("node.json")).expect("a plan");
    let plan: serde_json::Value = serde_json::from_str(&text).expect("a plan");
    let config = NativeConfig {
        directory: Path::new(&directory).join("capsules"),
        instance: plan["instance"].as_str().expect("a name").into(),
        uid_base: plan["uid_base"].as_u64().expect("a number") as u32,
        slots_max: 16,
    };
    let native = Native::probe(config).await.expect("a driver");
    for number in 0.. {
        let spec = Spec {
            id: format!("made-{number}"),
            driver: vitrine_capsule::NATIVE.into(),
            profile: Profile::Browser,
            rootfs: plan["rootfs"].as_str().expect("a path").into(),
            limits: serde_json::from_value(plan["limits"].clone()).expect("limits"),
            ca_bundle: None,
            hostname: "capsule".into(),
            binds: Vec::new(),
            disk: None,
            label: serde_json::json!({"number": number}),
        };
        let capsule = native.create(spec).await.expect("a capsule");
        let mut exec = Exec::new(["/bin/sh", "-c", "echo hello; while :; do sleep 0.1; done"]);
        exec.name = "ticker".into();
        capsule.exec(exec).await.expect("starts");
        if plan["once"].as_bool() == Some(true) {
            let stdio = Stdio::Terminal { cols: 80, rows: 24 };
            let shell = Exec { name: "shell".into(), stdio, ..Exec::new(["/bin/sh"]) };
            let terminal = capsule.exec(shell).await.expect("starts").take_terminal().expect("a terminal");
            terminal.write_all(b"word=kept; sleep 0.2; echo while nobody looked\n").await.expect("typed");
        }
        if number == 0 {
            fs::write(Path::new(&directory).join("ready"), "").expect("told");
        }
        if plan["once"].as_bool() == Some(true) {
            std::future::pending::<()>().await;
        }
        if number >= 2 {
            native.destroy(&format!("made-{}", number - 2)).await.expect("destroyed");
        }
    }
}

struct Node(std::process::Child);

impl Node {
    fn start(machine: &Machine, once: bool) -> Self {
        let parent = machine.config.directory.parent().expect("a folder");
        let plan = serde_json::json!({
            "instance": machine.config.instance,
            "uid_base": machine.config.uid_base,
            "rootfs": machine.rootfs,
            "limits": machine.spec("x", Profile::Browser).limits,
            "once": once,
        });
        fs::write(parent.join("node.json"), plan.to_string()).expect("written");
        let _ = fs::remove_file(parent.join("ready"));
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "node_side", "--ignored", "--nocapture"])
            .env(DIRECTORY, parent)
            .stdout(Output::null())
            .stderr(Output::null())
            .spawn()
            .expect("starts");
        Self(child)
    }

    async fn ready(&self, machine: &Machine) {
        let mark = machine.config.directory.parent().expect("a folder").join("ready");
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("buried");
    }
}

#[tokio::test]
async fn a_capsule_outlives_its_node_and_is_adopted() {
    let machine = Machine::new().await;
    let node = Node::start(&machine, true);
    node.ready(&machine).await;
    node.kill();
    let native = Native::probe(machine.config.clone()).await.expect("a driver");
    assert_eq!(native.slots_taken(), 1);
    let capsule = native.adopt("made-0").await.expect("adopted");
    assert_eq!(capsule.record().label["number"], 0);
    let execs = capsule.execs().await.expect("listed");
    let ticker = execs.iter().find(|state| state.name == "ticker").expect("it runs");
    assert_eq!(ticker.ended, None);
    let process = capsule.attach(ticker.exec).await.expect("attached");
    assert_eq!(process.tail().await.expect("output"), b"hello\n");
    assert_eq!(shell(&capsule, User::Ordinary, "echo new").await.text, "new\n");
    terminal_goes_on(&capsule, execs.iter().find(|state| state.name == "shell").expect("it runs")).await;
    process.kill(9).await.expect("killed");
    assert_eq!(process.wait().await.expect("told").exit, Exit::Signal(9));
    // Whoever attaches after the end still learns it.
    let late = capsule.attach(process.id()).await.expect("remembered");
    assert_eq!(late.wait().await.expect("told").exit, Exit::Signal(9));
    capsule.destroy().await.expect("destroyed");
    assert!(matches!(native.adopt("made-0").await, Err(CapsuleError::NotFound(_))));
    machine.finish().await;
}

async fn terminal_goes_on(capsule: &Capsule, state: &ExecState) {
    let mut shell = capsule.attach(state.exec).await.expect("attached");
    let terminal = shell.take_terminal().expect("its terminal");
    terminal.write_all(b"echo the word is $word; exit 6\n").await.expect("typed");
    let mut seen = Vec::new();
    let mut part = [0; 1024];
    while let count @ 1.. = terminal.read(&mut part).await.expect("readable") {
        seen.extend(&part[..count]);
    }
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("\nwhile nobody looked\r\n") && seen.contains("the word is kept\r\n"), "{seen}");
    assert_eq!(shell.wait().await.expect("told").exit, Exit::Code(6));
}

#[tokio::test]
async fn a_node_killed_at_any_moment_leaves_what_a_sweep_removes() {
    let machine = Machine::new().await;
    for round in 0..40 {
        let node = Node::start(&machine, false);
        while !machine.config.directory.join("made-0").exists() {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        // A creation takes some milliseconds; every round goes on a little longer.
        tokio::time::sleep(Duration::from_micros(round * 400)).await;
        node.kill();
        let native = Native::probe(machine.config.clone()).await.expect("a driver");
        let mut report = native.sweep(&HashSet::new()).await.expect("swept");
        // A helper that was just starting finds its folders gone and ends by itself.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let again = native.sweep(&HashSet::new()).await.expect("swept");
        report.failed.extend(again.failed);
        assert!(report.failed.is_empty(), "round {round}: {:?}", report.failed);
        assert_eq!(traces(&machine), Vec::<String>::new(), "round {round}");
    }
    machine.finish().await;
}

#[tokio::test]
async fn a_tree_of_any_shape_is_deleted() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("shapes", Profile::Sandbox).await;
    let script = "perl -e 'chdir \"/session/tmp\"; for (1..3000) { mkdir \"d\"; chdir \"d\" or die; }'; \
                  cd /session/downloads; perl -e 'for (1..5000) { open(F, \">\", \"file$_\") }'; \
                  mkdir .deep-1 .deep-2; touch .deep-1/x";
    assert_eq!(shell(&capsule, User::Root, script).await.exit, Exit::Code(0));
    capsule.destroy().await.expect("destroyed");
    machine.finish().await;
}
