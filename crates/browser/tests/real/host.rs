//! A host of plain processes: what a capsule gives, as far as one browser needs it. Every process that it started is
//! killed when it is dropped.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use vitrine_browser::stealth::Story;
use vitrine_browser::{Build, Command, DEVTOOLS_PORT, Exit, Host, HostError, Launch, Running};

/// Chromium refuses to run as root with its sandbox on.
pub const ORDINARY_USER: u32 = 61_234;
const TAIL_BYTES: usize = 4096;

pub struct LocalHost {
    pub directory: TempDir,
    /// A capsule has a loopback of its own, so DevTools has a fixed port; here it is translated.
    port: u16,
    started: Mutex<Vec<Process>>,
}

#[derive(Clone)]
pub struct Process {
    pid: Pid,
    ended: watch::Receiver<Option<Exit>>,
    output: Arc<Mutex<Vec<u8>>>,
}

impl LocalHost {
    pub fn new() -> Arc<LocalHost> {
        let directory = tempfile::tempdir().expect("a temporary folder");
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("address").port();
        Arc::new(LocalHost { directory, port, started: Mutex::default() })
    }

    /// A folder of the ordinary user.
    pub fn folder(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        give_away(&path);
        path.to_str().expect("UTF-8").to_owned()
    }

    pub fn launch(&self, build: Build) -> Launch {
        let executable = match build {
            Build::HeadlessShell => "/usr/lib/chromium/chromium-headless-shell",
            Build::Chromium => "/usr/lib/chromium/chromium",
        };
        assert!(
            Path::new(executable).exists(),
            "these tests need Debian's packages chromium and chromium-headless-shell"
        );
        Launch {
            build,
            executable: executable.into(),
            user_data_dir: self.folder("home/profile"),
            home_dir: self.folder("home"),
            temporary_dir: self.folder("home/tmp"),
            story: Story { language: None, timezone: None, viewport: (1280, 800) },
            enabled_features: Vec::new(),
            disabled_features: Vec::new(),
        }
    }

    /// The program again, as a restarted node would find it.
    pub fn adopt(&self, id: &str) -> Box<dyn Running> {
        let started = self.started.lock().expect("lock");
        Box::new(started.iter().find(|process| process.id() == id).expect("a known process").clone())
    }

    fn start(&self, command: Command) -> std::io::Result<Process> {
        let from = format!("--remote-debugging-port={DEVTOOLS_PORT}");
        let to = format!("--remote-debugging-port={}", self.port);
        let mut program = tokio::process::Command::new(&command.argv[0]);
        program
            .args(command.argv[1..].iter().map(|argument| if *argument == from { &to } else { argument }))
            .env_clear()
            .envs(command.env)
            .current_dir(&command.cwd)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if rustix::process::geteuid().is_root() {
            program.uid(ORDINARY_USER).gid(ORDINARY_USER);
        }
        let mut child = program.spawn()?;
        let pid = Pid::from_raw(child.id().expect("running").cast_signed()).expect("a pid");
        let output = Arc::new(Mutex::new(Vec::new()));
        let (ending, ended) = watch::channel(None);
        let readers =
            [keep(child.stdout.take(), output.clone()).boxed(), keep(child.stderr.take(), output.clone()).boxed()];
        let readers = readers.map(tokio::spawn);
        tokio::spawn(async move {
            let status = child.wait().await.expect("wait");
            for reader in readers {
                // A helper that outlives its parent keeps the pipe open.
                let _ = tokio::time::timeout(std::time::Duration::from_millis(500), reader).await;
            }
            let exit = match status.signal() {
                Some(signal) => Exit::Signal(signal),
                None => Exit::Code(status.code().expect("code")),
            };
            ending.send_replace(Some(exit));
        });
        let process = Process { pid, ended, output };
        self.started.lock().expect("lock").push(process.clone());
        Ok(process)
    }
}

async fn keep(stream: Option<impl AsyncRead + Unpin>, output: Arc<Mutex<Vec<u8>>>) {
    let mut stream = stream.expect("piped");
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let mut output = output.lock().expect("lock");
        output.extend_from_slice(&buffer[..read]);
        let excess = output.len().saturating_sub(TAIL_BYTES);
        output.drain(..excess);
    }
}

/// Makes the ordinary user the owner of all below `path`.
pub fn give_away(path: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    chown(path, Some(ORDINARY_USER), Some(ORDINARY_USER)).expect("chown");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("list") {
            give_away(&entry.expect("entry").path());
        }
    }
}

impl Process {
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }
}

impl Host for LocalHost {
    fn spawn(&self, command: Command) -> BoxFuture<'_, Result<Box<dyn Running>, HostError>> {
        async move {
            let process = self.start(command).map_err(|error| HostError(error.to_string()))?;
            Ok(Box::new(process) as Box<dyn Running>)
        }
        .boxed()
    }

    fn dial(&self, _port: u16) -> BoxFuture<'_, std::io::Result<TcpStream>> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).boxed()
    }
}

impl Running for Process {
    fn id(&self) -> String {
        self.pid.as_raw_nonzero().to_string()
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut ended = self.ended.clone();
        async move { ended.wait_for(Option::is_some).await.expect("a waiter").expect("an exit") }.boxed()
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        self.signal(Signal::KILL);
        async {}.boxed()
    }

    fn tail(&self) -> BoxFuture<'_, String> {
        let text = String::from_utf8_lossy(&self.output.lock().expect("lock")).into_owned();
        async move { text }.boxed()
    }
}

impl Drop for LocalHost {
    fn drop(&mut self) {
        for process in self.started.lock().expect("lock").iter() {
            process.signal(Signal::KILL);
        }
    }
}

impl LocalHost {
    pub fn process(&self, id: &str) -> Process {
        let started = self.started.lock().expect("lock");
        started.iter().find(|process| process.id() == id).expect("a known process").clone()
    }
}
