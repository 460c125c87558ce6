//! The connection against a scripted browser: every way in which a call or a subscription can end.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use vitrine_cdp::protocol::browser::GetVersion;
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::{GetTargets, SessionId, TargetDestroyed, TargetId};
use vitrine_cdp::{CdpError, Closed, Connection, EVENTS_KEPT_MAX, Missed};

const PIPE_BYTES: usize = 64 * 1024;
const PATH: &str = "/devtools/browser/00000000-0000-0000-0000-000000000000";
const SOON: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<DuplexStream>;

/// A connection whose browser is `script`.
async fn browser<F>(script: impl FnOnce(Fake) -> F + Send + 'static) -> (Connection, JoinHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let fake = tokio::spawn(async move {
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let socket = tokio_tungstenite::accept_async_with_config(theirs, Some(config)).await.expect("accept");
        script(Fake { socket }).await;
    });
    (Connection::new(ours, PATH).await.expect("handshake"), fake)
}

struct Fake {
    socket: Socket,
}

impl Fake {
    async fn request(&mut self) -> Value {
        loop {
            match self.socket.next().await.expect("a request").expect("a frame") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Close(_) => panic!("closed instead of a request"),
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("send");
    }

    async fn version(&mut self, request: &Value) {
        let result = json!({ "protocolVersion": "1.3", "product": "Fake/1", "revision": "r", "userAgent": "Fake", "jsVersion": "1" });
        self.send(json!({ "id": request["id"], "result": result })).await;
    }

    /// Answers until the other side leaves.
    async fn serve_versions(&mut self) {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Text(text) = message {
                let request: Value = serde_json::from_str(&text).expect("JSON");
                self.version(&request).await;
            }
        }
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

#[tokio::test]
async fn a_call_carries_its_session_and_gets_its_answer_out_of_order() {
    let (connection, fake) = browser(|mut fake| async move {
        let (first, second) = (fake.request().await, fake.request().await);
        let (evaluate, version) =
            if first["method"] == "Runtime.evaluate" { (first, second) } else { (second, first) };
        assert_eq!(evaluate["sessionId"], "S1");
        assert_eq!(evaluate["params"], json!({ "expression": "1 + 1" }));
        assert_eq!(version.get("sessionId"), None);
        fake.version(&version).await;
        fake.send(json!({ "id": evaluate["id"], "result": { "result": { "type": "number", "value": 2 } }, "sessionId": "S1" })).await;
    })
    .await;
    let session = connection.session(SessionId("S1".into()));
    let evaluate = session.call(Evaluate { expression: "1 + 1".into(), ..Evaluate::default() });
    let (value, version) = soon(async { tokio::join!(evaluate, connection.call(GetVersion {})) }).await;
    assert_eq!(value.expect("value").result.value, Some(json!(2)));
    assert_eq!(version.expect("version").product, "Fake/1");
    fake.await.expect("script");
}

#[tokio::test]
async fn a_refusal_keeps_the_browsers_words() {
    let (connection, fake) = browser(|mut fake| async move {
        let request = fake.request().await;
        fake.send(
            json!({ "id": request["id"], "error": { "code": -32601, "message": "'x' wasn't found", "data": 1 } }),
        )
        .await;
        fake.serve_versions().await;
    })
    .await;
    match soon(connection.call(GetTargets::default())).await {
        Err(CdpError::Refused { method: "Target.getTargets", code: -32601, message }) => {
            assert_eq!(message, "'x' wasn't found")
        }
        other => panic!("{other:?}"),
    }
    soon(connection.call(GetVersion {})).await.expect("the connection lives on");
    drop(connection);
    soon(fake).await.expect("script ends when the last handle is dropped");
}

#[tokio::test]
async fn unknown_ids_nameless_refusals_and_unheard_events_are_ignored() {
    let (connection, _fake) = browser(|mut fake| async move {
        let request = fake.request().await;
        fake.send(json!({ "id": 777_777, "result": {} })).await;
        fake.send(json!({ "error": { "code": -32700, "message": "bad JSON" } })).await;
        fake.send(json!({ "id": null, "error": { "code": -32700, "message": "bad JSON" } })).await;
        fake.send(json!({ "method": "Nobody.listens", "params": { "deep": [1, { "a": "\u{1f389}" }] } })).await;
        fake.send(json!({})).await;
        fake.version(&request).await;
        fake.serve_versions().await;
    })
    .await;
    assert_eq!(soon(connection.call(GetVersion {})).await.expect("version").protocol_version, "1.3");
}

#[tokio::test]
async fn a_malformed_answer_is_that_calls_error_alone() {
    let (connection, _fake) = browser(|mut fake| async move {
        let request = fake.request().await;
        fake.send(json!({ "id": request["id"], "result": { "product": 7 } })).await;
        fake.serve_versions().await;
    })
    .await;
    let first = soon(connection.call(GetVersion {})).await;
    assert!(matches!(first, Err(CdpError::Malformed { method: "Browser.getVersion", .. })), "{first:?}");
    soon(connection.call(GetVersion {})).await.expect("the connection lives on");
}

#[tokio::test]
async fn a_call_ends_at_its_limit_and_its_late_answer_harms_nobody() {
    let (connection, _fake) = browser(|mut fake| async move {
        let late = fake.request().await;
        let next = fake.request().await;
        fake.version(&late).await;
        fake.version(&next).await;
        fake.serve_versions().await;
    })
    .await;
    let limit = Duration::from_millis(50);
    let late = soon(connection.call_within(limit, GetVersion {})).await;
    assert!(matches!(late, Err(CdpError::TimedOut { method: "Browser.getVersion", .. })), "{late:?}");
    soon(connection.call(GetVersion {})).await.expect("answer");
}

#[tokio::test]
async fn messages_larger_than_any_default_cap_pass_both_ways() {
    // The WebSocket library stops at 64 MiB unless told otherwise.
    const LENGTH: usize = 65 << 20;
    let (connection, _fake) = browser(|mut fake| async move {
        let request = fake.socket.next().await.expect("a request").expect("a frame");
        assert!(request.len() > LENGTH);
        let answer =
            format!(r#"{{"id":1,"result":{{"result":{{"type":"string","value":"{}"}}}}}}"#, "x".repeat(LENGTH));
        fake.socket.send(Message::text(answer)).await.expect("send");
        fake.serve_versions().await;
    })
    .await;
    let session = connection.session(SessionId("S".into()));
    let call = session.call(Evaluate { expression: "x".repeat(LENGTH), ..Evaluate::default() });
    let answer = tokio::time::timeout(Duration::from_secs(60), call).await.expect("in time").expect("answer");
    assert_eq!(answer.result.value.and_then(|value| value.as_str().map(str::len)), Some(LENGTH));
}

#[tokio::test]
async fn a_close_in_the_middle_of_a_call_rejects_everybody_with_its_reason() {
    let (connection, _fake) = browser(|mut fake| async move {
        fake.request().await;
        fake.request().await;
        let frame = CloseFrame { code: 1011.into(), reason: "gone".into() };
        fake.socket.close(Some(frame)).await.expect("close");
        while fake.socket.next().await.is_some() {}
    })
    .await;
    let mut events = connection.events::<TargetDestroyed>();
    let other = connection.clone();
    let (first, second) =
        soon(async { tokio::join!(connection.call(GetVersion {}), other.call(GetTargets::default())) }).await;
    let there = Closed::There { code: 1011, reason: "gone".into() };
    assert!(matches!(first, Err(CdpError::Closed(closed)) if closed == there));
    assert!(matches!(second, Err(CdpError::Closed(closed)) if closed == there));
    assert!(matches!(soon(events.next()).await, Err(Missed::Closed(closed)) if closed == there));
    assert_eq!(soon(connection.closed()).await, there);
    assert!(matches!(soon(connection.call(GetVersion {})).await, Err(CdpError::Closed(closed)) if closed == there));
    let mut late = connection.events::<TargetDestroyed>();
    assert!(matches!(soon(late.next()).await, Err(Missed::Closed(_))));
}

#[tokio::test]
async fn a_browser_that_dies_without_a_word_is_lost() {
    let (connection, _fake) = browser(|mut fake| async move {
        fake.request().await;
    })
    .await;
    let call = soon(connection.call(GetVersion {})).await;
    assert!(matches!(call, Err(CdpError::Closed(Closed::Lost(_) | Closed::Garbage(_)))), "{call:?}");
}

#[tokio::test]
async fn garbage_ends_the_connection_with_that_reason() {
    for garbage in [Message::text("{\"id\": 1, \"result\""), Message::text("[]"), Message::binary(vec![0u8, 1])] {
        let (connection, _fake) = browser(|mut fake| async move {
            fake.request().await;
            fake.socket.send(garbage).await.expect("send");
            while fake.socket.next().await.is_some() {}
        })
        .await;
        let call = soon(connection.call(GetVersion {})).await;
        assert!(matches!(call, Err(CdpError::Closed(Closed::Garbage(_)))), "{call:?}");
    }
}

#[tokio::test]
async fn a_slow_subscriber_is_told_what_it_lost_and_holds_up_nobody() {
    let sent = EVENTS_KEPT_MAX as u64 + 10;
    let (connection, _fake) = browser(move |mut fake| async move {
        let request = fake.request().await;
        for number in 0..sent {
            fake.send(json!({ "method": "Target.targetDestroyed", "params": { "targetId": number.to_string() } }))
                .await;
        }
        fake.version(&request).await;
        fake.send(json!({ "method": "Target.targetDestroyed", "params": { "targetId": [] } })).await;
        fake.serve_versions().await;
    })
    .await;
    let mut slow = connection.events::<TargetDestroyed>();
    let mut elsewhere = connection.session(SessionId("S".into())).events::<TargetDestroyed>();
    soon(connection.call(GetVersion {})).await.expect("not held up");
    let missed = soon(slow.next()).await;
    let Err(Missed::Lost(lost)) = missed else { panic!("{missed:?}") };
    assert!(lost >= 10, "{lost}");
    for number in lost..sent {
        assert_eq!(soon(slow.next()).await.expect("event").target_id, TargetId(number.to_string()));
    }
    let malformed = soon(slow.next()).await;
    assert!(matches!(malformed, Err(Missed::Malformed { method: "Target.targetDestroyed", .. })), "{malformed:?}");
    let other = tokio::time::timeout(Duration::from_millis(20), elsewhere.next()).await;
    assert!(other.is_err(), "another session's events must not come: {other:?}");
}

#[tokio::test]
async fn a_detached_session_rejects_its_own_calls_only() {
    let (connection, _fake) = browser(|mut fake| async move {
        let (first, second) = (fake.request().await, fake.request().await);
        let version = if first["method"] == "Browser.getVersion" { first } else { second };
        fake.send(json!({ "method": "Target.detachedFromTarget", "params": { "sessionId": "S1", "targetId": "T" } }))
            .await;
        fake.version(&version).await;
        fake.serve_versions().await;
    })
    .await;
    let session = connection.session(SessionId("S1".into()));
    let mut events = session.events::<TargetDestroyed>();
    let call = session.call(Evaluate::default());
    let (call, version) = soon(async { tokio::join!(call, connection.call(GetVersion {})) }).await;
    assert!(matches!(call, Err(CdpError::Detached)), "{call:?}");
    assert!(matches!(soon(events.next()).await, Err(Missed::Detached)));
    version.expect("the browser's own call is answered");
}

#[tokio::test]
async fn close_is_awaited_and_final() {
    let (connection, fake) = browser(|mut fake| async move { fake.serve_versions().await }).await;
    soon(connection.call(GetVersion {})).await.expect("version");
    soon(connection.close()).await;
    assert_eq!(soon(connection.closed()).await, Closed::Here);
    assert!(matches!(soon(connection.call(GetVersion {})).await, Err(CdpError::Closed(Closed::Here))));
    soon(connection.close()).await;
    soon(fake).await.expect("script");
}

#[tokio::test]
async fn a_refused_handshake_says_so() {
    let (ours, mut theirs) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut request = [0; 1024];
        let read = theirs.read(&mut request).await.expect("request");
        let request = String::from_utf8_lossy(&request[..read]).to_ascii_lowercase();
        assert!(request.contains("host: localhost\r\n"), "{request}");
        assert!(!request.contains("sec-websocket-extensions"), "{request}");
        theirs.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.expect("answer");
    });
    let refused = Connection::new(ours, PATH).await.err();
    assert!(matches!(refused, Some(CdpError::Handshake(_))), "{refused:?}");
}

#[tokio::test]
async fn a_feed_tells_everything_in_order_and_counts_what_did_not_fit() {
    let (connection, fake) = browser(|mut fake| async move {
        let request = fake.request().await;
        for number in 0..3 {
            let params = json!({ "targetId": format!("T{number}") });
            let session = (number == 1).then_some("S");
            fake.send(json!({ "method": "Target.targetDestroyed", "params": params, "sessionId": session })).await;
        }
        let params = json!({ "targetId": "x".repeat(5000) });
        fake.send(json!({ "method": "Target.targetDestroyed", "params": params })).await;
        fake.version(&request).await;
    })
    .await;
    let mut feed = connection.feed(4000);
    connection.call(GetVersion {}).await.expect("answered");
    for (target, session) in [("T0", None), ("T1", Some("S")), ("T2", None)] {
        let heard = feed.next().await.expect("an event");
        assert_eq!(heard.session, session.map(|session| SessionId(session.into())));
        assert_eq!(heard.method, "Target.targetDestroyed");
        let event: TargetDestroyed = heard.read().expect("decoded");
        assert_eq!(event.target_id, TargetId(target.into()));
    }
    assert!(matches!(feed.next().await, Err(Missed::Lost(1))));
    fake.await.expect("script");
    assert!(matches!(feed.next().await, Err(Missed::Closed(_))));
    assert!(matches!(connection.feed(4000).next().await, Err(Missed::Closed(_))));
}
