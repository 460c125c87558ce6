//! The dependency rules hold, and the check notices when they do not.

use serde_json::json;
use xtask::deps;

#[test]
fn no_crate_depends_on_what_the_design_forbids() {
    let forbidden = deps::forbidden_edges(&deps::metadata().expect("metadata")).expect("edges");
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn a_forbidden_edge_is_named() {
    let package = |name: &str, dependencies: serde_json::Value| json!({ "name": name, "dependencies": dependencies });
    let metadata = json!({ "packages": [
        package("vitrine-server", json!([{ "name": "vitrine-browser", "kind": null, "path": "/browser" }])),
        package("vitrine-node", json!([{ "name": "sqlx", "kind": null }, { "name": "sqlx", "kind": "dev" }])),
        package("vitrine-model", json!([{ "name": "tokio", "kind": null }])),
        package("vitrine-store", json!([{ "name": "sqlx", "kind": null }])),
        package("newcomer", json!([])),
    ]});
    assert_eq!(
        deps::forbidden_edges(&metadata).expect("edges"),
        [
            "vitrine-server must not depend on vitrine-browser",
            "vitrine-node must not depend on sqlx",
            "vitrine-model must not depend on tokio",
            "newcomer is in no table of the dependency rules",
        ]
    );
}
