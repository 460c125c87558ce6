//! Clicking, typing, evaluating, waiting.

use crate::view::support::Scene;
use serde_json::json;
use vitrine_browser::Build;

const FORM: &str = "<form onsubmit=\"note('submit'); return false\"><input id=i value=old oninput=\"note(event.inputType)\">\
    <button id=go onclick=\"note(event.isTrusted + ' ' + event.detail)\">Go</button></form><textarea id=t></textarea>\
    <div id=e contenteditable>x</div><div style='height:3000px'></div><button id=far onclick=\"note('far')\">far</button>\
    <div id=hidden style='display:none'>h</div><select id=s><option>1<option>2</select>\
    <div style='position:relative'><button id=under>u</button><div id=lid style='position:absolute;inset:0'></div></div>";

#[tokio::test]
async fn a_click_is_a_real_one_wherever_the_element_is() {
    for build in crate::BUILDS {
        let scene = Scene::open(build, FORM).await;
        let mut caller = scene.caller().await;
        assert_eq!(caller.call("click", json!(["#go"])).await, json!({"result": true}));
        scene.until("notes[0]", &json!("true 1")).await;
        caller.call("click", json!(["#far"])).await;
        scene.until("notes.includes('far')", &json!(true)).await;
        scene.value("setTimeout(() => document.body.insertAdjacentHTML('afterbegin', '<button id=late onclick=\"note(`late`)\">l</button>'), 300)").await;
        caller.call("click", json!(["#late"])).await;
        scene.until("notes.includes('late')", &json!(true)).await;
        scene.browser.close(crate::GRACE).await;
    }
}

