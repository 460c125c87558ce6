//! What a run carries besides its browser: files, screenshots, another upstream, over its own HTTP interface.

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::lab::Lab;
use support::spec;
use vitrine_model::wire::StepKind;
use vitrine_model::{ArtifactKind, Happening};
use vitrine_node::Node;

const SAVE: &str = "{ const a = document.createElement('a'); a.href = 'data:application/octet-stream,whole'; \
    a.download = 'report.txt'; document.body.append(a); a.click(); 0 }";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_gives_is_listed_fetched_and_kept() {
    let lab = Lab::new(spec()).await;
    let mut client = lab.client().await;
    let tab = client.open("data:text/html,<body>").await;
    client.evaluate(&tab, SAVE).await;
    let kept = lab.server.wait_for_object(ArtifactKind::Download).await;
    assert_eq!((kept.name.as_str(), kept.bytes.as_slice()), ("report.txt", b"whole".as_slice()));
    let step = lab.server.wait_for("its event", |step| matches!(step, StepKind::Happened { .. })).await;
    let StepKind::Happened { what: Happening::DownloadCompleted, data } = step else { panic!("{step:?}") };
    assert_eq!((&data["key"], &data["size"]), (&json!("downloads/report.txt"), &json!(5)));
    let files = lab.files().await;
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!((&files[0]["path"], &files[0]["state"]), (&json!("downloads/report.txt"), &json!("completed")));
    assert_eq!((&files[0]["key"], &files[0]["source"]), (&json!("downloads/report.txt"), &json!("download")));
    let (status, bytes) = lab.ask(Method::GET, "/files/raw?path=downloads/report.txt", "").await;
    assert_eq!((status, bytes.as_ref()), (StatusCode::OK, b"whole".as_slice()));

    // The last moment: what was whole when the session was ended is kept, too.
    client.evaluate(&tab, SAVE).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(client);
    let server = lab.server.clone();
    lab.finish().await;
    let names: Vec<_> = server.objects().into_iter().map(|kept| kept.name).collect();
    assert_eq!(names, ["report.txt", "report (1).txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_there_for_pages_and_bad_names_are_refused() {
    let lab = Lab::new(spec()).await;
    let (status, bytes) = lab.ask(Method::PUT, "/files/raw?path=uploads/a%20b.txt", "first").await;
    assert_eq!(status, StatusCode::CREATED, "{bytes:?}");
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(answer["capsulePath"], "/session/uploads/a b.txt");
    assert_eq!(answer["size"], 5);
    let (status, _) = lab.ask(Method::PUT, "/files/raw?path=uploads/a%20b.txt", "second").await;
    assert_eq!(status, StatusCode::CREATED, "it is replaced");
    let (_, bytes) = lab.ask(Method::GET, "/files/raw?path=uploads/a%20b.txt", "").await;
    assert_eq!(bytes.as_ref(), b"second");
    let files = lab.files().await;
    assert_eq!((files.len(), &files[0]["source"], &files[0]["size"]), (1, &json!("upload"), &json!(6)));

    let mut client = lab.client().await;
    let tab = client.open("data:text/html,<input type=file id=f>").await;
    let document = client.call(Some(&tab), "DOM.getDocument", json!({})).await;
    let root = document["root"]["nodeId"].clone();
    let input = client.call(Some(&tab), "DOM.querySelector", json!({ "nodeId": root, "selector": "#f" })).await;
    let files = json!({ "nodeId": input["nodeId"], "files": [answer["capsulePath"]] });
    client.call(Some(&tab), "DOM.setFileInputFiles", files).await;
    assert_eq!(client.evaluate(&tab, "document.querySelector('#f').files[0].text()").await, "second");

    for bad in ["uploads/../profile/x", "uploads/..", "uploads/", "uploads/a/b", "downloads/x", "/etc/passwd", "x"] {
        let (status, bytes) = lab.ask(Method::PUT, &format!("/files/raw?path={bad}"), "x").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {bytes:?}");
        assert!(String::from_utf8_lossy(&bytes).contains("path"), "{bytes:?}");
    }
    for bad in ["uploads/none", "downloads/none", "/etc/hostname", "../profile/Local%20State", "uploads/../profile"] {
        let (status, _) = lab.ask(Method::GET, &format!("/files/raw?path={bad}"), "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{bad}");
    }
    drop(client);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn screenshots_are_kept_as_they_were_asked_for() {
    let lab = Lab::new(spec()).await;
    let mut client = lab.client().await;
    client.open("data:text/html,<body style='margin:0'><div style='height:3000px;background:red'>").await;
    for (format, full, magic) in
        [("png", false, b"\x89PNG".as_slice()), ("jpeg", true, b"\xff\xd8\xff"), ("webp", false, b"RIFF")]
    {
        let wanted = json!({ "format": format, "fullPage": full, "quality": 60 }).to_string();
        let (status, bytes) = lab.ask(Method::POST, "/screenshot", wanted).await;
        assert_eq!(status, StatusCode::OK, "{format}: {bytes:?}");
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let kept = lab.server.objects().pop().unwrap();
        assert!(kept.bytes.starts_with(magic), "{format}");
        assert_eq!((&answer["key"], &answer["size"]), (&json!(kept.key), &json!(kept.bytes.len())));
        assert_eq!(answer["contentType"], format!("image/{format}"));
        let height = answer["height"].as_u64().unwrap();
        assert!(answer["width"].as_u64().unwrap() > 1000 && (height == 3000) == full, "{answer}");
    }
    let wanted = json!({ "targetId": "none" }).to_string();
    assert_eq!(lab.ask(Method::POST, "/screenshot", wanted).await.0, StatusCode::CONFLICT);
    lab.server.set_away(true);
    assert_eq!(lab.ask(Method::POST, "/screenshot", "{}").await.0, StatusCode::GATEWAY_TIMEOUT);
    lab.server.set_away(false);
    drop(client);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_not_taken() {
    let lab = Lab::new(spec()).await;
    let proxy = json!({ "fixed": { "protocol": "http", "host": "127.0.0.1", "port": 1 } }).to_string();
    let (status, bytes) = lab.ask(Method::PUT, "/upstream", proxy).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{bytes:?}");
    assert!(serde_json::from_slice::<Value>(&bytes).unwrap()["error"].is_string());
    assert_eq!(lab.ask(Method::PUT, "/upstream", "\"direct\"").await.0, StatusCode::NO_CONTENT);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_brought_is_brought_later_by_whoever_comes() {
    let lab = Lab::new(spec()).await;
    lab.server.set_away(true);
    let mut client = lab.client().await;
    let tab = client.open("data:text/html,<body>").await;
    client.evaluate(&tab, SAVE).await;
    let Lab { server, node, folder, config, .. } = lab;
    let spool = std::fs::read_dir(folder.path().join("spool")).unwrap().flatten().next().unwrap().path();
    while !spool.join("objects/0.json").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(client);
    // What a killed process leaves, and a machine that has lost the session meanwhile.
    node.stop().await;
    server.forget_all();
    server.set_away(false);
    let node = Node::start(config, Arc::new(server.clone())).await.unwrap();
    let kept = server.wait_for_object(ArtifactKind::Download).await;
    assert_eq!(kept.bytes, b"whole");
    node.drain().await;
    node.stop().await;
    assert_eq!(std::fs::read_dir(folder.path().join("spool")).unwrap().count(), 0);
}
