//! Pages that do what they can against those who drive them.

use crate::site::{Reply, path, site};
use crate::view::support::Scene;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use vitrine_browser::Build;

#[tokio::test]
async fn a_dialog_holds_up_nothing_but_its_page() {
    for build in crate::BUILDS {
        let scene =
            Scene::open(build, "<title>asks</title><button id=b onclick=\"note(prompt('Name?', 'Ada'))\">b</button>")
                .await;
        let mut caller = scene.caller().await;
        assert_eq!(caller.call("getCurrentModal", json!([])).await, json!(null));
        caller.call("click", json!(["#b"])).await;
        let modal = caller.event("modal-opened").await;
        assert_eq!(
            (&modal["type"], &modal["message"], &modal["defaultValue"]),
            (&json!("prompt"), &json!("Name?"), &json!("Ada")),
            "{build:?}"
        );
        assert_eq!(caller.call("getCurrentModal", json!([])).await, modal);
        assert_eq!(caller.call("getPageTitle", json!([])).await, "asks");
        assert_eq!(caller.refused("getPageText", json!([])).await["code"], "ERR_CONFLICT");
        assert_eq!(caller.call("createTab", json!([])).await["index"], 1);
        assert_eq!(caller.call("evaluate", json!(["1"])).await["result"]["value"], 1);
        caller.call("respondToModal", json!([{"accept": true, "text": "Grace"}])).await;
        scene.until("notes[0]", &json!("Grace")).await;
        assert_eq!(caller.event("modal-closed").await["id"], modal["id"]);
        assert_eq!(caller.refused("dismissModal", json!([])).await["code"], "ERR_NOT_FOUND");
        scene.browser.close(crate::GRACE).await;
    }
}

#[tokio::test]
async fn dialogs_in_a_loop_end_with_their_tab() {
    let scene = Scene::open(Build::HeadlessShell, "<title>loops</title>").await;
    let mut caller = scene.caller().await;
    caller.call("evaluate", json!(["setTimeout(() => { for (let i = 0; i < 1000; i++) alert(i) }); 0"])).await;
    caller.event("modal-opened").await;
    for _ in 0..5 {
        caller.call("dismissModal", json!([])).await;
        let next = |told: &Value| matches!(told["name"].as_str(), Some("modal-updated" | "modal-opened"));
        caller.hear_that("the next dialog", next).await;
    }
    caller.call("createTab", json!([])).await;
    caller.call("closeTab", json!([0])).await;
    assert_eq!(caller.call("getTabCount", json!([])).await, 1);
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn a_page_that_hangs_is_left_in_time() {
    let scene = Scene::open(Build::HeadlessShell, "<title>hangs</title><button id=b>b</button>").await;
    let mut caller = scene.caller().await;
    caller.call("getPageTitle", json!([])).await;
    caller.call("evaluate", json!(["setTimeout(() => { for (;;); }, 20); 0"])).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let asked = [
        ("click", json!(["#b", {"timeoutMs": 400}])),
        ("getPageText", json!([{"timeoutMs": 400}])),
        ("evaluate", json!(["1", {"timeoutMs": 400}])),
    ];
    let mut ids = Vec::new();
    for (method, args) in asked {
        ids.push(caller.ask(method, args).await);
    }
    for id in ids {
        let error = caller.outcome(&id).await.expect_err("nothing");
        assert_eq!((&error["code"], &error["retriable"]), (&json!("ERR_TIMEOUT"), &json!(false)), "{error}");
        assert!(!error["message"].as_str().expect("text").contains("timed out"));
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(caller.call("getPageTitle", json!([])).await, "hangs");
    assert_eq!(caller.call("createTab", json!(["data:text/html,<title>fine</title>"])).await["index"], 1);
    assert_eq!(caller.call("evaluate", json!(["6 * 7"])).await["result"]["value"], 42);
    scene.browser.close(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_endless_expression_is_ended_and_the_page_goes_on() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut caller = scene.caller().await;
    let error = caller.refused("evaluate", json!(["for (;;);", {"timeoutMs": 300}])).await;
    assert!(matches!(error["code"].as_str(), Some("ERR_TIMEOUT" | "ERR_INTERNAL")), "{error}");
    assert_eq!(caller.call("evaluate", json!(["1"])).await["result"]["value"], 1);
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn a_page_cannot_tamper_with_what_is_asked_of_it() {
    let body = "<form id=f><input name=getAttribute><input name=getClientRects><input name=id><button id=b>b</button></form><script>\
        document.querySelector = () => null; Document.prototype.querySelectorAll = () => [];\
        Element.prototype.getClientRects = () => []; Array.prototype.map = () => { throw 1 };\
        JSON.stringify = () => 'x'; window.innerWidth = 0; document.title = 'real';\
        Object.defineProperty(document, 'title', { get: () => 'false' });\
        b.onclick = (e) => { e.preventDefault(); notes[notes.length] = 'b' }</script>";
    let scene = Scene::open(Build::HeadlessShell, body).await;
    let mut caller = scene.caller().await;
    caller.call("click", json!(["#b"])).await;
    scene.until("notes.length", &json!(1)).await;
    assert_eq!(caller.call("getPageTitle", json!([])).await, "real");
    assert_eq!(caller.call("extractSelection", json!(["form > *"])).await["count"], 4);
    let at = scene.value("(({x, y}) => [x + 4, y + 4])(b.getBoundingClientRect())").await;
    assert_eq!(caller.call("page.inspectAt", json!([{"x": at[0], "y": at[1]}])).await["selector"], "#b");
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn leaving_a_page_that_asks_is_answered_and_a_flood_of_places_is_bounded() {
    let port = site(|request| match path(request) {
        "/trap" => Reply::html("<title>trap</title><button id=b>b</button><script>onbeforeunload = (e) => { e.preventDefault(); return 'stay' }</script>"),
        _ => Reply::html("<title>flood</title><script>let i = 0; setInterval(() => { for (let n = 0; n < 100; n++) { document.title = 'flood ' + i; location.hash = i++ } }, 10)</script>"),
    })
    .await;
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut caller = scene.caller().await;
    caller.call("navigateTo", json!([format!("http://127.0.0.1:{port}/trap")])).await;
    caller.call("click", json!(["#b"])).await;
    let away = caller.ask("navigateTo", json!([format!("http://127.0.0.1:{port}/flood")])).await;
    assert_eq!(caller.event("modal-opened").await["type"], "beforeunload");
    caller.call("respondToModal", json!([true])).await;
    caller.outcome(&away).await.expect("went");
    caller.hears("event").await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        caller.call("getTabCount", json!([])).await;
    }
    let events = caller.events().len();
    println!("{events} events of a page that floods for two seconds");
    assert!(events < 400, "{events}");
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn too_many_calls_wait_and_then_are_refused() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut caller = scene.caller().await;
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(caller.ask("waitForSelector", json!(["#none", {"timeoutMs": 300}])).await);
    }
    let mut busy = 0;
    for id in ids {
        match caller.outcome(&id).await {
            Ok(found) => assert_eq!(found, json!(false)),
            Err(error) => {
                assert_eq!((&error["code"], &error["retriable"]), (&json!("ERR_NOT_READY"), &json!(true)), "{error}");
                busy += 1;
            }
        }
    }
    assert_eq!(busy, 20);
    scene.browser.close(crate::GRACE).await;
}
