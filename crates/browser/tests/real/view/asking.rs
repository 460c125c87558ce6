//! What pages ask of people: dialogs, select lists, files.

use super::support::{SOON, Scene, site};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;
use vitrine_browser::Build;
use vitrine_cdp::protocol::page::{Enable, HandleJavaScriptDialog};

const LIST: &str = "<select id=s style='position:absolute;left:20px;top:30px;width:120px;height:24px'>\
    <option>Red<optgroup label=More><option disabled>Green<option>Blue</optgroup></select>\
    <script>for (const kind of ['input', 'change']) s.addEventListener(kind, () => note(kind + s.value))</script>";

#[tokio::test]
async fn dialogs_are_shown_to_all_and_answered_once() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut viewer = scene.hands().await;
    let mut watcher = scene.viewer(false).await;
    for (script, kind, answer, value) in [
        ("alert('Saved'); 1", "alert", json!({"accept": true}), json!(1)),
        ("confirm('Really?')", "confirm", json!({"accept": true}), json!(true)),
        ("confirm('Really?')", "confirm", json!({"accept": false}), json!(false)),
        ("prompt('Name?', 'Ada')", "prompt", json!({"accept": true, "text": "Grace"}), json!("Grace")),
        ("prompt('Name?', 'Ada')", "prompt", json!({"accept": false}), json!(null)),
    ] {
        let asked = scene.value(script);
        let answered = async {
            let dialog = viewer.hear("dialog").await;
            assert_eq!((&dialog["kind"], &dialog["tab"]), (&json!(kind), &json!(scene.tab.0)));
            assert_eq!(dialog.get("default"), (kind == "prompt").then(|| json!("Ada")).as_ref());
            assert_eq!(watcher.hear("dialog").await, dialog);
            // Keys are for the page, which cannot take any now; that must not stand in the way of the answer.
            viewer.press("a", "KeyA", 0).await;
            let mut message = answer.clone();
            message["type"] = json!("dialog");
            message["id"] = dialog["id"].clone();
            viewer.say(message.clone()).await;
            assert_eq!(viewer.hear("dialogClosed").await["id"], dialog["id"]);
            assert_eq!(watcher.hear("dialogClosed").await["id"], dialog["id"]);
            viewer.say(message).await;
            assert_eq!(viewer.hear("error").await["message"], json!("that was answered already"));
        };
        let (result, ()) = timeout(SOON, futures_util::future::join(asked, answered)).await.expect(script);
        assert_eq!(result, value, "{script}");
    }
}

#[tokio::test]
async fn a_dialog_that_a_client_answers_closes_for_viewers() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    scene.page.call(Enable::default()).await.expect("enabled");
    let mut viewer = scene.hands().await;
    let asked = scene.value("[1, 2, 3].map((n) => confirm(n)).join()");
    let answered = async {
        for number in ["1", "2", "3"] {
            let dialog = viewer.hear("dialog").await;
            assert_eq!(dialog["message"], json!(number));
            scene.page.call(HandleJavaScriptDialog { accept: true, prompt_text: None }).await.expect("answered");
            assert_eq!(viewer.hear("dialogClosed").await["id"], dialog["id"]);
        }
    };
    let (result, ()) = timeout(SOON, futures_util::future::join(asked, answered)).await.expect("in time");
    assert_eq!(result, json!("true,true,true"));
}

#[tokio::test]
async fn a_dialog_waits_for_a_viewer_that_comes_back_but_not_for_ever() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut viewer = scene.hands().await;
    let asked = scene.value("confirm('?')");
    let answered = async {
        viewer.hear("dialog").await;
        drop(viewer);
        let mut again = scene.viewer(true).await;
        let dialog = again.hear("dialog").await;
        again.say(json!({"type": "dialog", "id": dialog["id"], "accept": true})).await;
        again
    };
    let (result, mut viewer) = timeout(SOON, futures_util::future::join(asked, answered)).await.expect("in time");
    assert_eq!(result, json!(true));
    let asked = scene.value("confirm('?')");
    let left = async {
        viewer.hear("dialog").await;
        drop(viewer);
    };
    let both = futures_util::future::join(asked, left);
    let (result, ()) = timeout(Duration::from_secs(15), both).await.expect("dismissed");
    assert_eq!(result, json!(false));
    // And now it is as if there had never been a viewer.
    assert_eq!(timeout(Duration::from_secs(2), scene.value("confirm('?')")).await.expect("at once"), json!(false));
}

