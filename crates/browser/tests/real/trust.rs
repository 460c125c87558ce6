//! Both builds trust what the machine trusts: a TLS server whose certificate a private authority signed.

use crate::host::{LocalHost, give_away};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use vitrine_browser::{Browser, Build, DATABASE, Trust};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::target::GetTargets;

/// A TLS server on loopback, ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let status = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).stderr(Stdio::null()).status();
    assert!(status.expect("openssl").success(), "openssl {arguments}");
}

async fn server(folder: &Path) -> Server {
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=Authority -addext keyUsage=critical,keyCertSign",
    );
    openssl(folder, "req -newkey rsa:2048 -nodes -keyout site.key -out site.csr -subj /CN=localhost");
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n").expect("names");
    openssl(
        folder,
        "x509 -req -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out site.pem",
    );
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = free.local_addr().expect("address").port();
    drop(free);
    let child = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-www",
            "-cert",
            "site.pem",
            "-key",
            "site.key",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    let server = Server { child, port };
    for _ in 0..200 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return server;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server does not listen");
}

async fn visit(build: Build, database: Option<&Path>, port: u16) -> Option<String> {
    let host = LocalHost::new();
    let launch = host.launch(build);
    if let Some(database) = database {
        let home = Path::new(&launch.home_dir);
        std::fs::create_dir_all(home.join(DATABASE)).expect("folder");
        for file in std::fs::read_dir(database).expect("database") {
            let file = file.expect("file");
            std::fs::copy(file.path(), home.join(DATABASE).join(file.file_name())).expect("copy");
        }
        give_away(&home.join(".pki"));
    }
    let browser = Browser::launch(host.clone(), &launch).await.expect("a browser");
    let connection = browser.connection().await.expect("connection");
    let targets = connection.call(GetTargets::default()).await.expect("targets").target_infos;
    let page = targets.into_iter().find(|target| target.r#type == "page").expect("a page");
    let page = connection.attach(&page.target_id).await.expect("session");
    let url = format!("https://localhost:{port}/");
    let answer = page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
    browser.close(Duration::from_secs(10)).await;
    answer.error_text
}

#[tokio::test]
async fn the_machines_own_authority_is_trusted_by_both_builds_and_only_when_given() {
    let host = LocalHost::new();
    let folder = host.directory.path().join("tls");
    std::fs::create_dir(&folder).expect("folder");
    let server = server(&folder).await;
    let authority = std::fs::read_to_string(folder.join("ca.pem")).expect("certificate");
    let broken = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    let trust = Trust::beyond(&(authority.clone() + broken), "");
    let database = format!("{}/{}", host.folder("made-once"), trust.key());
    trust.write(&*host, &database).await.expect("a database");
    for build in [Build::HeadlessShell, Build::Chromium] {
        let stranger = visit(build, None, server.port).await;
        assert_eq!(stranger.as_deref(), Some("net::ERR_CERT_AUTHORITY_INVALID"), "{build:?}");
        assert_eq!(visit(build, Some(Path::new(&database)), server.port).await, None, "{build:?}");
    }
}
