//! A server on a free port, its node, and a client that sends exactly what a test says.

use crate::machine::FakeMachine;
use crate::node::FakeNode;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vitrine_model::rate::RateLimit;
use vitrine_model::{ApiKeySecret, Entropy, Plan};
use vitrine_server::{Server, ServerConfig, StartError, SystemClock};
use vitrine_store::{Location, Objects, ObjectsLocation, Store, StoreOptions};

/// Longest wait for anything in a test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that is logged at ERROR during a test.
static ERRORS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct ErrorLog;

impl std::io::Write for ErrorLog {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        ERRORS.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The operating system's randomness.
pub fn entropy() -> Arc<dyn Entropy> {
    Arc::new(|buffer: &mut [u8]| getrandom::fill(buffer).unwrap())
}

/// A server that serves, and one organization on plan scale.
pub struct Harness {
    pub server: Server,
    pub store: Store,
    pub address: SocketAddr,
    pub key: String,
    pub operator_key: String,
    pub objects: Objects,
    pub machine: FakeMachine,
    _objects_folder: TempDir,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _directory: Option<TempDir>,
}

impl Harness {
    /// The documented settings.
    pub async fn documented() -> Self {
        Self::start(ServerConfig::default()).await
    }

    /// Rate limits raised, so that a test may ask as often as it likes.
    pub async fn raised() -> Self {
        Self::start(raised()).await
    }

    pub async fn start(config: ServerConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(directory.path().join("test.db"));
        Self { _directory: Some(directory), ..Self::start_on(location, config).await }
    }

    /// A server on this database.
    pub async fn start_on(location: Location, mut config: ServerConfig) -> Self {
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(|| ErrorLog).try_init();
        let operator_key = ApiKeySecret::operator(entropy().as_ref());
        config.operator_key = Some(operator_key.hash());
        let store = Store::open(location, StoreOptions::default()).await.unwrap();
        let objects_folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(ObjectsLocation::Folder(objects_folder.path().join("objects"))).unwrap();
        let (clock, machine) = (Arc::new(SystemClock), FakeMachine::default());
        let server =
            Server::new(config, store.clone(), objects.clone(), clock, entropy(), Arc::new(machine.clone())).await;
        let server = server.unwrap();
        let organization = server.create_organization("ours", Plan::Scale).await.unwrap();
        let key = server.create_api_key(&organization.id, "first").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (serving, reconciling) = (server.clone(), server.clone());
        let (serve_stop, reconcile_stop) = (stop.clone(), stop.clone());
        tasks.spawn(async move { serving.serve(listener, serve_stop).await.unwrap() });
        tasks.spawn(async move { reconciling.reconcile(reconcile_stop).await });
        Self {
            server,
            store,
            address,
            key: key.reveal().to_owned(),
            operator_key: operator_key.reveal().to_owned(),
            objects,
            machine,
            _objects_folder: objects_folder,
            stop,
            tasks,
            _directory: None,
        }
    }

    /// A machine that starts and ends what it is told to.
    pub async fn node(&mut self, slots: u32) -> FakeNode {
        self.node_in(slots, ("iad", "na-east")).await
    }

