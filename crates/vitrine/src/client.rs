//! Talks to a server over its public API.

use crate::cli::Global;
use crate::config::{Config, Loaded};
use anyhow::Context as _;
use bytes::Bytes;
use reqwest::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Upgraded};
use serde_json::Value;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Longer than the server holds an answer back when it is asked to wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The largest recording over a slow line; the longest command.
const TRANSFER_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// An answer on which nothing comes for so long is over: streams of events carry a comment every 15 s.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// An answer of the API is never near this.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "could not reach the server at {url}: {cause}\n  Is it running? Start it with `vitrine serve`, or name another with --url or VITRINE_URL."
    )]
    Unreachable { url: String, cause: String },
    #[error("{}", refusal_text(*.status, code, message, advice))]
    Refused { status: StatusCode, code: String, message: String, advice: &'static str },
    #[error(
        "no key: give --api-key (--operator-key for other organizations), or name the folder of a server on this machine by --data-dir"
    )]
    NoKey,
    #[error("the server at {url} answered with something else than the API: {what}")]
    NotOurs { url: String, what: String },
}

fn refusal_text(status: StatusCode, code: &str, message: &str, advice: &str) -> String {
    let advice = if advice.is_empty() { String::new() } else { format!("\n  {advice}") };
    format!("{message} ({}{code}){advice}", if code.is_empty() { status.as_str() } else { "" })
}

/// A connection to a server with a key.
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

impl Client {
    /// With an API key: by flag or variable, else that of the server on this machine which the configuration describes.
    pub fn new(global: &Global, loaded: &Loaded) -> anyhow::Result<Self> {
        Self::with_key(global, loaded, global.api_key.as_deref(), "api-key")
    }

    /// With the operator's key, found in the same way.
    pub fn operator(global: &Global, loaded: &Loaded) -> anyhow::Result<Self> {
        Self::with_key(global, loaded, global.operator_key.as_deref(), "operator-key")
    }

    fn with_key(global: &Global, loaded: &Loaded, given: Option<&str>, file: &str) -> anyhow::Result<Self> {
        let url = global.url.clone().unwrap_or_else(|| local_url(&loaded.config));
        let url = url.trim_end_matches('/').to_owned();
        let key = match given {
            Some(key) => Some(key.trim().to_owned()),
            // A key of this machine's server is not for another machine's.
            None if is_loopback(&url) => read_key(&loaded.config.data_dir.join(file))?,
            None => None,
        };
        Self::with(url, key)
    }

    /// To this server with this key.
    pub fn direct(url: &str, key: &str) -> anyhow::Result<Self> {
        Self::with(url.to_owned(), Some(key.to_owned()))
    }