#[tokio::test]
async fn a_select_list_is_shown_and_picked_from() {
    let scene = Scene::open(Build::HeadlessShell, LIST).await;
    let mut viewer = scene.hands().await;
    let mut watcher = scene.viewer(false).await;
    viewer.click(40.0, 40.0).await;
    let list = viewer.hear("select").await;
    assert_eq!(watcher.hear("select").await, list);
    assert_eq!(
        (&list["x"], &list["y"], &list["width"], &list["height"], &list["multiple"]),
        (&json!(20.0), &json!(30.0), &json!(120.0), &json!(24.0), &json!(false))
    );
    assert_eq!(
        list["options"],
        json!([
            {"label": "Red", "selected": true, "disabled": false},
            {"label": "Green", "selected": false, "disabled": true, "group": "More"},
            {"label": "Blue", "selected": false, "disabled": false, "group": "More"},
        ])
    );
    viewer.say(json!({"type": "select", "id": list["id"], "indices": [2]})).await;
    scene.until("notes.join(' ')", &json!("inputBlue changeBlue")).await;
    assert_eq!(watcher.hear("selectClosed").await["id"], list["id"]);
    // By the keyboard, and put away again.
    viewer.press(" ", "Space", 0).await;
    let list = viewer.hear("select").await;
    viewer.say(json!({"type": "select", "id": list["id"], "cancelled": true})).await;
    viewer.say(json!({"type": "select", "id": list["id"], "indices": [0]})).await;
    assert_eq!(viewer.hear("error").await["message"], json!("that was answered already"));
    assert_eq!(scene.value("s.value").await, json!("Blue"));
    // A click elsewhere and a new document close it.
    viewer.click(40.0, 40.0).await;
    let first = viewer.hear("select").await;
    viewer.click(600.0, 600.0).await;
    viewer.hear_that("closed", |told| told["type"] == "selectClosed" && told["id"] == first["id"]).await;
    viewer.click(40.0, 40.0).await;
    let second = viewer.hear("select").await;
    scene.show("elsewhere").await;
    viewer.hear_that("closed", |told| told["type"] == "selectClosed" && told["id"] == second["id"]).await;
}

#[tokio::test]
async fn a_page_that_draws_its_own_list_is_left_alone() {
    let scene = Scene::open(Build::HeadlessShell, LIST).await;
    scene.value("s.addEventListener('mousedown', (e) => { e.preventDefault(); note('mine') })").await;
    let mut viewer = scene.hands().await;
    viewer.click(40.0, 40.0).await;
    scene.until("notes.join()", &json!("mine")).await;
    assert!(viewer.hears("select").await.is_empty());
}

#[tokio::test]
async fn a_list_that_the_page_takes_away_is_closed() {
    let scene = Scene::open(Build::HeadlessShell, LIST).await;
    let mut viewer = scene.hands().await;
    viewer.click(40.0, 40.0).await;
    let list = viewer.hear("select").await;
    scene.value("s.style.display = 'none'").await;
    assert_eq!(viewer.hear("selectClosed").await["id"], list["id"]);
    scene.value("s.style.display = ''").await;
    viewer.click(40.0, 40.0).await;
    let list = viewer.hear_that("another", |told| told["type"] == "select" && told["id"] != list["id"]).await;
    scene.value("s.remove()").await;
    viewer.hear_that("closed", |told| told["type"] == "selectClosed" && told["id"] == list["id"]).await;
}

#[tokio::test]
async fn a_page_whose_elements_have_our_names_is_served_like_any_other() {
    let body = format!("{LIST}<p id=vitrine></p><p id=vitrineReport></p>");
    let scene = Scene::open(Build::HeadlessShell, &body).await;
    let mut viewer = scene.hands().await;
    viewer.click(40.0, 40.0).await;
    let list = viewer.hear("select").await;
    viewer.say(json!({"type": "select", "id": list["id"], "indices": [2]})).await;
    scene.until("notes.join(' ')", &json!("inputBlue changeBlue")).await;
}

#[tokio::test]
async fn endless_options_are_cut() {
    let body = format!("{LIST}<script>s.innerHTML = ('<option>' + 'x'.repeat(5000)).repeat(20000)</script>");
    let scene = Scene::open(Build::HeadlessShell, &body).await;
    let mut viewer = scene.hands().await;
    viewer.click(40.0, 40.0).await;
    let list = viewer.hear("select").await;
    let options = list["options"].as_array().expect("options");
    assert!(options.len() <= 10_000 && !options.is_empty());
    assert!(options.iter().all(|option| option["label"].as_str().expect("a label").len() <= 1024));
    assert!(list.to_string().len() < 2 << 20);
}

