//! Downloads, also by a client that has a folder of its own.

use crate::host::LocalHost;
use crate::site::{Reply, path, site};
use crate::{BUILDS, SOON, evaluate, open, start};
use tokio::time::timeout;
use vitrine_browser::Host;
use vitrine_browser::downloads::{Download, Downloads, State, permit};
use vitrine_cdp::protocol::browser::{BrowserContextId, SetDownloadBehavior, SetDownloadBehaviorBehavior};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::target::CreateTarget;
use vitrine_cdp::{Connection, Session};

const BODY: &str = "the whole report";

/// `/file` is a download, `/slow` one that never ends, all else a page.
async fn files() -> u16 {
    let head = "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"report.pdf\"";
    site(move |request| match path(request) {
        "/file" => Reply::new(head, BODY),
        "/slow" => Reply::new(head, BODY).promising(1_000_000),
        _ => Reply::html("hi"),
    })
    .await
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
    let port = files().await;
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let ours = browser.connection().await.expect("connection");
        let folder = host.folder("downloads");
        let mut downloads = Downloads::watch(&ours);
        permit(&ours, None, Some(&folder)).await.expect("allowed");
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
        permit(&ours, None, Some(&folder)).await.expect("allowed again");
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
    let port = files().await;
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(vitrine_browser::Build::HeadlessShell)).await;
    let ours = browser.connection().await.expect("connection");
    let mut downloads = Downloads::watch(&ours);
    permit(&ours, None, Some(&host.folder("downloads"))).await.expect("allowed");
    let page = open(&ours, format!("http://127.0.0.1:{port}/")).await;
    download(&page, "/slow").await;
    let begun = timeout(SOON, downloads.next()).await.expect("in time").expect("a download");
    assert_eq!((begun.state, begun.name.as_str(), &begun.path), (State::InProgress, "report.pdf", &None));
    browser.close(SOON).await;
}
