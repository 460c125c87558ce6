//! `/v1/sandboxes/fs/…`: files as text and as bytes, folders, and every path that is wrong.

use crate::support::{Harness, Reply};
use serde_json::{Value, json};

async fn raw(harness: &Harness, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let head = format!("{method} /v1/sandboxes/fs/raw?{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    let key = format!("Authorization: Bearer {}\r\nContent-Length: {}\r\n", harness.key, body.len());
    harness.send(&format!("{head}{key}{headers}\r\n{body}")).await
}

#[tokio::test]
async fn a_file_is_written_read_and_listed() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let write = async |body: Value| harness.as_us("POST", "/v1/sandboxes/fs/write", Some(body)).await;
    let written = write(json!({"id": id, "path": "notes/a b.txt", "content": "h\u{e9}llo\n\u{0}"})).await;
    assert_eq!((written.status, &written.body), (200, &json!({"ok": true, "path": "notes/a b.txt", "size": 8})));
    let read =
        async |path: &str| harness.as_us("GET", &format!("/v1/sandboxes/fs/read?id={id}&path={path}"), None).await;
    let found = read("notes/a%20b.txt").await;
    let expected =
        json!({"path": "/workspace/notes/a b.txt", "content": "h\u{e9}llo\n\u{0}", "encoding": "utf-8", "size": 8});
    assert_eq!((found.status, &found.body), (200, &expected));
    write(json!({"id": id, "path": "b", "content": "/wA=", "encoding": "base64", "mode": 0o600})).await;
    let asked = harness.machine.asked.lock().unwrap().pop().unwrap();
    assert_eq!((&asked["path"], &asked["mode"]), (&json!("b"), &json!("384")));
    let found = read("b").await;
    assert_eq!((&found.body["content"], &found.body["encoding"]), (&json!("/wA="), &json!("base64")));
    assert_eq!(found.body["size"], 2);
    read("nothing").await.expect(404, "NOT_FOUND");
    harness.machine.files.lock().unwrap().insert("folder/".into(), "tar".into());
    assert_eq!(read("folder/").await.expect(400, "INVALID_REQUEST").body["field"], "path");
    let list = harness.as_us("GET", &format!("/v1/sandboxes/fs/list?id={id}"), None).await;
    assert_eq!((&list.body["path"], &list.body["entries"][0]["name"]), (&json!("/workspace"), &json!("b")), "{list:?}");
    let stat = harness.as_us("GET", &format!("/v1/sandboxes/fs/stat?id={id}&path=b"), None).await;
    assert_eq!(stat.body["size"], 2, "{stat:?}");
    let watched = harness.as_us("GET", &format!("/v1/sandboxes/fs/watch?id={id}&recursive=true"), None).await;
    assert!(watched.text.contains("event: change"), "{watched:?}");
    harness.finish().await;
}

#[tokio::test]
async fn every_path_that_is_wrong_is_told() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let long = "a".repeat(4_097);
    for path in ["read", "stat", "list", "watch", "raw"] {
        for wrong in ["", "%00", long.as_str()] {
            let path = format!("/v1/sandboxes/fs/{path}?id={id}&path={wrong}");
            assert_eq!(harness.as_us("GET", &path, None).await.expect(400, "INVALID_REQUEST").body["field"], "path");
        }
        let missing = format!("/v1/sandboxes/fs/{path}?id={}&path=a", "0".repeat(32));
        harness.as_us("GET", &missing, None).await.expect(404, "NOT_FOUND");
    }
    harness
        .as_us("GET", &format!("/v1/sandboxes/fs/watch?id={id}&recursive=1"), None)
        .await
        .expect(400, "INVALID_REQUEST");
    for (path, field, body) in [
        ("write", "path", json!({"content": ""})),
        ("write", "content", json!({"path": "a"})),
        ("write", "content", json!({"path": "a", "content": 1})),
        ("write", "content", json!({"path": "a", "content": "%", "encoding": "base64"})),
        ("write", "encoding", json!({"path": "a", "content": "", "encoding": "latin-1"})),
        ("write", "mode", json!({"path": "a", "content": "", "mode": 4_096})),
        ("delete", "path", json!({"path": "\u{0}"})),
        ("delete", "recursive", json!({"path": "a", "recursive": 1})),
        ("move", "to", json!({"from": "a"})),
        ("move", "from", json!({"to": "a"})),
        ("mkdir", "path", json!({"path": long})),
        ("mkdir", "mode", json!({"path": "a", "mode": -1})),
    ] {
        let mut body = body;
        body["id"] = id.as_str().into();
        let refused = harness.as_us("POST", &format!("/v1/sandboxes/fs/{path}"), Some(body)).await;
        assert_eq!(refused.expect(400, "INVALID_REQUEST").body["field"], field, "{path}");
    }
    for (path, body) in [
        ("delete", json!({"path": "a"})),
        ("mkdir", json!({"path": "a"})),
        ("move", json!({"from": "a", "to": "b", "overwrite": true})),
    ] {
        let mut body = body;
        body["id"] = id.as_str().into();
        let done = harness.as_us("POST", &format!("/v1/sandboxes/fs/{path}"), Some(body)).await;
        assert_eq!((done.status, &done.body["ok"]), (200, &json!(true)), "{path}: {done:?}");
    }
    let taken = harness.as_us("POST", "/v1/sandboxes/fs/move", Some(json!({"id": id, "from": "a", "to": "b"}))).await;
    taken.expect(409, "INVALID_STATE");
    let announced = format!(
        "POST /v1/sandboxes/fs/write HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        harness.key,
        32 * 1024 * 1024 + 1
    );
    let refused = harness.send(&announced).await;
    assert!(refused.expect(413, "PAYLOAD_TOO_LARGE").text.contains("fs/raw"));
    harness.finish().await;
}

