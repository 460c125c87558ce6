//! A capsule's life: programs start, end and are followed, and a capsule outlives whoever made it.

mod support;

use std::time::{Duration, Instant};

use support::{Machine, shell};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitrine_capsule::{CapsuleError, Exec, Exit, Limits, Profile, Refusal, Stdio, User};

const NOT_FOUND: i32 = 2;
const TERMINATE: i32 = 15;
const KILL: i32 = 9;

#[tokio::test]
async fn the_check_passes() {
    let machine = Machine::new().await;
    machine.native.check(&machine.rootfs).await.expect("isolation works");
    machine.finish().await;
}

#[tokio::test]
async fn programs_end_as_they_say() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("ends", Profile::Sandbox).await;
    let run = |script: &str| Exec::new(["/bin/sh", "-c", script]);
    let ended = async |exec: Exec| capsule.exec(exec).await.expect("starts").wait().await.expect("ends").exit;
    assert_eq!(ended(run("exit 7")).await, Exit::Code(7));
    assert_eq!(ended(run("kill -TERM $$")).await, Exit::Signal(TERMINATE));

    let sleeper = capsule.exec(run("sleep 1000 & wait")).await.expect("starts");
    sleeper.kill(KILL).await.expect("killed");
    assert_eq!(sleeper.wait().await.expect("ends").exit, Exit::Signal(KILL));
    sleeper.kill(KILL).await.expect("killing twice is fine");
    // The whole process group went.
    assert_eq!(shell(&capsule, User::Root, "ps ax | grep -c '[s]leep 1000'").await.text.trim(), "0");

    let missing = capsule.exec(Exec::new(["/no/such/program"])).await;
    assert!(matches!(missing, Err(CapsuleError::Refused(Refusal::NotStarted(NOT_FOUND)))), "{missing:?}");
    let empty = capsule.exec(Exec::new([""; 0])).await;
    assert!(matches!(empty, Err(CapsuleError::Refused(Refusal::Malformed(_)))), "{empty:?}");
    let huge = capsule.exec(Exec::new(["/bin/true", &"x".repeat(1 << 20)])).await;
    assert!(matches!(huge, Err(CapsuleError::Refused(Refusal::Malformed(_)))), "{huge:?}");
    machine.finish().await;
}

#[tokio::test]
async fn programs_are_given_what_was_asked() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("given", Profile::Browser).await;
    let mut exec = Exec::new(["/bin/sh", "-c", "id -u; pwd; echo $WORD; cat; echo aside >&2"]);
    exec.env.push(("WORD".into(), "a word".into()));
    exec.cwd = "/session/tmp".into();
    exec.stdio = Stdio::Pipes { stdin: true, stdout: true, stderr: true };
    let mut process = capsule.exec(exec).await.expect("starts");
    let mut stdin = process.take_stdin().expect("a pipe");
    stdin.write_all(b"from the host\n").await.expect("written");
    drop(stdin);
    let (mut output, mut error) = (String::new(), String::new());
    process.take_stdout().expect("a pipe").read_to_string(&mut output).await.expect("text");
    process.take_stderr().expect("a pipe").read_to_string(&mut error).await.expect("text");
    assert_eq!(output, "1000\n/session/tmp\na word\nfrom the host\n");
    assert_eq!(error, "aside\n");
    assert_eq!(process.wait().await.expect("ends").exit, Exit::Code(0));
    for (user, id) in [(User::Root, "0"), (User::Ordinary, "1000")] {
        let there = Exec { user, cwd: "/session".into(), ..Exec::new(["/bin/sh", "-c", "test $(pwd) = /session"]) };
        let nowhere = Exec { user, cwd: "/no/such".into(), ..Exec::new(["/bin/true"]) };
        assert_eq!(capsule.exec(there).await.expect("starts").wait().await.expect("ends").exit, Exit::Code(0));
        let refused = capsule.exec(nowhere).await;
        assert!(matches!(refused, Err(CapsuleError::Refused(Refusal::NotStarted(NOT_FOUND)))), "{refused:?}");
        // By its name, in the search path that it is given.
        let mut named = Exec { user, ..Exec::new(["sh", "-c", "test $0 = word", "word"]) };
        assert_eq!(capsule.exec(named.clone()).await.expect("starts").wait().await.expect("ends").exit, Exit::Code(0));
        for path in ["/etc:/no/such", ""] {
            named.env = vec![("PATH".into(), path.into())];
            let refused = capsule.exec(named.clone()).await;
            assert!(matches!(refused, Err(CapsuleError::Refused(Refusal::NotStarted(NOT_FOUND)))), "{refused:?}");
        }
        // Programs are chosen before process 1 when memory runs out.
        let output = shell(&capsule, user, "id -u; sleep 0.05; cat /proc/self/oom_score_adj").await.text;
        assert_eq!(output, format!("{id}\n100\n"));
    }
    machine.finish().await;
}

