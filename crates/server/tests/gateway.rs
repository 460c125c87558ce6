//! The gateway before a scripted browser: who is let in, what passes, and how every connection ends.

mod gateway_support;

use gateway_support::*;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitrine_model::token::Scope;
use vitrine_model::wire::{DialError, Purpose};
use vitrine_model::{EndReason, MachineId, RunId, SessionId, Status};
use vitrine_server::gateway::{Farewell, GatewayConfig, PublicUrl};

const MEBIBYTE: usize = 1024 * 1024;

fn quick() -> GatewayConfig {
    GatewayConfig { farewell_ms_max: 400, dial_ms_max: 300, ..GatewayConfig::default() }
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token_and_nothing_is_dialled_for_them() {
    let browser = Browser::new().await;
    let mut fixture = Fixture::new(browser.address).await;
    let session = fixture.session.clone();
    let bare = format!("/cdp/{session}");
    let other = SessionId::new(NOW, &|buffer: &mut [u8]| buffer.fill(77));
    let good = fixture.token();
    fixture.claims.expires_at = NOW;
    let expired = fixture.token();
    fixture.claims.expires_at = NOW + 1;
    fixture.claims.scope = Scope::View;
    let view = fixture.token();
    for path in [
        bare.clone(),
        format!("{bare}/"),
        format!("{bare}?token="),
        format!("{bare}?token=nonsense"),
        format!("{bare}?token={expired}"),
        format!("{bare}?token={view}"),
        format!("{bare}/json/version?token={view}"),
        format!("{bare}/json/list"),
        format!("/cdp/{other}?token={good}"),
    ] {
        let reply = fixture.get(&path, UPGRADE).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHENTICATED"), "{path}");
    }
    for path in
        ["/cdp/x", "/cdp/", "/cdp/../etc/passwd", &format!("{bare}/json/nope"), &format!("{bare}/devtools/page/")]
    {
        let reply = fixture.get(path, UPGRADE).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    assert_eq!(fixture.purposes(), [], "nothing was dialled");
    assert_eq!(fixture.metrics.connections.get(), 0);
}

#[tokio::test]
async fn an_api_key_opens_its_own_organizations_sessions() {
    let browser = Browser::new().await;
    let fixture = Fixture::new(browser.address).await;
    let path = format!("/cdp/{}", fixture.session);
    for (key, status) in [("wrong", 401), ("none", 403), ("other", 404)] {
        let reply = fixture.get(&path, &format!("{UPGRADE}Authorization: Bearer {key}\r\n")).await;
        assert_eq!(reply.status, status, "{key}");
        reply.code();
    }
    let headers = format!("{UPGRADE}Authorization: Bearer all\r\n");
    let (reply, _) = tokio::join!(fixture.get(&path, &headers), browser.socket());
    assert_eq!(reply.status, 101);
}

#[tokio::test]
async fn a_key_that_is_revoked_lets_its_clients_go_and_not_those_who_came_by_token() {
    let config = GatewayConfig { ping_ms: 100, silence_ms_max: 60_000, ..quick() };
    let (fixture, browser, mut by_token, _socket) = joined(config).await;
    let path = format!("/cdp/{}", fixture.session);
    let key = "Authorization: Bearer all\r\n";
    let (mut by_key, _socket) = tokio::join!(Raw::connect_by(fixture.address, &path, key, &[]), browser.socket());
    assert_eq!(by_key.next().await.opcode, PING);
    fixture.rows.revoked.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(by_key.next_answering().await.close_code(), (4401, "token_revoked".into()));
    assert!(by_key.is_over().await);
    assert_eq!(by_token.next().await.opcode, PING);
    fixture.end(EndReason::Deleted);
    assert_eq!(by_token.next_answering().await.close_code(), (1000, "deleted".into()));
}

#[tokio::test]
async fn a_bad_handshake_is_refused_before_the_browser_hears_of_it() {
    let browser = Browser::new().await;
    let fixture = Fixture::new(browser.address).await;
    let path = fixture.path("");
    for (method, headers, status) in [
        ("GET", String::new(), 426),
        ("GET", UPGRADE.replace("13", "8"), 426),
        ("GET", UPGRADE.replace("websocket", "h2c"), 426),
        ("GET", UPGRADE.replace(KEY, "c2hvcnQ="), 400),
        ("GET", UPGRADE.replace(KEY, "***"), 400),
        ("POST", UPGRADE.to_owned(), 405),
    ] {
        let reply = fixture.request(method, &path, &headers).await;
        assert_eq!(reply.status, status, "{method} {headers}");
        reply.code();
        if status == 426 {
            assert!(reply.head.contains("sec-websocket-version: 13"), "{}", reply.head);
        }
    }
    assert_eq!(fixture.purposes(), []);
}

#[tokio::test]
async fn the_browser_sees_localhost_no_origin_and_no_extensions() {
    let browser = Browser::new().await;
    let fixture = Fixture::new(browser.address).await;
    let slash = format!("/cdp/{}/?token={}", fixture.session, fixture.token());
    let (_client, (_, head)) = tokio::join!(fixture.connect_to(&slash), browser.socket_with(&[]));
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("get {BROWSER_PATH} http/1.1\r\n")), "{head}");
    assert!(head.contains("\r\nhost: localhost\r\n"), "{head}");
    for word in ["origin", "extensions", "protocol", "token", "evil"] {
        assert!(!head.contains(word), "{word}: {head}");
    }
    let page = fixture.path("/devtools/page/ABC");
    let (_client, (_, head)) = tokio::join!(fixture.connect_to(&page), browser.socket_with(&[]));
    assert!(head.starts_with("GET /devtools/page/ABC HTTP/1.1\r\n"), "{head}");
    assert_eq!(fixture.purposes(), [Purpose::Client, Purpose::Client]);
}

