//! What a session carries: files, artifacts, profiles, screenshots, live views, a way out that changes.

use crate::node::FakeNode;
use crate::support::{Harness, Reply, entropy, raised};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::wire::{Assignment, OBJECT_HEADER, Object, ObjectAnswer, ObjectRequest, Purpose, Upstream};
use vitrine_model::{ArtifactKind, MachineId, Plan};
use vitrine_server::InProcess;

/// A request about an object, as a node sends it.
pub async fn object(
    node: &FakeNode,
    method: &str,
    of: &Assignment,
    object: Object,
    bytes: &[u8],
) -> http::Response<Vec<u8>> {
    let request = ObjectRequest {
        machine: node.machine.clone(),
        epoch: node.epoch(),
        session: of.session.clone(),
        generation: of.generation,
        run: of.run.clone(),
        object,
    };
    let mut request = http::Request::builder()
        .method(method)
        .uri("/internal/node/objects")
        .header(OBJECT_HEADER, serde_json::to_vec(&request).unwrap())
        .body(axum::body::Body::from(bytes.to_vec()))
        .unwrap();
    request.extensions_mut().insert(InProcess);
    let (head, body) = node.server.internal_router().oneshot(request).await.unwrap().into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes().to_vec())
}

pub fn artifact(kind: ArtifactKind, name: &str, bytes: &[u8]) -> Object {
    let sha256 = hexadecimal(&Sha256::digest(bytes));
    Object::Artifact { kind, name: name.into(), content_type: "text/html".into(), size: bytes.len() as u64, sha256 }
}

fn profile(bytes: &[u8]) -> Object {
    Object::Profile { size: bytes.len() as u64, sha256: hexadecimal(&Sha256::digest(bytes)) }
}

pub async fn bring(node: &FakeNode, of: &Assignment, what: Object, bytes: &[u8]) -> ObjectAnswer {
    let answer = object(node, "PUT", of, what, bytes).await;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    serde_json::from_slice(answer.body()).unwrap()
}

/// The path and query of a URL of ours.
fn path_of<'a>(harness: &Harness, url: &'a str) -> &'a str {
    url.split_once(&harness.address.to_string()).unwrap().1
}

