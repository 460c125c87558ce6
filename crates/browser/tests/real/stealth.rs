//! One consistent browser, as a page and a server see it.

use crate::downloads::CreateBrowserContext;
use crate::host::LocalHost;
use crate::site::{Reply, path, site};
use crate::{SOON, evaluate, first_page, start};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use vitrine_browser::stealth::Story;
use vitrine_browser::{Browser, Build, Host, Launch};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::CreateTarget;
use vitrine_cdp::{Connection, Session};

/// What any scope can say of its browser.
const SCOPE: &str = r#"async function scope() {
    const n = navigator, hints = await n.userAgentData.getHighEntropyValues(
        ['architecture', 'bitness', 'formFactors', 'fullVersionList', 'model', 'platformVersion', 'uaFullVersion', 'wow64']);
    const gl = new OffscreenCanvas(8, 8).getContext('webgl');
    const info = gl && gl.getExtension('WEBGL_debug_renderer_info');
    return {
        userAgent: n.userAgent, appVersion: n.appVersion, platform: n.platform, webdriver: !!n.webdriver,
        languages: n.languages, language: n.language, cores: n.hardwareConcurrency, memory: n.deviceMemory,
        timezone: Intl.DateTimeFormat().resolvedOptions().timeZone, summer: new Date(2026, 6, 1).getTimezoneOffset(),
        hints, webgl: gl && [gl.getParameter(gl.VENDOR), gl.getParameter(info.UNMASKED_VENDOR_WEBGL),
            gl.getParameter(info.UNMASKED_RENDERER_WEBGL)],
    };
}"#;

const WORKERS: &str = r#"
onmessage = async () => postMessage(await scope());
onconnect = event => event.ports[0].onmessage = async () => event.ports[0].postMessage(await scope());"#;

/// What only a page can say.
const PAGE: &str = r#"(async () => ({
    inner: [innerWidth, innerHeight], outer: [outerWidth, outerHeight], screen: [screen.width, screen.height],
    available: [screen.availWidth, screen.availHeight], at: [screenX, screenY], plugins: navigator.plugins.length,
    pdf: navigator.pdfViewerEnabled, chrome: typeof chrome, notification: Notification.permission,
    asked: (await navigator.permissions.query({ name: 'notifications' })).state, focus: document.hasFocus(),
    scrollbar: (document.body.style.height = '9000px', innerWidth - document.documentElement.clientWidth),
    mouse: matchMedia('(hover: hover) and (pointer: fine)').matches,
}))()"#;

const IN_WORKER: &str = "new Promise(done => {
    const worker = new Worker('/worker.js'); worker.onmessage = event => done(event.data); worker.postMessage(0); })";
const IN_SHARED_WORKER: &str = "new Promise(done => {
    const { port } = new SharedWorker('/worker.js'); port.onmessage = event => done(event.data); port.postMessage(0); })";
const IN_FRAME: &str = "new Promise(done => {
    const frame = document.createElement('iframe'); frame.src = 'http://127.0.0.1:PORT/frame';
    onmessage = event => done(event.data); document.body.append(frame); })";
const IN_POPUP: &str =
    "new Promise(done => { const page = open('/popup'); page.onload = async () => done(await page.scope()); })";

type Seen = Arc<Mutex<HashMap<String, String>>>;

/// Answers with pages that know `scope()`, and keeps the headers of the last request to each path.
async fn scopes() -> (u16, Seen) {
    let seen = Seen::default();
    let kept = seen.clone();
    let port = site(move |request| {
        let path = path(request);
        let (kind, body) = match path {
            "/worker.js" => ("text/javascript", format!("{SCOPE}{WORKERS}")),
            "/frame" => {
                let told = "scope().then(told => parent.postMessage(told, '*'))";
                ("text/html", format!("<!doctype html><script>{SCOPE};{told}</script>"))
            }
            _ => ("text/html", format!("<!doctype html><script>{SCOPE}</script>")),
        };
        kept.lock().expect("lock").insert(path.to_owned(), request.to_owned());
        let hints = "Accept-CH: Sec-CH-UA-Full-Version-List, Sec-CH-UA-Arch, Sec-CH-UA-Bitness";
        Reply::new(&format!("Content-Type: {kind}\r\n{hints}"), body)
    });
    (port.await, seen)
}

async fn told(page: &Session, expression: &str) -> Value {
    let command = Evaluate {
        expression: expression.into(),
        await_promise: Some(true),
        return_by_value: Some(true),
        ..Evaluate::default()
    };
    let answer = page.call_within(SOON, command).await.expect("an answer");
    assert!(answer.exception_details.is_none(), "{expression}: {:?}", answer.exception_details);
    answer.result.value.expect("by value")
}

async fn visit(page: &Session, url: &str) {
    page.call(Navigate { url: url.into(), ..Navigate::default() }).await.expect("navigated");
    while evaluate(page, "document.readyState").await != json!("complete") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
}

async fn swiss() -> (Arc<LocalHost>, Browser) {
    let host = LocalHost::new();
    let (language, timezone) = (Some("de-CH".into()), Some("Europe/Zurich".into()));
    let story = Story { language, timezone, viewport: (1280, 720) };
    let browser = start(&host, &Launch { story, ..host.launch(Build::Chromium) }).await;
    (host, browser)
}

