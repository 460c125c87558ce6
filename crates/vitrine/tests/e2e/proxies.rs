//! Sessions through an upstream proxy: everything goes through it, nothing around it.

use crate::support::proxy::{HOST, PASSWORD, Protocol, Proxy, USER};
use crate::support::{Api, Authority, Options, Server, Site, server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Only the proxy knows where it is.
const FAR: &str = "far.example";

async fn through(api: &Api, site: &Site, proxy: &Proxy, field: Value) {
    let (id, mut devtools) = api.driven(json!({ "proxy": field })).await;
    let page = devtools.page().await;
    let path = format!("/by-{}", proxy.port);
    devtools.goto(&page, &format!("http://{FAR}:{}{path}", site.port)).await.expect("the page loads");
    assert_eq!(devtools.text(&page).await, format!("Hello from {path}"));
    let target = format!("{FAR}:{}", site.port);
    assert!(proxy.asked().contains(&target), "the name went to the proxy unresolved: {:?}", proxy.asked());
    // A private address is refused before the proxy sees it.
    assert!(devtools.goto(&page, &format!("http://10.0.0.1:{}/", site.port)).await.is_err());
    assert!(!proxy.asked().iter().any(|asked| asked.contains("10.0.0.1")), "{:?}", proxy.asked());
    api.delete(&id).await;
}

#[tokio::test]
async fn every_protocol_with_and_without_credentials() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("bundle.pem");
    authority.write_bundle(&bundle);
    let server =
        Server::start(Options::default().with("VITRINE_CAPSULE_CA_BUNDLE", bundle.display().to_string())).await;
    let site = Site::start().await;
    let api = server.api();
    for protocol in [Protocol::Socks5, Protocol::Http, Protocol::Https] {
        let open = Proxy::start(protocol, false, &authority).await;
        through(&api, &site, &open, open.field(None)).await;
        let guarded = Proxy::start(protocol, true, &authority).await;
        through(&api, &site, &guarded, guarded.field(Some((USER, PASSWORD)))).await;
    }
    assert!(!server.log().contains(PASSWORD), "credentials are in the log");
    server.stop().await;
}

/// Either the session fails with the documented reason, or the page shows the proxy's error; never a direct connection.
async fn goes_nowhere(api: &Api, site: &Site, field: Value) {
    let (status, answer) = api.call(Method::POST, "/v1/browsers", Some(json!({ "proxy": field }))).await;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        assert_eq!(answer["reason"], "egress_unavailable", "{answer}");
        return;
    }
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let id = answer["id"].as_str().expect("an id");
    let session = api.until(id, &["ready", "failed"]).await;
    if session["status"] == "failed" {
        assert_eq!(session["error"]["reason"], "egress_unavailable", "{session}");
        return;
    }
    let url = session["cdpUrl"].as_str().expect("a cdpUrl");
    let mut devtools = crate::support::Devtools::connect(url).await.expect("connects");
    let page = devtools.page().await;
    assert!(devtools.goto(&page, &site.url("/leak")).await.is_err());
    api.delete(id).await;
}

#[tokio::test]
async fn a_dead_or_refusing_proxy_is_never_gone_around() {
    let authority = Authority::new();
    let server = Server::start(Options::default()).await;
    let site = Site::start().await;
    let api = server.api();
    for protocol in ["http", "https", "socks5"] {
        let dead = json!({ "protocol": protocol, "host": HOST, "port": server::free_port() });
        goes_nowhere(&api, &site, dead).await;
    }
    let guarded = Proxy::start(Protocol::Socks5, true, &authority).await;
    goes_nowhere(&api, &site, guarded.field(Some((USER, "wrong")))).await;
    goes_nowhere(&api, &site, guarded.field(None)).await;
    assert_eq!(site.seen(), [], "nothing came to the site");
    server.stop().await;
}

#[tokio::test]
async fn the_same_proxy_by_its_private_address_is_refused() {
    let authority = Authority::new();
    let server = Server::start(Options::default()).await;
    let proxy = Proxy::start(Protocol::Socks5, false, &authority).await;
    for host in ["127.0.0.1", "localhost", "::1", "10.0.0.1", "169.254.169.254"] {
        let body = json!({ "proxy": { "protocol": "socks5", "host": host, "port": proxy.port } });
        let (status, answer) = server.api().call(Method::POST, "/v1/browsers", Some(body)).await;
        if status == StatusCode::CREATED {
            let session = server.api().until(answer["id"].as_str().expect("an id"), &["failed"]).await;
            assert_eq!(session["error"]["reason"], "egress_unavailable", "{host}: {session}");
        } else {
            assert!(matches!(status.as_u16(), 400 | 503), "{host}: {status} {answer}");
        }
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
    server.stop().await;
}
