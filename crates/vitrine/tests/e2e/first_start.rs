//! What a stranger meets: the first start, the command line, and what it says when something is wrong.

use crate::support::server::{free_port, vitrine};
use crate::support::{Devtools, Options, Server, eventually};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test]
async fn keys_are_written_once_and_shown_once() {
    let mut server = Server::start(Options::default()).await;
    let read = |name: &str| fs::read_to_string(server.data.join(name)).expect("the key's file");
    for (name, prefix, characters) in [("api-key", "br_live_", 40), ("operator-key", "op_", 51)] {
        let text = read(name);
        assert!(text.starts_with(prefix) && text.ends_with('\n') && text.len() == characters + 1, "{name}");
        let mode = fs::metadata(server.data.join(name)).expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert_eq!(server.log().matches(text.trim()).count(), 1, "{name} is on the screen once");
    }
    let before = (read("api-key"), read("operator-key"), server.machine());
    server.signal("TERM");
    assert!(server.ended().await.success());
    server.start_again().await;
    let read = |name: &str| fs::read_to_string(server.data.join(name)).expect("the key's file");
    assert_eq!((read("api-key"), read("operator-key"), server.machine()), before);
    assert_eq!(server.log().matches(before.0.trim()).count(), 1, "not shown again");
    server.stop().await;
}

#[tokio::test]
async fn one_server_a_data_folder() {
    let server = Server::start(Options::default()).await;
    let data = server.data.display().to_string();
    let listen = format!("127.0.0.1:{}", free_port());
    let (code, _, error) = vitrine(&["serve", "--data-dir", &data, "--listen", &listen], &server.data, &[]);
    assert_eq!(code, 1);
    assert!(error.contains(&format!("process {}", server.process_id())), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_taken_address_is_said_to_be_taken() {
    let server = Server::start(Options::default().with("VITRINE_POOL_BROWSERS", "0")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let listen = format!("127.0.0.1:{}", server.port());
    let (code, _, error) = vitrine(&["serve", "--data-dir", "data", "--listen", &listen], folder.path(), &[]);
    assert!(code == 1 && error.contains(&listen) && error.contains("--listen"), "{code} {error}");
    server.stop().await;
}

#[tokio::test]
async fn rows_may_be_in_postgresql() {
    let postgres = vitrine_testkit::postgres::Postgres::start().expect("a PostgreSQL; install the package postgresql");
    let url = postgres.database().expect("a database");
    let mut server = Server::start(Options::default().with("VITRINE_STORE_URL", url)).await;
    assert!(!server.data.join("vitrine.db").exists());
    let (id, cdp) = server.api().ready(serde_json::json!({})).await;
    server.kill();
    server.start_again().await;
    Devtools::connect(&cdp).await.expect("the same URL connects");
    server.api().delete(&id).await;
    server.api().demand_end(&id, "ended", "deleted").await;
    server.stop().await;
}

#[tokio::test]
async fn an_image_is_built_beside_the_api_and_stops_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { unhealthy: true, ..Options::default() };
    let mut server = Server::start(options.with("VITRINE_IMAGE_DIR", folder.path().display().to_string())).await;
    let api = server.api();
    eventually("the build", || async {
        let (_, health) = api.call(reqwest::Method::GET, "/health", None).await;
        health["reasons"].to_string().contains("is being built").then_some(())
    })
    .await;
    let id = api.create(serde_json::json!({})).await;
    assert_eq!(api.show(&id).await["status"], "queued");
    server.signal("TERM");
    assert!(server.ended().await.success());
    let left: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["lock"], "the unfinished image is gone");
    server.demand_clean();
}

#[tokio::test]
async fn the_command_line_drives_a_session() {
    let server = Server::start(Options::default()).await;
    let data = server.data.display().to_string();
    let run = |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--url", &server.base, "--data-dir", &data]).collect();
        vitrine(&all, &server.data, &[])
    };
    let (code, output, error) = run(&["browser", "create", "--wait", "--json", "--weight", "medium"]);
    assert_eq!(code, 0, "{error}");
    let session: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(session["status"], "ready");
    let id = session["id"].as_str().expect("an id");
    let (code, output, _) = run(&["browser", "cdp", id]);
    assert_eq!((code, output.trim()), (0, session["cdpUrl"].as_str().expect("a URL")));
    let (code, output, _) = run(&["browser", "list"]);
    assert!(code == 0 && output.contains(id) && output.contains("medium"), "{output}");
    let (code, output, _) = run(&["browser", "end", id]);
    assert_eq!((code, output.trim()), (0, format!("ended {id}").as_str()));
    let (code, _, error) = run(&["browser", "show", &"z".repeat(32)]);
    assert!(code == 3 && error.contains("NOT_FOUND"), "{code} {error}");

    let (code, output, error) =
        run(&["keys", "create", "--name", "reader", "--permission", "browser_sessions:read", "--json"]);
    assert_eq!(code, 0, "{error}");
    let key: Value = serde_json::from_str(&output).expect("JSON");
    let (code, _, error) = run(&["browser", "create", "--api-key", key["key"].as_str().expect("a key")]);
    assert!(code == 4 && error.contains("PERMISSION_DENIED"), "{code} {error}");
    let (code, output, _) = run(&["keys", "list"]);
    assert!(code == 0 && output.contains("reader"), "{output}");
    let (code, ..) = run(&["keys", "revoke", key["id"].as_str().expect("an id")]);
    assert_eq!(code, 0);
    let (code, _, error) = run(&["browser", "list", "--api-key", key["key"].as_str().expect("a key")]);
    assert_eq!(code, 4, "{error}");
    server.stop().await;
}

