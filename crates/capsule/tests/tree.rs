//! What a program leaves behind when it ends or is ended, and what it is said to have used.

mod support;

use std::time::{Duration, Instant};

use support::{MIB, Machine, shell};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use vitrine_capsule::{Capsule, Ended, Exec, Exit, Process, Profile, Stdio, User};

const SOON: Duration = Duration::from_secs(20);
const KILL: i32 = 9;
const TERMINATE: i32 = 15;

async fn start(capsule: &Capsule, script: &str) -> Process {
    capsule.exec(Exec { user: User::Root, ..Exec::new(["/bin/sh", "-c", script]) }).await.expect("starts")
}

async fn end(process: &Process) -> Ended {
    timeout(SOON, process.wait()).await.expect("in time").expect("told")
}

/// How many processes have this in their command line.
async fn count(capsule: &Capsule, what: &str) -> usize {
    let listed = shell(capsule, User::Root, "ps axo stat=,args=").await.text;
    listed.lines().filter(|line| !line.starts_with('Z') && line.contains(what)).count()
}

async fn until(capsule: &Capsule, what: &str, wanted: usize) {
    let started = Instant::now();
    loop {
        let found = count(capsule, what).await;
        if found == wanted {
            return;
        }
        assert!(started.elapsed() < SOON, "{found} instead of {wanted} {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Six sleepers: a child, one in a session of its own, one of each kind without a parent, and two that have left
/// everything, the last one its environment too.
const WANDERERS: &str = "sleep 1001 & (setsid sleep 1001 &); (sleep 1001 &); setsid sh -c 'setsid sleep 1001 & sleep 1001' & \
    perl -e 'use POSIX; fork and exit; setsid; fork and exit; %ENV = (); exec \"/bin/sleep\", \"1001\"'; exec sleep 1002";

#[tokio::test]
async fn everybody_in_the_tree_is_killed_and_nobody_else() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("tree", Profile::Sandbox).await;
    let other = start(&capsule, "exec sleep 1003").await;
    let program = start(&capsule, WANDERERS).await;
    until(&capsule, "/bin/sleep 1001", 1).await;
    until(&capsule, "sleep 1001", 7).await;
    program.kill_tree(KILL).await.expect("killed");
    assert_eq!(end(&program).await.exit, Exit::Signal(KILL));
    until(&capsule, "sleep 100", 1).await;
    assert_eq!(count(&capsule, "sleep 1003").await, 1);
    program.kill_tree(KILL).await.expect("killing twice is fine");
    other.kill_tree(KILL).await.expect("killed");
    assert_eq!(end(&other).await.exit, Exit::Signal(KILL));
    machine.finish().await;
}

#[tokio::test]
async fn what_a_program_left_behind_is_still_its_own() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("left", Profile::Sandbox).await;
    let program = start(&capsule, "(setsid sleep 1001 > /dev/null &)").await;
    assert_eq!(end(&program).await.exit, Exit::Code(0));
    until(&capsule, "sleep 1001", 1).await;
    program.kill_tree(KILL).await.expect("killed");
    until(&capsule, "sleep 1001", 0).await;
    machine.finish().await;
}

#[tokio::test]
async fn a_program_whose_starter_has_gone_does_not_run_on() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("gone", Profile::Sandbox).await;
    for patience_us in (0..40).map(|step| step * 50) {
        let starting = capsule.exec(Exec::new(["/bin/sh", "-c", "sleep 1001 & wait"]));
        if let Ok(started) = timeout(Duration::from_micros(patience_us), starting).await {
            started.expect("starts").kill_tree(KILL).await.expect("killed");
        }
    }
    until(&capsule, "sleep 1001", 0).await;
    machine.finish().await;
}

