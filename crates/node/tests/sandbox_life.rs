//! A sandbox's life: paused and resumed, moved to disk and back, taken up by another node, checkpointed and forked.

mod support;

use http::{Method, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};
use support::sandbox::{Lab, spec};
use vitrine_model::wire::{Purpose, StepKind, Upstream, Workload};
use vitrine_model::{ArtifactKind, CheckpointId, Desired, SandboxSpec};

const COUNTER: &str =
    "nohup sh -c 'i=0; while :; do i=$((i+1)); echo $i > /workspace/count; sleep 0.02; done' >/dev/null 2>&1 &";
/// Names, modes, owners and contents of the whole workspace.
const TREE: &str = "cd /workspace && find . -printf '%p %m %U:%G %l\\n' | sort > /tmp/t; find . -type f | sort | xargs sha256sum >> /tmp/t; sha256sum < /tmp/t";

fn checkpoint() -> CheckpointId {
    CheckpointId::new(1, &|buffer: &mut [u8]| getrandom::fill(buffer).unwrap())
}

async fn count(lab: &Lab) -> u64 {
    let (_, bytes) = lab.ask(Method::GET, "/fs/raw?path=count", "").await;
    String::from_utf8_lossy(&bytes).trim().parse().unwrap_or(0)
}

async fn paused(lab: &Lab) {
    let before = lab.server.steps().len();
    lab.server.want(&lab.session, Desired::Pause);
    lab.server.wait_for_after(before, "paused", |step| *step == StepKind::Paused).await;
}

