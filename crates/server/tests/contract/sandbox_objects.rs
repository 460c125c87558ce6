//! What a sandbox leaves behind: checkpoints and their packs, artifacts.

use crate::carried::{artifact, bring, object};
use crate::support::Harness;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vitrine_model::api_key::hexadecimal;
use vitrine_model::wire::{OBJECT_HEADER, Object, ObjectAnswer};
use vitrine_model::{ArtifactKind, CheckpointId, Plan};

fn pack(bytes: &[u8]) -> Object {
    Object::Pack { sha256: hexadecimal(&Sha256::digest(bytes)), size: bytes.len() as u64 }
}

fn list(id: &CheckpointId, bytes: &[u8], packs: &[&[u8]]) -> Object {
    Object::Checkpoint {
        id: id.clone(),
        size: bytes.len() as u64,
        sha256: hexadecimal(&Sha256::digest(bytes)),
        packs: packs.iter().map(|pack| hexadecimal(&Sha256::digest(pack))).collect(),
        workspace_bytes: 99,
    }
}

#[tokio::test]
async fn a_checkpoint_is_there_once_all_of_it_is() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let id = harness.ready_sandbox(json!({})).await;
    let assigned = node.assigned.lock().unwrap()[0].clone();
    let checkpoint = CheckpointId::parse(&"c".repeat(32)).unwrap();
    let manifest = b"the list";
    let early = bring(&node, &assigned, list(&checkpoint, manifest, &[b"one", b"two"]), manifest).await;
    assert!(matches!(early, ObjectAnswer::Refused { .. }), "{early:?}");
    let kept = ObjectAnswer::Kept { key: None };
    for bytes in [&b"one"[..], b"two", b"one"] {
        assert_eq!(bring(&node, &assigned, pack(bytes), bytes).await, kept);
    }
    let wrong = bring(&node, &assigned, Object::Pack { sha256: "xyz".into(), size: 1 }, b"x").await;
    assert!(matches!(wrong, ObjectAnswer::Refused { .. }), "{wrong:?}");
    let damaged = bring(&node, &assigned, pack(b"abc"), b"abd").await;
    assert!(matches!(damaged, ObjectAnswer::Refused { .. }), "{damaged:?}");
    let shown = bring(&node, &assigned, list(&checkpoint, manifest, &[b"one", b"two"]), manifest).await;
    assert_eq!(shown, ObjectAnswer::Kept { key: Some(format!("checkpoints/{checkpoint}")) });
    let listed = harness.as_us("GET", &format!("/v1/sandboxes/checkpoints?id={id}"), None).await;
    let item = &listed.body["items"][0];
    assert_eq!((&item["id"], &item["size"], &item["workspaceBytes"]), (&json!(checkpoint), &json!(14), &json!(99)));

    let asked = Object::Checkpoint {
        id: checkpoint.clone(),
        size: 0,
        sha256: String::new(),
        packs: vec![],
        workspace_bytes: 0,
    };
    let found = object(&node, "GET", &assigned, asked.clone(), b"").await;
    assert_eq!((found.status().as_u16(), found.body().as_slice()), (200, &manifest[..]));
    let header: Value = serde_json::from_slice(found.headers()[OBJECT_HEADER].as_bytes()).unwrap();
    assert_eq!(header["checkpoint"]["size"], 8);
    let found = object(&node, "GET", &assigned, pack(b"two"), b"").await;
    assert_eq!(found.body().as_slice(), b"two");
    assert_eq!(object(&node, "GET", &assigned, pack(b"three"), b"").await.status(), 404);

    let fork = harness.ready_sandbox(json!({"from": checkpoint})).await;
    let sandbox = harness.as_us("GET", &format!("/v1/sandboxes?id={fork}"), None).await;
    assert_eq!(sandbox.body["from"], json!(checkpoint));
    let theirs = harness.other_organization(Plan::Scale).await;
    let wish = Some(json!({"from": checkpoint}));
    harness.ask("POST", "/v1/sandboxes", Some(&theirs), wish).await.expect(404, "NOT_FOUND");
    let foreign = harness.ask("POST", "/v1/sandboxes", Some(&theirs), Some(json!({}))).await;
    assert_eq!(foreign.status, 201);
    loop {
        let found = node.assigned.lock().unwrap().iter().find(|one| one.organization != assigned.organization).cloned();
        if let Some(stranger) = found {
            assert_eq!(
                object(&node, "GET", &stranger, asked.clone(), b"").await.status(),
                404,
                "another organization's"
            );
            assert_eq!(object(&node, "GET", &stranger, pack(b"two"), b"").await.status(), 404);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let restore = async |checkpoint: &str| {
        let body = json!({"id": id, "checkpointId": checkpoint});
        harness.as_us("POST", "/v1/sandboxes/checkpoint/restore", Some(body)).await
    };
    assert_eq!(restore(checkpoint.as_str()).await.body, json!({"ok": true}));
    restore(&"d".repeat(32)).await.expect(404, "NOT_FOUND");
    restore("x").await.expect(404, "NOT_FOUND");
    harness.finish().await;
}

#[tokio::test]
async fn artifacts_of_a_sandbox_are_listed_and_fetched() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let storage = json!({"artifactPrefix": "of/mine"});
    let id = harness.ready_sandbox(json!({"capabilities": {"storage": storage}})).await;
    let assigned = node.assigned.lock().unwrap()[0].clone();
    bring(&node, &assigned, artifact(ArtifactKind::File, "report.pdf", b"pdf"), b"pdf").await;
    let list = harness.as_us("GET", &format!("/v1/sandboxes/artifacts?id={id}"), None).await;
    assert_eq!((list.status, &list.body["items"][0]["key"]), (200, &json!("of/mine/files/report.pdf")), "{list:?}");
    let sandbox = harness.as_us("GET", &format!("/v1/sandboxes?id={id}"), None).await;
    assert_eq!(sandbox.body["artifacts"]["count"], 1);
    assert_eq!(sandbox.body["artifacts"]["latest"]["key"], "of/mine/files/report.pdf");
    let path = format!("/v1/sandboxes/artifacts/download?id={id}&key=of/mine/files/report.pdf&expiresIn=60");
    let download = harness.as_us("GET", &path, None).await;
    let url = download.body["url"].as_str().unwrap().split_once(&harness.address.to_string()).unwrap().1;
    let fetched = harness.ask("GET", url, None, None).await;
    assert_eq!((fetched.status, fetched.text.as_str()), (200, "pdf"));
    for wrong in ["&expiresIn=0", "&expiresIn=86401", "&key="] {
        harness.as_us("GET", &format!("{path}{wrong}"), None).await.expect(400, "INVALID_REQUEST");
    }
    harness.as_us("GET", &path.replace("report", "other"), None).await.expect(404, "NOT_FOUND");
    harness.finish().await;
}