#[tokio::test]
async fn a_large_file_is_pointed_at_the_stream_and_streamed() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let large = vec![0_u8; 32 * 1024 * 1024 + 1];
    harness.machine.files.lock().unwrap().insert("large".into(), large.into());
    let read = harness.as_us("GET", &format!("/v1/sandboxes/fs/read?id={id}&path=large"), None).await;
    assert!(read.expect(413, "PAYLOAD_TOO_LARGE").text.contains("fs/raw"));
    let streamed = raw(&harness, "GET", &format!("id={id}&path=large"), "", "").await;
    assert_eq!((streamed.status, streamed.text.len()), (200, 32 * 1024 * 1024 + 1));
    harness.finish().await;
}

#[tokio::test]
async fn bytes_go_up_and_down_and_no_browser_takes_them_for_a_page() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let page = "<script>alert(1)</script>";
    let put = raw(&harness, "PUT", &format!("id={id}&path=a/b.html&mode=493&append=true"), "", page).await;
    assert_eq!((put.status, &put.body["size"]), (200, &json!(25)), "{put:?}");
    let asked = harness.machine.asked.lock().unwrap().pop().unwrap();
    let octets = "application/octet-stream";
    assert_eq!(asked, json!({"path": "a/b.html", "mode": "493", "append": "true", "type": octets}));
    let got = raw(&harness, "GET", &format!("id={id}&path=a/b.html"), "", "").await;
    assert_eq!((got.status, got.text.as_str(), got.header("content-type")), (200, page, Some(octets)));
    assert!(got.header("content-disposition").unwrap().starts_with("attachment; filename=\"b.html\""));
    assert!(got.header("content-security-policy").unwrap().starts_with("sandbox"));
    let part = raw(&harness, "GET", &format!("id={id}&path=a/b.html"), "Range: bytes=1-2\r\n", "").await;
    assert_eq!((part.status, part.text.as_str(), part.header("content-range")), (206, "sc", Some("bytes 1-2/25")));
    let none = raw(&harness, "GET", &format!("id={id}&path=a/b.html"), "Range: bytes=99-\r\n", "").await;
    assert_eq!((none.status, none.header("content-range")), (416, Some("bytes */25")));
    harness.machine.files.lock().unwrap().insert("folder/".into(), "tar".into());
    let folder = raw(&harness, "GET", &format!("id={id}&path=folder/"), "", "").await;
    assert_eq!((folder.status, folder.header("content-type")), (200, Some("application/x-tar")), "{folder:?}");
    assert!(folder.header("content-disposition").unwrap().contains("folder.tar"));
    raw(&harness, "PUT", &format!("id={id}&path=x"), "Content-Type: application/x-tar\r\n", "tar").await;
    assert_eq!(harness.machine.asked.lock().unwrap().pop().unwrap()["type"], "application/x-tar");
    for wrong in ["mode=4096", "mode=-1", "mode=", "append=1"] {
        raw(&harness, "PUT", &format!("id={id}&path=a&{wrong}"), "", "").await.expect(400, "INVALID_REQUEST");
    }
    harness.finish().await;
}
