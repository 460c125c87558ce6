//! What a viewer with control does: mouse, fingers, keys, compositions, the clipboard, navigation, sizes.

use super::support::{Scene, site};
use crate::evaluate;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;
use vitrine_browser::Build;

const FIELDS: &str = "<input id=i style='position:absolute;left:10px;top:10px;width:200px;height:30px'>\
    <textarea id=t style='position:absolute;left:10px;top:60px;width:200px;height:60px'></textarea>\
    <div id=e contenteditable style='position:absolute;left:10px;top:140px;width:200px;height:60px'></div>\
    <a id=a href='#x' style='position:absolute;left:10px;top:220px'>a link</a>\
    <p id=p style='position:absolute;left:10px;top:260px'>some words</p>\
    <div id=b style='position:absolute;left:300px;top:10px;width:100px;height:100px;cursor:grab'></div>";

#[tokio::test]
async fn the_mouse_clicks_presses_turns_and_drags() {
    let body = "<div id=d style='height:3000px'></div><script>\
        for (const kind of ['click', 'dblclick', 'auxclick', 'contextmenu', 'mousemove'])\
            addEventListener(kind, (e) => note([kind, e.clientX, e.clientY, e.button, e.buttons, e.shiftKey].join()))</script>";
    let scene = Scene::open(Build::HeadlessShell, body).await;
    let mut viewer = scene.hands().await;
    viewer.mouse("move", 10.0, 20.0).await;
    scene.until("notes.shift()", &json!("mousemove,10,20,0,0,false")).await;
    for (kind, clicks) in [("down", 1), ("up", 1), ("down", 2), ("up", 2)] {
        let buttons = i32::from(kind == "down");
        viewer.say(json!({"type": "mouse", "kind": kind, "x": 10, "y": 20, "button": "left", "buttons": buttons, "clicks": clicks, "modifiers": 8})).await;
    }
    scene.until("notes.join(' ')", &json!("click,10,20,0,0,true click,10,20,0,0,true dblclick,10,20,0,0,true")).await;
    scene.value("notes.length = 0").await;
    for kind in ["down", "up"] {
        viewer.say(json!({"type": "mouse", "kind": kind, "x": 5, "y": 6, "button": "right", "buttons": 2, "clicks": 1, "modifiers": 0})).await;
    }
    scene.until("notes.some((n) => n.startsWith('contextmenu,5,6,2'))", &json!(true)).await;
    viewer.say(json!({"type": "wheel", "x": 100, "y": 100, "dx": 0, "dy": 300, "modifiers": 0})).await;
    scene.until("scrollY", &json!(300)).await;
}

#[tokio::test]
async fn fingers_tap_and_pinch() {
    let body = "<script>for (const kind of ['touchstart', 'touchmove', 'touchend', 'touchcancel', 'click'])\
        addEventListener(kind, (e) => note(kind + (e.touches ? e.touches.length : '')), {passive: false})</script>";
    let scene = Scene::open(Build::HeadlessShell, body).await;
    let mut viewer = scene.hands().await;
    let touch = |kind: &str, points: &[(u32, f64)]| {
        let points: Vec<_> = points.iter().map(|(id, x)| json!({"id": id, "x": x, "y": 50})).collect();
        json!({"type": "touch", "kind": kind, "points": points, "modifiers": 0})
    };
    viewer.say(touch("start", &[(0, 50.0)])).await;
    viewer.say(touch("end", &[])).await;
    scene.until("notes.join(' ')", &json!("touchstart1 touchend0 click")).await;
    scene.value("notes.length = 0").await;
    viewer.say(touch("start", &[(0, 50.0)])).await;
    viewer.say(touch("start", &[(0, 50.0), (1, 90.0)])).await;
    viewer.say(touch("move", &[(0, 40.0), (1, 110.0)])).await;
    // The first finger leaves, the second stays.
    viewer.say(touch("move", &[(1, 110.0)])).await;
    viewer.say(touch("end", &[])).await;
    scene
        .until(
            "notes.filter((n) => n !== 'touchmove2').join(' ')",
            &json!("touchstart1 touchstart2 touchend1 touchend0"),
        )
        .await;
}

