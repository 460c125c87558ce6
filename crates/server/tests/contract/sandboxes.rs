//! `/v1/sandboxes` as the reference shows it: its life, its programs, what is refused.

use crate::node::FakeNode;
use crate::support::{Harness, raised};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use vitrine_model::Plan;
use vitrine_model::wire::{EgressBytes, Purpose, StepKind, Workload};

const SECRET: &str = "geheim-4711";

#[tokio::test]
async fn a_sandbox_is_queued_ready_and_over_and_its_environment_is_nowhere() {
    let mut harness = Harness::documented().await;
    let node = harness.node(4).await;
    let wish = json!({"env": {"TOKEN": SECRET}, "runtime": "python", "network": {"mode": "allowlist", "allow": ["*.pypi.org"]}});
    let created = harness.as_us("POST", "/v1/sandboxes", Some(wish)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.body["id"].as_str().unwrap().to_owned();
    for (field, value) in [
        ("status", json!("queued")),
        ("runtime", json!("python")),
        ("size", json!("standard")),
        ("capabilities", json!(null)),
        ("maxDurationMs", json!(7_200_000)),
    ] {
        assert_eq!(created.body[field], value, "{field}");
    }
    let path = format!("/v1/sandboxes?id={id}");
    let sandbox = harness.as_us("GET", &format!("{path}&waitMs=20000"), None).await;
    assert_eq!((sandbox.status, &sandbox.body["status"]), (200, &json!("ready")), "{sandbox:?}");
    for (field, value) in [
        ("pairedBrowser", json!(null)),
        ("browserPreview", json!(null)),
        ("humanHandoff", json!(null)),
        ("artifacts", json!({"count": 0, "latest": null})),
        ("network", json!({"mode": "allowlist", "allow": ["*.pypi.org"], "deny": []})),
        ("isolation", json!({"driver": "native", "machineId": node.machine, "region": "iad"})),
        ("duration", json!(null)),
    ] {
        assert_eq!(sandbox.body[field], value, "{field}");
    }
    assert_eq!(sandbox.body["opencode"]["status"], "disabled");
    let terminal = format!("ws://{}/t/{id}/ws?token=ey", harness.address);
    assert!(sandbox.body["terminalUrl"].as_str().unwrap().starts_with(&terminal), "{sandbox:?}");
    let reader = harness.key_with(&["sandbox_sessions:read"]).await;
    let seen = harness.ask("GET", &path, Some(&reader), None).await;
    assert_eq!((seen.status, &seen.body["terminalUrl"]), (200, &json!(null)), "no power for who may only read");
    match &node.assigned.lock().unwrap()[0].workload {
        Workload::Sandbox(spec) => assert_eq!(spec.env["TOKEN"].reveal(), SECRET),
        other => panic!("{other:?}"),
    }
    let runtime = harness.as_us("GET", &format!("/v1/sandboxes/runtime?id={id}"), None).await;
    assert_eq!(runtime.body["resources"]["pids"], 4, "{runtime:?}");
    let list = harness.as_us("GET", "/v1/sandboxes", None).await;
    assert_eq!(list.body["items"][0]["id"], json!(id));
    let browsers = harness.as_us("GET", "/v1/browsers", None).await;
    assert_eq!(browsers.body["data"], json!([]), "a sandbox is no browser");
    harness.as_us("GET", &format!("/v1/browsers?id={id}"), None).await.expect(404, "NOT_FOUND");
    for _ in 0..2 {
        assert_eq!(harness.as_us("DELETE", &path, None).await.body, json!({"ok": true}));
    }
    let over = harness.until_at("/v1/sandboxes", &id, "ended").await;
    assert_eq!((&over.body["endReason"], &over.body["terminalUrl"]), (&json!("deleted"), &json!(null)));
    let list = harness.as_us("GET", "/v1/sandboxes", None).await;
    assert_eq!(list.body["items"][0]["status"], "ended", "the list shows all of the organization");
    let usage = harness.as_us("GET", "/v1/usage", None).await;
    let hours = usage.body["totalSandboxHours"].as_f64().unwrap();
    assert!((hours - over.body["duration"].as_f64().unwrap() / 3_600_000.0).abs() < 1e-9);
    for answer in [&created, &sandbox, &seen, &runtime, &list, &over] {
        assert!(!answer.text.contains(SECRET), "{answer:?}");
    }
    let organization = harness.store.session(&id.parse().unwrap()).await.unwrap().unwrap();
    assert!(!format!("{organization:?}").contains(SECRET));
    harness.finish().await;
}

#[tokio::test]
async fn wishes_that_are_wrong_or_not_built_are_refused_by_name() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let create = async |wish: Value| harness.as_us("POST", "/v1/sandboxes", Some(wish)).await;
    for (field, wish) in [
        ("runtime", json!({"runtime": "ruby"})),
        ("maxDurationMs", json!({"maxDurationMs": 7_200_001})),
        ("env.A", json!({"env": {"A": null}})),
        ("network.allow", json!({"network": {"allow": "all"}})),
        ("capabilities.browser.mode", json!({"capabilities": {"browser": {"mode": 1}}})),
    ] {
        let refused = create(wish).await;
        assert_eq!(refused.expect(400, "INVALID_REQUEST").body["field"], field);
    }
    for wish in [
        json!({"capabilities": {"opencode": {"enabled": true}}}),
        json!({"capabilities": {"browser": {"mode": "local-chromium"}}}),
        json!({"capabilities": {"browser": {"mode": "paired-banata-browser"}}}),
        json!({"isolationDriver": "runsc"}),
    ] {
        create(wish).await.expect(501, "NOT_IMPLEMENTED");
    }
    assert_eq!(create(json!({"isolationDriver": "runsc"})).await.body["drivers"], json!(["native"]));
    create(json!({"from": "x"})).await.expect(404, "NOT_FOUND");
    create(json!({"from": "0".repeat(32)})).await.expect(404, "NOT_FOUND");
    let accepted = create(json!({"isolationDriver": "native", "capabilities": {
        "opencode": {"enabled": false}, "browser": {"mode": "none"}, "documents": {"libreofficeHeadless": true},
        "storage": {"workspace": "checkpointed", "artifactPrefix": "a"},
    }}))
    .await;
    assert_eq!(accepted.status, 201, "{accepted:?}");
    let kept = json!({"workspace": "checkpointed", "artifactPrefix": "a/"});
    assert_eq!(accepted.body["capabilities"]["storage"], kept);
    for (method, path) in [
        ("GET", "opencode/state"),
        ("POST", "opencode/prompt"),
        ("GET", "browser-preview"),
        ("GET", "handoff"),
        ("POST", "handoff/request"),
    ] {
        let path = format!("/v1/sandboxes/{path}");
        harness.as_us(method, &path, Some(json!({}))).await.expect(501, "NOT_IMPLEMENTED");
        harness.ask(method, &path, None, None).await.expect(401, "UNAUTHENTICATED");
    }
    let free = harness.other_organization(Plan::Free).await;
    let free = async |wish: Value| harness.ask("POST", "/v1/sandboxes", Some(&free), Some(wish)).await;
    let paired = json!({"capabilities": {"browser": {"mode": "paired-browser"}}});
    assert_eq!(free(paired).await.expect(403, "PLAN_FEATURE_UNAVAILABLE").body["requiredPlan"], "pro");
    assert_eq!(free(json!({"maxDurationMs": 300_001})).await.expect(403, "PLAN_LIMIT_EXCEEDED").body["limit"], 300_000);
    assert_eq!(free(json!({})).await.status, 201);
    free(json!({})).await.expect(403, "PLAN_LIMIT_EXCEEDED");
    harness.finish().await;
}