#[tokio::test]
async fn the_last_output_is_kept_and_no_more() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("tail", Profile::Sandbox).await;
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo the end >&2";
    let process = capsule.exec(Exec::new(["/bin/sh", "-c", script])).await.expect("starts");
    process.wait().await.expect("ends");
    let tail = process.tail().await.expect("output");
    assert_eq!(tail.len(), 64 * 1024);
    assert!(tail.ends_with(b"line 19999\nthe end\n"));
    machine.finish().await;
}

#[tokio::test]
async fn two_hundred_at_once() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("crowd", Profile::Sandbox).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let capsule = capsule.clone();
        tasks.spawn(async move {
            let output = shell(&capsule, User::Ordinary, &format!("echo {number}; exit {}", number % 100)).await;
            assert_eq!(output.text.trim(), number.to_string());
            assert_eq!(output.exit, Exit::Code(number % 100));
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("as it said");
    }
    // Whatever was orphaned is buried: only init and the asking shell are left.
    shell(&capsule, User::Root, "(setsid sleep 0.05 &)").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let left = shell(&capsule, User::Root, "ps axo stat,args | grep -v -e ps -e STAT").await.text;
    assert!(!left.contains('Z') && left.lines().count() <= 3, "{left}");
    machine.finish().await;
}

#[tokio::test]
async fn the_label_and_the_list() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("label", Profile::Sandbox).await;
    capsule.set_label(serde_json::json!({"session": "x", "generation": 2})).expect("written");
    let records = machine.native.list().await.expect("listed");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].label["generation"], 2);
    assert!(records[0].alive);
    let again = machine.native.create(machine.spec("label", Profile::Sandbox)).await;
    assert!(matches!(again, Err(CapsuleError::Exists(_))), "{again:?}");
    for id in ["", "..", "a/b", "-x", "A", &"a".repeat(65)] {
        let odd = machine.native.create(machine.spec(id, Profile::Sandbox)).await;
        assert!(matches!(odd, Err(CapsuleError::Invalid(_))), "{id}: {odd:?}");
        assert!(machine.native.destroy(id).await.is_err());
    }
    machine.native.destroy("never-made").await.expect("nothing to do");
    machine.finish().await;
}

#[tokio::test]
async fn the_end_of_process_one_is_told() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("gone", Profile::Sandbox).await;
    let sleeper = capsule.exec(Exec::new(["/bin/sleep", "1000"])).await.expect("starts");
    let exited = tokio::spawn(capsule.exited());
    let waiting = tokio::spawn(async move { sleeper.wait().await });
    machine.native.destroy("gone").await.expect("destroyed");
    exited.await.expect("joined").expect("told");
    assert!(matches!(waiting.await.expect("joined"), Err(CapsuleError::Lost)));
    assert!(matches!(capsule.exec(Exec::new(["/bin/true"])).await, Err(CapsuleError::Lost)));
    assert!(capsule.network().connect(1).await.is_err());
    capsule.destroy().await.expect("destroying twice is fine");
    machine.finish().await;
}

