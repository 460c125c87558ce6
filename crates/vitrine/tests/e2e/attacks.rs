//! A hostile page and a hostile client: what they reach for, and that they get nothing.

use crate::support::devtools::Broken;
use crate::support::{Devtools, Options, Page, Server, Site, leaks};
use serde_json::json;
use std::net::UdpSocket;

/// Whether a page got anything from an address: by navigating there, or by a request that needs no permission.
async fn reaches(devtools: &mut Devtools, page: &Page, url: &str) -> bool {
    if devtools.goto(page, url).await.is_ok() {
        return true;
    }
    devtools.goto(page, "about:blank").await.expect("a blank page");
    let request = format!("fetch({url:?}, {{ mode: 'no-cors' }}).then(() => true, () => false)");
    devtools.evaluate(page, &request).await == Ok(json!(true))
}

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Chooses a route; nothing is sent.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}

#[tokio::test]
async fn nothing_private_is_reached_from_a_page() {
    let server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "2")).await;
    let site = Site::start().await;
    let api = server.api();
    let (neighbour, _) = api.ready(json!({})).await;
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    assert!(reaches(&mut devtools, &page, &site.url("/allowed")).await, "what is allowed is reached");
    let (site_port, api_port) = (site.port, server.port());
    let mut hosts: Vec<String> = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"]
        .into_iter()
        .flat_map(|host| [format!("{host}:{site_port}"), format!("{host}:{api_port}")])
        .collect();
    hosts.extend(
        own_address().into_iter().flat_map(|host| [format!("{host}:{site_port}"), format!("{host}:{api_port}")]),
    );
    // Metadata services, private ranges, the capsule's own side of the network, the neighbour's DevTools port.
    hosts.extend(
        ["169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "198.18.0.1", "[fd00:ec2::254]"]
            .map(str::to_owned),
    );
    hosts.extend(["metadata.google.internal", "printer.local", "intranet", "x.localhost"].map(str::to_owned));
    hosts.extend(["127.0.0.1:9222", "localhost:9222", "10.0.2.1:9222"].map(str::to_owned));
    for host in hosts {
        assert!(!reaches(&mut devtools, &page, &format!("http://{host}/")).await, "{host} was reached");
    }
    assert!(site.seen().iter().all(|(path, _)| path == "/allowed" || path == "/favicon.ico"), "{:?}", site.seen());
    api.delete(&neighbour).await;
    api.delete(&id).await;
    server.stop().await;
}

#[tokio::test]
async fn files_of_the_host_are_not_there() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    let host_secret = std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned();
    let key = server.key.clone();
    let data = server.data.display().to_string();
    for path in [
        "/etc/shadow",
        "/etc/hostname",
        "/proc/1/environ",
        "/proc/1/root/etc/shadow",
        "/proc/1/mountinfo",
        "/proc/self/environ",
        "/root/",
        &format!("{data}/api-key"),
        &format!("{data}/vitrine.db"),
    ] {
        let opened = devtools.goto(&page, &format!("file://{path}")).await;
        let text = devtools.text(&page).await;
        let leaked = text.contains("root:") || text.contains(&key) || text.contains("VITRINE_");
        assert!(!leaked, "{path}: {opened:?} {text}");
        assert!(host_secret.is_empty() || text.trim() != host_secret, "{path} is the host's: {text}");
        let _ = devtools.goto(&page, "about:blank").await;
    }
    api.delete(&id).await;
    server.stop().await;
}

