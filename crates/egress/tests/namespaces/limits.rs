//! Volume, number, order of endings.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vitrine_egress::{EgressEvent, Policy, Refusal, Upstream};

use crate::lab::{WORLD, in_lab, next, outside, serve};

const BULK_BYTES: usize = 100 * 1024 * 1024;

/// Sends and receives 100 MiB at the same time; gives what was received.
async fn bulk(stream: TcpStream) -> usize {
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move {
        let chunk = vec![7; 1024 * 1024];
        for _ in 0..BULK_BYTES / chunk.len() {
            writer.write_all(&chunk).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    let mut chunk = vec![0; 256 * 1024];
    let mut received = 0;
    loop {
        match reader.read(&mut chunk).await.unwrap() {
            0 => break,
            bytes => received += bytes,
        }
    }
    sending.await.unwrap();
    received
}

#[test]
fn a_hundred_megabytes_each_way_are_counted_exactly() {
    in_lab(|lab| async move {
        let listener = lab.world.listen(&format!("{WORLD}:0"));
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move { bulk(listener.accept().await.unwrap().0).await });
        let egress = lab.start(&outside("", &[]), Policy::default(), Upstream::Direct);
        let client = bulk(lab.dial(WORLD, port).await.unwrap()).await;
        assert_eq!((client, server.await.unwrap()), (BULK_BYTES, BULK_BYTES));
        let counters = egress.counters();
        assert_eq!((counters.bytes_in, counters.bytes_out), (BULK_BYTES as u64, BULK_BYTES as u64));
        egress.stop().await;
    });
}

#[test]
fn two_thousand_connections() {
    in_lab(|lab| async move {
        let far = serve(lab.world.listen(&format!("{WORLD}:0")), "far").await;
        let egress = lab.start(&outside("", &[("far.test", &[WORLD])]), Policy::default(), Upstream::Direct);
        for _ in 0..4 {
            let mut streams = Vec::new();
            for _ in 0..500 {
                streams.push(lab.dial(WORLD, far).await.unwrap());
            }
            for mut stream in streams {
                stream.write_all(b"hello").await.unwrap();
                stream.shutdown().await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert_eq!(answer, "far 5");
            }
        }
        let counters = egress.counters();
        assert_eq!((counters.connections, counters.refused), (2000, 0));
        egress.stop().await;
    });
}

#[test]
fn the_connection_over_the_limit_is_reset_and_the_others_live() {
    in_lab(|lab| async move {
        let far = serve(lab.world.listen(&format!("{WORLD}:0")), "far").await;
        let egress = lab.start(&outside("", &[]), Policy::default(), Upstream::Direct);
        let mut events = egress.events();
        let mut streams = Vec::new();
        for _ in 0..1024 {
            streams.push(lab.dial(WORLD, far).await.unwrap());
        }
        lab.assert_reset(WORLD, far).await;
        let target = format!("{WORLD}:{far}");
        assert_eq!(
            next(&mut events).await,
            EgressEvent::Refused { target, address: None, reason: Refusal::TooManyConnections }
        );
        drop(streams.pop());
        let start = Instant::now();
        while lab.ask(WORLD, far).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(5), "the slot is not given back");
        }
        let start = Instant::now();
        egress.stop().await;
        assert!(start.elapsed() < Duration::from_secs(1));
        for mut stream in streams {
            assert!(stream.read(&mut [0; 1]).await.is_err(), "reset by the end of the session");
        }
    });
}

#[test]
fn a_reset_is_passed_on_in_both_directions() {
    in_lab(|lab| async move {
        let listener = lab.world.listen(&format!("{WORLD}:0"));
        let port = listener.local_addr().unwrap().port();
        let egress = lab.start(&outside("", &[]), Policy::default(), Upstream::Direct);

        let mut client = lab.dial(WORLD, port).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        server.set_zero_linger().unwrap();
        drop(server);
        assert!(client.read(&mut [0; 1]).await.is_err());

        let client = lab.dial(WORLD, port).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
        assert!(server.read(&mut [0; 1]).await.is_err());
        egress.stop().await;
    });
}

#[test]
fn a_flood_of_questions_does_not_stop_the_service() {
    in_lab(|lab| async move {
        let egress = lab.start(&outside("", &[]), Policy::default(), Upstream::Direct);
        lab.capsule.inside(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect("192.0.2.53:53").unwrap();
            for index in 0..20_000_u32 {
                let _ = socket.send(&crate::lab::query(&format!("n{index}.test")));
                let _ = socket.send(&index.to_be_bytes().repeat(8));
            }
        });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(lab.resolve("after.test").is_some());
        egress.stop().await;
    });
}