#[tokio::test]
async fn programs_are_run_as_they_are_asked_for() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({"runtime": "python", "maxDurationMs": 60_000})).await;
    let asked = || harness.machine.asked.lock().unwrap().pop().unwrap();
    let exec = async |body: Value| harness.as_us("POST", "/v1/sandboxes/exec", Some(body)).await;
    let ran = exec(json!({"id": id, "command": "echo 'a'\nexit"})).await;
    assert_eq!(ran.status, 200, "{ran:?}");
    for field in [
        "stdout",
        "stderr",
        "exitCode",
        "signal",
        "timedOut",
        "durationMs",
        "truncated",
        "peakMemoryBytes",
        "outOfMemory",
    ] {
        assert!(ran.body.get(field).is_some(), "{field}");
    }
    assert_eq!(asked(), json!({"command": "echo 'a'\nexit", "timeoutMs": 30_000}));
    exec(json!({"id": id, "command": "ls", "args": ["-l", ""], "cwd": "/", "stdin": "a\u{0}", "env": {"A": "b"}, "timeout": 5})).await;
    let whole =
        json!({"command": "ls", "args": ["-l", ""], "cwd": "/", "stdin": "a\u{0}", "env": {"A": "b"}, "timeoutMs": 5});
    assert_eq!(asked(), whole);
    exec(json!({"id": id, "command": "true", "timeout": 1e15})).await;
    let timeout = asked()["timeoutMs"].as_u64().unwrap();
    assert!((1..=60_000).contains(&timeout), "never longer than the sandbox lives: {timeout}");
    let code = async |body: Value| harness.as_us("POST", "/v1/sandboxes/code", Some(body)).await;
    assert_eq!(code(json!({"id": id, "code": "print(1)"})).await.status, 200);
    assert_eq!(asked(), json!({"language": "python", "code": "print(1)", "timeoutMs": 30_000}));
    code(json!({"id": id, "code": "", "language": "sh"})).await;
    assert_eq!(asked()["language"], "sh");
    for (field, body) in [
        ("command", json!({"id": id})),
        ("command", json!({"id": id, "command": ""})),
        ("command", json!({"id": id, "command": "a\u{0}b"})),
        ("command", json!({"id": id, "command": "x".repeat(131_072)})),
        ("args", json!({"id": id, "command": "a", "args": "b"})),
        ("args", json!({"id": id, "command": "a", "args": [1]})),
        ("args", json!({"id": id, "command": "a", "args": ["\u{0}"]})),
        ("args", json!({"id": id, "command": "a", "args": vec!["a"; 4_097]})),
        ("timeout", json!({"id": id, "command": "a", "timeout": 0})),
        ("timeout", json!({"id": id, "command": "a", "timeout": "1"})),
        ("env", json!({"id": id, "command": "a", "env": ["A=b"]})),
        ("env", json!({"id": id, "command": "a", "env": {"A=": "b"}})),
        ("cwd", json!({"id": id, "command": "a", "cwd": ""})),
        ("stdin", json!({"id": id, "command": "a", "stdin": 1})),
        ("id", json!({"command": "a"})),
    ] {
        assert_eq!(exec(body).await.expect(400, "INVALID_REQUEST").body["field"], field);
    }
    assert_eq!(
        code(json!({"id": id, "code": "", "language": "perl"})).await.expect(400, "INVALID_REQUEST").body["field"],
        "language"
    );
    exec(json!({"id": id, "command": "full"})).await.expect(507, "DISK_FULL");
    assert_eq!(exec(json!({"id": id, "command": "badly"})).await.expect(400, "INVALID_REQUEST").body["field"], "cwd");
    exec(json!({"id": "0".repeat(32), "command": "a"})).await.expect(404, "NOT_FOUND");
    let theirs = harness.other_organization(Plan::Scale).await;
    let body = Some(json!({"id": id, "command": "a"}));
    harness.ask("POST", "/v1/sandboxes/exec", Some(&theirs), body).await.expect(404, "NOT_FOUND");
    harness.finish().await;
}

