//! What package managers and programs like them do to a system works on a capsule's disk.

mod support;

use std::time::Instant;

use support::{MIB, Machine, shell};
use vitrine_capsule::{Capsule, DiskSpec, Disks, Exit, Profile, User};

async fn sandbox(machine: &Machine) -> Capsule {
    let disks = Disks::open(machine.directory.path().join("disks"), 2048 * MIB).expect("disks");
    let mut spec = machine.spec("packages", Profile::Sandbox);
    spec.limits.memory_bytes = 2048 * MIB;
    spec.disk = Some(DiskSpec { file: disks.make("packages").await.expect("a disk"), workspace_lower: None });
    machine.native.create(spec).await.expect("a capsule")
}

/// Run the script with its steps' errors as its own.
async fn run(capsule: &Capsule, name: &str, script: &str) -> String {
    let started = Instant::now();
    let output = shell(capsule, User::Root, &format!("set -e; export HOME=/root; cd /workspace\n{script}")).await;
    println!("{name}: {:?}", started.elapsed());
    assert_eq!(output.exit, Exit::Code(0), "{name}: {}", output.text);
    output.text
}

#[tokio::test]
async fn the_systems_own() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine).await;
    assert_eq!(run(&capsule, "dpkg", include_str!("packages/dpkg.sh")).await, "tool\ntool\n");
    assert_eq!(run(&capsule, "calls", include_str!("packages/calls.sh")).await, "");
    machine.finish().await;
}

#[tokio::test]
async fn those_of_the_sandboxes_image() {
    let machine = Machine::with_image("standard").await;
    let capsule = sandbox(&machine).await;
    assert_eq!(run(&capsule, "git", include_str!("packages/git.sh")).await.trim(), "1");
    assert_eq!(run(&capsule, "apt", include_str!("packages/apt.sh")).await, "tool\n");
    assert_eq!(run(&capsule, "pip", include_str!("packages/pip.sh")).await, "hi\n");
    assert_eq!(run(&capsule, "npm", include_str!("packages/npm.sh")).await, "lib-1.0.0.tgz\n7\n");
    assert_eq!(run(&capsule, "bun", include_str!("packages/bun.sh")).await, "7\n");
    machine.finish().await;
}
