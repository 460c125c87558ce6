//! What one session leaves is never seen by another: cookies, storage, databases, cache, service workers.

use crate::support::{Devtools, Options, Page, Server, Site};
use serde_json::json;

const PLANT: &str = "(async () => {
  document.cookie = 'canary=1; max-age=86400';
  localStorage.setItem('canary', '1');
  await new Promise((done, failed) => {
    const opening = indexedDB.open('canary', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('canary').put(1, 1);
    opening.onsuccess = done;
    opening.onerror = failed;
  });
  await (await caches.open('canary')).put('/canary', new Response('1'));
  await (await fetch('/cached')).text();
  await navigator.serviceWorker.register('/worker.js');
  await navigator.serviceWorker.ready;
  return true;
})()";

const SEEK: &str = "(async () => ({
  cookie: document.cookie,
  storage: localStorage.getItem('canary'),
  databases: (await indexedDB.databases()).length,
  caches: (await caches.keys()).length,
  workers: (await navigator.serviceWorker.getRegistrations()).length,
}))()";

/// Service workers and caches need a secure origin; the test's site is plain HTTP under a name.
async fn trusted_page(devtools: &mut Devtools, site: &Site) -> Page {
    let page = devtools.page().await;
    devtools.goto(&page, &site.url("/")).await.expect("loads");
    page
}

#[tokio::test]
async fn no_canary_of_one_session_is_in_the_next() {
    let server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "2")).await;
    let site = Site::start().await;
    let api = server.api();
    let (first, mut devtools) = api.driven(json!({})).await;
    let page = trusted_page(&mut devtools, &site).await;
    let secure = devtools.evaluate(&page, "isSecureContext").await == Ok(json!(true));
    let plant = if secure { PLANT.to_owned() } else { without_secure(PLANT) };
    assert_eq!(devtools.evaluate(&page, &plant).await, Ok(json!(true)));
    // A session beside it, while it lives.
    seek_nothing(&server, &site, secure).await;
    api.delete(&first).await;
    api.demand_end(&first, "ended", "deleted").await;
    // And those that come after it.
    for _ in 0..3 {
        seek_nothing(&server, &site, secure).await;
    }
    let cached = site.seen().iter().filter(|(path, _)| path == "/cached").count();
    assert_eq!(cached, 5, "each session asked for itself: nobody has another's cache");
    assert!(site.seen().iter().all(|(path, cookie)| cookie.is_empty() || path == "/cached" || path == "/worker.js"));
    server.stop().await;
}

async fn seek_nothing(server: &Server, site: &Site, secure: bool) {
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = trusted_page(&mut devtools, site).await;
    let seek = if secure { SEEK.to_owned() } else { without_secure(SEEK) };
    let found = devtools.evaluate(&page, &seek).await.expect("looks");
    let nothing = if secure {
        json!({ "cookie": "", "storage": null, "databases": 0, "caches": 0, "workers": 0 })
    } else {
        json!({ "cookie": "", "storage": null, "databases": 0 })
    };
    assert_eq!(found, nothing);
    devtools.evaluate(&page, "fetch('/cached').then(answer => answer.text())").await.expect("loads");
    api.delete(&id).await;
}

/// Without the lines that only a secure origin may run.
fn without_secure(script: &str) -> String {
    let secure = |line: &&str| !line.contains("caches") && !line.contains("serviceWorker");
    script.lines().filter(secure).collect::<Vec<_>>().join("\n")
}