#[tokio::test]
async fn every_scope_of_a_stealthy_browser_tells_the_same() {
    let (port, seen) = scopes().await;
    let (host, browser) = swiss().await;
    let page = first_page(&browser.connection().await.expect("connection")).await;
    visit(&page, &format!("http://localhost:{port}/page")).await;
    let here = told(&page, "scope()").await;
    for elsewhere in [IN_WORKER, IN_SHARED_WORKER, &IN_FRAME.replace("PORT", &port.to_string()), IN_POPUP] {
        assert_eq!(told(&page, elsewhere).await, here, "{elsewhere}");
    }
    // A client that attaches, in a context that it makes, sees the same.
    let stream = host.dial(0).await.expect("a stream");
    let client = Connection::new(stream, browser.websocket_path()).await.expect("a client");
    let context = Some(client.call(CreateBrowserContext {}).await.expect("a context").browser_context_id);
    let blank = CreateTarget { url: "about:blank".into(), browser_context_id: context, ..CreateTarget::default() };
    let other = client.call(blank).await.expect("a page").target_id;
    let other = client.attach(&other).await.expect("a session");
    visit(&other, &format!("http://localhost:{port}/context")).await;
    let mut there = told(&other, "scope()").await;
    // Chromium puts its own languages behind the first in every context but the default one, as it does for a person.
    let languages = there["languages"].as_array().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    assert_eq!(languages[0], "de-CH");
    let context = seen.lock().expect("lock")["/context"].clone();
    let heard = header(&context, "accept-language").split(',').map(|one| one.split(';').next().unwrap_or_default());
    assert_eq!(heard.filter(|one| *one != "de").collect::<Vec<_>>(), languages);
    there["languages"] = here["languages"].clone();
    assert_eq!(there, here);

    assert_eq!(here["webdriver"], json!(false));
    assert_eq!(here["languages"], json!(["de-CH", "de"]));
    assert_eq!((&here["timezone"], &here["summer"]), (&json!("Europe/Zurich"), &json!(-120)));
    assert!(here["webgl"][2].as_str().is_some_and(|renderer| renderer.contains("ANGLE")), "{here}");

    // The user agent is the client hints' browser, and both are what the browser says over DevTools.
    let agent = here["userAgent"].as_str().expect("text").to_owned();
    assert!(!agent.contains("Headless") && !browser.product().contains("Headless"), "{agent}");
    let full = here["hints"]["uaFullVersion"].as_str().expect("text");
    let (major, _) = full.split_once('.').expect("a version");
    assert!(agent.contains(&format!("Chrome/{major}.0.0.0 ")), "{agent} {full}");
    assert_eq!(browser.product(), format!("Chrome/{full}"));
    let brands = |key: &str| here["hints"][key].to_string();
    assert!(brands("brands").contains(&format!(r#""Chromium","version":"{major}""#)), "{here}");
    assert!(brands("fullVersionList").contains(&format!(r#""Chromium","version":"{full}""#)), "{here}");
    assert_eq!(here["platform"], json!(format!("{} x86_64", here["hints"]["platform"].as_str().expect("text"))));
    assert_eq!((&here["hints"]["architecture"], &here["hints"]["bitness"]), (&json!("x86"), &json!("64")));
    assert_eq!(here["hints"]["formFactors"], json!(["Desktop"]));
    assert_eq!(here["hints"]["mobile"], json!(false));

    // And the server hears the same.
    for path in ["/page", "/frame", "/popup", "/worker.js", "/context"] {
        let request = seen.lock().expect("lock")[path].clone();
        assert_eq!(header(&request, "user-agent"), agent, "{path}");
        assert!(path == "/context" || header(&request, "accept-language") == "de-CH,de;q=0.9", "{path}: {request}");
    }
    let request = seen.lock().expect("lock")["/popup"].clone();
    assert!(header(&request, "sec-ch-ua").contains(&format!(r#""Chromium";v="{major}""#)), "{request}");
    assert!(header(&request, "sec-ch-ua-full-version-list").contains(full), "{request}");
    assert_eq!(header(&request, "sec-ch-ua-arch"), r#""x86""#);
    assert_eq!(header(&request, "sec-ch-ua-platform"), r#""Linux""#);
}

#[tokio::test]
async fn the_window_of_a_stealthy_browser_is_one_that_a_person_has() {
    let (port, _) = scopes().await;
    let (_host, browser) = swiss().await;
    let page = first_page(&browser.connection().await.expect("connection")).await;
    visit(&page, &format!("http://localhost:{port}/page")).await;
    let here = told(&page, PAGE).await;
    let pair = |name: &str| (here[name][0].as_u64().expect("a number"), here[name][1].as_u64().expect("a number"));
    let (inner, outer, screen, at) = (pair("inner"), pair("outer"), pair("screen"), pair("at"));
    assert_eq!(inner, (1280, 720), "{here}");
    assert!(outer.0 >= inner.0 && outer.1 > inner.1, "{here}");
    assert!(screen.0 >= at.0 + outer.0 && screen.1 >= at.1 + outer.1, "{here}");
    assert_eq!(pair("available"), screen);
    assert_eq!((&here["plugins"], &here["pdf"], &here["chrome"]), (&json!(5), &json!(true), &json!("object")));
    assert_eq!((&here["notification"], &here["asked"]), (&json!("default"), &json!("prompt")));
    assert_eq!((&here["focus"], &here["mouse"]), (&json!(true), &json!(true)));
    assert!(here["scrollbar"].as_u64().is_some_and(|width| width > 0), "{here}");
}