#[tokio::test]
async fn every_slot_is_used_and_given_back() {
    let machine = Machine::new().await;
    for number in 0..machine.config.slots_max {
        machine.capsule(&format!("slot-{number}"), Profile::Sandbox).await;
    }
    let more = machine.native.create(machine.spec("one-more", Profile::Sandbox)).await;
    assert!(matches!(more, Err(CapsuleError::NoSlot(_))), "{more:?}");
    machine.native.destroy("slot-3").await.expect("destroyed");
    let fresh = machine.capsule("one-more", Profile::Sandbox).await;
    assert_eq!(fresh.uid_base(), machine.config.uid_base + 3 * 65_536);
    machine.finish().await;
}

#[tokio::test]
async fn limits_change_while_it_runs() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("limits", Profile::Sandbox).await;
    for memory_bytes in [64, 1024, 32].map(|mib| mib * support::MIB) {
        let limits = Limits { memory_bytes, pids_max: 50, cpu_weight: 200, cpu_max_millis: Some(500) };
        capsule.set_limits(&limits).expect("set");
    }
    let limits = Limits { memory_bytes: 64 * support::MIB, pids_max: 50, cpu_weight: 1, cpu_max_millis: Some(100) };
    capsule.set_limits(&limits).expect("set");
    // A tenth of a processor: a second of work takes much longer than a second.
    let started = Instant::now();
    shell(&capsule, User::Root, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").await;
    let (took, used) = (started.elapsed(), capsule.usage().expect("usage"));
    assert!(used.cpu_ns > 0 && took.as_nanos() as u64 > used.cpu_ns * 3, "{took:?} {used:?}");
    assert!(used.memory_bytes > 0 && used.pids >= 1);
    machine.finish().await;
}

#[tokio::test]
async fn many_are_made_at_once() {
    let machine = Machine::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    let started = Instant::now();
    for number in 0..machine.config.slots_max {
        let (native, spec) = (machine.native.clone(), machine.spec(&format!("many-{number}"), Profile::Browser));
        tasks.spawn(async move {
            let again = spec.clone();
            let capsule = native.create(spec).await.expect("a capsule");
            let same = native.create(again).await;
            assert!(matches!(same, Err(CapsuleError::Exists(_))), "{same:?}");
            capsule.exec(Exec::new(["/bin/true"])).await.expect("starts").wait().await.expect("ends").exit
        });
    }
    while let Some(done) = tasks.join_next().await {
        assert_eq!(done.expect("made"), Exit::Code(0));
    }
    println!("{} at once: {:?}", machine.config.slots_max, started.elapsed());
    machine.finish().await;
}

/// Not a check but a figure: the time from nothing to a program's end in a capsule.
#[tokio::test]
async fn creation_is_quick() {
    let machine = Machine::new().await;
    let (mut creations, mut execs, mut destructions) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..30 {
        let started = Instant::now();
        let capsule = machine.capsule(&format!("quick-{number}"), Profile::Browser).await;
        creations.push(started.elapsed());
        let started = Instant::now();
        capsule.exec(Exec::new(["/bin/true"])).await.expect("starts").wait().await.expect("ends");
        execs.push(started.elapsed());
        let started = Instant::now();
        capsule.destroy().await.expect("destroyed");
        destructions.push(started.elapsed());
    }
    for (what, mut times) in [("create", creations), ("exec", execs), ("destroy", destructions)] {
        times.sort();
        println!(
            "{what}: best {:?}, median {:?}, worst {:?}",
            times[0],
            times[times.len() / 2],
            times[times.len() - 1]
        );
        assert!(times[times.len() / 2] < Duration::from_millis(200), "{what}: {times:?}");
    }
    machine.finish().await;
}

#[tokio::test]
async fn an_idle_capsule_is_small() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("idle", Profile::Browser).await;
    let usage = capsule.usage().expect("usage");
    assert!(usage.memory_bytes < support::MIB && usage.pids == 1, "{usage:?}");
    machine.finish().await;
}
