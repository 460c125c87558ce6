//! Downloads, also by a client that has a folder of its own.

use crate::host::LocalHost;
use crate::{BUILDS, SOON, evaluate, open, start};
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use vitrine_browser::Host;
use vitrine_browser::downloads::{Download, Downloads, State, allow};
use vitrine_cdp::protocol::browser::{BrowserContextId, SetDownloadBehavior, SetDownloadBehaviorBehavior};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::target::CreateTarget;
use vitrine_cdp::{Connection, Session};

const BODY: &str = "the whole report";

/// `/file` is a download, `/slow` one that never ends, all else a page.
async fn site() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let Ok(read @ 1..) = stream.read(&mut request).await else { return };
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let file = "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"report.pdf\"";
                let answer = match request.split(' ').nth(1) {
                    Some("/file") => format!("{file}\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len()),
                    Some("/slow") => format!("{file}\r\nContent-Length: 1000000\r\n\r\n{BODY}"),
                    _ => "Content-Type: text/html\r\nContent-Length: 2\r\n\r\nhi".into(),
                };
                let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{answer}").as_bytes()).await;
                if request.starts_with("GET /slow") {
                    let _ = stream.read(&mut [0; 1]).await;
                }
            });
        }
    });
    port
}

async fn download(page: &Session, path: &str) {
    let script = format!("const a = document.createElement('a'); a.href = '{path}'; a.download = ''; a.click(); 0");
    evaluate(page, &format!("{{ {script} }}")).await;
}

async fn ended(downloads: &mut Downloads) -> Download {
    timeout(SOON, async {
        loop {
            let download = downloads.next().await.expect("a download");
            if download.state != State::InProgress {
                return download;
            }
        }
    })
    .await
    .expect("in time")
}

fn content(download: &Download) -> String {
    std::fs::read_to_string(download.path.as_deref().expect("a path")).expect("the file")
}

#[derive(serde::Serialize)]
pub struct CreateBrowserContext {}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    pub browser_context_id: BrowserContextId,
}

impl vitrine_cdp::Command for CreateBrowserContext {
    const METHOD: &'static str = "Target.createBrowserContext";
    type Response = Created;
}

/// As Playwright does it for each of its contexts.
async fn name_by_guid(client: &Connection, folder: &str, context: Option<BrowserContextId>) {
    let behavior = SetDownloadBehavior {
        behavior: SetDownloadBehaviorBehavior::AllowAndName,
        browser_context_id: context,
        download_path: Some(folder.into()),
        events_enabled: Some(true),
    };
    client.call(behavior).await.expect("set");
}

#[tokio::test]
async fn a_file_is_found_wherever_a_client_has_it_put() {
    let port = site().await;
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let ours = browser.connection().await.expect("connection");
        let folder = host.folder("downloads");
        let mut downloads = Downloads::watch(&ours);
        allow(&ours, &folder).await.expect("allowed");
        let page = open(&ours, format!("http://127.0.0.1:{port}/")).await;

        download(&page, "/file").await;
        let plain = ended(&mut downloads).await;
        assert_eq!((plain.state, plain.name.as_str()), (State::Completed, "report.pdf"), "{build:?}");
        assert_eq!(plain.path.as_deref(), Some(format!("{folder}/report.pdf").as_str()));
        assert_eq!(plain.url, format!("http://127.0.0.1:{port}/file"));
        assert_eq!((plain.received_bytes, plain.total_bytes), (BODY.len() as u64, BODY.len() as u64));
        assert_eq!(content(&plain), BODY);

        let theirs = host.folder("theirs");
        let stream = host.dial(0).await.expect("a stream");
        let client = Connection::new(stream, browser.websocket_path()).await.expect("a client");
        name_by_guid(&client, &theirs, None).await;
        download(&page, "/file").await;
        let named = ended(&mut downloads).await;
        assert_eq!(named.path, Some(format!("{theirs}/{}", named.guid)), "the client's folder is left alone");
        assert_eq!((named.name.as_str(), content(&named).as_str()), ("report.pdf", BODY));

        let context = client.call(CreateBrowserContext {}).await.expect("a context").browser_context_id;
        name_by_guid(&client, &theirs, Some(context.clone())).await;
        let blank =
            CreateTarget { url: "about:blank".into(), browser_context_id: Some(context), ..CreateTarget::default() };
        let other = client.call(blank).await.expect("a page").target_id;
        let other = client.attach(&other).await.expect("a session");
        let url = format!("http://127.0.0.1:{port}/");
        other.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
        download(&other, "/file").await;
        let elsewhere = ended(&mut downloads).await;
        assert_eq!(elsewhere.path, Some(format!("{theirs}/{}", elsewhere.guid)), "{build:?}");

        client.close().await;
        allow(&ours, &folder).await.expect("allowed again");
        download(&page, "/file").await;
        let again = ended(&mut downloads).await;
        assert!(again.path.as_deref().is_some_and(|path| path.starts_with(&folder)), "{again:?}");
        assert_eq!(content(&again), BODY);

        browser.close(SOON).await;
        assert_eq!(downloads.next().await, None);
    }
}

#[tokio::test]
async fn one_under_way_is_told_with_what_has_come() {
    let port = site().await;
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(vitrine_browser::Build::HeadlessShell)).await;
    let ours = browser.connection().await.expect("connection");
    let mut downloads = Downloads::watch(&ours);
    allow(&ours, &host.folder("downloads")).await.expect("allowed");
    let page = open(&ours, format!("http://127.0.0.1:{port}/")).await;
    download(&page, "/slow").await;
    let begun = timeout(SOON, downloads.next()).await.expect("in time").expect("a download");
    assert_eq!((begun.state, begun.name.as_str(), &begun.path), (State::InProgress, "report.pdf", &None));
    browser.close(SOON).await;
}
