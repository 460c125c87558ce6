//! A capsule's disk: it holds what the capsule writes and no more, stays when the capsule goes, and belongs to nobody else.

mod support;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{MIB, Machine, shell};
use tokio::task::JoinSet;
use vitrine_capsule::{Capsule, CapsuleError, DiskSpec, Disks, Exec, Native, NativeConfig, Profile, Spec, User};

const NODE: &str = "VITRINE_TEST_DISK_NODE";
const SIZE: u64 = 64 * MIB;

fn disks(machine: &Machine) -> Disks {
    Disks::open(machine.directory.path().join("disks"), SIZE).expect("disks")
}

/// A sandbox on the disk of its name, which is made when there is none.
async fn sandbox(machine: &Machine, disks: &Disks, id: &str, lower: Option<&Path>) -> Result<Capsule, CapsuleError> {
    let file = match disks.find(id).expect("a name") {
        Some(file) => file,
        None => disks.make(id).await.expect("a disk"),
    };
    on_disk(machine, id, file, lower).await
}

async fn on_disk(machine: &Machine, id: &str, file: PathBuf, lower: Option<&Path>) -> Result<Capsule, CapsuleError> {
    let mut spec = machine.spec(id, Profile::Sandbox);
    spec.disk = Some(DiskSpec { file, workspace_lower: lower.map(Into::into) });
    machine.native.create(spec).await
}

async fn root(capsule: &Capsule, script: &str) -> String {
    shell(capsule, User::Root, script).await.text
}

/// The loop devices over files of this test.
fn loops(machine: &Machine) -> Vec<String> {
    let own = machine.directory.path().to_str().expect("a path").to_owned();
    let devices = fs::read_dir("/sys/block").expect("devices").flatten();
    let backing = devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    backing.filter(|file| file.contains(&own)).collect()
}

async fn finish(machine: Machine) {
    let sweep = machine.native.sweep(&HashSet::new()).await.expect("a sweep");
    assert!(sweep.failed.is_empty(), "{:?}", sweep.failed);
    assert_eq!(loops(&machine), Vec::<String>::new());
    machine.finish().await;
}

