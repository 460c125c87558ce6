//! The API document is walked: whatever it promises of every operation is tried.

use crate::support::{Harness, raised};
use serde_json::{Value, json};
use vitrine_model::rate::RateLimit;
use vitrine_server::ServerConfig;

/// Where the published document stands.
const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/openapi.json");
/// Writes the document anew instead of comparing it.
const WRITE: &str = "VITRINE_WRITE_OPENAPI";

/// Method, path and description of each operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    each.collect()
}

/// What a path's dialect calls it.
fn word(path: &str, cloud: &'static str, embed: &'static str) -> &'static str {
    if path.starts_with("/api/") { embed } else { cloud }
}

#[tokio::test]
async fn the_published_document_is_this_servers() {
    let harness = Harness::documented().await;
    let document = harness.server.openapi() + "\n";
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(PUBLISHED, &document).unwrap();
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap_or_default();
    assert!(published == document, "docs/api/openapi.json is old: run this test with {WRITE}=1");
    let served = harness.ask("GET", "/openapi.json", None, None).await;
    assert_eq!(served.status, 200);
    assert_eq!(served.body, serde_json::from_str::<Value>(&published).unwrap());
    assert_eq!(served.body["info"]["title"], "Vitrine");
    harness.finish().await;
}

#[tokio::test]
async fn every_operation_has_a_gate_answers_and_prose() {
    let harness = Harness::start(raised()).await;
    let document: Value = serde_json::from_str(&harness.server.openapi()).unwrap();
    let found = operations(&document);
    assert!(found.len() >= 35, "{}", found.len());
    for (method, path, operation) in found {
        let name = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 10), "{name} has no summary");
        let open = ["/health", "/metrics"].contains(&path.as_str());
        assert_eq!(open, operation.get("x-requires").is_none(), "{name}");
        if open {
            continue;
        }
        for status in ["429", "500"] {
            assert!(operation["responses"].get(status).is_some(), "{name} does not mention {status}");
        }
        if operation.get("security").is_none() {
            assert!(path.starts_with("/api/"), "{name} stands open");
            continue;
        }
        assert!(operation["responses"].get("401").is_some(), "{name} does not mention 401");
        let word = word(&path, "UNAUTHENTICATED", "unauthorized");
        let answer = harness.ask(&method, &path, None, Some(json!({}))).await;
        answer.expect(401, word);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let wrong = ["br_live_00000000000000000000000000000000", "op_0", "nonsense", ""];
        for key in wrong {
            harness.ask(&method, &path, Some(key), Some(json!({}))).await.expect(401, word);
        }
    }
    harness.finish().await;
}

#[tokio::test]
async fn every_operation_demands_its_permission_and_counts_its_class() {
    let mut config = ServerConfig::default();
    // A key is made for each operation.
    config.rate_limits.insert("api_keys.write".into(), RateLimit { per_minute: 1_000, burst: 1_000 });
    let harness = Harness::start(config).await;
    let document: Value = serde_json::from_str(&harness.server.openapi()).unwrap();
    for (method, path, operation) in operations(&document) {
        let Some(requires) = operation.get("x-requires") else { continue };
        if operation.get("security").is_none() {
            continue;
        }
        let Some(permission) = requires["permission"].as_str() else {
            let as_client = harness.as_us(&method, &path, Some(json!({}))).await;
            as_client.expect(401, "UNAUTHENTICATED");
            continue;
        };
        assert!(operation["responses"].get("403").is_some(), "{method} {path}");
        let others: Vec<_> =
            vitrine_model::Permission::ALL.iter().map(|one| one.as_str()).filter(|one| *one != permission).collect();
        let narrow = harness.key_with(&others).await;
        let answer = harness.ask(&method, &path, Some(&narrow), Some(json!({}))).await;
        answer.expect(403, word(&path, "PERMISSION_DENIED", "permission_denied"));
        assert_eq!(answer.body[word(&path, "requiredPermission", "required_permission")], permission);
        assert_eq!(answer.header("x-ratelimit-limit"), Some(requires["perMinute"].to_string().as_str()));
        let remaining: u64 = answer.header("x-ratelimit-remaining").unwrap().parse().unwrap();
        assert_eq!(remaining + 1, requires["burst"].as_u64().unwrap(), "{method} {path}");
        assert!(answer.header("x-ratelimit-reset").is_some());
    }
    harness.finish().await;
}

#[tokio::test]
async fn the_page_shows_every_operation_and_asks_nobody() {
    let harness = Harness::documented().await;
    let page = harness.ask("GET", "/docs", None, None).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("style-src 'sha256-"), "{policy}");
    for foreign in ["<script", "src=", "url(", "@import", "href=\"http"] {
        assert!(!page.text.contains(foreign), "{foreign}");
    }
    let document: Value = serde_json::from_str(&harness.server.openapi()).unwrap();
    for (method, path, operation) in operations(&document) {
        assert!(page.text.contains(&format!("{method}</b> {path}</h3>")), "{method} {path}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(document["tags"].as_array().unwrap().iter().any(|known| known["name"] == tag), "{tag}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_generator_can_read_the_document() {
    let harness = Harness::documented().await;
    let document: Value = serde_json::from_str(&harness.server.openapi()).unwrap();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let found = operations(&document);
    let ids: std::collections::BTreeSet<_> =
        found.iter().map(|(_, _, operation)| operation["operationId"].as_str()).collect();
    assert_eq!(ids.len(), found.len(), "operation ids are unique");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(
        schemas.keys().all(|name| name.starts_with(|first: char| first.is_ascii_uppercase())),
        "{:?}",
        schemas.keys()
    );
    harness.finish().await;
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| collect_references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}
