//! What one session leaves is never seen by another: cookies, storage, databases, cache, service workers.

use crate::support::{Authority, Options, Server, Site};
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

#[tokio::test]
async fn no_canary_of_one_session_is_in_the_next() {
    // Service workers and caches need a secure origin.
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("bundle.pem");
    authority.write_bundle(&bundle);
    let options = Options::default().with("VITRINE_POOL_BROWSERS", "2");
    let server = Server::start(options.with("VITRINE_CAPSULE_CA_BUNDLE", bundle.display().to_string())).await;
    let site = Site::start_secure(&authority).await;
    let api = server.api();
    let (first, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    devtools.goto(&page, &site.url("/")).await.expect("loads");
    assert_eq!(devtools.evaluate(&page, PLANT).await, Ok(json!(true)));
    let planted = json!({ "cookie": "canary=1", "storage": "1", "databases": 1, "caches": 1, "workers": 1 });
    assert_eq!(devtools.evaluate(&page, SEEK).await, Ok(planted));
    // A session beside it, while it lives.
    seek_nothing(&server, &site).await;
    api.delete(&first).await;
    api.demand_end(&first, "ended", "deleted").await;
    // And those that come after it.
    for _ in 0..3 {
        seek_nothing(&server, &site).await;
    }
    let cached = site.seen().iter().filter(|(path, _)| path == "/cached").count();
    assert_eq!(cached, 5, "each session asked for itself: nobody has another's cache");
    server.stop().await;
}

async fn seek_nothing(server: &Server, site: &Site) {
    let api = server.api();
    let (id, mut devtools) = api.driven(json!({})).await;
    let page = devtools.page().await;
    devtools.goto(&page, &site.url("/looking")).await.expect("loads");
    let nothing = json!({ "cookie": "", "storage": null, "databases": 0, "caches": 0, "workers": 0 });
    assert_eq!(devtools.evaluate(&page, SEEK).await, Ok(nothing));
    devtools.evaluate(&page, "fetch('/cached').then(answer => answer.text())").await.expect("loads");
    let cookies = site.seen().into_iter().filter(|(path, cookie)| path == "/looking" && !cookie.is_empty());
    assert_eq!(cookies.count(), 0, "no cookie was sent");
    api.delete(&id).await;
}
