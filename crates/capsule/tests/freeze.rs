//! A capsule that stands still and goes on, or ends, as if nothing had happened.

mod support;

use std::io::Read;
use std::time::{Duration, Instant};

use support::{Machine, shell};
use vitrine_capsule::{Capsule, CapsuleError, Exec, Exit, Native, Process, Profile, User};

const A_WHILE: Duration = Duration::from_millis(150);
const COUNTER: &str =
    "i=0; while :; do i=$((i + 1)); echo $i > /session/tmp/new; mv /session/tmp/new /session/tmp/count; done";

async fn counter(capsule: &Capsule) -> Process {
    let process = capsule.exec(Exec { name: "counter".into(), ..Exec::new(["/bin/sh", "-c", COUNTER]) }).await;
    let process = process.expect("starts");
    while count(capsule) < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process
}

fn count(capsule: &Capsule) -> u64 {
    let mut text = String::new();
    if let Ok(mut file) = capsule.files().expect("files").open("/session/tmp/count") {
        file.read_to_string(&mut text).expect("text");
    }
    text.trim().parse().unwrap_or(0)
}

/// Whether it counts, in a while.
async fn counts(capsule: &Capsule) -> bool {
    let before = count(capsule);
    tokio::time::sleep(A_WHILE).await;
    count(capsule) > before
}

#[tokio::test]
async fn a_counter_stands_still_and_goes_on() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("counter", Profile::Sandbox).await;
    let process = counter(&capsule).await;
    assert!(!capsule.is_frozen());
    let mut times = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        capsule.freeze().await.expect("frozen");
        let frozen = started.elapsed();
        assert!(capsule.is_frozen() && !counts(&capsule).await);
        let refused = capsule.exec(Exec::new(["/bin/true"])).await;
        assert!(matches!(refused, Err(CapsuleError::Frozen)), "{refused:?}");
        assert!(matches!(process.kill(9).await, Err(CapsuleError::Frozen)));
        capsule.freeze().await.expect("frozen already");
        let started = Instant::now();
        capsule.thaw().expect("thawed");
        times.push((frozen, started.elapsed()));
        assert!(!capsule.is_frozen() && counts(&capsule).await);
        assert_eq!(shell(&capsule, User::Root, "echo alive").await.text, "alive\n");
    }
    println!("freeze, thaw: {times:?}");
    process.kill(9).await.expect("killed");
    assert_eq!(process.wait().await.expect("told").exit, Exit::Signal(9));
    capsule.thaw().expect("nothing to do");
    machine.finish().await;
}

#[tokio::test]
async fn a_crowd_stands_still() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("crowd", Profile::Sandbox).await;
    let crowd = "for i in $(seq 1 200); do (while :; do sleep 0.05; done) & done";
    capsule.exec(Exec::new(["/bin/sh", "-c", crowd])).await.expect("starts").wait().await.expect("ends");
    let started = Instant::now();
    capsule.freeze().await.expect("frozen");
    println!("{} processes: {:?}", capsule.usage().expect("usage").pids, started.elapsed());
    let before = capsule.usage().expect("usage").cpu_ns;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(capsule.usage().expect("usage").cpu_ns, before);
    capsule.destroy().await.expect("destroyed");
    machine.finish().await;
}

#[tokio::test]
async fn a_frozen_capsule_is_destroyed() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("ends", Profile::Sandbox).await;
    let process = counter(&capsule).await;
    capsule.freeze().await.expect("frozen");
    let started = Instant::now();
    capsule.destroy().await.expect("destroyed");
    println!("destroyed: {:?}", started.elapsed());
    assert!(matches!(process.wait().await, Err(CapsuleError::Lost)));
    machine.finish().await;
}

#[tokio::test]
async fn a_frozen_capsule_is_adopted_as_frozen() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("adopted", Profile::Sandbox).await;
    let id = counter(&capsule).await.id();
    capsule.freeze().await.expect("frozen");
    drop(capsule);
    let native = Native::probe(machine.config.clone()).await.expect("a driver");
    let capsule = native.adopt("adopted").await.expect("adopted");
    assert!(capsule.is_frozen());
    assert!(matches!(capsule.execs().await, Err(CapsuleError::Frozen)));
    capsule.thaw().expect("thawed");
    assert!(counts(&capsule).await);
    let process = capsule.attach(id).await.expect("attached");
    process.kill(9).await.expect("killed");
    assert_eq!(process.wait().await.expect("told").exit, Exit::Signal(9));
    capsule.freeze().await.expect("frozen");
    // The machine's sweep finds it frozen.
    machine.finish().await;
}