#[tokio::test]
async fn output_comes_as_events_for_who_asks_for_them() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let body = json!({"id": id, "command": "true"}).to_string();
    let request = format!(
        "POST /v1/sandboxes/exec HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Accept: application/json;q=0.5, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        harness.key,
        body.len()
    );
    let events = harness.send(&request).await;
    assert_eq!((events.status, events.header("content-type")), (200, Some("text/event-stream")), "{events:?}");
    assert!(events.text.contains("event: stdout\ndata: {\"data\":\"ran\\n\"}") && events.text.contains("event: exit"));
    let purposes: Vec<_> = harness.machine.dials.lock().unwrap().iter().map(|dial| dial.purpose).collect();
    assert_eq!(purposes, [Purpose::Run]);
    harness.finish().await;
}

#[tokio::test]
async fn a_paused_sandbox_waits_and_goes_on() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let post =
        async |word: &str| harness.as_us("POST", &format!("/v1/sandboxes/{word}"), Some(json!({"id": id}))).await;
    let mut times = Vec::new();
    for _ in 0..10 {
        for word in ["pause", "resume"] {
            let begun = Instant::now();
            let done = post(word).await;
            times.push(begun.elapsed());
            assert_eq!((done.status, done.body), (200, json!({"ok": true})));
        }
    }
    times.sort();
    eprintln!(
        "pause and resume over HTTP with a node that does both at once: p50 {:?}, last {:?}",
        times[10], times[19]
    );
    assert!(times[10] < Duration::from_millis(200), "the node is woken, not waited for");
    for _ in 0..2 {
        assert_eq!(post("pause").await.status, 200, "pausing what is paused is no mistake");
    }
    let paused = harness.until_at("/v1/sandboxes", &id, "paused").await;
    assert_eq!(paused.body["terminalUrl"], json!(null));
    for (path, body) in
        [("exec", json!({"id": id, "command": "a"})), ("fs/write", json!({"id": id, "path": "a", "content": ""}))]
    {
        let refused = harness.as_us("POST", &format!("/v1/sandboxes/{path}"), Some(body)).await;
        assert_eq!(refused.expect(409, "INVALID_STATE").body["status"], "paused");
    }
    for _ in 0..2 {
        assert_eq!(post("resume").await.status, 200, "resuming what runs is no mistake");
    }
    let wanted: Vec<_> = node.assigned.lock().unwrap().iter().map(|assigned| assigned.desired.as_str()).collect();
    assert!(wanted.ends_with(&["pause", "resume"]), "{wanted:?}");
    harness.as_us("DELETE", &format!("/v1/sandboxes?id={id}"), None).await;
    harness.until_at("/v1/sandboxes", &id, "ended").await;
    for word in ["pause", "resume"] {
        assert_eq!(post(word).await.expect(409, "INVALID_STATE").body["status"], "ended");
    }
    harness.finish().await;
}