#[tokio::test]
async fn a_polite_signal_is_handled() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("polite", Profile::Sandbox).await;
    let script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let stdio = Stdio::Pipes { stdin: false, stdout: true, stderr: false };
    let mut program = capsule.exec(Exec { stdio, ..Exec::new(["/bin/sh", "-c", script]) }).await.expect("starts");
    let mut output = program.take_stdout().expect("a pipe");
    let mut ready = [0; 6];
    output.read_exact(&mut ready).await.expect("readable");
    program.kill_tree(TERMINATE).await.expect("told");
    assert_eq!(end(&program).await.exit, Exit::Code(7));
    let mut text = String::new();
    output.read_to_string(&mut text).await.expect("readable");
    assert_eq!(text, "told\n");
    machine.finish().await;
}

#[tokio::test]
async fn a_bomb_of_forks_is_caught() {
    let machine = Machine::new().await;
    let mut spec = machine.spec("bomb", Profile::Sandbox);
    spec.limits.pids_max = 120;
    let capsule = machine.native.create(spec).await.expect("a capsule");
    // Each leaves its session and its parent, and starts two more.
    let bomb = "perl -e 'use POSIX; while (1) { next if fork; setsid; fork and POSIX::_exit(0) }'";
    let program = start(&capsule, bomb).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(capsule.usage().expect("usage").pids > 60);
    program.kill_tree(KILL).await.expect("killed");
    assert_eq!(end(&program).await.exit, Exit::Signal(KILL));
    let started = Instant::now();
    while capsule.usage().expect("usage").pids > 1 {
        assert!(started.elapsed() < SOON, "{:?}", capsule.usage());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    machine.finish().await;
}

#[tokio::test]
async fn a_program_ends_when_it_ends() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("ends", Profile::Sandbox).await;
    let stdio = Stdio::Pipes { stdin: false, stdout: true, stderr: true };
    // It closes its output, leaves it to somebody else, goes on as a daemon.
    let scripts = ["exec >&- 2>&-; sleep 0.1; exit 5", "sleep 1000 & exit 5", "setsid sleep 1000 & exit 5"];
    for script in scripts {
        let program = capsule.exec(Exec { stdio, ..Exec::new(["/bin/sh", "-c", script]) }).await.expect("starts");
        assert_eq!(end(&program).await.exit, Exit::Code(5), "{script}");
    }
    machine.finish().await;
}

#[tokio::test]
async fn what_was_used_is_told() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("used", Profile::Sandbox).await;
    let little = end(&start(&capsule, "true").await).await;
    assert!(little.cpu_ms < 50 && (1..16 * MIB).contains(&little.peak_memory_bytes), "{little:?}");
    // A child that was waited for counts.
    let much = end(&start(&capsule, "perl -e '$x = \"x\" x 67108864; $x = \"\"'; true").await).await;
    assert!((64 * MIB..200 * MIB).contains(&much.peak_memory_bytes), "{much:?}");
    let busy = end(&start(&capsule, "perl -e '$i++ while times < 0.3'").await).await;
    assert!((300..3000).contains(&busy.cpu_ms), "{busy:?}");
    machine.finish().await;
}

/// Not a check but a figure: from the call to the end of a program, alone and in a crowd.
#[tokio::test]
async fn an_exec_is_quick() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("quick", Profile::Sandbox).await;
    let mut times = Vec::new();
    let before = capsule.usage().expect("usage").cpu_ns;
    for _ in 0..300 {
        let started = Instant::now();
        let program = Exec { user: User::Root, ..Exec::new(["true"]) };
        end(&capsule.exec(program).await.expect("starts")).await;
        times.push(started.elapsed());
    }
    times.sort();
    let cpu = Duration::from_nanos((capsule.usage().expect("usage").cpu_ns - before) / 300);
    println!(
        "exec: best {:?}, median {:?}, p95 {:?}; processor in the capsule {cpu:?}",
        times[0], times[150], times[285]
    );
    assert!(times[150] < Duration::from_millis(50), "{times:?}");

    let started = Instant::now();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let capsule = capsule.clone();
        crowd.spawn(async move { end(&capsule.exec(Exec::new(["/bin/true"])).await.expect("starts")).await });
    }
    while let Some(ended) = crowd.join_next().await {
        assert_eq!(ended.expect("joined").exit, Exit::Code(0));
    }
    println!("200 at once: {:?}", started.elapsed());
    machine.finish().await;
}
