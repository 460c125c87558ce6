//! A real Chromium in a browser capsule, with its own sandbox on.

mod support;

use std::time::Duration;

use support::Machine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitrine_capsule::{Capsule, Exec, Process, Profile, User};

const DEVTOOLS_PORT: u16 = 9222;
const OWN_FILTERS: u32 = 3;
const START_DEADLINE: Duration = Duration::from_secs(30);

async fn start(capsule: &Capsule) -> Process {
    let mut exec = Exec::new([
        "chromium-headless-shell",
        &format!("--remote-debugging-port={DEVTOOLS_PORT}"),
        "--user-data-dir=/session/profile",
        "about:blank",
    ]);
    exec.env.push(("HOME".into(), "/home/user".into()));
    exec.env.push(("TMPDIR".into(), "/session/tmp".into()));
    capsule.exec(exec).await.expect("starts")
}

/// What DevTools says about itself.
async fn ask_version(capsule: &Capsule) -> std::io::Result<String> {
    let stream = capsule.network().connect(DEVTOOLS_PORT).await.map_err(std::io::Error::other)?;
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    stream.write_all(b"GET /json/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
}

#[tokio::test]
async fn it_starts_and_answers_on_its_devtools_port() {
    let machine = Machine::with_image("standard").await;
    let capsule = machine.capsule("browser", Profile::Browser).await;
    let started = std::time::Instant::now();
    let process = start(&capsule).await;
    let answer = loop {
        match ask_version(&capsule).await {
            Ok(answer) if !answer.is_empty() => break answer,
            _ if started.elapsed() > START_DEADLINE => {
                let tail = process.tail().await.expect("output");
                panic!("no answer: {}", String::from_utf8_lossy(&tail));
            }
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    println!("answered after {:?}", started.elapsed());
    assert!(answer.contains("webSocketDebuggerUrl"), "{answer}");
    let tree = loop {
        let tree = support::shell(&capsule, User::Root, "ps axo uid,args").await.text;
        if tree.contains("--type=renderer") {
            break tree;
        }
        assert!(started.elapsed() < START_DEADLINE, "no renderer: {tree}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(!tree.contains("--no-sandbox"), "{tree}");
    // Below our own walls, renderers live in namespaces and under a filter of Chromium's.
    let walls = "pid=$(pgrep -f type=renderer | head -1); grep -E 'NSpid|Seccomp_filters' /proc/$pid/status";
    let walls = support::shell(&capsule, User::Root, walls).await.text;
    let spaces = walls.lines().find_map(|line| line.strip_prefix("NSpid:")).map(|pids| pids.split_whitespace().count());
    let filters = walls.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).map(str::trim);
    assert!(spaces >= Some(2), "{walls}");
    assert!(filters.is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count > OWN_FILTERS)), "{walls}");
    machine.finish().await;
}