    fn with(url: String, key: Option<String>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("vitrine/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .redirect(reqwest::redirect::Policy::none());
        // The environment's proxy is for the world outside.
        let http = if is_loopback(&url) { http.no_proxy() } else { http };
        Ok(Self { http: http.build().context("could not set up TLS")?, url, key })
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ClientError> {
        self.call(Method::GET, path, query, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(Method::PATCH, path, &[], Some(body)).await
    }

    pub async fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ClientError> {
        self.call(Method::DELETE, path, query, None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let mut request = self.request(method, path, query)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Result<RequestBuilder, ClientError> {
        let key = self.key.as_deref().ok_or(ClientError::NoKey)?;
        let address = format!("{}{path}", self.url);
        let mut target = reqwest::Url::parse(&address).map_err(|error| self.unreachable(&error))?;
        if !query.is_empty() {
            target.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, target).bearer_auth(key))
    }

    /// Sends a request; brings the JSON object that is the answer.
    pub async fn answer(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let answer = request.send().await.map_err(|error| self.unreachable(&root(&error)))?;
        let status = answer.status();
        let value = self.object(answer).await?;
        if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
    }

    /// Sends a request whose answer takes its time, or is large: no limit holds but that of [`Self::chunk`].
    pub async fn open(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let answer = request.timeout(TRANSFER_LIMIT).send().await.map_err(|error| self.unreachable(&root(&error)))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        Err(refused(status, &self.object(answer).await?))
    }

    /// The next piece of an answer. One on which nothing comes for long has ended without saying so.
    pub async fn chunk(&self, answer: &mut Response) -> anyhow::Result<Option<Bytes>> {
        let chunk = tokio::time::timeout(STALL_LIMIT, answer.chunk()).await;
        let chunk = chunk.context("the connection to the server stood still")?;
        Ok(chunk.map_err(|error| self.unreachable(&root(&error)))?)
    }

    /// A connection that speaks WebSocket, to an address that carries its own authority.
    pub async fn socket(&self, url: &str) -> anyhow::Result<WebSocketStream<Upgraded>> {
        let url = url.strip_prefix("ws").map_or_else(|| url.to_owned(), |rest| format!("http{rest}"));
        let key = generate_key();
        let request = self.http.get(&url).header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
        let request = request.header(SEC_WEBSOCKET_VERSION, "13").header(SEC_WEBSOCKET_KEY, &key);
        let answer = self.open(request).await?;
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(self.not_ours("no WebSocket".to_owned()).into());
        }
        let stream = answer.upgrade().await.map_err(|error| self.unreachable(&root(&error)))?;
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
    }

    async fn object(&self, mut answer: Response) -> Result<Value, ClientError> {
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&root(&error)))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(self.not_ours(format!("more than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        let value = serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object);
        value.ok_or_else(|| self.not_ours(format!("status {status}, no JSON object")))
    }

    /// Sends a body of any size; brings the JSON object that is the answer.
    pub async fn upload(&self, request: RequestBuilder, body: Body) -> Result<Value, ClientError> {
        self.answer(request.timeout(TRANSFER_LIMIT).body(body)).await
    }

    /// What a signed URL gives. No key travels there.
    pub async fn download(&self, url: &str) -> anyhow::Result<Response> {
        let answer = self.http.get(url).timeout(TRANSFER_LIMIT).send().await;
        let answer = answer.map_err(|error| self.unreachable(&root(&error)))?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "the server answered {status} to the download");
        Ok(answer)
    }

    /// Writes an answer into `sink`; says how many bytes that were.
    pub async fn save(&self, mut answer: Response, sink: &mut (impl AsyncWrite + Unpin)) -> anyhow::Result<u64> {
        let mut size = 0;
        while let Some(chunk) = self.chunk(&mut answer).await? {
            sink.write_all(&chunk).await.context("could not write the download")?;
            size += chunk.len() as u64;
        }
        sink.flush().await.context("could not write the download")?;
        Ok(size)
    }

    /// Writes an answer to a file, or to standard output for `-`; says how many bytes that were.
    pub async fn save_as(&self, answer: Response, output: &Path) -> anyhow::Result<u64> {
        if output.as_os_str() == "-" {
            let standard = std::io::stdout().as_fd().try_clone_to_owned().context("could not open standard output")?;
            return self.save(answer, &mut tokio::fs::File::from_std(standard.into())).await;
        }
        // By rename: an interrupted download leaves no half file under the name.
        let mut partial = output.as_os_str().to_owned();
        partial.push(".part");
        let doing = || format!("could not write {}", output.display());
        let mut file = tokio::fs::File::create(&partial).await.with_context(doing)?;
        let size = self.save(answer, &mut file).await?;
        file.sync_all().await.with_context(doing)?;
        tokio::fs::rename(&partial, output).await.with_context(doing)?;
        Ok(size)
    }

    fn unreachable(&self, cause: &dyn std::fmt::Display) -> ClientError {
        ClientError::Unreachable { url: self.url.clone(), cause: cause.to_string() }
    }

    fn not_ours(&self, what: String) -> ClientError {
        ClientError::NotOurs { url: self.url.clone(), what }
    }
}

/// The innermost cause says what happened; the outer ones only that a request failed.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn refused(status: StatusCode, answer: &Value) -> ClientError {
    let text = |key| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = text("code");
    let advice = match (status, code.as_str()) {
        (_, "PERMISSION_DENIED") => "Use a key that has this permission; `vitrine keys list` shows what each may do.",
        (_, "PLAN_FEATURE_UNAVAILABLE" | "PLAN_LIMIT_EXCEEDED") => {
            "End sessions you no longer need, ask for less, or have the operator change the organization's plan."
        }
        (_, "NOT_IMPLEMENTED") => "This version cannot do it yet; leave it out.",
        (_, "SCHEDULING_FAILED") => "`vitrine doctor` says whether this machine can run sessions.",
        (StatusCode::UNAUTHORIZED, _) => "Check --api-key or VITRINE_API_KEY; a key may have expired or been revoked.",
        (StatusCode::TOO_MANY_REQUESTS, _) => "Wait a moment and try again.",
        (StatusCode::NOT_FOUND, _) => {
            "`vitrine browser list`, `vitrine sandbox list` and `vitrine keys list` show the ids that exist."
        }
        _ => "",
    };
    let message = match (text("error"), text("reason")) {
        (message, reason) if reason.is_empty() => message,
        (message, reason) => format!("{message} [{reason}]"),
    };
    ClientError::Refused { status, code, message, advice }
}

fn local_url(config: &Config) -> String {
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The key in a file; none when there is no such file or we may not read it.
fn read_key(path: &Path) -> anyhow::Result<Option<String>> {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match std::fs::read_to_string(path) {
        Ok(key) => Ok(Some(key.trim().to_owned()).filter(|key| !key.is_empty())),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_key_goes_to_a_local_server_only() {
        for url in ["http://127.0.0.1:7070", "http://localhost:1", "http://[::1]:7070", "https://127.9.9.9"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://127.0.0.1.example.com", "http://10.0.0.1", "http://localhost.example", "nonsense"] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_refusal_says_what_and_what_to_do() {
        let answer = serde_json::json!({ "error": "no room", "code": "SCHEDULING_FAILED", "reason": "no_capacity" });
        let text = refused(StatusCode::SERVICE_UNAVAILABLE, &answer).to_string();
        assert!(text.starts_with("no room [no_capacity] (SCHEDULING_FAILED)\n"), "{text}");
        assert!(text.contains("vitrine doctor"));
        assert_eq!(refused(StatusCode::BAD_GATEWAY, &serde_json::json!({"error": "x"})).to_string(), "x (502)");
    }
}
