//! What a policy and a mode keep closed, whatever a client sends and wherever a page goes.

use crate::site::{Reply, path, site};
use crate::view::support::{NOT_SOON, Scene, Viewer};
use serde_json::json;
use tokio::time::sleep;
use vitrine_browser::Build;
use vitrine_browser::view::Rights;
use vitrine_model::embed::{Capability, Policy};

impl Viewer {
    async fn denied(&mut self, url: &str) {
        self.hear_that(url, |told| told["name"] == "policy-denied" && told["detail"]["url"] == url).await;
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_denied_and_told_at_once() {
    let scene = Scene::open(Build::HeadlessShell, "<button id=b onclick=\"note('b')\">b</button><input id=i>").await;
    let mut caller = scene.caller().await;
    let policy = Policy {
        denied: [Capability::ActClick].into(),
        version: 2,
        clipboard: false,
        uploads: false,
        ..Policy::open(1)
    };
    scene.viewing.set_policy(policy).await;
    let told = caller.hear("policy").await;
    assert_eq!(
        (&told["policy"]["policyVersion"], &told["policy"]["apiCapabilities"]["act"]["click"]),
        (&json!(2), &json!(false))
    );
    assert!(told["methods"].as_array().expect("methods").contains(&json!("click")));
    for error in [
        caller.refused("click", json!(["#b"])).await,
        caller.refused("act", json!([{"click": {"selector": "#b"}}])).await,
    ] {
        let wanted = json!({"message": "the policy does not allow act.click", "code": "ERR_POLICY_DENIED", "status": 403, "retriable": false});
        assert_eq!(error, wanted);
    }
    for message in [
        json!({"type": "copy", "cut": false}),
        json!({"type": "paste", "text": "x"}),
        json!({"type": "files", "id": "1", "paths": ["uploads/a"]}),
    ] {
        caller.say(message.clone()).await;
        assert!(
            caller.hear("error").await["message"].as_str().expect("text").starts_with("the policy does not allow"),
            "{message}"
        );
    }
    caller.call("type", json!(["#i", "x"])).await;
    assert_eq!(caller.call("getPolicy", json!([])).await, told["policy"]);
    assert_eq!(scene.value("notes.length").await, json!(0));
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn a_mode_takes_hands_and_methods_away_from_its_connection_alone() {
    let scene = Scene::open(
        Build::HeadlessShell,
        "<button id=b style='position:absolute;left:0;top:0' onclick=\"note('b')\">b</button>",
    )
    .await;
    let (mut looks, mut acts) = (scene.caller().await, scene.caller().await);
    looks.say(json!({"type": "interaction", "mode": "view-only"})).await;
    assert_eq!(looks.hear("policy").await["policy"]["apiCapabilities"]["act"]["click"], false);
    looks.click(5.0, 5.0).await;
    for _ in 0..3 {
        assert_eq!(looks.hear("error").await["about"], "mouse");
    }
    for (method, args) in [
        ("click", json!(["#b"])),
        ("createTab", json!([])),
        ("navigateTo", json!(["about:blank"])),
        ("evaluate", json!(["note('e')"])),
    ] {
        assert_eq!(looks.refused(method, args).await["code"], "ERR_POLICY_DENIED", "{method}");
    }
    assert_eq!(looks.call("getTabCount", json!([])).await, 1);
    looks.say(json!({"type": "interaction", "mode": "limited"})).await;
    looks.hear("policy").await;
    assert_eq!(looks.refused("evaluate", json!(["1"])).await["code"], "ERR_POLICY_DENIED");
    sleep(NOT_SOON).await;
    assert_eq!(scene.value("notes.length").await, json!(0));
    acts.call("click", json!(["#b"])).await;
    looks.call("click", json!(["#b"])).await;
    scene.until("notes.length", &json!(2)).await;
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn who_may_not_call_is_told_so() {
    let scene = Scene::open(Build::HeadlessShell, "x").await;
    let mut viewer = scene.connect(Rights { control: true, calls: false }).await;
    viewer.say(json!({"type": "start", "version": 1, "codings": ["jpeg"]})).await;
    viewer.hear("hello").await;
    for message in [
        json!({"type": "call", "id": "1", "method": "getTabs", "args": []}),
        json!({"type": "interaction", "mode": "full"}),
    ] {
        viewer.say(message).await;
        assert_eq!(viewer.hear("error").await["message"], "this viewer may not call");
    }
    assert!(viewer.hears("policy").await.is_empty());
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn a_page_gets_nowhere_that_the_rules_keep_closed() {
    let port = site(|request| match path(request) {
        "/redirect" => Reply::html("<script>location = location.href.replace('127.0.0.1', 'localhost')</script>"),
        "/frame" => Reply::html(format!(
            "<title>f</title><iframe src='http://localhost:{}/inner'></iframe>",
            request.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(['\r', '/']).next()).unwrap_or("1")
        )),
        _ => Reply::html("<title>here</title><script>var was = location.host</script>"),
    })
    .await;
    for build in crate::BUILDS {
        let scene = Scene::open(build, "first").await;
        let mut caller = scene.caller().await;
        let policy = Policy { allow_urls: vec!["127.0.0.1".into()], version: 2, ..Policy::open(1) };
        scene.viewing.set_policy(policy).await;
        let open = |host: &str, path: &str| format!("http://{host}:{port}{path}");
        assert_eq!(caller.call("navigateTo", json!([open("127.0.0.1", "/")])).await["ok"], true, "{build:?}");
        let error = caller.refused("navigateTo", json!([open("localhost", "/")])).await;
        assert_eq!(error["code"], "ERR_POLICY_DENIED");
        caller.denied(&open("localhost", "/")).await;
        // By itself, in a frame, in a window of its own, in a tab that is opened later, by the person's own hands.
        caller.call("evaluate", json!([format!("location = '{}'; 0", open("localhost", "/self"))])).await;
        caller.denied(&open("localhost", "/self")).await;
        caller.call("navigateTo", json!([open("127.0.0.1", "/redirect")])).await;
        caller.denied(&open("localhost", "/redirect")).await;
        caller.call("navigateTo", json!([open("127.0.0.1", "/frame")])).await;
        caller.denied(&open("localhost", "/inner")).await;
        caller.call("evaluate", json!([format!("open('{}'); 0", open("localhost", "/popup"))])).await;
        caller.denied(&open("localhost", "/popup")).await;
        caller.say(json!({"type": "newTab", "url": open("localhost", "/hand")})).await;
        caller.denied(&open("localhost", "/hand")).await;
        // What was open already when the rules came is closed.
        scene.viewing.set_policy(Policy { version: 3, ..Policy::open(1) }).await;
        caller.call("createTab", json!([open("localhost", "/before")])).await;
        caller.call("waitForNavigation", json!([])).await;
        let policy = Policy { deny_urls: vec!["localhost".into()], version: 4, ..Policy::open(1) };
        scene.viewing.set_policy(policy).await;
        caller.denied(&open("localhost", "/before")).await;
        caller
            .hear_that("a blank page", |message| {
                message["name"] == "did-navigate" && message["detail"]["url"] == "about:blank"
            })
            .await;
        scene.browser.close(crate::GRACE).await;
    }
}