#[tokio::test]
async fn a_browser_that_refuses_is_an_http_answer_and_never_text_in_a_websocket() {
    let browser = Browser::new().await;
    let fixture = Fixture::with(browser.address, quick(), PublicUrl::FromRequest { trust_proxy: false }).await;
    let wrong_accept =
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n";
    for (answer, status) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length:0\r\n\r\n", 404),
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Length:4\r\n\r\nNo s", 404),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length:0\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n", 502),
        (wrong_accept, 502),
        ("garbage\r\n\r\n", 502),
        ("", 502),
    ] {
        let serve = async {
            let (mut stream, _) = browser.accept().await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let path = fixture.path("/devtools/page/X");
        let (reply, ()) = tokio::join!(fixture.get(&path, UPGRADE), serve);
        assert_eq!(reply.status, status, "{answer}");
        reply.code();
    }
    assert_eq!(fixture.metrics.connections.get(), 0, "no place is lost");
    assert_eq!(fixture.metrics.refused.get(), 7);
}

#[tokio::test]
async fn a_machine_without_the_run_makes_the_row_be_read_once() {
    let browser = Browser::new().await;
    let fixture = Fixture::with(browser.address, quick(), PublicUrl::FromRequest { trust_proxy: false }).await;
    let gone = |times: usize| fixture.machine.failures.lock().unwrap().extend(vec![DialError::Gone; times]);
    let refused = async || fixture.get(&fixture.path(""), UPGRADE).await;

    gone(1);
    let reply = refused().await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "UNAVAILABLE"), "the row knows nothing newer");
    assert!(reply.head.contains("retry-after: 1"));

    gone(1);
    fixture.known(|known| (known.status, known.end_reason) = (Status::Ended, Some(EndReason::Idle)));
    let reply = refused().await;
    assert_eq!((reply.status, reply.json()["endReason"].as_str()), (401, Some("idle")));

    gone(1);
    fixture.known(|known| known.status = Status::Queued);
    let reply = refused().await;
    assert_eq!((reply.status, reply.json()["status"].as_str()), (409, Some("queued")));

    let (run, machine) = (RunId::new(NOW, &|b: &mut [u8]| b.fill(50)), MachineId::new(&|b: &mut [u8]| b.fill(51)));
    fixture.known(|known| {
        (known.status, known.run, known.machine) = (Status::Active, Some(run.clone()), Some(machine.clone()));
    });
    gone(2);
    assert_eq!(refused().await.status, 503, "moved, and gone there too");
    gone(1);
    fixture.machine.dials.lock().unwrap().clear();
    let (_client, _) = tokio::join!(fixture.connect(), browser.socket());
    let dials = fixture.machine.dials.lock().unwrap().clone();
    assert_eq!(dials.len(), 2);
    assert_eq!((&dials[1].0, &dials[1].1.run), (&machine, &run), "dialled where the row says");

    fixture.machine.failures.lock().unwrap().push_back(DialError::Unreachable("no route".into()));
    let reply = refused().await;
    assert_eq!(reply.status, 502);
    assert!(reply.json()["hint"].is_string() && !String::from_utf8_lossy(&reply.body).contains("no route"));

    *fixture.machine.hangs.lock().unwrap() = true;
    let started = Instant::now();
    assert_eq!(refused().await.status, 502);
    assert!(started.elapsed() < Duration::from_secs(2), "a machine that hangs is given up");
}