async fn resumed(lab: &Lab) {
    let before = lab.server.steps().len();
    lab.server.want(&lab.session, Desired::Resume);
    lab.server.wait_for_after(before, "resumed", |step| *step == StepKind::Resumed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_stands_still_while_it_is_paused_and_goes_on() {
    let lab = Lab::new().await;
    lab.says(COUNTER).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // What runs meanwhile does not notice, and its time does not run out.
    let long = lab.post("/exec", json!({ "command": "sleep 0.5; echo late", "timeoutMs": 900 }));
    let pause = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        paused(&lab).await;
        println!("paused after {:?}", begun.elapsed());
        let stood = count(&lab).await;
        assert!(stood > 1);
        tokio::time::sleep(Duration::from_millis(1000)).await;
        assert_eq!(count(&lab).await, stood);
        let (status, _) = lab.post("/exec", json!({ "command": "true" })).await;
        assert_eq!(status, StatusCode::CONFLICT, "a frozen sandbox runs nothing");
        let begun = Instant::now();
        resumed(&lab).await;
        println!("resumed after {:?}", begun.elapsed());
        stood
    };
    let ((_, answer), stood) = tokio::join!(long, pause);
    assert_eq!((&answer["stdout"], &answer["timedOut"]), (&json!("late\n"), &json!(false)), "{answer}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(count(&lab).await > stood);
    paused(&lab).await;
    let stood = count(&lab).await;
    let (status, answer) = lab.post("/checkpoint", json!({ "checkpointId": checkpoint() })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(count(&lab).await, stood, "a checkpoint leaves it frozen");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_disks_the_node_starts_and_says_why_sandboxes_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = support::FakeServer::default();
    let mut config = support::config(folder.path(), 0);
    config.sandbox.pool.size = 1;
    // What disks are made of has no place to be made.
    let place = folder.path().join("disks/blank");
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, "").unwrap();
    let node = vitrine_node::Node::start(config, std::sync::Arc::new(server.clone())).await.unwrap();
    let complaint = server.until_beat(|beat| beat.no_sandboxes.clone()).await;
    assert!(complaint.contains("make the sandbox's disk"), "{complaint}");
    server.assign_workload(Workload::Sandbox(spec()), Upstream::Direct);
    server.wait_for("not started", |step| matches!(step, StepKind::NotStarted { .. })).await;
    std::fs::remove_file(place).unwrap();
    server.assign_workload(Workload::Sandbox(spec()), Upstream::Direct);
    server.wait_for("ready", |step| *step == StepKind::Ready).await;
    server.until_beat(|beat| beat.no_sandboxes.is_none().then_some(())).await;
    node.drain().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_one_moves_to_disk_and_comes_back_as_it_was() {
    let mut lab = Lab::with(spec(), |config| config.sandbox.pause_disk_after = Duration::from_millis(100)).await;
    lab.says("mkdir -p a/b && head -c 3000000 /dev/urandom > a/b/data && ln -s data a/b/link && chmod 640 a/b/data && useradd somebody && chown somebody a").await;
    let before = lab.says(TREE).await;
    lab.server.want(&lab.session, Desired::Pause);
    lab.server.wait_for("stored", |step| matches!(step, StepKind::Stored { .. })).await;
    for _ in 0..100 {
        if std::fs::read_dir(lab.folder.path().join("capsules")).unwrap().count() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(std::fs::read_dir(lab.folder.path().join("capsules")).unwrap().count(), 0);
    // The disk is still there after a restart of the node.
    lab = lab.restart().await;
    assert!(lab.try_dial(Purpose::Run).await.is_err());
    let steps = lab.server.steps().len();
    let begun = Instant::now();
    lab.run = lab.server.assign_again(&lab.session);
    lab.server.wait_for_after(steps, "ready", |step| *step == StepKind::Ready).await;
    println!("back after {:?}", begun.elapsed());
    assert_eq!(lab.says(TREE).await, before);
    assert_eq!(lab.says("id -un somebody").await, "somebody", "what was installed is there");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_on_disk_can_be_ended() {
    let lab = Lab::with(spec(), |config| config.sandbox.pause_disk_after = Duration::from_millis(100)).await;
    lab.server.want(&lab.session, Desired::Pause);
    lab.server.wait_for("stored", |step| matches!(step, StepKind::Stored { .. })).await;
    lab.server.assign_again(&lab.session);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_node_takes_up_what_runs_and_what_is_frozen() {
    let lab = Lab::new().await;
    lab.says(COUNTER).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let seen = count(&lab).await;
    let lab = lab.restart().await;
    assert!(count(&lab).await >= seen);
    assert_eq!(lab.says("echo here").await, "here");
    paused(&lab).await;
    let stood = count(&lab).await;
    let lab = lab.restart().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(count(&lab).await, stood, "it is still frozen");
    resumed(&lab).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(count(&lab).await > stood);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_kept_once_restored_and_forked() {
    let lab = Lab::new().await;
    lab.says("mkdir -p src artifacts && for i in $(seq 300); do echo file $i > src/$i; done; head -c 5000000 /dev/urandom > big").await;
    lab.says("mkdir -p artifacts/a/b && echo report > artifacts/a/b/report.txt && ln -s /etc artifacts/link").await;
    lab.says(COUNTER).await;
    let first = checkpoint();
    let begun = Instant::now();
    let (status, answer) = lab.post("/checkpoint", json!({ "checkpointId": first })).await;
    println!("a checkpoint took {:?}", begun.elapsed());
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(
        answer["files"].as_u64().unwrap() >= 302 && answer["workspaceBytes"].as_u64().unwrap() > 5_000_000,
        "{answer}"
    );
    let report = lab.server.wait_for_object(ArtifactKind::File).await;
    assert_eq!((report.name.as_str(), report.bytes.as_slice()), ("a/b/report.txt", b"report\n".as_slice()));
    let packs = lab.server.packs();
    lab.says("pkill -f '[c]ount'; echo changed > src/7; rm src/8").await;
    let before = lab.says(TREE).await;
    let second = checkpoint();
    let begun = Instant::now();
    let (_, answer) = lab.post("/checkpoint", json!({ "checkpointId": second })).await;
    println!("another one took {:?}", begun.elapsed());
    assert!(answer["workspaceBytes"].as_u64().unwrap() > 5_000_000);
    assert_eq!(lab.server.packs(), packs + 1, "only what changed is brought");
    assert_eq!(lab.server.objects().len(), 1, "an artifact that did not change is not brought twice");

    lab.says("rm -rf src big; echo x > other").await;
    let (status, answer) = lab.post("/checkpoint/restore", json!({ "checkpointId": second })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(lab.says(TREE).await, before);
    let (status, _) = lab.post("/checkpoint/restore", json!({ "checkpointId": checkpoint() })).await;
    assert_eq!(status, StatusCode::CONFLICT);

    // It is unpacked here before anybody asks.
    let unpacked = || std::fs::read_dir(lab.folder.path().join("checkpoints")).unwrap().flatten();
    for _ in 0..200 {
        if unpacked().any(|entry| entry.file_name().to_string_lossy().starts_with(second.as_str())) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(unpacked().any(|entry| entry.file_name().to_string_lossy().starts_with(second.as_str())));

    // Two forks at once; neither sees what the other does.
    let mut forks = Vec::new();
    for _ in 0..2 {
        let steps = lab.server.steps().len();
        let begun = Instant::now();
        let spec = SandboxSpec { from: Some(second.clone()), ..spec() };
        forks.push(lab.server.assign_workload(Workload::Sandbox(spec), Upstream::Direct));
        lab.server.wait_for_after(steps, "ready", |step| *step == StepKind::Ready).await;
        println!("a fork took {:?}", begun.elapsed());
    }
    let Lab { server, node, config, folder, session, run } = lab;
    let view =
        |session, run, node, folder| Lab { server: server.clone(), node, session, run, config: config.clone(), folder };
    let (first_fork, second_fork) = (forks.remove(0), forks.remove(0));
    let lab = view(first_fork.0, first_fork.1, node, folder);
    assert_eq!(lab.says(TREE).await, before);
    lab.says("echo mine > src/1; rm src/2").await;
    lab.end().await;
    let Lab { node, folder, .. } = lab;
    let lab = view(second_fork.0, second_fork.1, node, folder);
    assert_eq!(lab.says(TREE).await, before);
    lab.end().await;
    let Lab { node, folder, .. } = lab;
    view(session, run, node, folder).finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_checkpointed_is_at_every_pause_and_at_the_end() {
    let lab = Lab::with(SandboxSpec { checkpointed: true, ..spec() }, |_| {}).await;
    lab.says("echo one > file").await;
    paused(&lab).await;
    for _ in 0..100 {
        if lab.server.checkpoints().len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(lab.server.checkpoints().len(), 1);
    resumed(&lab).await;
    lab.says("echo two > file").await;
    let server = lab.server.clone();
    lab.finish().await;
    assert_eq!(server.checkpoints().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_in_a_checkpoint_leaves_a_sandbox_that_runs() {
    let lab = Lab::new().await;
    lab.says(COUNTER).await;
    lab.says("head -c 60000000 /dev/urandom > big").await;
    let body = json!({ "checkpointId": checkpoint() });
    for wait in [5, 40, 120] {
        let asked = lab.post("/checkpoint", body.clone());
        let _ = tokio::time::timeout(Duration::from_millis(wait), asked).await;
    }
    let lab = lab.restart().await;
    let seen = count(&lab).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(count(&lab).await > seen, "it was left frozen");
    let (status, answer) = lab.post("/checkpoint", body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_whose_process_1_dies_fails_and_leaves_nothing() {
    let lab = Lab::new().await;
    let pid = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let root = std::fs::read_link(entry.path().join("root")).ok()?;
        let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).ok()?;
        let ours = mounts.contains(lab.folder.path().to_str()?) && root.to_str()? == "/";
        let stat = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let first = stat
            .lines()
            .any(|line| line.starts_with("NSpid:") && line.ends_with("\t1") && line.split('\t').count() == 3);
        (ours && first).then(|| entry.file_name().into_string().ok())?
    });
    let Some(pid) = pid else { return lab.finish().await };
    std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    lab.server.wait_for("fail", |step| matches!(step, StepKind::Fail { .. })).await;
    for _ in 0..100 {
        if lab.try_dial(Purpose::Run).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_one_is_handed_out_at_once() {
    let lab = Lab::with(spec(), |config| config.sandbox.pool.size = 2).await;
    let server = &lab.server;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let steps = server.steps().len();
    let begun = Instant::now();
    let (session, run) = server.assign_workload(Workload::Sandbox(spec()), Upstream::Direct);
    server.wait_for_after(steps, "ready", |step| *step == StepKind::Ready).await;
    println!("ready after {:?}", begun.elapsed());
    lab.end().await;
    let Lab { server, node, config, folder, .. } = lab;
    Lab { server, node, session, run, config, folder }.finish().await;
}
