//! Programs in a sandbox: how they are run, what is told of them, and that nothing of them is left.

mod support;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::sandbox::{Lab, spec};
use vitrine_model::Secret;
use vitrine_model::wire::StepKind;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_with_all_that_it_did() {
    let mut spec = spec();
    spec.env.insert("TOKEN".into(), Secret::new("abc"));
    let lab = Lab::with(spec, |_| {}).await;
    let answer = lab.sh("echo out; echo err >&2; exit 3").await;
    assert_eq!((&answer["stdout"], &answer["stderr"]), (&json!("out\n"), &json!("err\n")));
    assert_eq!((&answer["exitCode"], &answer["signal"]), (&json!(3), &Value::Null));
    assert_eq!((&answer["timedOut"], &answer["truncated"]), (&json!(false), &json!(false)));
    assert!(answer["peakMemoryBytes"].as_u64().unwrap() > 100_000, "{answer}");
    assert_eq!(lab.says("pwd; id -u; echo $HOME $TOKEN").await, "/workspace\n0\n/root abc");

    let direct = json!({ "command": "printf", "args": ["%s|", "a b", "$HOME"], "cwd": "/tmp" });
    let (_, answer) = lab.post("/exec", direct).await;
    assert_eq!(answer["stdout"], "a b|$HOME|");
    let fed = json!({ "command": "wc -c; echo $A $TOKEN; pwd", "stdin": "12345", "env": { "A": "1", "TOKEN": "t" }, "cwd": "sub" });
    lab.says("mkdir sub").await;
    let (_, answer) = lab.post("/exec", fed).await;
    assert_eq!(answer["stdout"], "5\n1 t\n/workspace/sub\n");
    let (_, answer) = lab.post("/exec", json!({ "command": "nothing-of-that-name", "args": [] })).await;
    assert_eq!(
        (&answer["exitCode"], answer["stderr"].as_str().unwrap().contains("nothing-of-that-name")),
        (&json!(127), true)
    );
    for (wrong, field) in [
        (json!({ "command": "pwd", "cwd": "/none" }), "cwd"),
        (json!({ "command": "" }), "command"),
        (json!({ "command": "a\u{0}b" }), "command"),
        (json!({ "command": "true", "env": { "A=B": "1" } }), "env"),
        (json!({ "command": 1 }), "body"),
    ] {
        let (status, answer) = lab.post("/exec", wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["error"].as_str().unwrap().starts_with(field), "{answer}");
    }
    let (status, _) = lab.post("/exec", json!({ "command": format!("# {}", "x".repeat(200_000)) })).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(lab.sh("kill -SEGV $$").await["signal"], "SIGSEGV");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_kill_everything_and_daemons_hang_nothing() {
    let lab = Lab::new().await;
    let begun = Instant::now();
    let line = "echo begun; setsid sleep 987 & (sleep 987 &) ; nohup sleep 987 >/dev/null 2>&1 & sleep 987";
    let (_, answer) = lab.post("/exec", json!({ "command": line, "timeoutMs": 500 })).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((&answer["timedOut"], &answer["signal"]), (&json!(true), &json!("SIGKILL")));
    assert_eq!((&answer["stdout"], &answer["exitCode"]), (&json!("begun\n"), &Value::Null));
    assert_eq!(lab.sh("pgrep -c sleep").await["stdout"], "0\n", "something of it lives");

    let begun = Instant::now();
    assert_eq!(lab.says("sleep 5 & echo done").await, "done");
    assert_eq!(lab.says("exec >&- 2>&-; true").await, "");
    assert_eq!(lab.says("(while :; do echo x; sleep 0.01; done) & echo done").await.lines().next(), Some("done"));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_cut_and_memory_is_told() {
    let lab = Lab::with(spec(), |_| {}).await;
    let answer = lab.sh("head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2").await;
    assert_eq!(answer["truncated"], true);
    assert_eq!(answer["stdout"].as_str().unwrap().len(), 1024 * 1024);
    assert_eq!((&answer["stderr"], &answer["exitCode"]), (&json!("end\n"), &json!(0)));
    // The assignment's limit is a gibibyte.
    let answer = lab.sh("python3 -c 'x = bytearray(3 * 1024**3)'").await;
    assert_eq!((&answer["outOfMemory"], answer["exitCode"] == json!(0)), (&json!(true), false), "{answer}");
    assert_eq!(lab.sh("false").await["outOfMemory"], false);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_streamed_and_whoever_leaves_ends_the_program() {
    let lab = Lab::new().await;
    let ask = |line: &str| {
        let body = json!({ "command": line }).to_string();
        let request = http::Request::builder().method(Method::POST).uri("/exec").header("host", "run");
        request.header("accept", "text/event-stream").body(Full::new(Bytes::from(body))).unwrap()
    };
    let answer = lab.request(ask("printf '\\346\\227'; sleep 0.2; printf '\\245'; echo e >&2; exit 4")).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.contains("event: stdout\ndata: {\"data\":\"日\"}\n\n"), "{text}");
    assert!(text.contains("event: stderr\ndata: {\"data\":\"e\\n\"}\n\n"), "{text}");
    let exit = text.split("event: exit\ndata: ").nth(1).unwrap().trim_end();
    let exit: Value = serde_json::from_str(exit).unwrap();
    assert_eq!((&exit["exitCode"], exit.get("stdout")), (&json!(4), None));

    let mut answer = lab.request(ask("while :; do echo tick; sleep 0.05; done")).await.into_body();
    answer.frame().await.unwrap().unwrap();
    drop(answer);
    for _ in 0..50 {
        if lab.sh("pgrep -fc 'echo [t]ick'").await["stdout"] == "0\n" {
            return lab.finish().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the program of a caller that left goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_run_at_once() {
    let lab = Lab::new().await;
    let all = (0..200).map(|number| {
        let lab = &lab;
        async move { lab.says(&format!("sleep 0.5; echo {number}")).await == number.to_string() }
    });
    assert!(futures_util::future::join_all(all).await.into_iter().all(|right| right));
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_runs_where_the_workspace_is() {
    let lab = Lab::new().await;
    lab.says("mkdir -p node_modules/greet && echo 'export const hi = (n: string): string => `hi ${n}`' > node_modules/greet/index.ts").await;
    lab.says("echo '{\"name\":\"greet\",\"main\":\"index.ts\"}' > node_modules/greet/package.json; echo 'X = 7' > mine.py; echo 'export const y = 8' > mine.ts").await;
    let run = |language: &'static str, code: &'static str| {
        lab.post("/code", json!({ "language": language, "code": code, "stdin": "in" }))
    };
    let (_, answer) = run("typescript", "import { hi } from 'greet'; import { y } from './mine.ts'; const n: string = await Bun.stdin.text(); console.log(hi(n), y)").await;
    assert_eq!(answer["stdout"], "hi in 8\n", "{answer}");
    let (_, answer) = run("javascript", "console.log(process.cwd(), [1].map(x => x + 1))").await;
    assert_eq!(answer["stdout"], "/workspace [ 2 ]\n", "{answer}");
    let (_, answer) = run("python", "import sys, mine\nprint(mine.X, sys.stdin.read(), __name__, sys.argv)").await;
    assert_eq!(answer["stdout"], "7 in __main__ ['-c']\n", "{answer}");
    let (_, answer) = run("python", "def f():\n  raise ValueError('no')\nf()").await;
    assert!(answer["exitCode"] == 1 && answer["stderr"].as_str().unwrap().contains("ValueError: no"), "{answer}");
    let (_, answer) = run("sh", "echo $0 | tail -c 4; cat; exit 5").await;
    assert_eq!((&answer["stdout"], &answer["exitCode"]), (&json!(".sh\nin"), &json!(5)), "{answer}");
    assert_eq!(
        lab.says("ls -A -I __pycache__").await,
        "mine.py\nmine.ts\nnode_modules",
        "nothing is left in the workspace"
    );
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_work_makes_it_active_and_short_work_does_not() {
    let lab = Lab::new().await;
    for _ in 0..5 {
        lab.says("true").await;
    }
    assert!(!lab.server.steps().contains(&StepKind::Activate));
    lab.says("sleep 0.4").await;
    assert!(lab.server.steps().contains(&StepKind::Activate));
    lab.server.wait_for("ready again", |step| *step == StepKind::Deactivate).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_answered_when_the_sandbox_ends_or_dies() {
    let lab = Lab::new().await;
    let begun = Instant::now();
    let waits = lab.post("/exec", json!({ "command": "sleep 60", "timeoutMs": 60_000 }));
    let ends = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        lab.end().await;
    };
    let ((status, answer), ()) = tokio::join!(waits, ends);
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    lab.stop().await;
}

/// Not a test: what a command costs, as the server sees it.
#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn measure() {
    let lab = Lab::new().await;
    for (name, body) in
        [("true", json!({ "command": "/bin/true", "args": [] })), ("sh -lc true", json!({ "command": "true" }))]
    {
        let mut times = Vec::new();
        for _ in 0..300 {
            let begun = Instant::now();
            lab.post("/exec", body.clone()).await;
            times.push(begun.elapsed());
        }
        times.sort();
        println!("{name}: p50 {:?} p95 {:?}", times[150], times[285]);
    }
    for (language, code) in [("typescript", "console.log('hello')"), ("python", "print('hello')"), ("sh", "echo hello")]
    {
        let mut times = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            lab.post("/code", json!({ "language": language, "code": code })).await;
            times.push(begun.elapsed());
        }
        times.sort();
        println!("{language}: p50 {:?}", times[10]);
    }
    lab.finish().await;
}
