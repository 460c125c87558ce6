//! One session from POST to its end.

use crate::support::{Api, Authority, Devtools, Options, Server, Site};
use reqwest::{Method, StatusCode};
use serde_json::json;

const PNG: [u8; 4] = [0x89, b'P', b'N', b'G'];

#[tokio::test]
async fn a_session_opens_a_page_takes_a_screenshot_and_is_gone() {
    let server = Server::start(Options::default()).await;
    let site = Site::start().await;
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    devtools.goto(&page, &site.url("/first")).await.expect("the page loads");
    assert_eq!(devtools.text(&page).await, "Hello from /first");
    assert_eq!(devtools.screenshot(&page).await[..4], PNG);
    api.until(&id, &["active"]).await;
    api.delete(&id).await;
    assert_eq!(devtools.closed().await, (1000, "deleted".to_owned()));
    let session = api.demand_end(&id, "ended", "deleted").await;
    assert!(session["duration"].as_i64().is_some_and(|duration| duration > 0), "{session}");
    assert!(session["egress"]["bytesIn"].as_u64().is_some_and(|bytes| bytes > 0), "{session}");
    server.stop().await;
}

#[tokio::test]
async fn clients_come_and_go_and_find_their_pages_again() {
    let server = Server::start(Options::default()).await;
    let site = Site::start().await;
    let api = server.api();
    let (id, url) = api.ready(json!({})).await;
    let mut first = Devtools::connect(&url).await.expect("connects");
    let page = first.page().await;
    first.goto(&page, &site.url("/kept")).await.expect("loads");
    api.until(&id, &["active"]).await;
    drop(first);
    api.until(&id, &["ready"]).await;
    let mut second = Devtools::connect(&url).await.expect("connects again");
    let page = second.attach(&page.target).await;
    assert_eq!(second.text(&page).await, "Hello from /kept");
    api.delete(&id).await;
    server.stop().await;
}

#[tokio::test]
async fn what_opens_nothing_is_refused_before_the_upgrade() {
    use crate::support::devtools::Broken;
    let server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "2")).await;
    let api = server.api();
    let (one, one_url) = api.ready(json!({})).await;
    let (two, two_url) = api.ready(json!({})).await;
    let token = |url: &str| url.split_once("token=").expect("a token").1.to_owned();
    let address = |id: &str, token: &str| format!("ws://127.0.0.1:{}/cdp/{id}?token={token}", server.port());
    let wrong = [address(&one, ""), address(&one, "nonsense"), address(&one, &token(&two_url))];
    for url in &wrong {
        assert_eq!(Devtools::connect(url).await.err(), Some(Broken::Refused(401)), "{url}");
    }
    api.delete(&one).await;
    api.demand_end(&one, "ended", "deleted").await;
    assert_eq!(Devtools::connect(&one_url).await.err(), Some(Broken::Refused(401)), "its session is over");
    api.delete(&two).await;
    let stranger = Api::new(&server.base, "br_live_00000000000000000000000000000000");
    let (status, _) = stranger.call(Method::GET, "/v1/browsers", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    server.stop().await;
}

#[tokio::test]
async fn many_at_once_all_work() {
    const SESSIONS: usize = 10;
    let server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "3")).await;
    let site = Site::start().await;
    let api = server.api();
    let each = (0..SESSIONS).map(|number| {
        let (api, url) = (api.clone(), site.url(&format!("/{number}")));
        async move {
            let (id, mut devtools) = api.driven(json!({})).await;
            let page = devtools.page().await;
            devtools.goto(&page, &url).await.expect("loads");
            assert_eq!(devtools.text(&page).await, format!("Hello from /{number}"));
            api.delete(&id).await;
            api.demand_end(&id, "ended", "deleted").await;
        }
    });
    futures_util::future::join_all(each).await;
    let (_, usage) = api.call(Method::GET, "/v1/usage", None).await;
    assert_eq!(usage["totalSessions"], json!(SESSIONS), "{usage}");
    server.stop().await;
}

#[tokio::test]
async fn an_authority_that_the_operator_does_not_trust_is_not_trusted() {
    let server = Server::start(Options::default()).await;
    let site = Site::start_secure(&Authority::new()).await;
    let (id, mut devtools) = server.api().driven(json!({})).await;
    let page = devtools.page().await;
    let refused = devtools.goto(&page, &site.url("/")).await.expect_err("its certificate is nobody's");
    assert!(refused.contains("ERR_CERT_AUTHORITY_INVALID"), "{refused}");
    server.api().delete(&id).await;
    server.stop().await;
}