    /// The same in another region, by its two codes.
    pub async fn node_in(&mut self, slots: u32, region: (&'static str, &'static str)) -> FakeNode {
        let node = FakeNode::register_in(&self.server, slots, region).await;
        let (running, stop) = (node.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = running.run() => {}
            }
        });
        node
    }

    /// A second server on the same store, which serves no clients.
    pub async fn another_server(&self, config: ServerConfig) -> Server {
        self.try_another_server(config).await.unwrap()
    }

    pub async fn try_another_server(&self, config: ServerConfig) -> Result<Server, StartError> {
        let clock = Arc::new(SystemClock);
        let objects = self.objects.clone();
        Server::new(config, self.store.clone(), objects, clock, entropy(), Arc::new(self.machine.clone())).await
    }

    /// A key of a new organization.
    pub async fn other_organization(&self, plan: Plan) -> String {
        let organization = self.server.create_organization("theirs", plan).await.unwrap();
        self.server.create_api_key(&organization.id, "theirs").await.unwrap().reveal().to_owned()
    }

    /// A key of ours with these permissions only.
    pub async fn key_with(&self, permissions: &[&str]) -> String {
        let body = json!({"name": "narrow", "permissions": permissions});
        let answer = self.as_us("POST", "/v1/api-keys", Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["key"].as_str().unwrap().to_owned()
    }

    pub async fn as_us(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.ask(method, path, Some(&self.key), body).await
    }

    pub async fn as_operator(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.ask(method, path, Some(&self.operator_key), body).await
    }

    pub async fn ask(&self, method: &str, path: &str, key: Option<&str>, body: Option<Value>) -> Reply {
        let authorization = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        self.send(&format!("{head}{authorization}Content-Length: {}\r\n\r\n{body}", body.len())).await
    }

    /// Grants our organization minutes.
    pub async fn grant(&self, minutes: u32) {
        let granted = self.as_operator("POST", "/admin/v1/minutes", Some(json!({"minutes": minutes}))).await;
        assert_eq!(granted.status, 200, "{granted:?}");
    }

    /// Asks with our key and an `Idempotency-Key`.
    pub async fn as_us_once(&self, once: &str, path: &str, body: &Value) -> Reply {
        self.ask_once(&self.key, once, path, body).await
    }

    pub async fn ask_once(&self, key: &str, once: &str, path: &str, body: &Value) -> Reply {
        let (address, body) = (self.address, body.to_string());
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        let headers = format!("Authorization: Bearer {key}\r\nIdempotency-Key: {once}\r\n");
        self.send(&format!("{head}{headers}Content-Length: {}\r\n\r\n{body}", body.len())).await
    }

    /// The head of a `POST /v1/browsers` with our key and these headers.
    pub fn post_head(&self, headers: &[&str]) -> String {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        format!(
            "POST /v1/browsers HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n{headers}\r\n",
            self.address, self.key
        )
    }

    /// Sends bytes as they are and reads one answer.
    pub async fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
        Reply::parse(&answer)
    }

    /// Creates a session and waits until it is ready.
    pub async fn ready_session(&self) -> Reply {
        let created = self.as_us("POST", "/v1/browsers", Some(json!({}))).await;
        assert_eq!(created.status, 201, "{created:?}");
        let id = created.body["id"].as_str().unwrap();
        let session = self.as_us("GET", &format!("/v1/browsers?id={id}&waitMs=20000"), None).await;
        assert_eq!(session.body["status"], "ready", "{session:?}");
        session
    }

    /// Creates a sandbox and waits until it is ready; answers its id.
    pub async fn ready_sandbox(&self, wish: Value) -> String {
        let created = self.as_us("POST", "/v1/sandboxes", Some(wish)).await;
        assert_eq!(created.status, 201, "{created:?}");
        let id = created.body["id"].as_str().unwrap().to_owned();
        let session = self.as_us("GET", &format!("/v1/sandboxes?id={id}&waitMs=20000"), None).await;
        assert_eq!(session.body["status"], "ready", "{session:?}");
        id
    }

    /// Waits until nothing of an embed session is left on its machine.
    pub async fn until_over(&self, path: &str) {
        let id = path.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.store.session(&id).await.unwrap().unwrap().status.is_terminal() {
            assert!(tokio::time::Instant::now() < deadline, "never over");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a session has this status.
    pub async fn until(&self, id: &str, status: &str) -> Reply {
        self.until_at("/v1/browsers", id, status).await
    }

    /// Waits until a session of either kind has this status.
    pub async fn until_at(&self, path: &str, id: &str, status: &str) -> Reply {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let session = self.as_us("GET", &format!("{path}?id={id}"), None).await;
            if session.body["status"] == status {
                return session;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {status}: {session:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops everything; fails when something was logged at ERROR, a task is left, or an invariant does not hold.
    pub async fn finish(mut self) {
        assert_eq!(self.store.invariants().await.unwrap(), Vec::<String>::new());
        self.stop.cancel();
        let joined = tokio::time::timeout(PATIENCE, async { while self.tasks.join_next().await.is_some() {} });
        joined.await.expect("every task to stop");
        self.store.close().await;
        let errors = ERRORS.lock().unwrap();
        assert!(errors.is_empty(), "logged at ERROR: {}", String::from_utf8_lossy(&errors));
    }
}

/// Settings with every rate limit out of the way.
pub fn raised() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.rate_limits.insert("*".into(), RateLimit { per_minute: 1_000_000, burst: 100_000 });
    config
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub text: String,
}

impl Reply {
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.unwrap_or_else(|| panic!("not an answer: {text:?}")),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: serde_json::from_str(body).unwrap_or_default(),
            text: body.to_owned(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Checks that it is an error in the contract's shape.
    #[track_caller]
    pub fn expect(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, &self.body["code"]), (status, &json!(code)), "{self:?}");
        assert!(self.body["error"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        self
    }
}