#[tokio::test]
async fn keys_type_edit_and_move() {
    let scene = Scene::open(Build::HeadlessShell, FIELDS).await;
    let mut viewer = scene.hands().await;
    viewer.click(50.0, 25.0).await;
    viewer.type_text("Hello").await;
    scene.until("i.value", &json!("Hello")).await;
    viewer.press("Backspace", "Backspace", 0).await;
    viewer.press("Home", "Home", 0).await;
    viewer.press("Delete", "Delete", 0).await;
    scene.until("i.value", &json!("ell")).await;
    viewer.press("a", "KeyA", 2).await;
    viewer.press("x", "KeyX", 2).await;
    scene.until("i.value", &json!("")).await;
    viewer.press("Tab", "Tab", 0).await;
    scene.until("document.activeElement.id", &json!("t")).await;
    viewer.press("v", "KeyV", 2).await;
    viewer.press("Enter", "Enter", 0).await;
    viewer.press("é", "Digit2", 0).await;
    viewer.press("@", "KeyQ", 0).await;
    scene.until("t.value", &json!("ell\né@")).await;
    // A Mac's select all.
    viewer.press("a", "KeyA", 4).await;
    viewer.type_text("x").await;
    scene.until("t.value", &json!("x")).await;
    scene.value("onkeydown = (e) => note([e.key, e.code, e.keyCode, e.location, e.ctrlKey].join())").await;
    viewer.press("ArrowLeft", "ArrowLeft", 2).await;
    scene.until("notes.shift()", &json!("ArrowLeft,ArrowLeft,37,0,true")).await;
}

#[tokio::test]
async fn an_input_method_composes_and_inserts() {
    let scene = Scene::open(Build::HeadlessShell, FIELDS).await;
    scene
        .value("for (const k of ['compositionstart', 'compositionend']) addEventListener(k, (e) => note(k + e.data))")
        .await;
    let mut viewer = scene.hands().await;
    for (y, read) in [(25.0, "i.value"), (90.0, "t.value"), (160.0, "e.textContent")] {
        viewer.click(50.0, y).await;
        scene.value("notes.length = 0").await;
        viewer.say(json!({"type": "compose", "text": "にほん", "from": 3, "to": 3})).await;
        scene.until(read, &json!("にほん")).await;
        viewer.say(json!({"type": "insert", "text": "日本語"})).await;
        scene.until(read, &json!("日本語")).await;
        viewer.say(json!({"type": "compose", "text": "x", "from": 1, "to": 1})).await;
        viewer.say(json!({"type": "compose", "text": "", "from": 0, "to": 0})).await;
        viewer.say(json!({"type": "insert", "text": "!"})).await;
        scene.until(read, &json!("日本語!")).await;
        assert_eq!(scene.value("notes.slice(0, 2)").await, json!(["compositionstart", "compositionend日本語"]));
    }
}

#[tokio::test]
async fn the_cursor_and_the_caret_are_reported() {
    let scene = Scene::open(Build::HeadlessShell, FIELDS).await;
    let mut viewer = scene.hands().await;
    let mut watcher = scene.viewer(false).await;
    for (x, y, cursor) in
        [(50.0, 25.0, "text"), (350.0, 50.0, "grab"), (30.0, 228.0, "pointer"), (600.0, 600.0, "default")]
    {
        viewer.mouse("move", x, y).await;
        viewer.hear_that(cursor, |told| told["cursor"] == cursor).await;
        watcher.hear_that(cursor, |told| told["cursor"] == cursor).await;
    }
    let words = scene.value("(({x, y}) => [x + 10, y + 8])(p.getBoundingClientRect())").await;
    viewer.mouse("move", words[0].as_f64().expect("x"), words[1].as_f64().expect("y")).await;
    viewer.hear_that("text over words", |told| told["cursor"] == "text").await;
    viewer.click(50.0, 25.0).await;
    let focus = viewer.hear_that("a field", |told| told["type"] == "focus" && told["editable"] == true).await;
    assert_eq!((&focus["x"], &focus["y"]), (&json!(10.0), &json!(10.0)), "{focus}");
    viewer.click(600.0, 600.0).await;
    let focus = viewer.hear_that("no field", |told| told["type"] == "focus" && told["editable"] == false).await;
    assert_eq!(focus, json!({"type": "focus", "editable": false}));
}

