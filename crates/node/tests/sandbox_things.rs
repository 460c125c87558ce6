//! Terminals, files, ports and the network of a sandbox.

mod support;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use support::sandbox::{Lab, spec, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use vitrine_model::wire::{DialError, Purpose, StepKind};
use vitrine_model::{Happening, NetworkMode, NetworkPolicy, SandboxSpec};

async fn open(lab: &Lab, body: Value) -> u64 {
    let (status, answer) = lab.post("/terminals", body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["terminalId"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_several_clients_a_size_a_memory_and_an_end() {
    let lab = Lab::new().await;
    let id = open(&lab, json!({ "cols": 90, "rows": 33, "env": { "PS1": "> " } })).await;
    let mut first = lab.terminal(id, Some(0)).await;
    first.send(Message::binary(b"stty size; echo \xc3\xa4$((6*7))\r".to_vec())).await.unwrap();
    let said = until(&mut first, "ä42").await;
    assert!(said.contains("33 90"), "{said}");
    let mut second = lab.terminal(id, Some(0)).await;
    until(&mut second, "ä42").await;
    second.send(Message::text(r#"{"type":"resize","cols":70,"rows":20}"#)).await.unwrap();
    second.send(Message::binary(b"stty size; echo $TERM-x\r".to_vec())).await.unwrap();
    let said = until(&mut first, "xterm-256color-x").await;
    assert!(said.contains("20 70"), "{said}");
    let (_, list) = lab.get("/terminals").await;
    assert_eq!((&list["terminals"][0]["terminalId"], &list["terminals"][0]["clients"]), (&json!(id), &json!(2)));
    drop(first);
    lab.server.wait_for("activate", |step| *step == StepKind::Activate).await;
    // Ctrl-C reaches what runs.
    second.send(Message::binary(b"sleep 100\r".to_vec())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    second.send(Message::binary(b"\x03echo on\"\"ward; exit 7\r".to_vec())).await.unwrap();
    until(&mut second, "onward\r\n").await;
    let exit = loop {
        match second.next().await.unwrap().unwrap() {
            Message::Text(text) => break text.to_string(),
            Message::Binary(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(serde_json::from_str::<Value>(&exit).unwrap(), json!({ "type": "exit", "code": 7 }));
    let Some(Ok(Message::Close(Some(close)))) = second.next().await else { panic!("no close frame") };
    assert_eq!(close.code, CloseCode::Normal);
    let mut late = lab.terminal(id, Some(0)).await;
    until(&mut late, "\"type\":\"exit\"").await;
    assert!(matches!(
        lab.try_dial(Purpose::Terminal { terminal: 99, offset: None }).await,
        Err(DialError::Unreachable(_))
    ));
    let other = open(&lab, json!({ "command": "sleep 1000" })).await;
    let (status, _) = lab.ask(Method::DELETE, &format!("/terminals?terminalId={other}"), "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(lab.sh("pgrep -c sleep").await["stdout"], "0\n");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_where_its_output_begins() {
    let lab = Lab::new().await;
    let id = open(&lab, json!({ "command": "printf 12345678; read line; printf 9; read line" })).await;
    let told = |message: Message| serde_json::from_str::<Value>(message.to_text().unwrap()).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Nobody has seen how it began.
    let mut first = lab.terminal(id, None).await;
    let begun = told(first.next().await.unwrap().unwrap());
    assert_eq!((&begun["type"], &begun["offset"], &begun["live"]), (&json!("offset"), &json!(0), &json!(8)), "{begun}");
    until(&mut first, "12345678").await;
    let mut second = lab.terminal(id, None).await;
    let begun = told(second.next().await.unwrap().unwrap());
    assert_eq!((&begun["offset"], &begun["live"]), (&json!(8), &json!(8)), "{begun}");
    let mut third = lab.terminal(id, Some(5)).await;
    assert_eq!(told(third.next().await.unwrap().unwrap())["offset"], 5);
    assert_eq!(until(&mut third, "678").await, "678");
    // What was never said is not waited for.
    let mut fourth = lab.terminal(id, Some(1_000)).await;
    assert_eq!(told(fourth.next().await.unwrap().unwrap())["offset"], 8);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_goes_on_under_the_next_node_and_is_closed_with_the_session() {
    let lab = Lab::new().await;
    let id = open(&lab, json!({ "command": "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done" })).await;
    until(&mut lab.terminal(id, Some(0)).await, "tick 3").await;
    let lab = lab.restart().await;
    let mut client = lab.terminal(id, Some(0)).await;
    until(&mut client, "tick").await;
    let (closed, ()) = tokio::join!(
        async {
            loop {
                match client.next().await {
                    Some(Ok(Message::Close(close))) => return close,
                    Some(Ok(_)) => {}
                    other => panic!("no close frame: {other:?}"),
                }
            }
        },
        lab.end()
    );
    assert_eq!(closed.unwrap().reason.as_str(), "deleted");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_whole_for_a_client_that_keeps_up() {
    let lab = Lab::new().await;
    let id = open(&lab, json!({ "command": "stty -opost; seq 1 600000" })).await;
    let mut client = lab.terminal(id, Some(0)).await;
    let mut said = Vec::new();
    while let Some(Ok(message)) = client.next().await {
        if let Message::Binary(bytes) = message {
            said.extend_from_slice(&bytes);
        }
    }
    let expected: String = (1..=600_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(said.len(), expected.len());
    assert!(said == expected.as_bytes());
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_fetched_listed_moved_removed_and_watched() {
    let lab = Lab::new().await;
    let put = |path: &str, body: &'static str| {
        let path = format!("/fs/raw?path={path}");
        let lab = &lab;
        async move {
            let (status, bytes) = lab.ask(Method::PUT, &path, body).await;
            assert_eq!(status, StatusCode::OK, "{bytes:?}");
            serde_json::from_slice::<Value>(&bytes).unwrap()
        }
    };
    let answer = put("a/b/c.txt&mode=493", "hello").await;
    assert_eq!((&answer["path"], &answer["size"]), (&json!("/workspace/a/b/c.txt"), &json!(5)));
    put("a/b/c.txt&append=true", " world").await;
    let (_, entry) = lab.get("/fs/stat?path=a/b/c.txt").await;
    assert_eq!((&entry["type"], &entry["size"], &entry["mode"]), (&json!("file"), &json!(11), &json!(0o755)));
    let request =
        http::Request::builder().uri("/fs/raw?path=a/b/c.txt").header("host", "run").header("range", "bytes=6-8");
    let answer = lab.request(request.body(Full::new(Bytes::new())).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.headers()["content-range"], "bytes 6-8/11");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().as_ref(), b"wor");
    let (_, list) = lab.get("/fs/list?path=a").await;
    assert_eq!(
        (&list["entries"][0]["name"], &list["entries"][0]["type"], &list["truncated"]),
        (&json!("b"), &json!("directory"), &json!(false))
    );
    assert_eq!(lab.says("stat -c '%u %g' a/b/c.txt").await, "0 0");

    let request = http::Request::builder().uri("/fs/watch?path=a&recursive=true").header("host", "run");
    let mut watch = lab.request(request.body(Full::new(Bytes::new())).unwrap()).await.into_body();
    lab.says("echo x > a/new.txt; mv a/new.txt a/old.txt; rm a/old.txt").await;
    let mut told = String::new();
    while !told.contains("deleted") {
        let frame =
            tokio::time::timeout(Duration::from_secs(5), watch.frame()).await.expect("a change").unwrap().unwrap();
        told.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
    }
    assert!(told.contains("event: change\n") && told.contains("/workspace/a/"), "{told}");
    let mut watches = vec![watch];
    let refused = loop {
        let request = http::Request::builder().uri("/fs/watch?path=a").header("host", "run");
        let answer = lab.request(request.body(Full::new(Bytes::new())).unwrap()).await;
        match answer.status() {
            StatusCode::OK if watches.len() < 100 => watches.push(answer.into_body()),
            _ => break answer,
        }
    };
    assert_eq!((watches.len(), refused.status()), (16, StatusCode::CONFLICT));
    drop(watches);

    let (status, _) = lab.post("/fs/move", json!({ "from": "a/b/c.txt", "to": "d.txt" })).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = lab.post("/fs/mkdir", json!({ "path": "deep/er", "mode": 0o700 })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(lab.says("cat d.txt; stat -c %a deep/er").await, "hello world700");
    let (status, answer) = lab.post("/fs/delete", json!({ "path": "a" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let (status, _) = lab.post("/fs/delete", json!({ "path": "a", "recursive": true })).await;
    assert_eq!(status, StatusCode::OK);
    for (path, expected) in [("none", StatusCode::NOT_FOUND), ("/proc/1/environ", StatusCode::BAD_REQUEST)] {
        let (status, bytes) = lab.ask(Method::GET, &format!("/fs/raw?path={path}"), "").await;
        assert_eq!(status, expected, "{path}: {bytes:?}");
    }
    // A folder as an archive, and back.
    lab.says("mkdir t && echo 1 > t/one && ln -s one t/link").await;
    let (status, archive) = lab.ask(Method::GET, "/fs/raw?path=t", "").await;
    assert_eq!(status, StatusCode::OK);
    let request = http::Request::builder().method(Method::PUT).uri("/fs/raw?path=u").header("host", "run");
    let request = request.header("content-type", "application/x-tar").body(Full::new(archive)).unwrap();
    assert_eq!(lab.request(request).await.status(), StatusCode::OK);
    assert_eq!(lab.says("cat u/link").await, "1");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_either_loopback_address_is_reached() {
    let lab = Lab::new().await;
    for (address, port) in [("127.0.0.1", 8001), ("::1", 8002), ("::", 8003)] {
        lab.says(&format!("nohup python3 -m http.server --bind {address} {port} >/dev/null 2>&1 &")).await;
        let mut reached = None;
        for _ in 0..100 {
            reached = lab.try_dial(Purpose::Port { port }).await.ok();
            if reached.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(reached.is_some(), "{address}");
    }
    assert!(lab.try_dial(Purpose::Port { port: 8004 }).await.is_err());
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_to_be_full() {
    let lab = Lab::with(spec(), |config| config.sandbox.disk_bytes = 64 * 1024 * 1024).await;
    let (status, bytes) = lab.ask(Method::PUT, "/fs/raw?path=big", vec![1; 30_000_000]).await;
    assert_eq!(status, StatusCode::OK, "{bytes:?}");
    let (status, bytes) = lab.ask(Method::PUT, "/fs/raw?path=bigger", vec![1; 60_000_000]).await;
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{bytes:?}");
    let (_, runtime) = lab.get("/runtime").await;
    assert!(runtime["diskLimitBytes"].as_u64().unwrap() < 64 * 1024 * 1024, "{runtime}");
    assert!(runtime["memoryBytes"].as_u64().unwrap() > 0 && runtime["pids"].as_u64().unwrap() >= 1, "{runtime}");
    lab.finish().await;
}

/// A server on the host that the tests' names lead to.
async fn site() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nreached").await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_policy_holds_is_changed_live_and_its_refusals_are_told() {
    let port = site().await;
    let network = NetworkPolicy { mode: NetworkMode::Allowlist, allow: vec!["site.test".into()], deny: vec![] };
    let lab = Lab::with(SandboxSpec { network, ..spec() }, |_| {}).await;
    let reach = |name: &'static str| {
        let lab = &lab;
        async move { lab.sh(&format!("curl -s --max-time 3 http://{name}:{port}/")).await["stdout"] == "reached" }
    };
    assert!(reach("site.test").await);
    assert!(!reach("other.test").await && !reach("other.test").await);
    let refused = |step: &StepKind| matches!(step, StepKind::Happened { what: Happening::NetworkRefused, .. });
    let StepKind::Happened { data, .. } = lab.server.wait_for("the refusal", refused).await else { panic!() };
    assert_eq!(data, json!({ "name": "other.test", "address": null, "port": port, "rule": "allowlist" }));
    assert_eq!(lab.server.steps().iter().filter(|step| refused(step)).count(), 1, "once a minute");
    let (status, _) = lab.ask(Method::PUT, "/network", r#"{"mode":"open","deny":["site.test"]}"#).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(!reach("site.test").await && reach("other.test").await);
    let (status, _) = lab.ask(Method::PUT, "/network", r#"{"mode":"open","deny":["a b"]}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_found_and_reached() {
    let lab = Lab::new().await;
    lab.says("echo page > index.html; (python3 -m http.server 8123 >/dev/null 2>&1 &) ; sleep 1").await;
    let (_, ports) = lab.get("/ports").await;
    assert_eq!(ports["ports"], json!([{ "port": 8123, "address": "0.0.0.0" }]));
    let (mut stream, _) = lab.try_dial(Purpose::Port { port: 8123 }).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("page\n"), "{answer}");
    assert!(matches!(lab.try_dial(Purpose::Port { port: 9 }).await, Err(DialError::Unreachable(_))));
    lab.finish().await;
}

/// Not a test: how much goes through.
#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn measure() {
    let lab = Lab::new().await;
    let bytes = vec![7; 400_000_000];
    let begun = Instant::now();
    lab.ask(Method::PUT, "/fs/raw?path=big", bytes).await;
    println!("up: {:.0} MB/s", 400.0 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let (_, bytes) = lab.ask(Method::GET, "/fs/raw?path=big", "").await;
    println!("down: {:.0} MB/s of {}", 400.0 / begun.elapsed().as_secs_f64(), bytes.len());
    let id = open(&lab, json!({ "command": "cat" })).await;
    let mut client = lab.terminal(id, Some(0)).await;
    let mut times = Vec::new();
    for number in 0..200 {
        let begun = Instant::now();
        client.send(Message::binary(format!("{number}.").into_bytes())).await.unwrap();
        until(&mut client, ".").await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!("echo: p50 {:?} p95 {:?}", times[100], times[190]);
    lab.finish().await;
}