#[tokio::test]
async fn inner_pages_of_the_browser_are_harmless() {
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    for url in [
        "chrome://version",
        "chrome://settings",
        "chrome://gpu",
        "chrome://net-export",
        "chrome://inspect",
        "view-source:file:///etc/passwd",
    ] {
        let _ = devtools.goto(&page, url).await;
        let text = devtools.text(&page).await;
        assert!(
            !text.contains(&server.key) && !text.contains("root:x:0:0:root:/root:/bin/bash\nvitrine"),
            "{url}: {text}"
        );
    }
    // Those that are meant to bring the browser down may do so, but then it is told as a crash and nobody else feels it.
    let (other, mut neighbour) = api.driven(json!({})).await;
    let _ = tokio::time::timeout(
        std::time::Duration::from_secs(2),
        devtools.call("Page.navigate", json!({ "url": "chrome://crash" }), Some(&page.session)),
    )
    .await;
    let calm = neighbour.page().await;
    assert_eq!(neighbour.evaluate(&calm, "1 + 1").await, Ok(json!(2)));
    api.delete(&id).await;
    api.delete(&other).await;
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_allocates_without_end_hurts_only_itself() {
    let server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "2")).await;
    let api = server.api();
    let (victim, mut calm) = api.driven(json!({})).await;
    let calm_page = calm.page().await;
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    let bomb = "const kept = []; setInterval(() => { for (let i = 0; i < 8; i++) kept.push(new Uint8Array(8 << 20).fill(1)) }, 5)";
    let _ = devtools.evaluate(&page, bomb).await;
    // The page dies, or the whole browser does and the session says why.
    crate::support::eventually("the bomb going off", || async {
        let session = api.show(&id).await;
        if session["status"] == "failed" {
            assert_eq!(session["endReason"], "out_of_memory", "{session}");
            return Some(());
        }
        (leaks::memory_kills(&server.machine()) > 0).then_some(())
    })
    .await;
    assert_eq!(calm.evaluate(&calm_page, "1 + 1").await, Ok(json!(2)), "the neighbour feels nothing");
    if api.show(&id).await["status"] != "failed" {
        api.delete(&id).await;
    }
    api.delete(&victim).await;
    server.stop().await;
}

/// The browser's own process keeps a copy of every script that is to run in new documents, so that a client can fill it.
#[tokio::test]
async fn a_browser_that_dies_of_its_memory_limit_says_so() {
    const SCRIPT_BYTES: usize = 24 << 20;
    const SCRIPTS_MAX: usize = 60;
    let server = Server::start(Options::default()).await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({ "weight": "light" })).await;
    let page = devtools.page().await;
    let script = format!("//{}", "x".repeat(SCRIPT_BYTES));
    let filled = async {
        for number in 0..SCRIPTS_MAX {
            let params = json!({ "source": format!("{script}{number}") });
            devtools.send("Page.addScriptToEvaluateOnNewDocument", params, Some(&page.session)).await?;
        }
        Ok::<_, Broken>(devtools.closed().await)
    };
    match filled.await {
        Ok(closed) => assert_eq!(closed, (4011, "out_of_memory".to_owned())),
        // Closed while it was sending: the frame is lost in what it never read.
        Err(Broken::Dropped(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
    api.demand_end(&id, "failed", "out_of_memory").await;
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_windows_and_a_hundred_workers_are_bounded() {
    let server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "2")).await;
    let site = Site::start().await;
    let api = server.api();
    let (victim, mut calm) = api.driven(json!({})).await;
    let calm_page = calm.page().await;
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    devtools.goto(&page, &site.url("/hostile")).await.expect("loads");
    let windows = "for (let i = 0; i < 1000; i++) open('about:blank', '_blank', 'noopener')";
    let workers = "for (let i = 0; i < 100; i++) new Worker(URL.createObjectURL(new Blob(['for (;;);'])))";
    for attack in [workers, windows] {
        let params = json!({ "expression": attack, "userGesture": true });
        let called = devtools.call("Runtime.evaluate", params, Some(&page.session));
        let _ = tokio::time::timeout(std::time::Duration::from_secs(10), called).await;
        assert_eq!(calm.evaluate(&calm_page, "1 + 1").await, Ok(json!(2)), "the neighbour still answers");
    }
    let (status, _) = api.call(reqwest::Method::DELETE, &format!("/v1/browsers?id={id}"), None).await;
    assert_eq!(status, 200);
    api.until(&id, &["ended", "failed"]).await;
    api.delete(&victim).await;
    server.stop().await;
}