#[tokio::test]
async fn bytes_pass_unchanged_however_they_are_cut_and_what_came_early_too() {
    let browser = Browser::new().await;
    let fixture = Fixture::new(browser.address).await;
    let mask = Some([9, 8, 7, 6]);
    let early = [frame(0x81, b"early", mask), frame(0x01, b"half", mask)[..3].to_vec()].concat();
    let (path, hello) = (fixture.path(""), frame(0x81, b"hello", None));
    let (mut client, (mut socket, _)) =
        tokio::join!(Raw::connect_with(fixture.address, &path, &early), browser.socket_with(&hello));
    assert_eq!(client.next().await.payload, b"hello");
    assert_eq!(socket.next().await.payload, b"early");

    // The rest of the half frame, a ping in the middle of the message and its last fragment, one byte at a time.
    let rest =
        [frame(0x01, b"half", mask)[3..].to_vec(), frame(0x89, b"theirs", mask), frame(0x80, &[b'x'; 300], mask)]
            .concat();
    for byte in &rest {
        client.stream.write_all(&[*byte]).await.unwrap();
    }
    let mut seen = vec![0; frame(0x01, b"half", mask).len() + rest.len() - 7];
    socket.stream.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, [&frame(0x01, b"half", mask)[..3], &rest].concat(), "mask and framing are the client's own");

    let down = [frame(0x02, &[1; 70_000], None), frame(0x8a, b"pong", None), frame(0x80, &[], None)].concat();
    for piece in down.chunks(3_001) {
        socket.stream.write_all(piece).await.unwrap();
    }
    let mut seen = vec![0; down.len()];
    client.stream.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, down);
    assert_eq!(fixture.metrics.opened.get(), 1);
    assert_eq!(fixture.metrics.bytes_to_clients.get(), (down.len() + hello.len()) as u64);
}

/// Sends one frame of `bytes` and checks that it arrives whole, without holding it anywhere.
async fn large_frame(from: &mut Raw, to: &mut Raw, bytes: usize) {
    let block: Vec<u8> = (0..MEBIBYTE).map(|at| (at / 7) as u8).collect();
    let head = header(0x82, bytes as u64, from.mask);
    let send = async {
        from.stream.write_all(&head).await.unwrap();
        for _ in 0..bytes / MEBIBYTE {
            from.stream.write_all(&block).await.unwrap();
        }
    };
    let receive = async {
        let mut seen = vec![0; head.len()];
        to.stream.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, head);
        let mut seen = vec![0; MEBIBYTE];
        for _ in 0..bytes / MEBIBYTE {
            to.stream.read_exact(&mut seen).await.unwrap();
            assert!(seen == block);
        }
    };
    tokio::join!(send, receive);
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn frames_of_a_hundred_megabytes_pass_both_ways_in_little_memory() {
    let (_fixture, _browser, mut client, mut socket) = joined(GatewayConfig::default()).await;
    large_frame(&mut client, &mut socket, 8 * MEBIBYTE).await;
    let before = resident_kib();
    large_frame(&mut client, &mut socket, 128 * MEBIBYTE).await;
    large_frame(&mut socket, &mut client, 128 * MEBIBYTE).await;
    let grown = resident_kib() - before;
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
}

#[tokio::test]
async fn a_slow_reader_slows_its_source_and_loses_nothing() {
    let (_fixture, _browser, mut client, mut socket) = joined(GatewayConfig::default()).await;
    let bytes = 64 * MEBIBYTE;
    let mut sent = 0;
    let block = vec![5; MEBIBYTE];
    socket.stream.write_all(&header(0x82, bytes as u64, None)).await.unwrap();
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(300), socket.stream.write(&block)).await {
        sent += written.unwrap();
        assert!(sent < 32 * MEBIBYTE, "the source is not slowed");
    }
    let send = async {
        while sent < bytes {
            sent += socket.stream.write(&block[..MEBIBYTE.min(bytes - sent)]).await.unwrap();
        }
    };
    let (frame, ()) = tokio::join!(client.next(), send);
    assert!(frame.payload.len() == bytes && frame.payload.iter().all(|byte| *byte == 5));
}

