//! The generator on a small protocol of its own: what it writes, what it leaves out, what it refuses.

use std::collections::BTreeMap;
use xtask::cdp::generate;

const PROTOCOL: &str = r#"{ "domains": [
    { "domain": "Net", "types": [
        { "id": "RequestID", "type": "string", "description": "Names a [request]." },
        { "id": "Mode", "type": "string", "enum": ["on", "half-on"] },
        { "id": "Stamp", "type": "number" }
    ] },
    { "domain": "Page", "types": [
        { "id": "Frame", "type": "object", "properties": [
            { "name": "frameId", "type": "string" },
            { "name": "type", "$ref": "Net.Mode" },
            { "name": "hasAPIAccess", "type": "boolean", "optional": true },
            { "name": "old", "type": "string", "deprecated": true },
            { "name": "unread", "$ref": "Net.Stamp" }
        ] },
        { "id": "Unused", "type": "string" }
    ], "commands": [
        { "name": "look", "description": "Looks.", "parameters": [
            { "name": "at", "$ref": "Net.RequestID" },
            { "name": "how", "type": "string", "enum": ["far", "near"], "optional": true }
        ], "returns": [{ "name": "frames", "type": "array", "items": { "$ref": "Frame" } }] },
        { "name": "stop" }
    ], "events": [{ "name": "stopped", "parameters": [{ "name": "when", "type": "integer" }] }] }
] }"#;

fn files(domains: &str) -> BTreeMap<String, String> {
    generate(domains, PROTOCOL).expect("files")
}

#[test]
fn only_what_a_listed_command_reaches_is_written() {
    let files = files("[Page]\ncommands = [\"look\"]\nomit = [\"Frame.unread\"]\n");
    assert_eq!(files.keys().collect::<Vec<_>>(), ["mod.rs", "net.rs", "page.rs"]);
    let (net, page) = (&files["net.rs"], &files["page.rs"]);
    assert!(net.contains("pub struct RequestId(pub String);") && net.contains("/// Names a \\[request\\]."), "{net}");
    assert!(net.contains("#[serde(rename = \"half-on\")]\n    HalfOn,"), "{net}");
    assert!(net.contains("Unlisted(String)") && !net.contains("Stamp"), "{net}");
    assert!(page.contains("pub at: super::net::RequestId,") && page.contains("pub how: Option<LookHow>,"), "{page}");
    assert!(page.contains("pub r#type: super::net::Mode,") && page.contains("pub frames: Vec<Frame>,"), "{page}");
    assert!(page.contains("rename = \"hasAPIAccess\"") && page.contains("pub has_api_access: Option<bool>,"), "{page}");
    for absent in ["Unused", "old", "unread", "Stop", "Stopped"] {
        assert!(!page.contains(absent), "{absent} in {page}");
    }
}

#[test]
fn a_command_without_an_answer_and_an_event() {
    let files = files("[Page]\ncommands = [\"stop\"]\nevents = [\"stopped\"]\n");
    let page = &files["page.rs"];
    assert!(page.contains("const METHOD: &'static str = \"Page.stop\"; type Response = crate::Nothing;"), "{page}");
    assert!(page.contains("impl crate::Event for Stopped") && page.contains("pub when: i64,"), "{page}");
}

#[test]
fn a_name_that_the_protocol_lacks_is_refused() {
    let missing = generate("[Page]\ncommands = [\"leap\"]\n", PROTOCOL).expect_err("refused");
    assert_eq!(missing.to_string(), "could not find Page.leap among its commands");
    assert!(generate("[Page]\nverbs = []\n", PROTOCOL).is_err(), "an unknown key");
    assert!(generate("[Nowhere]\nevents = [\"x\"]\n", PROTOCOL).is_err(), "an unknown domain");
}