#[tokio::test]
async fn what_is_copied_comes_and_what_is_pasted_goes() {
    let scene = Scene::open(Build::HeadlessShell, &format!("{FIELDS}<p id=r>plain <b>bold</b></p>")).await;
    let mut viewer = scene.hands().await;
    scene.value("i.value = 'take me'; i.focus(); i.setSelectionRange(0, 4)").await;
    viewer.say(json!({"type": "copy", "cut": false})).await;
    assert_eq!(viewer.hear("clipboard").await, json!({"type": "clipboard", "text": "take"}));
    viewer.say(json!({"type": "copy", "cut": true})).await;
    assert_eq!(viewer.hear("clipboard").await["text"], json!("take"));
    scene.until("i.value", &json!(" me")).await;
    scene.value("i.blur(); getSelection().selectAllChildren(r)").await;
    viewer.say(json!({"type": "copy", "cut": false})).await;
    let clip = viewer.hear("clipboard").await;
    assert_eq!((&clip["text"], &clip["html"]), (&json!("plain bold"), &json!("plain <b>bold</b>")));
    scene.value("document.oncopy = (e) => { e.clipboardData.setData('text/plain', 'mine'); e.preventDefault() }").await;
    viewer.say(json!({"type": "copy", "cut": false})).await;
    assert_eq!(viewer.hear("clipboard").await, json!({"type": "clipboard", "text": "mine"}));

    viewer.click(50.0, 90.0).await;
    scene.until("document.activeElement.id", &json!("t")).await;
    viewer.say(json!({"type": "paste", "text": "two\nlines"})).await;
    scene.until("t.value", &json!("two\nlines")).await;
    viewer.click(50.0, 160.0).await;
    scene.until("document.activeElement.id", &json!("e")).await;
    viewer.say(json!({"type": "paste", "text": "bold", "html": "<b onclick='x()'>bold</b><script>x()</script>"})).await;
    scene.until("e.innerHTML", &json!("<b>bold</b>")).await;
    scene
        .value(
            "document.onpaste = (e) => { e.preventDefault(); const file = e.clipboardData.files[0]; \
             note([e.clipboardData.getData('text/plain'), e.clipboardData.getData('text/html'), file?.type, file?.size].join()) }",
        )
        .await;
    viewer.say(json!({"type": "paste", "text": "a", "html": "<i>a</i>", "image": "iVBORw0KGgo="})).await;
    scene.until("notes.pop()", &json!("a,<i>a</i>,image/png,8")).await;
    assert_eq!(scene.value("e.innerHTML").await, json!("<b>bold</b>"), "the page took it");
    scene.value("i.type = 'password'; i.value = 'secret'; i.select(); document.oncopy = null").await;
    viewer.say(json!({"type": "copy", "cut": false})).await;
    assert_eq!(viewer.hear("clipboard").await, json!({"type": "clipboard"}));
}

#[tokio::test]
async fn a_tab_goes_there_back_and_forward() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let port = site(|path| Some(format!("<title>{path}</title>"))).await;
    let mut viewer = scene.hands().await;
    let titled = |title: &'static str| {
        move |told: &serde_json::Value| told["tabs"][0]["title"] == title && told["tabs"][0]["loading"] == false
    };
    for path in ["/one", "/two"] {
        viewer.say(json!({"type": "navigate", "url": format!("http://127.0.0.1:{port}{path}")})).await;
        viewer.hear_that(path, titled(path)).await;
    }
    viewer.say(json!({"type": "back"})).await;
    let told = viewer.hear_that("back", |told| titled("/one")(told) && told["tabs"][0]["canGoForward"] == true).await;
    assert_eq!(told["tabs"][0]["canGoBack"], json!(true));
    viewer.say(json!({"type": "forward"})).await;
    viewer.hear_that("forward", |told| titled("/two")(told) && told["tabs"][0]["canGoForward"] == false).await;
    scene.value("globalThis.kept = 1").await;
    viewer.say(json!({"type": "reload", "hard": true})).await;
    scene.until("globalThis.kept ?? null", &json!(null)).await;
    viewer.say(json!({"type": "stop"})).await;
    for url in ["file:///etc/passwd", "javascript:note(1)", "chrome://version"] {
        viewer.say(json!({"type": "navigate", "url": url})).await;
        let error = viewer.hear("error").await;
        assert_eq!((&error["about"], &error["message"]), (&json!("navigate"), &json!("that address cannot be opened")));
    }
    viewer.say(json!({"type": "navigate", "url": "http://127.0.0.1:1/"})).await;
    assert_eq!(viewer.hear("error").await["about"], json!("navigate"));
}

