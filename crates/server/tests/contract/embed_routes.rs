//! Where embed sessions run: by region, by point, by the client's address, and what a machine without room changes.

use crate::support::{Harness, raised};
use serde_json::{Value, json};
use std::path::Path;
use vitrine_server::config::{RegionPoint, ServerConfig};

const PATH: &str = "/api/v1/sessions";

async fn region(harness: &Harness, mut wish: Value) -> (String, Value) {
    wish["minutes"] = json!(1);
    let made = harness.as_us("POST", PATH, Some(wish)).await;
    assert_eq!(made.status, 201, "{made:?}");
    (made.body["region"].as_str().unwrap().to_owned(), made.body["region_source"].clone())
}

#[tokio::test]
async fn the_nearest_region_with_room_is_taken() {
    let mut config = raised();
    config.embed.regions.push("lab=47.4/8.5".parse::<RegionPoint>().unwrap());
    let mut harness = Harness::start(config).await;
    harness.node_in(3, ("iad", "na-east")).await;
    harness.node_in(8, ("fra", "eu-central")).await;
    harness.node_in(8, ("sin", "ap-southeast")).await;
    harness.grant(100).await;
    let none = json!(null);
    for (wish, expected) in [
        (json!({"region": "na-east"}), "na-east"),
        (json!({"region": "iad"}), "na-east"),
        (json!({"region": "eu-west"}), "eu-central"),
        (json!({"region": "oc-southeast"}), "ap-southeast"),
        (json!({"region": "lab"}), "eu-central"),
        (json!({"lat": 1.0, "lon": 103.0}), "ap-southeast"),
        (json!({"region": "na-west"}), "na-east"),
        (json!({"lat": 51.5, "lon": -0.1, "clientIP": "8.8.8.8"}), "eu-central"),
        // Three are on the first machine now.
        (json!({"region": "na-east"}), "eu-central"),
        (json!({"lat": 38.9, "lon": -77.0}), "eu-central"),
    ] {
        assert_eq!(region(&harness, wish.clone()).await, (expected.to_owned(), none.clone()), "{wish}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn without_a_database_an_address_leads_to_the_default_region() {
    let mut config = raised();
    config.embed.default_region = Some("ap-southeast".into());
    let mut harness = Harness::start(config).await;
    harness.node_in(8, ("iad", "na-east")).await;
    harness.node_in(8, ("sin", "ap-southeast")).await;
    harness.grant(10).await;
    assert_eq!(region(&harness, json!({"clientIP": "8.8.8.8"})).await, ("ap-southeast".to_owned(), json!("default")));
    let wish = json!({"client_ip": "2001:4860:4860::8888", "minutes": 1});
    let made = harness.as_us_once("k", PATH, &wish).await;
    let again = harness.as_us_once("k", PATH, &wish).await;
    assert_eq!((made.status, again.status, made.body), (201, 200, again.body));
    harness.finish().await;
}

#[tokio::test]
async fn a_database_says_where_an_address_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.mmdb");
    let networks =
        [("81.2.69.0", 24, (51.5, -0.1)), ("175.16.199.0", 24, (1.3, 103.9)), ("2.125.160.0", 20, (f64::NAN, 0.0))];
    std::fs::write(&file, database(&networks)).unwrap();
    let mut harness = Harness::start(with(&file)).await;
    harness.node_in(8, ("iad", "na-east")).await;
    harness.node_in(8, ("fra", "eu-central")).await;
    harness.node_in(8, ("sin", "ap-southeast")).await;
    harness.grant(10).await;
    for (address, expected) in
        [("81.2.69.142", "eu-central"), ("::ffff:81.2.69.142", "eu-central"), ("175.16.199.1", "ap-southeast")]
    {
        assert_eq!(
            region(&harness, json!({"clientIP": address})).await,
            (expected.to_owned(), json!(null)),
            "{address}"
        );
    }
    for unknown in ["8.8.8.8", "81.2.70.1", "2.125.160.216", "2001:4860:4860::8888"] {
        assert_eq!(region(&harness, json!({"clientIP": unknown})).await.1, "default", "{unknown}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_broken_database_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.mmdb");
    std::fs::write(&file, b"not a database").unwrap();
    let harness = Harness::raised().await;
    for path in [file.as_path(), Path::new("/nonexistent.mmdb")] {
        let error = harness.try_another_server(with(path)).await.map(drop).unwrap_err().to_string();
        assert!(error.contains("embed.geoip_database: could not read"), "{error}");
    }
    harness.finish().await;
}

fn with(database: &Path) -> ServerConfig {
    let mut config = raised();
    config.embed.geoip_database = Some(database.to_owned());
    config
}

/// A database in MaxMind's format, version 2.0: a binary tree over the bits of IPv6 addresses (IPv4 below `::/96`), the data,
/// the metadata.
fn database(networks: &[(&str, usize, (f64, f64))]) -> Vec<u8> {
    #[derive(Clone, Copy)]
    enum Record {
        Nothing,
        Node(usize),
        Data(usize),
    }
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (network, prefix, (latitude, longitude)) in networks {
        let bits = u128::from(u32::from(network.parse::<std::net::Ipv4Addr>().unwrap()));
        let last = 96 + prefix - 1;
        let mut node = 0;
        for depth in 0..last {
            let bit = (bits >> (127 - depth) & 1) as usize;
            node = match nodes[node][bit] {
                Record::Node(next) => next,
                _ => {
                    nodes.push([Record::Nothing; 2]);
                    nodes[node][bit] = Record::Node(nodes.len() - 1);
                    nodes.len() - 1
                }
            };
        }
        nodes[node][(bits >> (127 - last) & 1) as usize] = Record::Data(data.len());
        data.extend(map(1));
        data.extend(text("location"));
        data.extend(map(2));
        for (name, degrees) in [("latitude", latitude), ("longitude", longitude)] {
            data.extend(text(name));
            data.push(3 << 5 | 8);
            data.extend(degrees.to_be_bytes());
        }
    }
    let mut file = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match record {
            Record::Nothing => nodes.len(),
            Record::Node(node) => *node,
            Record::Data(at) => nodes.len() + 16 + at,
        };
        file.extend(&(value as u32).to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(map(9));
    let numbers = [
        ("node_count", nodes.len() as u64, 6),
        ("record_size", 24, 5),
        ("ip_version", 6, 5),
        ("binary_format_major_version", 2, 5),
        ("binary_format_minor_version", 0, 5),
        ("build_epoch", 1_700_000_000, 9),
    ];
    for (name, value, kind) in numbers {
        file.extend(text(name));
        file.extend(number(value, kind));
    }
    file.extend(text("database_type"));
    file.extend(text("Test-City"));
    file.extend(text("languages"));
    file.extend([0, 11 - 7]);
    file.extend(text("description"));
    file.extend(map(0));
    file
}

fn map(pairs: u8) -> [u8; 1] {
    [7 << 5 | pairs]
}

fn text(text: &str) -> Vec<u8> {
    [&[2 << 5 | text.len() as u8], text.as_bytes()].concat()
}

/// Types above 7 stand in a byte of their own.
fn number(value: u64, kind: u8) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    match kind {
        8.. => [&[bytes.len() as u8, kind - 7], bytes].concat(),
        _ => [&[kind << 5 | bytes.len() as u8], bytes].concat(),
    }
}