#[tokio::test]
async fn mistakes_are_named_with_an_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str], environment: &[(&str, &str)]| vitrine(arguments, folder.path(), environment);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let (code, _, error) = run(&["browser", "list", "--url", &nobody, "--api-key", "br_live_x"], &[]);
    assert!(code == 5 && error.contains("vitrine serve"), "{code} {error}");
    assert_eq!(run(&["browser", "fly"], &[]).0, 2);
    assert_eq!(run(&["browser", "list"], &[("VITRINE_URL", "ftp://nowhere")]).0, 2);
    assert_eq!(run(&["browser", "list", "--url", "nowhere"], &[]).0, 2);
    let images = folder.path().to_str().expect("a path");
    assert_eq!(run(&["image", "rm", "nothing", "--image-dir", images], &[]).0, 3);
    let (code, _, error) = run(&["serve"], &[("VITRINE_POOL_BROWSERS", "many")]);
    assert!(code == 2 && error.contains("VITRINE_POOL_BROWSERS: pool.browsers: expected a whole number"), "{error}");
    fs::write(folder.path().join("vitrine.toml"), "[machine]\nregion = \"Mars\"\n").expect("a file");
    let (code, output, _) = run(&["config", "check"], &[]);
    assert!(code == 2 && output.contains("vitrine.toml: machine.region: expected three letters"), "{code} {output}");
    let (code, output, _) = run(&["config", "show", "--json"], &[("VITRINE_STORE_URL", "postgres://u:hunter2@h/d")]);
    assert!(code == 0 && !output.contains("hunter2"), "{output}");
}

#[tokio::test]
async fn without_an_image_the_api_answers_and_says_why_not_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { unhealthy: true, ..Options::default() };
    let options = options
        .with("VITRINE_IMAGE_DIR", folder.path().display().to_string())
        .with("VITRINE_IMAGE_BUILD", "false")
        .with("VITRINE_SERVER_QUEUE_DEADLINE_MS", "1000");
    let server = Server::start(options).await;
    let api = server.api();
    // The machine says why with its first beat.
    let mut health = serde_json::Value::Null;
    for _ in 0..100 {
        health = api.call(reqwest::Method::GET, "/health", None).await.1;
        assert_eq!(health["status"], "degraded", "{health}");
        if health.to_string().contains("image") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(health.to_string().contains("image"), "{health}");
    let (status, answer) = api.call(reqwest::Method::POST, "/v1/browsers", Some(serde_json::json!({}))).await;
    if status == 201 {
        let session = api.until(answer["id"].as_str().expect("an id"), &["failed"]).await;
        let reason = session["error"]["reason"].as_str().expect("a reason");
        assert!(matches!(reason, "image_missing" | "queue_timeout"), "{session}");
    } else {
        assert_eq!(status, 503, "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn doctor_looks_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = format!("127.0.0.1:{}", free_port());
    let data = folder.path().join("data").display().to_string();
    let (code, output, error) =
        vitrine(&["doctor", "--json", "--data-dir", &data, "--listen", &listen], folder.path(), &[]);
    let report: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{error}"));
    assert_eq!((code, &report["ok"]), (0, &Value::Bool(true)), "{report:#}");
    let checks = report["checks"].as_array().expect("checks");
    for name in ["kernel", "cgroups", "image", "capsule", "browser"] {
        assert!(checks.iter().any(|check| check["check"] == name && check["status"] == "ok"), "{name}: {report:#}");
    }
    assert!(!folder.path().join("data").exists(), "looking changes nothing");
}
