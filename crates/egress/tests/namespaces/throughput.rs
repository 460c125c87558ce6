//! A measurement, not a test of a limit: bytes a second and CPU time through egress, against the same over plain loopback.
//!
//! `cargo nextest run -p vitrine-egress --run-ignored only --no-capture throughput`

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vitrine_egress::{Policy, Upstream};

use crate::lab::{in_lab, outside};

const MEBIBYTES: usize = 2000;
const ROUND_TRIPS: u32 = 5000;
const CONNECTS: u32 = 500;

/// Processor time of this whole process: client, server and egress. Linux counts it in ticks of 10 ms.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Serves: the first byte says whether to send in bulk or to echo.
async fn answer(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            let mut chunk = vec![7; 256 * 1024];
            match stream.read_u8().await {
                Ok(b'b') => {
                    for _ in 0..MEBIBYTES * 4 {
                        stream.write_all(&chunk).await.unwrap();
                    }
                }
                _ => {
                    while let Ok(bytes @ 1..) = stream.read(&mut chunk).await {
                        stream.write_all(&chunk[..bytes]).await.unwrap();
                    }
                }
            }
        });
    }
}

async fn bulk(mut stream: TcpStream, label: &str) {
    let (start, cpu_start) = (Instant::now(), cpu());
    stream.write_all(b"b").await.unwrap();
    let mut chunk = vec![0; 256 * 1024];
    while stream.read(&mut chunk).await.unwrap() > 0 {}
    let (elapsed, used) = (start.elapsed(), cpu() - cpu_start);
    let speed = MEBIBYTES as f64 / elapsed.as_secs_f64();
    println!("{label}: {speed:.0} MiB/s, {:.0} µs CPU per MiB", used.as_secs_f64() * 1e6 / MEBIBYTES as f64);
}

async fn round_trips(mut stream: TcpStream, label: &str) {
    stream.set_nodelay(true).unwrap();
    stream.write_all(b"e").await.unwrap();
    let mut times = Vec::new();
    let mut byte = [1];
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        stream.write_all(&byte).await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!("{label}: round trip p50 {:?}, p95 {:?}", times[times.len() / 2], times[times.len() * 95 / 100]);
}

#[test]
#[ignore = "a measurement"]
fn throughput() {
    in_lab(|lab| async move {
        let near = lab.capsule.listen("127.0.0.1:0");
        let near_port = near.local_addr().unwrap().port();
        tokio::spawn(answer(near));
        let far = lab.machine.listen("127.0.0.1:0");
        let far_port = far.local_addr().unwrap().port();
        tokio::spawn(answer(far));
        let egress = lab.start(&outside("site.test=127.0.0.1", &[]), Policy::default(), Upstream::Direct);
        for _ in 0..3 {
            bulk(lab.dial("127.0.0.1", near_port).await.unwrap(), "loopback").await;
            bulk(lab.dial("site.test", far_port).await.unwrap(), "egress  ").await;
        }
        round_trips(lab.dial("127.0.0.1", near_port).await.unwrap(), "loopback").await;
        round_trips(lab.dial("site.test", far_port).await.unwrap(), "egress  ").await;
        let address = lab.resolve("site.test").unwrap();
        for (host, port) in [("127.0.0.1".to_owned(), near_port), (address.to_string(), far_port)] {
            let start = Instant::now();
            for _ in 0..CONNECTS {
                let mut stream = lab.dial(&host, port).await.unwrap();
                stream.write_all(b"e1").await.unwrap();
                stream.read_u8().await.unwrap();
            }
            println!("{host}: {:?} for a connection and its first byte", start.elapsed() / CONNECTS);
        }
        egress.stop().await;
    });
}

/// Resident memory of this process, in KiB.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn idle_memory() {
    const CONNECTIONS: usize = 1000;
    in_lab(|lab| async move {
        let listener = lab.machine.listen("127.0.0.1:0");
        let port = listener.local_addr().unwrap().port();
        let egress = lab.start(&outside("site.test=127.0.0.1", &[]), Policy::default(), Upstream::Direct);
        let mut ends = Vec::new();
        for _ in 0..2 {
            let before = resident();
            for _ in 0..CONNECTIONS / 2 {
                let mut client = lab.dial("site.test", port).await.unwrap();
                let (mut server, _) = listener.accept().await.unwrap();
                client.write_all(&[1; 50_000]).await.unwrap();
                server.read_exact(&mut [0; 50_000]).await.unwrap();
                ends.push((client, server));
            }
            println!(
                "{} KiB for each idle connection, both of its ends included",
                (resident() - before) * 2 / CONNECTIONS
            );
        }
        egress.stop().await;
    });
}