#[tokio::test]
async fn both_ends_are_pinged_and_pongs_to_our_pings_go_no_further() {
    let config = GatewayConfig { ping_ms: 100, silence_ms_max: 5_000, ..GatewayConfig::default() };
    let (_fixture, _browser, mut client, mut socket) = joined(config).await;
    for round in 0..3 {
        let (to_client, to_browser) = (client.next().await, socket.next().await);
        assert_eq!((to_client.opcode, to_client.masked), (PING, false), "{round}");
        assert_eq!((to_browser.opcode, to_browser.masked), (PING, true), "{round}");
        client.send(PONG, &to_client.payload).await;
        socket.send(PONG, &to_browser.payload).await;
    }
    client.send(PONG, b"unasked").await;
    socket.send(PING, b"browser's own").await;
    let to_browser = loop {
        let frame = socket.next().await;
        if frame.opcode != PING {
            break frame;
        }
    };
    assert_eq!(to_browser.payload, b"unasked", "ours went no further, theirs did");
    while client.next().await.payload != b"browser's own" {}
}

#[tokio::test]
async fn pings_wait_for_the_frame_in_flight() {
    let config = GatewayConfig { ping_ms: 50, silence_ms_max: 5_000, ..GatewayConfig::default() };
    let (_fixture, _browser, mut client, mut socket) = joined(config).await;
    let whole = frame(0x82, &[7; 5_000], None);
    for piece in whole.chunks(500) {
        socket.stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    loop {
        let frame = client.next().await;
        if frame.opcode == BINARY {
            assert_eq!(frame.payload, [7; 5_000]);
            break;
        }
        assert_eq!(frame.opcode, PING);
    }
    assert_eq!(client.next().await.opcode, PING);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_left_with_a_reason() {
    let config = GatewayConfig { ping_ms: 100, silence_ms_max: 250, ..quick() };
    let (fixture, _browser, mut client, mut socket) = joined(config).await;
    let answering = async {
        loop {
            match socket.try_next().await {
                Some(frame) if frame.opcode == PING => socket.send(PONG, &frame.payload).await,
                Some(frame) => break frame,
                None => panic!("left without a word"),
            }
        }
    };
    let to_browser = answering.await;
    assert!(to_browser.masked && to_browser.opcode == CLOSE);
    let to_client = loop {
        let frame = client.next().await;
        if frame.opcode != PING {
            break frame;
        }
    };
    assert_eq!(to_client.close_code(), (1001, "client_silent".into()));
    assert!(client.is_over().await);
    assert!(socket.is_over().await);
    wait_for_none(&fixture).await;
}

#[tokio::test]
async fn a_browser_that_answers_nothing_is_reported_in_time() {
    let config = GatewayConfig { ping_ms: 100, silence_ms_max: 250, ..quick() };
    let (_fixture, _browser, mut client, _socket) = joined(config).await;
    let started = Instant::now();
    assert_eq!(client.next_answering().await.close_code(), (1011, "browser_silent".into()));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_end_that_takes_bytes_slowly_is_alive_and_one_that_takes_none_is_not() {
    let config = GatewayConfig { ping_ms: 200, silence_ms_max: 500, ..quick() };
    let (fixture, _browser, mut client, mut socket) = joined(config).await;
    let flood = tokio::spawn(async move {
        let block = vec![0; MEBIBYTE];
        let _ = socket.stream.write_all(&header(0x82, 1 << 40, None)).await;
        while socket.stream.write_all(&block).await.is_ok() {}
    });
    let mut some = vec![0; 4 * MEBIBYTE];
    for _ in 0..12 {
        client.stream.read_exact(&mut some).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(fixture.metrics.connections.get(), 1, "slow, but alive");
    tokio::time::timeout(SOON, wait_for_none(&fixture)).await.expect("dead, and left");
    tokio::time::timeout(SOON, flood).await.expect("the browser is told").unwrap();
}

#[test]
fn a_pause_of_our_own_makes_nobody_silent() {
    let gateway = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ends = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ends.block_on(async {
        let config = GatewayConfig { ping_ms: 100, silence_ms_max: 300, ..quick() };
        let browser = Browser::new().await;
        let public = PublicUrl::FromRequest { trust_proxy: false };
        let fixture = gateway.spawn(Fixture::with(browser.address, config, public)).await.unwrap();
        let (mut client, mut socket) = tokio::join!(fixture.connect(), browser.socket());
        gateway.spawn(async { std::thread::sleep(Duration::from_secs(1)) });
        let answer_pings = async |end: &mut Raw| {
            for _ in 0..8 {
                let frame = end.next().await;
                assert_eq!(frame.opcode, PING, "{frame:?}");
                end.send(PONG, &frame.payload).await;
            }
        };
        tokio::join!(answer_pings(&mut client), answer_pings(&mut socket));
    });
    gateway.shutdown_background();
}

async fn wait_for_none(fixture: &Fixture) {
    while fixture.metrics.connections.get() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn every_reason_reaches_the_client_as_a_close_frame() {
    for reason in EndReason::ALL {
        let (fixture, _browser, mut client, mut socket) = joined(quick()).await;
        client.text("{}").await;
        assert_eq!(socket.next().await.payload, b"{}");
        fixture.end(reason);
        assert_eq!(client.next().await.close_code(), (reason.close_code(), reason.as_str().into()));
        let to_browser = socket.next().await;
        assert!(to_browser.masked && to_browser.opcode == CLOSE, "{to_browser:?}");
        client.send(CLOSE, &reason.close_code().to_be_bytes()).await;
        assert!(client.is_over().await);
        drop(client);
        wait_for_none(&fixture).await;
    }
}

#[tokio::test]
async fn an_end_during_a_large_frame_lets_it_finish_first() {
    let (fixture, _browser, mut client, mut socket) = joined(GatewayConfig::default()).await;
    let send = async {
        socket.stream.write_all(&header(0x82, 50 * MEBIBYTE as u64, None)).await.unwrap();
        for part in 0..50 {
            if part == 10 {
                fixture.end(EndReason::MaxDuration);
            }
            socket.stream.write_all(&vec![part; MEBIBYTE]).await.unwrap();
        }
    };
    let ((), frame) = tokio::join!(send, client.next());
    assert_eq!(frame.payload.len(), 50 * MEBIBYTE);
    assert_eq!(client.next().await.close_code(), (4001, "max_duration".into()));
}

#[tokio::test]
async fn a_frame_that_never_finishes_does_not_delay_the_end() {
    let (fixture, _browser, mut client, mut socket) = joined(quick()).await;
    socket.stream.write_all(&header(0x82, 1_000, None)).await.unwrap();
    socket.stream.write_all(&[1; 10]).await.unwrap();
    client.stream.read_exact(&mut [0; 14]).await.unwrap();
    let started = Instant::now();
    fixture.end(EndReason::Deleted);
    assert!(client.is_over().await, "no frame is put into another");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_dead_browser_is_explained_by_the_reason_that_follows_or_by_1011() {
    let (fixture, _browser, mut client, mut socket) = joined(quick()).await;
    socket.text("last words").await;
    drop(socket);
    assert_eq!(client.next().await.payload, b"last words");
    tokio::time::sleep(Duration::from_millis(100)).await;
    fixture.end(EndReason::BrowserCrashed);
    assert_eq!(client.next().await.close_code(), (4010, "browser_crashed".into()));

    let (_fixture, _browser, mut client, socket) = joined(quick()).await;
    drop(socket);
    assert_eq!(client.next().await.close_code(), (1011, "browser_gone".into()));
    assert!(client.is_over().await);
}

#[tokio::test]
async fn the_last_words_of_a_browser_arrive_before_the_end() {
    for _ in 0..20 {
        let (fixture, _browser, mut client, mut socket) = joined(quick()).await;
        for _ in 0..100 {
            socket.text("an answer").await;
        }
        drop(socket);
        fixture.end(EndReason::ClosedByClient);
        for _ in 0..100 {
            assert_eq!(client.next().await.payload, b"an answer");
        }
        assert_eq!(client.next().await.close_code(), (1000, "closed_by_client".into()));
    }
}

#[tokio::test]
async fn a_clients_close_is_passed_on_and_answered_even_by_a_browser_that_does_not() {
    for browser_answers in [true, false] {
        let (fixture, _browser, mut client, mut socket) = joined(quick()).await;
        client.send(CLOSE, &[0x0b, 0xb8, b'b', b'y', b'e']).await;
        assert_eq!(socket.next().await.close_code(), (3000, "bye".into()));
        if browser_answers {
            socket.send(CLOSE, &[0x0b, 0xb8]).await;
        } else {
            drop(socket);
        }
        assert_eq!(client.next().await.close_code(), (3000, String::new()), "{browser_answers}");
        assert!(client.is_over().await);
        drop(client);
        wait_for_none(&fixture).await;
    }
}

#[tokio::test]
async fn a_client_that_vanishes_frees_the_browser_at_once() {
    let (fixture, _browser, client, mut socket) = joined(quick()).await;
    drop(client);
    assert!(socket.is_over().await);
    wait_for_none(&fixture).await;
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_so() {
    let unmasked = frame(0x81, b"{}", None);
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &unmasked, &[0xc1, 0x80, 0, 0, 0, 0], &[0x83, 0x80, 0, 0, 0, 0]] {
        let (_fixture, _browser, mut client, mut socket) = joined(quick()).await;
        client.text("good").await;
        client.stream.write_all(garbage).await.unwrap();
        assert_eq!(socket.next().await.payload, b"good");
        assert_eq!(client.next().await.close_code().0, 1002);
        let to_browser = socket.next().await;
        assert!(to_browser.masked && to_browser.opcode == CLOSE, "the browser sees no garbage: {to_browser:?}");
    }
    let (_fixture, _browser, mut client, mut socket) = joined(quick()).await;
    socket.stream.write_all(&frame(0x81, b"x", Some([1; 4]))).await.unwrap();
    assert_eq!(client.next().await.close_code(), (1011, "browser_broke_protocol".into()));
}

#[tokio::test]
async fn limits_hold_in_total_and_for_each_session() {
    let browser = Browser::new().await;
    let config = GatewayConfig { connections_max: 3, session_connections_max: 2, ..quick() };
    let fixture = Fixture::with(browser.address, config, PublicUrl::FromRequest { trust_proxy: false }).await;
    let (first, _first) = tokio::join!(fixture.connect(), browser.socket());
    let (_second, _socket) = tokio::join!(fixture.connect(), browser.socket());
    let reply = fixture.get(&fixture.path(""), UPGRADE).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "RATE_LIMITED"));
    drop(first);
    while fixture.metrics.connections.get() > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_third, _socket) = tokio::join!(fixture.connect(), browser.socket());
}

#[tokio::test]
async fn closing_the_gateway_tells_everybody_and_waits_for_them() {
    for (farewell, code, reason) in
        [(Farewell::ServerShutdown, 1001, "server_shutdown"), (Farewell::ServiceRestart, 1012, "service_restart")]
    {
        let (fixture, _browser, mut client, _socket) = joined(quick()).await;
        let told = async {
            let frame = client.next().await;
            client.send(CLOSE, &frame.payload[..2]).await;
            assert!(client.is_over().await);
            drop(client);
            frame.close_code()
        };
        let ((), told) = tokio::join!(fixture.gateway.close_all(farewell), told);
        assert_eq!(told, (code, reason.into()));
        assert_eq!(fixture.metrics.connections.get(), 0);
        assert_eq!(fixture.get(&fixture.path(""), UPGRADE).await.status, 503, "nobody is let in any more");
    }
}

#[tokio::test]
async fn discovery_answers_lead_back_to_the_public_address() {
    let browser = Browser::new().await;
    let fixture = Fixture::with(browser.address, quick(), fixed("https://browsers.test/eu/")).await;
    let (session, token) = (fixture.session.clone(), fixture.token());
    let page = "ws://localhost/devtools/page/A1";
    let target = json!({ "id": "A1", "title": page, "url": page, "webSocketDebuggerUrl": page,
        "devtoolsFrontendUrl": "https://frontend.test/inspector.html?ws=localhost/devtools/page/A1" });
    let expected = json!({ "id": "A1", "title": page, "url": page,
        "webSocketDebuggerUrl": format!("wss://browsers.test/eu/cdp/{session}/devtools/page/A1?token={token}"),
        "devtoolsFrontendUrl": format!("https://frontend.test/inspector.html?wss=browsers.test/eu/cdp/{session}/devtools/page/A1") });
    let put = "https://a.test/?q=1&x=%20y";
    let cases = [
        ("GET", fixture.path("/json/list"), "GET /json/list HTTP/1.1", json!([target]), json!([expected])),
        ("GET", fixture.path("/json/"), "GET /json HTTP/1.1", json!([target]), json!([expected])),
        (
            "PUT",
            format!("{}&{put}", fixture.path("/json/new")),
            "PUT /json/new?https://a.test/?q=1&x=%20y HTTP/1.1",
            target.clone(),
            expected.clone(),
        ),
        ("GET", fixture.path("/json/protocol"), "GET /json/protocol HTTP/1.1", target.clone(), target.clone()),
        (
            "GET",
            fixture.path("/json/version/"),
            "GET /json/version HTTP/1.1",
            json!({ "webSocketDebuggerUrl": "ws://localhost/devtools/browser/B" }),
            json!({ "webSocketDebuggerUrl": format!("wss://browsers.test/eu/cdp/{session}/devtools/browser/B?token={token}") }),
        ),
        (
            "GET",
            format!("{}/json/version", fixture.path("")),
            "GET /json/version HTTP/1.1",
            json!({ "webSocketDebuggerUrl": "ws://localhost/devtools/browser/B" }),
            json!({ "webSocketDebuggerUrl": format!("wss://browsers.test/eu/cdp/{session}/devtools/browser/B?token={token}") }),
        ),
    ];
    for (method, path, question, answer, expected) in cases {
        let serve = async {
            let (mut stream, head) = browser.accept().await;
            let body = answer.to_string();
            let text = format!(
                "HTTP/1.1 200 OK\r\nContent-Type:application/json; charset=UTF-8\r\nContent-Length:{}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.unwrap();
            head
        };
        let (reply, head) = tokio::join!(fixture.request(method, &path, ""), serve);
        assert_eq!(head.lines().next(), Some(question));
        assert!(head.to_ascii_lowercase().contains("host: localhost"), "{head}");
        assert_eq!(reply.json(), expected, "{path}");
        assert!(reply.head.contains("no-referrer") && reply.head.contains("no-store"), "{}", reply.head);
    }
    assert!(fixture.purposes().iter().all(|purpose| *purpose == Purpose::Discovery));
}

#[tokio::test]
async fn discovery_passes_chromes_own_refusals_on_and_mints_tokens_for_api_keys() {
    let browser = Browser::new().await;
    let fixture = Fixture::new(browser.address).await;
    let serve = async |text: &str| {
        let (mut stream, _) = browser.accept().await;
        stream.write_all(text.as_bytes()).await.unwrap();
    };
    let refusal =
        "HTTP/1.1 404 Not Found\r\nContent-Type:application/json\r\nContent-Length:21\r\n\r\nNo such target id: zz";
    let path = fixture.path("/json/close/zz");
    let (reply, ()) = tokio::join!(fixture.get(&path, ""), serve(refusal));
    assert_eq!((reply.status, reply.body.as_slice()), (404, &b"No such target id: zz"[..]));

    let body = r#"{"webSocketDebuggerUrl":"ws://localhost/devtools/browser/B"}"#;
    let version = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let path = format!("/cdp/{}/json/version", fixture.session);
    let (reply, ()) = tokio::join!(fixture.get(&path, "Authorization: Bearer all\r\n"), serve(&version));
    let url = reply.json()["webSocketDebuggerUrl"].as_str().unwrap().to_owned();
    let expected = format!("ws://gateway.test/cdp/{}/devtools/browser/B?token={}", fixture.session, fixture.token());
    assert_eq!(url, expected, "a token as good as the session's own");

    assert_eq!(fixture.request("DELETE", &fixture.path("/json/list"), "").await.status, 405);
    let dead = Browser::new().await.address;
    *fixture.machine.browser.lock().unwrap() = dead;
    let reply = fixture.get(&fixture.path("/json/version"), "").await;
    assert_eq!(reply.status, 502);
    assert!(reply.json()["hint"].is_string());
}