#[tokio::test]
async fn all_that_is_written_lies_on_the_disk() {
    let machine = Machine::new().await;
    let disks = disks(&machine);
    machine.native.check_disk(&machine.rootfs, &disks).await.expect("disks work");
    assert_eq!(walk(&machine.directory.path().join("disks")), Vec::<PathBuf>::new());
    let capsule = sandbox(&machine, &disks, "writes", None).await.expect("a capsule");
    let look = "stat -c '%u %g %a' /workspace; ls -A /workspace /session; \
                touch /workspace/a /tmp/b /root/c /usr/bin/d /etc/e && echo written; grep -c loop /proc/mounts";
    assert_eq!(root(&capsule, look).await, "0 0 755\n/session:\n\n/workspace:\nwritten\n1\n");
    // The capsule's own folder holds places to mount at, the record and the control socket.
    let folder = machine.config.directory.join("writes");
    let files: Vec<_> = walk(&folder).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(files, [folder.join("capsule.json")]);

    let before = capsule.disk_usage().expect("measured").expect("a disk");
    assert!(before.used_bytes < MIB && before.limit_bytes < SIZE && before.limit_bytes > SIZE * 9 / 10, "{before:?}");
    root(&capsule, "head -c 10M /dev/zero > /tmp/ten; head -c 10M /dev/zero > /workspace/ten").await;
    let after = capsule.disk_usage().expect("measured").expect("a disk");
    assert!(after.used_bytes - before.used_bytes >= 20 * MIB && after.files > before.files, "{after:?}");
    capsule.sync_disk().await.expect("written");
    assert_eq!(loops(&machine).len(), 1);
    capsule.destroy().await.expect("destroyed");
    assert_eq!(loops(&machine), Vec::<String>::new());
    assert!(disks.find("writes").expect("a name").is_some());
    finish(machine).await;
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("listed").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_full_disk_is_said_and_stops_nobody_else() {
    let machine = Machine::new().await;
    let disks = disks(&machine);
    let capsule = sandbox(&machine, &disks, "full", None).await.expect("a capsule");
    let neighbour = sandbox(&machine, &disks, "neighbour", None).await.expect("a capsule");
    for place in ["/workspace", "/tmp", "/root", "/var/lib", "/"] {
        let said = root(&capsule, &format!("head -c 1G /dev/zero > {place}/big; rm {place}/big; sync")).await;
        assert!(said.contains("No space left on device"), "{place}: {said}");
    }
    root(&capsule, "head -c 1G /dev/zero > /workspace/big").await;
    let many = "i=0; while touch /tmp/$i; do i=$((i+1)); done 2>&1 | tail -1";
    assert!(root(&capsule, many).await.contains("No space left on device"));
    let written = "head -c 40M /dev/zero > /workspace/x && sync && echo written";
    assert_eq!(root(&neighbour, written).await, "written\n");
    let disk = fs::metadata(disks.path("full").expect("a name")).expect("there");
    assert!(disk.len() == SIZE && disk.blocks() * 512 <= SIZE + MIB, "{} blocks", disk.blocks());
    // Room comes back.
    assert_eq!(root(&capsule, "rm /workspace/big && echo x > /workspace/small && cat /workspace/small").await, "x\n");
    finish(machine).await;
}

#[tokio::test]
async fn another_capsule_finds_all_as_it_was() {
    let machine = Machine::new().await;
    let disks = disks(&machine);
    let first = sandbox(&machine, &disks, "disk", None).await.expect("a capsule");
    let write = "set -e; echo one > /workspace/mine; install -o user -g user -m 640 /dev/null /workspace/theirs; \
                 ln -s mine /workspace/link; rm /etc/issue; mv /opt /moved; useradd -m worker; \
                 chown nobody:nogroup /tmp; chmod 700 /workspace";
    assert_eq!(root(&first, write).await, "");
    let look = "stat -c '%n %u %g %a %F' /workspace /workspace/* /home/worker /tmp; cat /workspace/mine; \
                ls -d /etc/issue /opt /moved 2>/dev/null; id worker; echo more >> /workspace/mine";
    let seen = root(&first, &format!("{look} | cat")).await;
    assert!(seen.contains("/workspace/theirs 1000 1000 640") && !seen.contains("/etc/issue"), "{seen}");
    root(&first, "sed -i 2,9d /workspace/mine").await;
    // Not even asked to stop.
    machine.native.destroy("disk").await.expect("destroyed");
    let held = machine.capsule("takes-the-slot", Profile::Sandbox).await;
    disks.free("disk").await;
    disks.flush("disk").await.expect("flushed");
    let file = disks.path("disk").expect("a name");
    let second = on_disk(&machine, "second", file, None).await.expect("a capsule");
    assert_ne!(second.uid_base(), held.uid_base());
    assert_eq!(root(&second, look).await, seen);
    let held = disks.sweep(&HashSet::new()).await.expect("swept");
    assert!(held.removed.is_empty() && held.failed.is_empty(), "{held:?}");
    finish(machine).await;
}

#[tokio::test]
async fn a_disk_has_one_capsule_at_a_time() {
    let machine = Machine::new().await;
    let disks = disks(&machine);
    let file = disks.make("disk").await.expect("a disk");
    assert!(disks.make("disk").await.is_err());
    let first = on_disk(&machine, "first", file.clone(), None).await.expect("a capsule");
    let second = on_disk(&machine, "second", file.clone(), None).await;
    match second {
        Err(CapsuleError::Confine(words)) => assert!(words.contains("which another capsule has"), "{words}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(root(&first, "echo alive > /workspace/x; cat /workspace/x").await, "alive\n");
    // Who takes it over may come a little early.
    let (destroyed, second) = tokio::join!(first.destroy(), on_disk(&machine, "second", file, None));
    destroyed.expect("destroyed");
    assert_eq!(root(&second.expect("a capsule"), "cat /workspace/x").await, "alive\n");
    finish(machine).await;
}

#[tokio::test]
async fn forks_share_a_folder_that_none_of_them_changes() {
    let machine = Machine::new().await;
    let disks = disks(&machine);
    let lower = machine.directory.path().join("checkpoint-1");
    fs::create_dir_all(lower.join("src/deep")).expect("made");
    fs::write(lower.join("src/main.py"), "print(1)\n").expect("written");
    fs::write(lower.join("src/deep/user.txt"), "user's\n").expect("written");
    chown(lower.join("src/deep/user.txt"), Some(1000), Some(1000)).expect("owned");
    let one = sandbox(&machine, &disks, "one", Some(&lower)).await.expect("a capsule");
    let two = sandbox(&machine, &disks, "two", Some(&lower)).await.expect("a capsule");
    let change = "cd /workspace && stat -c '%u %a' . src src/deep/user.txt && echo 'print(2)' >> src/main.py && \
                  mv src/deep moved && rm moved/user.txt && ls -A . src && cat src/main.py";
    assert_eq!(
        root(&one, change).await,
        "0 755\n0 755\n1000 644\n.:\nmoved\nsrc\n\nsrc:\nmain.py\nprint(1)\nprint(2)\n"
    );
    assert_eq!(root(&two, "cd /workspace; cat src/main.py src/deep/user.txt").await, "print(1)\nuser's\n");
    assert_eq!(fs::read_to_string(lower.join("src/main.py")).expect("there"), "print(1)\n");
    assert!(one.disk_usage().expect("measured").is_some());
    one.sync_disk().await.expect("written");
    one.destroy().await.expect("destroyed");

    // Over another folder, or none, the changes make no sense.
    let other = machine.directory.path().join("checkpoint-2");
    fs::create_dir(&other).expect("made");
    for wrong in [None, Some(other.as_path())] {
        let error = sandbox(&machine, &disks, "one", wrong).await.expect_err("refused").to_string();
        assert!(error.contains("over another folder"), "{error}");
    }
    let again = sandbox(&machine, &disks, "one", Some(&lower)).await.expect("a capsule");
    assert_eq!(root(&again, "cd /workspace; ls; cat src/main.py").await, "moved\nsrc\nprint(1)\nprint(2)\n");
    finish(machine).await;
}

#[tokio::test]
async fn a_damaged_disk_is_an_error_and_no_more() {
    let machine = Machine::new().await;
    let disks = disks(&machine);
    let damage: [(&str, u64, usize); 6] = [
        ("all", 0, 1 << 20),
        ("super", 1024, 512),
        ("groups", 4096, 4096),
        ("bitmaps", 8192, 65_536),
        ("inodes", 65_536, 1 << 20),
        ("clean", 1024 + 58, 2),
    ];
    for (id, offset, length) in damage {
        let file = disks.make(id).await.expect("a disk");
        let disk = fs::OpenOptions::new().write(true).open(&file).expect("opened");
        disk.write_all_at(&vec![0xa5; length], offset).expect("damaged");
        match on_disk(&machine, id, file, None).await {
            Err(CapsuleError::Confine(words)) => println!("{id}: {words}"),
            Ok(capsule) => println!("{id} works: {}", root(&capsule, "echo x > /workspace/x; ls /workspace").await),
            Err(other) => panic!("{id}: {other:?}"),
        }
    }
    let short = disks.make("short").await.expect("a disk");
    fs::OpenOptions::new().write(true).open(&short).expect("opened").set_len(100_000).expect("cut");
    assert!(on_disk(&machine, "short", short, None).await.is_err());
    finish(machine).await;
}

#[tokio::test]
async fn disks_that_nobody_owns_are_swept() {
    let machine = Machine::new().await;
    let disks = disks(&machine);
    let kept = disks.make("kept").await.expect("a disk");
    disks.make("orphan").await.expect("a disk");
    let used = sandbox(&machine, &disks, "used", None).await.expect("a capsule");
    disks.refill(2).await.expect("spare ones");
    let nothing = disks.sweep(&HashSet::new()).await.expect("swept");
    assert_eq!(nothing.removed, Vec::<String>::new(), "made in this life");

    let disks = Disks::open(machine.directory.path().join("disks"), SIZE).expect("the next life");
    let (taken, file) = disks.take().await.expect("a disk");
    disks.refill(1).await.expect("a spare one");
    let sweep = disks.sweep(&HashSet::from(["kept".into()])).await.expect("swept");
    assert!(sweep.failed.is_empty() && sweep.removed.len() == 3 && sweep.removed[2] == "orphan", "{sweep:?}");
    assert!(file.exists() && disks.take().await.expect("the spare one").1.exists());
    disks.remove(&taken).await.expect("removed");
    assert!(kept.exists() && disks.find("used").expect("a name").is_some());
    used.destroy().await.expect("destroyed");
    disks.remove("used").await.expect("removed");
    disks.remove("used").await.expect("removing twice is fine");
    for name in ["", "..", "a/b", "a.b", &"a".repeat(65)] {
        assert!(matches!(disks.make(name).await, Err(CapsuleError::Invalid(_))), "{name}");
    }
    finish(machine).await;
}

/// Not a check but figures: from nothing to a program's end in a capsule with a disk of the size that sandboxes have.
#[tokio::test]
async fn creation_on_a_disk_is_quick() {
    let machine = Machine::new().await;
    let size = 10 << 30;
    let opening = Instant::now();
    let disks = Disks::open(machine.directory.path().join("disks"), size).expect("disks");
    println!("the blank image: {:?}", opening.elapsed());
    let (mut makes, mut fresh, mut spares) = (Vec::new(), Vec::new(), Vec::new());
    let (mut execs, mut destructions) = (Vec::new(), Vec::new());
    for number in 0..30 {
        // Every other time there is a spare one.
        let spare = number % 2;
        disks.refill(spare).await.expect("spare ones");
        let started = Instant::now();
        let (name, file) = disks.take().await.expect("a disk");
        let made = Instant::now();
        let capsule = on_disk(&machine, &name, file, None).await.expect("a capsule");
        let created = Instant::now();
        capsule.exec(Exec::new(["/bin/true"])).await.expect("starts").wait().await.expect("ends");
        let ran = Instant::now();
        capsule.destroy().await.expect("destroyed");
        if spare == 0 {
            makes.push(made - started);
            fresh.push(created - made);
        } else {
            spares.push(created - made);
        }
        execs.push(ran - created);
        destructions.push(ran.elapsed());
        disks.remove(&name).await.expect("removed");
    }
    let figures =
        [("make", makes), ("create", fresh), ("create on a spare", spares), ("true", execs), ("destroy", destructions)];
    for (what, mut times) in figures {
        times.sort();
        println!("{what}: p50 {:?} p95 {:?}", times[times.len() / 2], times[times.len() * 95 / 100]);
        assert!(times[times.len() / 2] < Duration::from_millis(300), "{what}: {times:?}");
    }
    finish(machine).await;
}

#[tokio::test]
async fn two_hundred_live_at_once() {
    let machine = Machine::with("minimal", 200).await;
    let disks = Disks::open(machine.directory.path().join("disks"), 10 << 30).expect("disks");
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let (disks, native) = (disks.clone(), machine.native.clone());
        let mut spec = machine.spec(&format!("live-{number}"), Profile::Sandbox);
        tasks.spawn(async move {
            let file = disks.make(&spec.id).await.expect("a disk");
            spec.disk = Some(DiskSpec { file, workspace_lower: None });
            native.create(spec).await.expect("a capsule")
        });
    }
    let capsules = tasks.join_all().await;
    println!("200 created at once: {:?}", started.elapsed());
    let mut used: Vec<u64> = Vec::new();
    for capsule in &capsules {
        assert_eq!(root(capsule, "echo x > /workspace/x; cat /workspace/x").await, "x\n");
        used.push(capsule.usage().expect("usage").memory_bytes);
    }
    used.sort_unstable();
    println!("memory after a first command: p50 {} KiB, most {} KiB", used[100] / 1024, used[199] / 1024);
    assert!(used[100] < 3 * MIB, "{used:?}");
    assert_eq!(loops(&machine).len(), 200);
    let ending = Instant::now();
    let mut tasks = JoinSet::new();
    capsules.into_iter().for_each(|capsule| drop(tasks.spawn(async move { capsule.destroy().await })));
    tasks.join_all().await.into_iter().for_each(|destroyed| destroyed.expect("destroyed"));
    println!("200 destroyed at once: {:?}", ending.elapsed());
    finish(machine).await;
}

/// A life that the test below ends; not a test by itself.
#[tokio::test]
#[ignore = "started by another test"]
async fn node_side() {
    let text = std::env::var(NODE).expect("started by another test");
    let plan: serde_json::Value = serde_json::from_str(&text).expect("a plan");
    let word = |name: &str| plan[name].as_str().expect("a word").to_owned();
    let config = NativeConfig {
        directory: word("capsules").into(),
        instance: word("instance"),
        uid_base: plan["uid_base"].as_u64().expect("a number") as u32,
        slots_max: 16,
    };
    let native = Native::probe(config).await.expect("a driver");
    let disks = Disks::open(word("disks").into(), SIZE).expect("disks");
    let mut spec: Spec = Machine::plain_spec(word("rootfs").into(), "x", Profile::Sandbox);
    loop {
        disks.refill(1).await.expect("a spare one");
        let (id, file) = disks.take().await.expect("a disk");
        spec.id = id.clone();
        spec.disk = Some(DiskSpec { file, workspace_lower: None });
        let capsule = native.create(spec.clone()).await.expect("a capsule");
        let writes = Exec { user: User::Root, ..Exec::new(["/bin/sh", "-c", "head -c 4M /dev/zero > /workspace/x"]) };
        capsule.exec(writes).await.expect("starts");
        capsule.destroy().await.expect("destroyed");
        disks.remove(&id).await.expect("removed");
    }
}

#[tokio::test]
async fn a_node_killed_at_any_moment_leaves_what_sweeps_remove() {
    let machine = Machine::new().await;
    let folder = machine.directory.path().join("disks");
    let plan = serde_json::json!({
        "capsules": machine.config.directory,
        "disks": folder,
        "instance": machine.config.instance,
        "uid_base": machine.config.uid_base,
        "rootfs": machine.rootfs,
    });
    for round in 0..30 {
        let mut node = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "node_side", "--ignored", "--nocapture"])
            .env(NODE, plan.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let begun = || fs::read_dir(&machine.config.directory).is_ok_and(|mut entries| entries.next().is_some());
        while !begun() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        // One turn of that life takes some tens of milliseconds; every round goes on a little longer.
        tokio::time::sleep(Duration::from_micros(round * 1500)).await;
        node.kill().expect("killed");
        node.wait().expect("buried");
        let native = Native::probe(machine.config.clone()).await.expect("a driver");
        native.sweep(&HashSet::new()).await.expect("swept");
        // A helper that was just starting finds its folders gone and ends by itself.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let again = native.sweep(&HashSet::new()).await.expect("swept");
        assert!(again.failed.is_empty(), "round {round}: {:?}", again.failed);
        assert_eq!(loops(&machine), Vec::<String>::new(), "round {round}");
        let disks = Disks::open(folder.clone(), SIZE).expect("the next life");
        let swept = disks.sweep(&HashSet::new()).await.expect("swept");
        assert!(swept.failed.is_empty(), "round {round}: {:?}", swept.failed);
        assert_eq!(walk(&folder), Vec::<PathBuf>::new(), "round {round}");
    }
    finish(machine).await;
}

#[tokio::test]
async fn a_stored_workspace_is_back_soon() {
    let machine = Machine::new().await;
    let disks = Disks::open(machine.directory.path().join("disks"), 10 << 30).expect("disks");
    let capsule = sandbox(&machine, &disks, "stored", None).await.expect("a capsule");
    let fill = "cd /workspace; head -c 60M /dev/urandom > big; i=0; mkdir many; \
                while [ $i -lt 2000 ]; do head -c 20k big > many/$i; i=$((i+1)); done; find . -type f | xargs cat | sha256sum";
    let hash = root(&capsule, fill).await;
    let storing = Instant::now();
    capsule.sync_disk().await.expect("written");
    capsule.destroy().await.expect("destroyed");
    println!("stored: {:?}", storing.elapsed());
    let flushing = Instant::now();
    disks.flush("stored").await.expect("flushed");
    println!("flushed: {:?}", flushing.elapsed());
    let resuming = Instant::now();
    let capsule = sandbox(&machine, &disks, "stored", None).await.expect("a capsule");
    root(&capsule, "true").await;
    println!("back: {:?}", resuming.elapsed());
    assert_eq!(root(&capsule, "cd /workspace; find . -type f | xargs cat | sha256sum").await, hash);
    finish(machine).await;
}