/// A sandbox that is paused on its machine's disk.
async fn stored(harness: &Harness, node: &FakeNode) -> String {
    let paused = async {
        let id = harness.ready_sandbox(json!({})).await;
        let pause = harness.as_us("POST", "/v1/sandboxes/pause", Some(json!({"id": id}))).await;
        assert_eq!(pause.status, 200, "{pause:?}");
        id
    };
    let id = tokio::select! { () = node.run() => unreachable!(), id = paused => id };
    let assignment = node.assigned.lock().unwrap().last().cloned().unwrap();
    node.step(&assignment, StepKind::Stored { egress: EgressBytes::default() }).await;
    id
}

#[tokio::test]
async fn a_resume_outlives_a_restart_of_its_machine() {
    let harness = Harness::raised().await;
    let node = FakeNode::register(&harness.server, 4).await;
    let id = stored(&harness, &node).await;
    let checkpoint = harness.as_us("POST", "/v1/sandboxes/checkpoint", Some(json!({"id": id}))).await;
    let refused = checkpoint.expect(409, "INVALID_STATE");
    assert!(refused.text.contains("moved to disk") && refused.body["status"] == "paused", "{refused:?}");
    let resume = harness.as_us("POST", "/v1/sandboxes/resume", Some(json!({"id": id})));
    let restart = async {
        harness.until_at("/v1/sandboxes", &id, "assigning").await;
        node.register_again(4, "boot", Vec::new()).await;
        node.run().await;
    };
    let resumed = tokio::select! { resumed = resume => resumed, () = restart => unreachable!() };
    assert_eq!(resumed.status, 200, "{resumed:?}");
    harness.finish().await;
}

#[tokio::test]
async fn a_paused_sandbox_holds_no_place_and_takes_one_again() {
    let mut config = raised();
    config.plans.scale.concurrent_sandboxes = 1;
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    let first = harness.ready_sandbox(json!({})).await;
    harness.as_us("POST", "/v1/sandboxes", Some(json!({}))).await.expect(403, "PLAN_LIMIT_EXCEEDED");
    let pause = |id: &str| harness.as_us("POST", "/v1/sandboxes/pause", Some(json!({"id": id})));
    assert_eq!(pause(&first).await.status, 200);
    let second = harness.ready_sandbox(json!({})).await;
    let resume = harness.as_us("POST", "/v1/sandboxes/resume", Some(json!({"id": first}))).await;
    resume.expect(403, "PLAN_LIMIT_EXCEEDED");
    harness.until_at("/v1/sandboxes", &first, "paused").await;
    assert_eq!(pause(&second).await.status, 200);
    let resume = harness.as_us("POST", "/v1/sandboxes/resume", Some(json!({"id": first}))).await;
    assert_eq!(resume.status, 200, "{resume:?}");
    harness.finish().await;
}

