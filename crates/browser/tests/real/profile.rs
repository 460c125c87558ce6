//! A profile that outlives its browser, and archives and folders that mean harm.

use crate::host::{LocalHost, ORDINARY_USER};
use crate::site::{Reply, path, site};
use crate::{GRACE, evaluate, first_page, start};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use vitrine_browser::profile::{Owner, PROFILE_BYTES_MAX, ProfileError, SessionCookies, pack, unpack};
use vitrine_browser::{Build, Exit};
use vitrine_cdp::Session;
use vitrine_cdp::protocol::network::CookieParam;
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::storage::{GetCookies, SetCookies};

const OWNER: Owner = Owner { uid: ORDINARY_USER, gid: ORDINARY_USER };

const REMEMBER: &str = "(async () => {
    localStorage.setItem('kept', 'local');
    const store = await new Promise(done => {
        const open = indexedDB.open('kept', 1);
        open.onupgradeneeded = () => open.result.createObjectStore('store');
        open.onsuccess = () => done(open.result.transaction('store', 'readwrite'));
    });
    store.objectStore('store').put('indexed', 'key');
    await new Promise(done => store.oncomplete = done);
    await navigator.serviceWorker.register('/worker.js');
    await navigator.serviceWorker.ready;
    await (await caches.open('kept')).put('/cached', new Response('cached'));
    return 'done';
})()";

const RECALL: &str = "(async () => ({
    local: localStorage.getItem('kept'),
    indexed: await new Promise(done => {
        const open = indexedDB.open('kept', 1);
        open.onupgradeneeded = () => open.result.createObjectStore('store');
        open.onsuccess = () => {
            const get = open.result.transaction('store').objectStore('store').get('key');
            get.onsuccess = () => done(get.result ?? null);
        };
    }),
    worker: (await navigator.serviceWorker.getRegistrations()).length,
    cached: await (await caches.match('/cached'))?.text() ?? null,
    heard: (await (await fetch('/heard')).text()).split('; ').sort(),
}))()";

/// `/` sets cookies, `/heard` says which came.
async fn logins() -> u16 {
    site(|request| match path(request) {
        "/login" => {
            let cookies = "Content-Type: text/html\r\nSet-Cookie: lasting=1; Max-Age=100000; HttpOnly\r\n\
                           Set-Cookie: passing=2; HttpOnly; SameSite=Strict";
            Reply::new(cookies, "hi")
        }
        "/heard" => {
            let cookies = request.lines().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or_default();
            Reply::new("Content-Type: text/plain", cookies)
        }
        "/worker.js" => Reply::new("Content-Type: text/javascript", "onfetch = () => {}"),
        _ => Reply::html("hi"),
    })
    .await
}