#[tokio::test]
async fn a_page_is_zoomed_and_resized_and_set_back() {
    let scene =
        Scene::open(Build::HeadlessShell, "<script>onclick = (e) => note([e.clientX, e.clientY].join())</script>")
            .await;
    let mut viewer = scene.hands().await;
    viewer.say(json!({"type": "zoom", "factor": 2})).await;
    let told = viewer.hear_that("zoom", |told| told["zoom"] == 2.0).await;
    assert_eq!((&told["width"], &told["height"]), (&json!(1280.0), &json!(800.0)), "the picture stays as large");
    scene.until("[innerWidth, innerHeight, devicePixelRatio]", &json!([640, 400, 2])).await;
    viewer.click(100.0, 60.0).await;
    scene.until("notes.shift()", &json!("50,30")).await;
    viewer.say(json!({"type": "resize", "width": 1000, "height": 600, "scale": 1})).await;
    viewer.hear_that("size", |told| told["type"] == "viewport" && told["width"] == 1000.0 && told["zoom"] == 2.0).await;
    scene.until("[innerWidth, innerHeight]", &json!([500, 300])).await;
    viewer.say(json!({"type": "zoom", "factor": 1})).await;
    scene.until("[innerWidth, innerHeight]", &json!([1000, 600])).await;
    viewer.say(json!({"type": "resize", "reset": true})).await;
    scene.until("[innerWidth, innerHeight]", &json!([1280, 800])).await;
    viewer.say(json!({"type": "resize", "width": 1_000_000, "height": 1})).await;
    scene.until("[innerWidth, innerHeight]", &json!([3840, 120])).await;
    drop(viewer);
    scene.until("[innerWidth, innerHeight]", &json!([1280, 800])).await;
}

#[tokio::test]
async fn permissions_are_asked_and_set() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let port = site(|_| Some("x".into())).await;
    let origin = format!("http://127.0.0.1:{port}");
    let mut viewer = scene.hands().await;
    viewer.say(json!({"type": "navigate", "url": origin})).await;
    scene.until("location.origin", &json!(origin)).await;
    let state = |told: &serde_json::Value, name: &str| {
        let states = told["states"].as_array().expect("states");
        states.iter().find(|state| state["name"] == name).expect(name)["state"].clone()
    };
    viewer.say(json!({"type": "permissions", "origin": origin})).await;
    assert_eq!(state(&viewer.hear("permissions").await, "geolocation"), json!("prompt"));
    viewer.say(json!({"type": "permission", "origin": origin, "name": "geolocation", "state": "granted"})).await;
    assert_eq!(state(&viewer.hear("permissions").await, "geolocation"), json!("granted"));
    let asked = "globalThis.asked ?? (navigator.permissions.query({name: 'geolocation'}).then(({state}) => { globalThis.asked = state }), null)";
    scene.until(asked, &json!("granted")).await;
    viewer.say(json!({"type": "permission", "origin": origin, "name": "fly", "state": "granted"})).await;
    assert_eq!(viewer.hear("error").await["message"], json!("there is no such permission"));
    viewer.say(json!({"type": "permission", "origin": "file:///", "name": "midi", "state": "granted"})).await;
    assert_eq!(viewer.hear("error").await["message"], json!("that is no site"));
}

#[tokio::test]
async fn a_page_that_hangs_costs_its_viewer_nothing_but_itself() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut viewer = scene.hands().await;
    let hang = scene.client.attach(&scene.tab).await.expect("a session");
    let hang =
        tokio::spawn(async move { evaluate(&hang, "for (const end = Date.now() + 3000; Date.now() < end;); 1").await });
    sleep(Duration::from_millis(100)).await;
    for step in 0..500 {
        viewer.mouse("move", f64::from(step), 5.0).await;
        viewer.press("a", "KeyA", 0).await;
    }
    assert_eq!(viewer.hear("error").await["message"], json!("the page does not answer"));
    viewer.say(json!({"type": "ping", "at": 1})).await;
    viewer.hear("pong").await;
    hang.await.expect("joined");
    scene.value("onmousemove = (e) => note(e.clientX)").await;
    viewer.mouse("move", 7.0, 7.0).await;
    scene.until("notes.pop()", &json!(7)).await;
}
