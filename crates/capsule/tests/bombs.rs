//! Programs that take all they can get take it from their own capsule only.

mod support;

use support::{MIB, Machine, shell};
use vitrine_capsule::{Exit, Profile, User};

#[tokio::test]
async fn a_memory_bomb_is_killed_and_counted() {
    let machine = Machine::new().await;
    let mut spec = machine.spec("memory", Profile::Sandbox);
    spec.limits.memory_bytes = 64 * MIB;
    let capsule = machine.native.create(spec).await.expect("a capsule");
    assert_eq!(capsule.oom_kills().expect("counted"), 0);
    let bomb = shell(&capsule, User::Ordinary, "exec perl -e '$x .= \"x\" x 1048576 while 1'").await;
    assert_eq!(bomb.exit, Exit::Signal(9));
    assert_eq!(capsule.oom_kills().expect("counted"), 1);
    assert_eq!(shell(&capsule, User::Ordinary, "echo alive").await.text, "alive\n");
    machine.finish().await;
}

#[tokio::test]
async fn shared_memory_counts_too() {
    let machine = Machine::new().await;
    let mut spec = machine.spec("shared", Profile::Sandbox);
    spec.limits.memory_bytes = 64 * MIB;
    let capsule = machine.native.create(spec).await.expect("a capsule");
    for place in ["/dev/shm", "/run", "/dev"] {
        let fill = format!("head -c 1G /dev/zero > {place}/bomb; rm {place}/bomb");
        let bomb = shell(&capsule, User::Root, &fill).await;
        assert!(bomb.text.contains("No space left"), "{place}: {}", bomb.text);
    }
    assert_eq!(shell(&capsule, User::Root, "echo alive").await.text, "alive\n");
    machine.finish().await;
}

#[tokio::test]
async fn a_fork_bomb_meets_the_limit_and_the_end() {
    let machine = Machine::new().await;
    let mut spec = machine.spec("forks", Profile::Sandbox);
    spec.limits.pids_max = 40;
    let capsule = machine.native.create(spec).await.expect("a capsule");
    let bomb = "bomb() { bomb | bomb & }; bomb; sleep 1; echo started";
    let exec = vitrine_capsule::Exec::new(["/bin/sh", "-c", bomb]);
    capsule.exec(exec).await.expect("starts").wait().await.expect("ends");
    assert!(capsule.usage().expect("usage").pids <= 40);
    machine.finish().await;
}

#[tokio::test]
async fn a_flood_of_output_stops_nobody() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("flood", Profile::Sandbox).await;
    for _ in 0..4 {
        capsule.exec(vitrine_capsule::Exec::new(["/bin/cat", "/dev/zero"])).await.expect("starts");
    }
    assert_eq!(shell(&capsule, User::Ordinary, "echo heard").await.text, "heard\n");
    assert!(capsule.usage().expect("usage").memory_bytes < 64 * MIB);
    capsule.signal_all(9).await.expect("killed");
    machine.finish().await;
}

#[tokio::test]
async fn descriptors_end_before_the_hosts_do() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("files", Profile::Sandbox).await;
    let bomb = "perl -e 'while (open($f[$n], \"<\", \"/dev/null\")) { $n++ } print $n < 70000 ? \"ended\" : $n'";
    assert_eq!(shell(&capsule, User::Ordinary, bomb).await.text, "ended");
    machine.finish().await;
}
