//! The real binary as a user starts it, on a free port, with a data folder of its own.

use super::{Api, leaks};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The first browser of the pool on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Lines of the log that a failing test shows.
const LOG_LINES_SHOWN: usize = 60;

/// What differs from the defaults.
#[derive(Clone, Default)]
pub struct Options {
    /// Variables, for example `("VITRINE_POOL_BROWSERS", "0")`.
    pub environment: Vec<(&'static str, String)>,
    /// Whether to go on before `/health` says healthy.
    pub unhealthy: bool,
}

impl Options {
    pub fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((variable, value.into()));
        self
    }
}

/// A server at work. Ended, and looked after for leaks, by [`Server::stop`]; by `Drop` when a test fails.
pub struct Server {
    pub data: PathBuf,
    pub base: String,
    pub key: String,
    port: u16,
    options: Options,
    child: Option<Child>,
    folder: TempDir,
}

impl Server {
    /// Starts one and waits until it can run sessions.
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("vitrine-e2e-").tempdir().expect("a temporary folder");
        let port = free_port();
        let data = folder.path().join("data");
        let base = format!("http://127.0.0.1:{port}");
        let mut server = Self { data, base, key: String::new(), port, options, child: None, folder };
        server.start_again().await;
        server
    }

    /// Starts it again in the same folder on the same port.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(self.spawn());
        self.wait_until_healthy().await;
        self.key = fs::read_to_string(self.data.join("api-key")).expect("the key's file").trim().to_owned();
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log's file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vitrine"));
        for (name, _) in std::env::vars_os() {
            let ours = name.to_str().is_some_and(|name| name.starts_with("VITRINE_") && name != "VITRINE_IMAGE_DIR");
            if ours {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port), "--data-dir"])
            .arg(&self.data)
            .current_dir(self.folder.path())
            .env("VITRINE_EGRESS_HOSTS", "site.test=127.0.0.1,proxy.test=127.0.0.1")
            .env("VITRINE_RATE_LIMITS", "*=600000/10000")
            .env("VITRINE_POOL_BROWSERS", "1")
            .env("VITRINE_LOG_LEVEL", "info,vitrine_node=debug")
            .envs(self.options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        command.spawn().expect("the binary starts")
    }

    async fn wait_until_healthy(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        let health = format!("{}/health", self.base);
        loop {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("its status")) {
                self.child = None;
                panic!("the server ended with {status}:\n{}", self.log_tail());
            }
            if let Ok(answer) = super::api::http().get(&health).send().await
                && (answer.status().is_success() || self.options.unhealthy)
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the server is not healthy; is there an image? `vitrine image build` makes it.\n{}",
                self.log_tail()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub fn api(&self) -> Api {
        Api::new(&self.base, &self.key)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn machine(&self) -> String {
        fs::read_to_string(self.data.join("machine-id")).unwrap_or_default().trim().to_owned()
    }

    /// As `kill -9` does: without a word.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("the signal");
        child.wait().expect("its end");
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process_id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            let child = self.child.as_mut().expect("it runs");
            if let Some(status) = child.try_wait().expect("its status") {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end:\n{}", self.log_tail());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Ends it as a supervisor does, and demands that nothing of it is left and nothing went wrong.
    pub async fn stop(mut self) {
        self.signal("TERM");
        let status = self.ended().await;
        assert!(status.success(), "ended with {status}:\n{}", self.log_tail());
        self.demand_clean();
    }

    /// What must hold once the server is gone.
    pub fn demand_clean(&self) {
        let log = self.log();
        let bad = log.lines().find(|line| line.contains(" ERROR ") || line.contains("panicked at"));
        assert!(bad.is_none(), "an error in the log: {}", bad.unwrap_or_default());
        let left = leaks::left(&self.data, &self.machine());
        assert!(left.is_empty(), "left behind: {left:#?}\n{}", self.log_tail());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log_tail());
        }
        let killed = self.child.is_none() && !leaks::left(&self.data, &self.machine()).is_empty();
        if killed {
            // What outlived it is swept by a last start.
            self.child = Some(self.spawn());
            std::thread::sleep(Duration::from_secs(3));
        }
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
        let _ = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A port that nobody has at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Runs the binary to its end.
pub fn vitrine(arguments: &[&str], folder: &Path, environment: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vitrine"))
        .args(arguments)
        .current_dir(folder)
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}