async fn fetch(harness: &Harness, path: &str, headers: &str) -> Reply {
    let address = harness.address;
    harness.send(&format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn artifacts_are_brought_listed_fetched_and_outlive_their_session() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let session = harness.ready_session().await;
    let id = session.body["id"].as_str().unwrap();
    let assigned = node.assigned.lock().unwrap()[0].clone();
    let page = b"<script>alert(1)</script>";
    let name = "\u{65e5} \"report\".html";
    let kept = bring(&node, &assigned, artifact(ArtifactKind::Download, name, page), page).await;
    assert_eq!(kept, ObjectAnswer::Kept { key: Some(format!("downloads/{name}")) });
    bring(&node, &assigned, artifact(ArtifactKind::Recording, "session.mp4", b"mp4"), b"mp4").await;
    for (what, bytes) in [
        (artifact(ArtifactKind::Har, "a.har", b"announced"), &b"different"[..]),
        (artifact(ArtifactKind::Har, "a.har", b"announced"), b"short"),
        (artifact(ArtifactKind::Har, "../a", b"x"), b"x"),
        (Object::Profile { size: u64::MAX, sha256: "0".repeat(64) }, b"x"),
    ] {
        let refused = bring(&node, &assigned, what.clone(), bytes).await;
        assert!(matches!(refused, ObjectAnswer::Refused { .. }), "{what:?} {refused:?}");
    }
    let stranger = FakeNode { machine: MachineId::new(entropy().as_ref()), ..node.clone() };
    let refused = bring(&stranger, &assigned, artifact(ArtifactKind::Har, "a", b"x"), b"x").await;
    assert_eq!(refused, ObjectAnswer::NotYours);

    harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
    let over = harness.until(id, "ended").await;
    assert_eq!(over.body["artifacts"]["recording"], "recordings/session.mp4");
    assert_eq!(over.body["artifacts"]["downloads"], json!([format!("downloads/{name}")]));
    let list = harness.as_us("GET", &format!("/v1/browsers/artifacts?id={id}"), None).await;
    assert_eq!((list.status, list.body["items"].as_array().unwrap().len()), (200, 2), "{list:?}");
    let files = harness.as_us("GET", &format!("/v1/browsers/files?id={id}"), None).await;
    assert_eq!(files.body["files"][0]["path"], format!("downloads/{name}"), "{files:?}");

    let key = "downloads/%E6%97%A5%20%22report%22.html";
    let path = format!("/v1/browsers/artifacts/download?id={id}&key={key}&expiresIn=60");
    let download = harness.as_us("GET", &path, None).await;
    assert_eq!((download.status, &download.body["expiresInSeconds"]), (200, &json!(60)), "{download:?}");
    let url = path_of(&harness, download.body["url"].as_str().unwrap()).to_owned();
    let fetched = fetch(&harness, &url, "").await;
    assert_eq!((fetched.status, fetched.text.as_bytes()), (200, &page[..]));
    assert_eq!(fetched.header("content-type"), Some("application/octet-stream"), "never a page of ours");
    assert_eq!(fetched.header("x-content-type-options"), Some("nosniff"));
    assert!(fetched.header("content-security-policy").unwrap().starts_with("sandbox"));
    assert!(fetched.header("content-disposition").unwrap().starts_with("attachment"));
    let part = fetch(&harness, &url, "Range: bytes=1-6\r\n").await;
    assert_eq!((part.status, part.text.as_str()), (206, "script"));
    assert_eq!(part.header("content-range"), Some("bytes 1-6/25"));
    assert_eq!(fetch(&harness, &url, "Range: bytes=99-\r\n").await.status, 416);
    for wrong in
        [url.replace("expires=1", "expires=2"), url.replace("report", "other"), url.replace("signature=", "s=")]
    {
        fetch(&harness, &wrong, "").await.expect(401, "UNAUTHENTICATED");
    }
    let raw = harness.as_us("GET", &format!("/v1/browsers/files/raw?id={id}&path={key}"), None).await;
    assert_eq!((raw.status, raw.text.as_bytes()), (200, &page[..]));
    let theirs = harness.other_organization(Plan::Free).await;
    for path in [
        path.as_str(),
        &format!("/v1/browsers/files/raw?id={id}&path={key}"),
        &format!("/v1/browsers/artifacts?id={id}"),
    ] {
        harness.ask("GET", path, Some(&theirs), None).await.expect(404, "NOT_FOUND");
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_profile_is_saved_given_out_again_and_held_by_one_session() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let wish = json!({"profileKey": "shop"});
    let first = harness.as_us("POST", "/v1/browsers", Some(wish.clone())).await;
    let id = first.body["id"].as_str().unwrap();
    harness.until(id, "ready").await;
    harness.as_us("POST", "/v1/browsers", Some(wish.clone())).await.expect(409, "PROFILE_IN_USE");
    let assigned = node.assigned.lock().unwrap()[0].clone();
    assert_eq!(object(&node, "GET", &assigned, profile(b""), b"").await.status(), 404, "nothing was saved yet");
    assert_eq!(bring(&node, &assigned, profile(b"cookies"), b"cookies").await, ObjectAnswer::Kept { key: None });
    let listed = harness.as_us("GET", "/v1/profiles", None).await;
    assert_eq!((&listed.body["data"][0]["key"], &listed.body["data"][0]["inUse"]), (&json!("shop"), &json!(true)));
    harness.as_us("DELETE", "/v1/profiles?key=shop", None).await.expect(409, "PROFILE_IN_USE");
    harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
    harness.until(id, "ended").await;
    assert_eq!(bring(&node, &assigned, profile(b"late"), b"late").await, ObjectAnswer::NotYours);

    let second = harness.as_us("POST", "/v1/browsers", Some(wish)).await;
    let id = second.body["id"].as_str().unwrap();
    harness.until(id, "ready").await;
    let assigned = node.assigned.lock().unwrap().last().unwrap().clone();
    let saved = object(&node, "GET", &assigned, profile(b""), b"").await;
    assert_eq!((saved.status().as_u16(), saved.body().as_slice()), (200, &b"cookies"[..]));
    let said: Object = serde_json::from_slice(saved.headers()[OBJECT_HEADER].as_bytes()).unwrap();
    assert_eq!(said, profile(b"cookies"));
    harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
    harness.until(id, "ended").await;
    assert_eq!(harness.as_us("DELETE", "/v1/profiles?key=shop", None).await.status, 200);
    harness.as_us("DELETE", "/v1/profiles?key=shop", None).await.expect(404, "NOT_FOUND");
    harness.finish().await;
}

#[tokio::test]
async fn files_go_in_and_out_of_a_running_session() {
    let mut config = raised();
    config.gateway.upload_bytes_max = 1_000;
    config.gateway.file_pause_ms_max = 500;
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    harness.machine.files.lock().unwrap().insert("downloads/a b.html".into(), "0123456789".into());
    let session = harness.ready_session().await;
    let id = session.body["id"].as_str().unwrap();
    let raw = format!("/v1/browsers/files/raw?id={id}&path=");
    let written = harness.as_us("PUT", &format!("{raw}uploads/photo.jpg"), Some(json!("picture"))).await;
    assert_eq!(
        (written.status, &written.body["capsulePath"]),
        (201, &json!("/session/uploads/photo.jpg")),
        "{written:?}"
    );
    let list = harness.as_us("GET", &format!("/v1/browsers/files?id={id}"), None).await;
    assert_eq!(list.body["files"].as_array().unwrap().len(), 2, "{list:?}");
    let read = harness.as_us("GET", &format!("{raw}downloads/a%20b.html"), None).await;
    assert_eq!((read.status, read.text.as_str()), (200, "0123456789"));
    assert_eq!(read.header("content-type"), Some("application/octet-stream"));
    let head = format!("Authorization: Bearer {}\r\nRange: bytes=3-5\r\n", harness.key);
    let part = fetch(&harness, &format!("{raw}downloads/a%20b.html"), &head).await;
    assert_eq!((part.status, part.text.as_str()), (206, "345"));
    harness.as_us("GET", &format!("{raw}downloads/none"), None).await.expect(404, "NOT_FOUND");
    let large = json!("x".repeat(2_000));
    harness.as_us("PUT", &format!("{raw}uploads/large"), Some(large)).await.expect(413, "PAYLOAD_TOO_LARGE");
    let (address, key) = (harness.address, &harness.key);
    let stalled = format!("PUT {raw}uploads/stalled HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n");
    let stalled = format!("{stalled}Connection: close\r\nContent-Length: 9\r\n\r\nabc");
    harness.send(&stalled).await.expect(400, "INVALID_REQUEST");
    for wrong in ["", "downloads/x", "uploads/../x", "uploads/a/b", "/etc/passwd"] {
        harness.as_us("PUT", &format!("{raw}{wrong}"), Some(json!(1))).await.expect(400, "INVALID_REQUEST");
    }
    assert!(harness.machine.dials.lock().unwrap().iter().all(|dial| dial.purpose == Purpose::Run));
    harness.finish().await;
}

#[tokio::test]
async fn a_picture_is_taken_and_the_way_out_changes() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let session = harness.ready_session().await;
    let id = session.body["id"].as_str().unwrap();
    let wish = json!({"id": id, "format": "jpeg", "quality": 80, "fullPage": true});
    let picture = harness.as_us("POST", "/v1/browsers/screenshot", Some(wish)).await;
    assert_eq!((picture.status, &picture.body["key"]), (200, &json!("screenshots/1.png")), "{picture:?}");
    let asked = harness.machine.asked.lock().unwrap().pop().unwrap();
    assert_eq!(asked, json!({"format": "jpeg", "quality": 80, "fullPage": true}));
    let wrong = json!({"id": id, "quality": 80});
    harness.as_us("POST", "/v1/browsers/screenshot", Some(wrong)).await.expect(400, "INVALID_REQUEST");

    let proxy = json!({"protocol": "http", "host": "proxy.example", "port": 80, "username": "u", "password": "geheim"});
    let change = json!({"id": id, "proxy": proxy});
    *harness.machine.refuses.lock().unwrap() = true;
    let refused = harness.as_us("PATCH", "/v1/browsers", Some(change.clone())).await;
    assert_eq!(refused.expect(503, "SCHEDULING_FAILED").body["reason"], "egress_unavailable");
    let unchanged = harness.as_us("GET", &format!("/v1/browsers?id={id}"), None).await;
    assert_eq!(unchanged.body["egressProfile"], "shared-dc");
    *harness.machine.refuses.lock().unwrap() = false;
    let changed = harness.as_us("PATCH", "/v1/browsers", Some(change)).await;
    assert_eq!((changed.status, &changed.body["egressProfile"]), (200, &json!("byo-proxy")), "{changed:?}");
    assert!(!changed.text.contains("geheim"));
    let upstream: Upstream = serde_json::from_value(harness.machine.asked.lock().unwrap().pop().unwrap()).unwrap();
    assert!(matches!(upstream, Upstream::Fixed(proxy) if proxy.password.as_ref().unwrap().reveal() == "geheim"));
    harness.as_us("PATCH", "/v1/browsers", Some(json!({"id": id}))).await.expect(400, "INVALID_REQUEST");
    let other = json!({"id": id, "egressProfile": "dedicated-dc"});
    harness.as_us("PATCH", "/v1/browsers", Some(other)).await.expect(503, "SCHEDULING_FAILED");
    harness.as_us("DELETE", &format!("/v1/browsers?id={id}"), None).await;
    harness.until(id, "ended").await;
    for (method, path) in
        [("PATCH", "/v1/browsers"), ("POST", "/v1/browsers/screenshot"), ("POST", "/v1/browsers/live-view")]
    {
        let body = json!({"id": id, "egressProfile": "shared-dc"});
        harness.as_us(method, path, Some(body)).await.expect(409, "INVALID_STATE");
    }
    harness.finish().await;
}

/// A viewer's WebSocket, after the answer to its handshake; `Err` is the answer when it was turned away.
async fn watch(harness: &Harness, id: &str, token: &str) -> Result<TcpStream, Reply> {
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let request = format!(
        "GET /view/{id}/ws?token={token} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        harness.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    if head.starts_with(b"HTTP/1.1 101 ") { Ok(stream) } else { Err(Reply::parse(&head)) }
}

/// The close code that the viewer is sent.
async fn close_code(mut stream: TcpStream) -> u16 {
    loop {
        let (kind, size) = (stream.read_u8().await.unwrap() & 15, stream.read_u8().await.unwrap());
        let mut payload = vec![0; usize::from(size & 127)];
        stream.read_exact(&mut payload).await.unwrap();
        if kind == 8 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

#[tokio::test]
async fn a_live_view_opens_by_its_token_until_it_is_revoked_or_expires() {
    let mut config = raised();
    config.gateway.ping_ms = 200;
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    harness.machine.files.lock().unwrap().insert("downloads/a".into(), "a".into());
    let session = harness.ready_session().await;
    let id = session.body["id"].as_str().unwrap().to_owned();
    let page = path_of(&harness, session.body["liveViewUrl"].as_str().unwrap()).to_owned();
    let (page, own) = page.split_once("#token=").unwrap();
    assert_eq!(page, format!("/view/{id}"));
    let answer = fetch(&harness, page, "").await;
    assert_eq!((answer.status, answer.header("referrer-policy")), (200, Some("no-referrer")));
    assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert_eq!(fetch(&harness, "/view/nothing", "").await.status, 404);
    assert_eq!(fetch(&harness, "/view/assets/0/viewer.js", "").await.status, 404);

    let make = async |body: Value| harness.as_us("POST", "/v1/browsers/live-view", Some(body)).await;
    let control = make(json!({"id": id, "mode": "control"})).await;
    assert_eq!((control.status, &control.body["mode"]), (201, &json!("control")), "{control:?}");
    let token = |made: &Reply| made.body["url"].as_str().unwrap().split_once("#token=").unwrap().1.to_owned();
    let reader = harness.key_with(&["browser_sessions:read"]).await;
    let wish = json!({"id": id, "mode": "control"});
    harness.ask("POST", "/v1/browsers/live-view", Some(&reader), Some(wish)).await.expect(403, "PERMISSION_DENIED");
    for wrong in [json!(999), json!(86_400_001), json!("1")] {
        make(json!({"id": id, "expiresInMs": wrong})).await.expect(400, "INVALID_REQUEST");
    }

    let looking = watch(&harness, &id, own).await.unwrap();
    let acting = watch(&harness, &id, &token(&control)).await.unwrap();
    let purposes: Vec<_> = harness.machine.dials.lock().unwrap().iter().map(|dial| dial.purpose).collect();
    assert_eq!(
        purposes,
        [Purpose::View { control: false, calls: false }, Purpose::View { control: true, calls: false }]
    );
    let cdp = session.body["cdpUrl"].as_str().unwrap().split_once("token=").unwrap().1;
    for wrong in ["", "x", cdp] {
        assert_eq!(watch(&harness, &id, wrong).await.unwrap_err().status, 401, "{wrong}");
    }
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let files = fetch(&harness, &format!("/view/{id}/files"), &bearer(own)).await;
    assert_eq!(files.body["files"][0]["path"], "downloads/a", "{files:?}");
    let raw = format!("/view/{id}/files/raw?path=");
    assert_eq!(fetch(&harness, &format!("{raw}downloads/a"), &bearer(own)).await.text, "a");
    harness.ask("PUT", &format!("{raw}uploads/b"), Some(own), Some(json!(1))).await.expect(403, "PERMISSION_DENIED");
    let put = harness.ask("PUT", &format!("{raw}uploads/b"), Some(&token(&control)), Some(json!(1))).await;
    assert_eq!(put.status, 201, "{put:?}");
    fetch(&harness, &format!("/view/{id}/files"), &bearer(cdp)).await.expect(401, "UNAUTHENTICATED");

    let token_id = control.body["tokenId"].as_str().unwrap();
    let other = harness.ready_session().await.body["id"].as_str().unwrap().to_owned();
    let elsewhere = format!("/v1/browsers/live-view?id={other}&tokenId={token_id}");
    assert_eq!(harness.as_us("DELETE", &elsewhere, None).await.status, 200);
    assert!(
        watch(&harness, &id, &token(&control)).await.is_ok(),
        "who has another session revokes nothing of this one"
    );
    let revoke = format!("/v1/browsers/live-view?id={id}&tokenId={token_id}");
    assert_eq!(harness.as_us("DELETE", &revoke, None).await.status, 200);
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), close_code(acting)).await.unwrap(), 4401);
    assert_eq!(watch(&harness, &id, &token(&control)).await.unwrap_err().status, 401);
    let short = make(json!({"id": id, "expiresInMs": 1_000})).await;
    let expiring = watch(&harness, &id, &token(&short)).await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), close_code(expiring)).await.unwrap(), 4401);
    assert_eq!(watch(&harness, &id, &token(&short)).await.unwrap_err().status, 401);
    drop(looking);
    harness.finish().await;
}