/// In the full browser `localhost` is another site than `127.0.0.1`: its frame runs in a process of its own.
#[tokio::test]
async fn frames_are_served_whatever_process_they_run_in() {
    for build in crate::BUILDS {
        let scene = Scene::open(build, "x").await;
        let port = site(|path| {
            let host = "localhost";
            let frame = "position:absolute;left:100px;top:50px;width:600px;height:400px;border:5px solid";
            Some(match path.split_once("?port=") {
                Some(("/outer", port)) => format!("<body style='margin:0'><iframe style='{frame}' src='http://{host}:{port}/middle'></iframe>"),
                _ if path == "/middle" => format!("<body style='margin:0'><iframe style='{frame}' src='/inner'></iframe>"),
                _ if path == "/inner" => "<body style='margin:0'><select id=s style='position:absolute;left:20px;top:30px;width:90px;height:24px'>\
                    <option>A<option>B</select><input id=i style='position:absolute;left:20px;top:80px' onchange='parent.postMessage(1)'>\
                    <input type=file id=f style='position:absolute;left:20px;top:120px'>".into(),
                _ => return None,
            })
        })
        .await;
        let mut viewer = scene.hands().await;
        viewer.say(json!({"type": "navigate", "url": format!("http://127.0.0.1:{port}/outer?port={port}")})).await;
        viewer
            .hear_that("loaded", |told| {
                told["tabs"][0]["url"].as_str().is_some_and(|url| url.contains("outer"))
                    && told["tabs"][0]["loading"] == false
            })
            .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The borders count: 100 + 5 + 100 + 5 + 20.
        viewer.click(240.0, 150.0).await;
        let list = viewer.hear("select").await;
        assert_eq!((&list["x"], &list["y"]), (&json!(230.0), &json!(140.0)), "{build:?}");
        viewer.say(json!({"type": "select", "id": list["id"], "indices": [1]})).await;
        viewer.hear("selectClosed").await;
        viewer.heard.clear();
        viewer.click(240.0, 200.0).await;
        let focus = viewer.hear_that("a field", |told| told["type"] == "focus" && told["editable"] == true).await;
        assert_eq!((&focus["x"], &focus["y"]), (&json!(230.0), &json!(190.0)), "{build:?}");
        viewer.type_text("ab").await;
        viewer.say(json!({"type": "compose", "text": "に", "from": 1, "to": 1})).await;
        viewer.say(json!({"type": "insert", "text": "日"})).await;
        viewer.say(json!({"type": "paste", "text": "!"})).await;
        viewer.press("a", "KeyA", 2).await;
        viewer.say(json!({"type": "copy", "cut": false})).await;
        assert_eq!(viewer.hear("clipboard").await["text"], json!("ab日!"), "{build:?}");
        viewer.click(240.0, 240.0).await;
        viewer.hear("fileChooser").await;
        scene.browser.close(crate::GRACE).await;
    }
}

#[tokio::test]
async fn files_are_chosen_among_the_uploads_alone() {
    let body = "<input type=file id=f accept='.txt, image/*' style='position:absolute;left:10px;top:10px'>\
        <input type=file id=m multiple style='position:absolute;left:10px;top:60px'>";
    let scene = Scene::open(Build::HeadlessShell, body).await;
    let uploads = scene.host.folder("uploads");
    for name in ["a.txt", "b c.png"] {
        std::fs::write(format!("{uploads}/{name}"), "hi").expect("a file");
    }
    let mut viewer = scene.hands().await;
    viewer.click(40.0, 20.0).await;
    let chooser = viewer.hear("fileChooser").await;
    assert_eq!((&chooser["multiple"], &chooser["accept"]), (&json!(false), &json!([".txt", "image/*"])));
    let id = &chooser["id"];
    for path in ["/etc/passwd", "uploads/../../etc/passwd", "downloads/a.txt", "uploads/", "uploads/.."] {
        viewer.say(json!({"type": "files", "id": id, "paths": [path]})).await;
        assert_eq!(viewer.hear("error").await["message"], json!("only files under uploads/ can be chosen"), "{path}");
    }
    viewer.say(json!({"type": "files", "id": id, "paths": ["uploads/a.txt"]})).await;
    scene.until("f.files[0]?.name ?? null", &json!("a.txt")).await;
    viewer.hear("fileChooserClosed").await;
    viewer.click(40.0, 70.0).await;
    let chooser = viewer.hear("fileChooser").await;
    assert_eq!((&chooser["multiple"], &chooser["accept"]), (&json!(true), &json!([])));
    viewer.say(json!({"type": "files", "id": chooser["id"], "paths": ["uploads/a.txt", "uploads/b c.png"]})).await;
    scene.until("[...m.files].map((file) => file.name + file.size).join()", &json!("a.txt2,b c.png2")).await;
    viewer.hear("fileChooserClosed").await;
    viewer.click(40.0, 70.0).await;
    let chooser = viewer.hear("fileChooser").await;
    viewer.say(json!({"type": "files", "id": chooser["id"], "cancelled": true})).await;
    viewer.hear("fileChooserClosed").await;
}
