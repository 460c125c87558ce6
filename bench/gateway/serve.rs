//! The gateway in a process of its own, before a browser at an address.

use crate::Outcome;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use vitrine_model::token::{Claims, SIGNING_KEY_BYTES, Scope, SigningKey};
use vitrine_model::wire::{Dial, DialError};
use vitrine_model::{EpochMs, Error, MachineId, OrganizationId, Permissions, RunId, SessionId, TokenId};
use vitrine_server::SystemClock;
use vitrine_server::gateway::{
    Connected, Gateway, GatewayConfig, GatewayMetrics, Known, NodeDial, PublicUrl, Sessions,
};

struct Browser {
    address: SocketAddr,
    path: String,
}

impl NodeDial for Browser {
    fn dial<'a>(&'a self, _: &'a MachineId, _: Dial) -> BoxFuture<'a, Result<Connected, DialError>> {
        async move {
            let unreachable = |error: std::io::Error| DialError::Unreachable(error.to_string());
            let stream = TcpStream::connect(self.address).await.map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            let ending = std::future::pending().boxed();
            Ok(Connected { stream: Box::new(stream), browser_path: self.path.clone(), ending })
        }
        .boxed()
    }
}

/// Tokens alone open sessions here.
struct NoRows;

impl Sessions for NoRows {
    fn look_up<'a>(&'a self, _: &'a SessionId) -> BoxFuture<'a, Result<Option<Known>, Error>> {
        async { Ok(None) }.boxed()
    }

    fn is_revoked<'a>(&'a self, _: &'a SessionId, _: &'a TokenId) -> BoxFuture<'a, Result<bool, Error>> {
        async { Ok(false) }.boxed()
    }

    fn token_id(&self) -> TokenId {
        TokenId::new(1, &|buffer: &mut [u8]| buffer.fill(1))
    }

    fn use_up<'a>(&'a self, _: &'a SessionId, _: &'a TokenId, _: EpochMs) -> BoxFuture<'a, Result<bool, Error>> {
        async { Ok(true) }.boxed()
    }

    fn authenticate<'a>(&'a self, _: &'a HeaderMap) -> BoxFuture<'a, Result<(OrganizationId, Permissions), Error>> {
        async { Err(Error::not_found("key")) }.boxed()
    }
}

fn signing_key() -> SigningKey {
    SigningKey::new([1; SIGNING_KEY_BYTES])
}

/// Serves until killed, and says on standard output where.
pub fn serve(address: SocketAddr, path: String) -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let gateway = Gateway::new(
            Arc::new(Browser { address, path }),
            Arc::new(NoRows),
            signing_key(),
            PublicUrl::FromRequest { trust_proxy: false },
            Arc::new(SystemClock),
            GatewayMetrics::default(),
            GatewayConfig { session_connections_max: usize::MAX, ..GatewayConfig::default() },
        );
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let router = gateway.router();
        loop {
            let (stream, _) = listener.accept().await?;
            let service = TowerToHyperService::new(router.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    })
}

/// A running gateway; dropping it ends it.
pub struct Served {
    process: Child,
    pub address: SocketAddr,
    session: SessionId,
    token: String,
}

impl Served {
    pub fn start(browser: SocketAddr, path: &str) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", &browser.to_string(), path])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let entropy = |buffer: &mut [u8]| buffer.fill(1);
        let claims = Claims {
            session: SessionId::new(1, &entropy),
            run: RunId::new(1, &entropy),
            machine: MachineId::new(&entropy),
            scope: Scope::Cdp,
            expires_at: i64::MAX,
            id: None,
        };
        let token = signing_key().sign(&claims);
        Ok(Self { process, address: line.trim().parse()?, session: claims.session, token })
    }

    /// The path at the gateway of a path at the browser.
    pub fn path(&self, path: &str) -> String {
        format!("/cdp/{}{path}?token={}", self.session, self.token)
    }

    /// CPU time of all its threads so far, to the nanosecond.
    pub fn cpu(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split_whitespace().next().ok_or("no CPU time")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    pub fn resident_kib(&self) -> Outcome<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no memory figure")?;
        Ok(line.split_whitespace().nth(1).ok_or("no memory figure")?.parse()?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
