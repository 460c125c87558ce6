//! The gateway before a real Chromium: what its DevTools server really answers, takes and does when it dies.

#[path = "gateway_support/chromium.rs"]
mod chromium;
mod gateway_support;

use chromium::Chromium;
use gateway_support::*;
use serde_json::{Value, json};
use std::time::Duration;
use vitrine_model::EndReason;
use vitrine_server::gateway::GatewayConfig;

async fn fixture(chromium: &Chromium, config: GatewayConfig) -> Fixture {
    let fixture = Fixture::with(chromium.address, config, fixed("http://gateway.test/prefix")).await;
    *fixture.machine.browser_path.lock().unwrap() = chromium.path.clone();
    fixture
}

async fn call(client: &mut Raw, id: u64, method: &str, params: Value) -> Value {
    client.text(&json!({ "id": id, "method": method, "params": params }).to_string()).await;
    loop {
        let frame = client.next_answering().await;
        assert_eq!(frame.opcode, TEXT, "{frame:?}");
        let message: Value = serde_json::from_slice(&frame.payload).unwrap();
        if message["id"] == id {
            return message;
        }
    }
}

/// The path at the gateway of a URL that it handed out.
fn path_of(url: &Value) -> String {
    url.as_str().unwrap().strip_prefix("ws://gateway.test/prefix").expect("the public address").to_owned()
}

#[tokio::test]
async fn discovery_leads_to_sockets_that_work() {
    let chromium = Chromium::start();
    let fixture = fixture(&chromium, GatewayConfig::default()).await;
    let version = fixture.get(&fixture.path("/json/version"), "").await.json();
    assert!(version["Browser"].as_str().unwrap().contains("Chrome"), "{version}");
    let mut client = fixture.connect_to(&path_of(&version["webSocketDebuggerUrl"])).await;
    let answer = call(&mut client, 1, "Browser.getVersion", json!({})).await;
    assert_eq!(answer["result"]["product"], version["Browser"]);

    assert_eq!(fixture.get(&format!("{}&about:blank", fixture.path("/json/new")), "").await.status, 405);
    let new = fixture.request("PUT", &format!("{}&data:text/plain,two", fixture.path("/json/new")), "").await.json();
    let list = fixture.get(&fixture.path("/json/list"), "").await.json();
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    let mut page = fixture.connect_to(&path_of(&new["webSocketDebuggerUrl"])).await;
    let answer = call(&mut page, 1, "Runtime.evaluate", json!({ "expression": "6 * 7" })).await;
    assert_eq!(answer["result"]["result"]["value"], 42);

    let id = new["id"].as_str().unwrap();
    assert_eq!(fixture.get(&fixture.path(&format!("/json/activate/{id}")), "").await.body, b"Target activated");
    assert_eq!(fixture.get(&fixture.path(&format!("/json/close/{id}")), "").await.body, b"Target is closing");
    let told = loop {
        let frame = page.next_answering().await;
        if frame.opcode == CLOSE {
            break frame.close_code();
        }
    };
    assert_eq!(told, (1011, "target_gone".into()), "a closed page is told by a close frame too");
    assert_eq!(fixture.get(&fixture.path("/devtools/page/nope"), UPGRADE).await.status, 404);
    assert!(fixture.get(&fixture.path("/json/protocol"), "").await.json()["domains"].is_array());
}

#[tokio::test]
async fn a_killed_browser_closes_with_the_reason_that_the_machine_finds() {
    let mut chromium = Chromium::start();
    let fixture = fixture(&chromium, GatewayConfig::default()).await;
    let mut client = fixture.connect().await;
    call(&mut client, 1, "Browser.getVersion", json!({})).await;
    chromium.kill();
    tokio::time::sleep(Duration::from_millis(50)).await;
    fixture.end(EndReason::BrowserCrashed);
    assert_eq!(client.next_answering().await.close_code(), (4010, "browser_crashed".into()));
}

#[tokio::test]
async fn browser_close_is_answered_before_the_end() {
    let mut chromium = Chromium::start();
    let fixture = fixture(&chromium, GatewayConfig::default()).await;
    let mut client = fixture.connect().await;
    let answer = call(&mut client, 7, "Browser.close", json!({})).await;
    assert_eq!(answer["result"], json!({}));
    chromium.wait();
    fixture.end(EndReason::ClosedByClient);
    assert_eq!(client.next_answering().await.close_code(), (1000, "closed_by_client".into()));
}

#[tokio::test]
async fn a_clients_close_is_answered_with_its_code() {
    let chromium = Chromium::start();
    let fixture = fixture(&chromium, GatewayConfig::default()).await;
    let mut client = fixture.connect().await;
    client.send(CLOSE, &[0x03, 0xe8, b'd', b'o', b'n', b'e']).await;
    assert_eq!(client.next().await.close_code().0, 1000);
    assert!(client.is_over().await);
}

#[tokio::test]
async fn chromium_answers_our_pings_and_the_client_sees_no_pong() {
    let chromium = Chromium::start();
    let config = GatewayConfig { ping_ms: 100, silence_ms_max: 1_000, ..GatewayConfig::default() };
    let fixture = fixture(&chromium, config).await;
    let mut client = fixture.connect().await;
    for _ in 0..20 {
        let frame = client.next().await;
        assert_eq!(frame.opcode, PING, "{frame:?}");
        client.send(PONG, &frame.payload).await;
    }
    client.send(PING, b"mine").await;
    let pong = client.next_answering().await;
    assert_eq!(
        (pong.opcode, pong.payload.as_slice()),
        (PONG, &b"mine"[..]),
        "the client's own pings reach the browser"
    );
}

#[tokio::test]
async fn chromiums_largest_messages_pass_both_ways() {
    let chromium = Chromium::start();
    let fixture = fixture(&chromium, GatewayConfig::default()).await;
    let list = fixture.get(&fixture.path("/json/list"), "").await.json();
    let mut page = fixture.connect_to(&path_of(&list[0]["webSocketDebuggerUrl"])).await;
    page.mask = Some(NO_MASK);
    // Chromium itself takes no message above 100 MiB.
    let bytes = 99_000_000;
    let answer = call(&mut page, 1, "Runtime.evaluate", json!({ "expression": format!("'x'.repeat({bytes})") })).await;
    assert_eq!(answer["result"]["result"]["value"].as_str().unwrap().len(), bytes);
    let expression = format!("'{}'.length", "y".repeat(bytes));
    let answer = call(&mut page, 2, "Runtime.evaluate", json!({ "expression": expression })).await;
    assert_eq!(answer["result"]["result"]["value"], bytes);
}