async fn visit(page: &Session, url: String) {
    page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
    while evaluate(page, "document.readyState").await != json!("complete") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn told(page: &Session, expression: &str) -> Value {
    let expression = expression.to_owned();
    let (await_promise, return_by_value) = (Some(true), Some(true));
    let command = Evaluate { expression, await_promise, return_by_value, ..Evaluate::default() };
    let answer = page.call(command).await.expect("an answer");
    assert!(answer.exception_details.is_none(), "{:?}", answer.exception_details);
    answer.result.value.expect("by value")
}

/// Session cookies that the test's own site cannot set: of a whole domain, and of a frame within one site.
fn foreign() -> Vec<CookieParam> {
    let cookie = |name: &str, more: serde_json::Value| {
        let mut cookie = json!({"name": name, "value": "x", "path": "/deep", "secure": true, "sameSite": "None"});
        cookie.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(cookie).expect("a cookie")
    };
    let key = json!({"topLevelSite": "https://top.test", "hasCrossSiteAncestor": true});
    vec![
        cookie("domain", json!({"domain": ".example.test", "httpOnly": true, "priority": "High"})),
        cookie("partitioned", json!({"domain": "frame.test", "partitionKey": key})),
    ]
}

/// Logs in with `first`, and comes back with `second` on another machine's folder.
async fn comes_back(first: Build, second: Build) {
    let port = logins().await;
    let host = LocalHost::new();
    let launch = host.launch(first);
    let browser = start(&host, &launch).await;
    let connection = browser.connection().await.expect("connection");
    let page = first_page(&connection).await;
    visit(&page, format!("http://localhost:{port}/login")).await;
    assert_eq!(told(&page, REMEMBER).await, json!("done"));
    connection.call(SetCookies { cookies: foreign(), browser_context_id: None }).await.expect("set");
    let before = connection.call(GetCookies::default()).await.expect("cookies").cookies;
    let cookies = SessionCookies::take(&connection).await.expect("cookies");
    let exit = browser.close(GRACE).await;
    let mut archive = Vec::new();
    pack(exit, Path::new(&launch.user_data_dir), &cookies, &mut archive).expect("packed");
    drop(host);

    let host = LocalHost::new();
    let launch = host.launch(second);
    let cookies = unpack(&*archive, Path::new(&launch.user_data_dir), OWNER).expect("unpacked");
    let browser = start(&host, &launch).await;
    let connection = browser.connection().await.expect("connection");
    assert!(!cookies.is_empty());
    cookies.restore(&connection).await.expect("restored");
    let after = connection.call(GetCookies::default()).await.expect("cookies").cookies;
    let named = |cookies: &[vitrine_cdp::protocol::network::Cookie]| {
        let mut all: Vec<_> = cookies.iter().map(|one| serde_json::to_value(one).expect("JSON")).collect();
        all.sort_by_key(|one| one["name"].to_string());
        all
    };
    assert_eq!(named(&after), named(&before), "{first:?} to {second:?}");
    let page = first_page(&connection).await;
    visit(&page, format!("http://localhost:{port}/")).await;
    let all = json!({
        "local": "local", "indexed": "indexed", "worker": 1, "cached": "cached", "heard": ["lasting=1", "passing=2"],
    });
    assert_eq!(told(&page, RECALL).await, all, "{first:?} to {second:?}");
    assert_eq!(browser.close(GRACE).await, Exit::Code(0));
}

#[tokio::test]
async fn a_login_comes_back_in_another_browser() {
    comes_back(Build::HeadlessShell, Build::HeadlessShell).await;
    comes_back(Build::Chromium, Build::Chromium).await;
}

#[tokio::test]
async fn a_login_comes_back_in_the_other_build() {
    comes_back(Build::HeadlessShell, Build::Chromium).await;
    comes_back(Build::Chromium, Build::HeadlessShell).await;
}

#[tokio::test]
async fn what_a_killed_browser_leaves_is_not_packed() {
    let host = LocalHost::new();
    let launch = host.launch(Build::HeadlessShell);
    let browser = start(&host, &launch).await;
    host.process(&browser.running().id()).signal(Signal::KILL);
    let exit = browser.exited().await;
    let mut archive = Vec::new();
    let refused = pack(exit, Path::new(&launch.user_data_dir), &SessionCookies::default(), &mut archive);
    assert!(matches!(refused, Err(ProfileError::NotClosed(Exit::Signal(9)))), "{refused:?}");
    assert!(archive.is_empty());
}

fn packed(folder: &Path) -> Result<Vec<u8>, ProfileError> {
    let mut archive = Vec::new();
    pack(Exit::Code(0), folder, &SessionCookies::default(), &mut archive).map(|()| archive)
}

fn hostile() -> (Arc<LocalHost>, std::path::PathBuf) {
    let host = LocalHost::new();
    let folder = Path::new(&host.folder("hostile")).to_owned();
    fs::create_dir_all(folder.join("Default/Local Storage")).expect("folders");
    (host, folder)
}

#[test]
fn links_pipes_and_caches_stay_behind() {
    let (host, folder) = hostile();
    let secret = host.directory.path().join("secret");
    fs::write(&secret, "host's").expect("written");
    fs::write(folder.join("Default/Cookies"), "cookies").expect("written");
    fs::create_dir_all(folder.join("Default/Cache")).expect("folder");
    fs::write(folder.join("Default/Cache/index"), "cache").expect("written");
    symlink(&secret, folder.join("Default/Preferences")).expect("a link");
    symlink(host.directory.path(), folder.join("Default/IndexedDB")).expect("a link");
    symlink(&secret, folder.join("Default/Local Storage/inner")).expect("a link");
    let pipe = folder.join("Default/Web Data");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
    std::os::unix::net::UnixListener::bind(folder.join("Default/Login Data")).expect("a socket");
    let archive = packed(&folder).expect("packed");
    let out = Path::new(&host.folder("out")).to_owned();
    assert!(unpack(&*archive, &out, OWNER).expect("unpacked").is_empty());
    let mut names: Vec<_> =
        fs::read_dir(out.join("Default")).expect("list").map(|one| one.expect("one").file_name()).collect();
    names.sort();
    assert_eq!(names, ["Cookies", "Local Storage"]);
    assert_eq!(fs::read_dir(out.join("Default/Local Storage")).expect("list").count(), 0);
    let status = fs::metadata(out.join("Default/Cookies")).expect("a file");
    assert_eq!((status.uid(), status.gid(), status.mode() & 0o777), (ORDINARY_USER, ORDINARY_USER, 0o600));
}

#[test]
fn a_profile_that_is_too_much_is_refused_while_it_is_packed() {
    let (_host, folder) = hostile();
    let large = fs::File::create(folder.join("Default/Local Storage/large")).expect("a file");
    // Nothing of it is on the disk, and nothing of it is read.
    large.set_len(PROFILE_BYTES_MAX * 1000).expect("sparse");
    assert!(matches!(packed(&folder), Err(ProfileError::TooLarge)));
    fs::remove_file(folder.join("Default/Local Storage/large")).expect("removed");
    fs::create_dir_all(folder.join(format!("Default/IndexedDB{}", "/x".repeat(40)))).expect("folders");
    assert!(matches!(packed(&folder), Err(ProfileError::TooDeep)));
}

fn archive(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).expect("an encoder"));
    for (name, kind, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o4777);
        // Written past the checks of the packer.
        header.as_gnu_mut().expect("GNU").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_link_name("/etc").expect("a link");
        header.set_cksum();
        builder.append(&header, *content).expect("appended");
    }
    builder.into_inner().expect("tar").finish().expect("zstd")
}