#[tokio::test]
async fn a_sandbox_paused_for_too_long_is_ended() {
    let mut config = raised();
    config.paused_kept_ms = 300;
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    assert_eq!(harness.as_us("POST", "/v1/sandboxes/pause", Some(json!({"id": id}))).await.status, 200);
    let over = harness.until_at("/v1/sandboxes", &id, "ended").await;
    assert_eq!(over.body["endReason"], "idle");
    harness.finish().await;
}

#[tokio::test]
async fn the_network_is_changed_on_the_machine_first() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let policy = json!({"mode": "allowlist", "allow": ["example.com", "2001:db8::/32"], "deny": ["203.0.113.7"]});
    let changed = harness.as_us("PATCH", "/v1/sandboxes", Some(json!({"id": id, "network": policy}))).await;
    assert_eq!((changed.status, &changed.body["network"]), (200, &policy), "{changed:?}");
    assert_eq!(harness.machine.asked.lock().unwrap().pop().unwrap(), policy);
    for wrong in [json!({"id": id}), json!({"id": id, "network": []}), json!({"id": id, "network": {"deny": ["*"]}})] {
        harness.as_us("PATCH", "/v1/sandboxes", Some(wrong)).await.expect(400, "INVALID_REQUEST");
    }
    harness.finish().await;
}

#[tokio::test]
async fn documents_are_converted_where_they_were_asked_for() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let convert = async |id: &str, body: Value| {
        let mut body = body;
        body["id"] = id.into();
        harness.as_us("POST", "/v1/sandboxes/documents/convert", Some(body)).await
    };
    let without = harness.ready_sandbox(json!({})).await;
    convert(&without, json!({"path": "a.docx", "to": "pdf"})).await.expect(403, "CAPABILITY_DISABLED");
    let id = harness.ready_sandbox(json!({"capabilities": {"documents": {"libreofficeHeadless": true}}})).await;
    let done = convert(&id, json!({"path": "a.docx", "to": "pdf"})).await;
    assert_eq!((done.status, &done.body["path"]), (200, &json!("/workspace/a.pdf")), "{done:?}");
    for (field, body) in [
        ("to", json!({"path": "a"})),
        ("to", json!({"path": "a", "to": "../x"})),
        ("path", json!({"to": "pdf"})),
        ("outputPath", json!({"path": "a", "to": "pdf", "outputPath": ""})),
    ] {
        assert_eq!(convert(&id, body).await.expect(400, "INVALID_REQUEST").body["field"], field);
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_program_that_hangs_ends_with_its_client() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let body = json!({"id": id, "command": "hang"});
    let asked = harness.as_us("POST", "/v1/sandboxes/exec", Some(body));
    assert!(tokio::time::timeout(Duration::from_millis(200), asked).await.is_err());
    assert_eq!(harness.as_us("DELETE", &format!("/v1/sandboxes?id={id}"), None).await.status, 200);
    harness.finish().await;
}

#[tokio::test]
async fn a_program_costs_the_server_little() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        let ran = harness.as_us("POST", "/v1/sandboxes/exec", Some(json!({"id": id, "command": "true"}))).await;
        times.push(begun.elapsed());
        assert_eq!(ran.status, 200, "{ran:?}");
    }
    times.sort();
    eprintln!("exec with a machine that answers at once: p50 {:?}, p95 {:?}", times[50], times[95]);
    harness.finish().await;
}

#[tokio::test]
async fn large_input_is_taken_however_it_comes() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let stdin = "x".repeat(3 * 1024 * 1024);
    let body = json!({"id": id, "command": "cat", "stdin": stdin});
    let together = (0..8).map(|_| harness.as_us("POST", "/v1/sandboxes/exec", Some(body.clone())));
    for ran in futures_util::future::join_all(together).await {
        assert_eq!(ran.status, 200, "{ran:?}");
    }
    assert_eq!(harness.machine.asked.lock().unwrap().pop().unwrap()["stdin"].as_str().unwrap().len(), stdin.len());
    let body = json!({"id": id, "command": "true"}).to_string();
    let chunked = format!(
        "POST /v1/sandboxes/exec HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        harness.key,
        body.len()
    );
    assert_eq!(harness.send(&chunked).await.status, 200);
    harness.finish().await;
}