#[tokio::test]
async fn what_cannot_be_clicked_says_so() {
    let scene = Scene::open(Build::HeadlessShell, FORM).await;
    let mut caller = scene.caller().await;
    for (args, code, words) in [
        (json!([""]), "ERR_INVALID_ARGUMENT", "requires a non-empty selector"),
        (json!(["[["]), "ERR_INVALID_ARGUMENT", "requires a non-empty"),
        (json!(["#none", {"timeoutMs": 200}]), "ERR_NOT_FOUND", "does not exist"),
        (json!(["#none", {"waitForSelector": false}]), "ERR_NOT_FOUND", "does not exist"),
        (json!(["#hidden", {"timeoutMs": 200}]), "ERR_CONFLICT", "cannot be seen"),
        (json!(["#under", {"timeoutMs": 200}]), "ERR_CONFLICT", "covered by \"div#lid\""),
        (json!(["#go", {"tabId": "none"}]), "ERR_NOT_FOUND", "does not exist"),
    ] {
        let error = caller.refused("click", args.clone()).await;
        assert_eq!(error["code"], code, "{args} {error}");
        assert!(error["message"].as_str().expect("text").contains(words), "{args} {error}");
        assert_eq!(error["retriable"], false);
    }
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn text_is_typed_by_keys() {
    let scene = Scene::open(Build::HeadlessShell, FORM).await;
    let mut caller = scene.caller().await;
    scene.value("i.onkeydown = (e) => note([e.key, e.code, e.shiftKey, e.isTrusted].join())").await;
    assert_eq!(caller.call("type", json!(["#i", " A!"])).await, json!({"result": true}));
    scene.until("i.value", &json!("old A!")).await;
    assert_eq!(
        scene.value("notes.filter((n) => n.includes(',')).join(' ')").await,
        json!(" ,Space,false,true A,KeyA,true,true !,Digit1,true,true")
    );
    caller.call("type", json!(["#i", "new", {"clear": true, "submit": true}])).await;
    scene.until("i.value", &json!("new")).await;
    scene.until("notes.includes('submit')", &json!(true)).await;
    caller.call("type", json!(["#t", "zwei\nZeilen, ü 日本 \u{1F600}"])).await;
    scene.until("t.value", &json!("zwei\nZeilen, ü 日本 \u{1F600}")).await;
    caller.call("type", json!(["#e", "yz"])).await;
    scene.until("e.textContent", &json!("xyz")).await;
    let long = "long ".repeat(1000);
    caller.call("type", json!(["#t", long, {"clear": true}])).await;
    scene.until("t.value.length", &json!(5000)).await;
    caller.call("type", json!(["#t", "", {"clear": true}])).await;
    scene.until("t.value", &json!("")).await;
    let error = caller.refused("type", json!(["#go", "x"])).await;
    assert_eq!(error["code"], "ERR_UNSUPPORTED", "{error}");
    assert_eq!(caller.refused("type", json!(["#i"])).await["code"], "ERR_INVALID_ARGUMENT");
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn an_expression_has_a_value_or_throws() {
    let scene = Scene::open(Build::HeadlessShell, "<title>t</title>").await;
    let mut caller = scene.caller().await;
    for (expression, kind, value) in [
        ("1 + 1", "number", json!(2)),
        ("document.title", "string", json!("t")),
        ("({a: [1, null]})", "object", json!({"a": [1, null]})),
        ("new Promise((done) => setTimeout(() => done('late'), 50))", "string", json!("late")),
        ("undefined", "undefined", json!(null)),
        ("NaN", "number", json!("NaN")),
        ("notes.length", "number", json!(0)),
    ] {
        let answer = caller.call("evaluate", json!([expression])).await;
        assert_eq!(answer, json!({"result": {"type": kind, "value": value}}), "{expression}");
    }
    let error = caller.refused("evaluate", json!(["throw new TypeError('iframe not ready')"])).await;
    assert_eq!((&error["code"], &error["message"]), (&json!("ERR_INTERNAL"), &json!("TypeError: i-frame not-ready")));
    assert_eq!(caller.refused("evaluate", json!(["document.body.x ="])).await["code"], "ERR_INTERNAL");
    assert_eq!(
        caller.refused("evaluate", json!(["'x'.repeat(2e6)"])).await["message"],
        "the value is larger than 1 MiB"
    );
    assert_eq!(caller.refused("evaluate", json!([" "])).await["code"], "ERR_INVALID_ARGUMENT");
    let acted = caller.call("act", json!([{"evaluate": "6 * 7"}])).await;
    assert_eq!(acted, json!({"ok": true, "action": "evaluate", "value": {"result": {"type": "number", "value": 42}}}));
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn waiting_ends_when_it_is_there_or_the_time_is_over() {
    let scene = Scene::open(Build::HeadlessShell, FORM).await;
    let mut caller = scene.caller().await;
    assert_eq!(caller.call("waitForSelector", json!(["#go"])).await, true);
    assert_eq!(caller.call("waitForSelector", json!(["#none", {"timeoutMs": 150}])).await, false);
    assert_eq!(caller.call("waitForSelector", json!(["#hidden"])).await, true);
    assert_eq!(caller.call("waitForSelector", json!(["#hidden", {"visible": true, "timeoutMs": 150}])).await, false);
    assert_eq!(caller.refused("waitForSelector", json!(["]"])).await["code"], "ERR_INVALID_ARGUMENT");
    assert_eq!(caller.call("waitForNavigation", json!([])).await, true);
    for (action, args) in [
        ("click", json!({"click": {"selector": "#go"}})),
        ("type", json!({"type": {"selector": "#t", "text": "x"}})),
        ("waitForSelector", json!({"waitForSelector": {"selector": "#go", "timeoutMs": 500}})),
        ("navigate", json!({"navigate": "data:text/html,<title>gone</title>"})),
        ("waitForNavigation", json!({"waitForNavigation": {}})),
    ] {
        assert_eq!(caller.call("act", json!([args])).await["action"], action);
    }
    assert_eq!(caller.call("getPageTitle", json!([])).await, "gone");
    for args in [json!([]), json!(["click"]), json!([{"fly": 1}])] {
        let error = caller.refused("act", args).await;
        assert!(error["message"].as_str().expect("text").contains("requires an object"), "{error}");
    }
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn a_call_that_is_sent_again_is_made_once() {
    let scene = Scene::open(Build::HeadlessShell, "<button id=b onclick=\"note('b')\">b</button>").await;
    let mut caller = scene.caller().await;
    for id in ["a", "b"] {
        caller.say(json!({"type": "call", "id": id, "callId": "same", "method": "click", "args": ["#b"]})).await;
    }
    for id in ["a", "b"] {
        assert_eq!(caller.outcome(id).await, Ok(json!({"result": true})));
    }
    drop(caller);
    let mut again = scene.caller().await;
    again.say(json!({"type": "call", "id": "c", "callId": "same", "method": "click", "args": ["#b"]})).await;
    assert_eq!(again.outcome("c").await, Ok(json!({"result": true})));
    assert_eq!(scene.value("notes.length").await, json!(1));
    scene.browser.close(crate::GRACE).await;
}