#[test]
fn an_archive_that_means_harm_is_refused() {
    use tar::EntryType::{Directory, Regular, Symlink};
    for (name, kind) in [
        ("../Default/Cookies", Regular),
        ("/Default/Cookies", Regular),
        ("Default/../../x", Regular),
        ("Default/Cookies", Symlink),
        ("Default/Cookies", tar::EntryType::Link),
        ("Default/Cookies", tar::EntryType::Char),
        ("Default/Cache/x", Regular),
        ("elsewhere", Directory),
    ] {
        let (host, _) = hostile();
        let refused = unpack(&*archive(&[(name, kind, b"")]), Path::new(&host.folder("out")), OWNER);
        assert!(matches!(refused, Err(ProfileError::Malformed(_))), "{name} {kind:?}");
    }
    let (host, _) = hostile();
    let out = host.folder("out");
    symlink("/", Path::new(&out).join("Default")).expect("a link");
    let refused = unpack(&*archive(&[("Default/Cookies", Regular, b"x")]), Path::new(&out), OWNER);
    assert!(matches!(refused, Err(ProfileError::Io { .. })), "a link that was there first is not followed");
    let twice = archive(&[("Local State", Regular, b"x"), ("Local State", Regular, b"y")]);
    let refused = unpack(&*twice, Path::new(&host.folder("twice")), OWNER);
    assert!(matches!(refused, Err(ProfileError::Io { .. })));
    let cut = archive(&[("Default/Cookies", Regular, &[7; 100_000])]);
    assert!(unpack(&cut[..cut.len() / 2], Path::new(&host.folder("cut")), OWNER).is_err());
    let mut bomb = tar::Header::new_gnu();
    bomb.set_entry_type(Regular);
    bomb.set_path("Default/Cookies").expect("a name");
    bomb.set_size(PROFILE_BYTES_MAX + 1);
    bomb.set_cksum();
    let bomb = zstd::encode_all(bomb.as_bytes().as_slice(), 1).expect("zstd");
    let refused = unpack(&*bomb, Path::new(&host.folder("bomb")), OWNER);
    assert!(matches!(refused, Err(ProfileError::TooLarge)));
}
